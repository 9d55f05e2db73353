"""The fire drill: is each request accounted for, counted from its planned start, and is nothing left afterwards?"""

import asyncio
import contextlib
import html
import io
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import httpx
import psutil
import pytest
from PIL import Image
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib._drill_app import hurry_pools, pools_of
from course_lib._drill_client import ask
from course_lib._drill_faults import make_phases
from course_lib._drill_load import Answer, Phase, Planned, plan_requests, prepare_rows, send_all
from course_lib._drill_process import AppProcess
from course_lib.drill import CONFIGURATIONS, ConfigurationRun, DrillError, DrillResult, longest_outage, run_drill
from course_lib.servers import PostgresServer
from course_lib.servers.faults import FaultProxy
from course_lib.tasks_app import create_app

OTHERS = "pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


def our_children() -> set[int]:
    """The programs that this process has started and that still run."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.add(child.pid)
    return found


async def gone(before: set[int], limit: float = 10) -> bool:
    """Whether all children are gone that were not there before."""
    for _ in range(int(limit / 0.05)):
        if not our_children() - before:
            return True
        await asyncio.sleep(0.05)
    return False


def proxy_threads() -> int:
    return [thread.name for thread in threading.enumerate()].count("course-fault-proxy")


@pytest.fixture(autouse=True)
def no_folder_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Folders that a drill makes are in this test's own, and gone at the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.glob("course-drill-*"))


@contextlib.asynccontextmanager
async def listening(answer: Answering) -> AsyncIterator[int]:
    """A server on loopback in place of the application; gives its port."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def reads(*starts: float) -> list[Planned]:
    return [Planned(start, "calm", "read", 1) for start in starts]


async def send(port: int, plan: list[Planned], patience: float = 5.0) -> tuple[list[Answer], float]:
    return await send_all(port, plan, patience, asyncio.get_running_loop().time())


# -- the application ---------------------------------------------------------------------------------------------


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(tmp_path / "app.db")))

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session

    app = create_app(SimpleNamespace(get_session=get_session, lifespan=lambda _: contextlib.nullcontext()))
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as made:
        yield made
    await engine.dispose()


async def test_the_application_stores_lists_reads_and_changes_tasks(client: httpx.AsyncClient) -> None:
    created = await client.post("/tasks", json={"title": "write"})
    assert created.status_code == 201
    task = created.json()
    assert (task["title"], task["done"]) == ("write", False)
    changed = await client.patch(f"/tasks/{task['id']}", json={"done": True})
    assert changed.json() == task | {"done": True}
    assert (await client.get(f"/tasks/{task['id']}")).json() == changed.json()
    await client.post("/tasks", json={"title": "second"})
    assert [each["title"] for each in (await client.get("/tasks")).json()] == ["write", "second"]
    assert len((await client.get("/tasks", params={"limit": 1})).json()) == 1


async def test_the_application_refuses_what_it_cannot_do(client: httpx.AsyncClient) -> None:
    assert (await client.get("/tasks/12345")).status_code == 404
    assert (await client.patch("/tasks/12345", json={"done": True})).status_code == 404
    assert (await client.post("/tasks", json={"title": ""})).status_code == 422
    assert (await client.get("/tasks", params={"limit": 0})).status_code == 422
    assert (await client.get("/tasks")).json() == []


def test_a_database_layer_without_its_parts_is_named() -> None:
    with pytest.raises(TypeError, match="lacks get_session and lifespan"):
        create_app(SimpleNamespace())


# -- plan and load -----------------------------------------------------------------------------------------------


def test_the_plan_comes_from_the_seed_and_follows_the_phases() -> None:
    phases = make_phases(20, surge=5)
    plan = plan_requests(phases, 50, seed=3)
    assert plan == plan_requests(phases, 50, seed=3) != plan_requests(phases, 50, seed=4)
    assert [each.start for each in plan] == sorted(each.start for each in plan)
    assert phases[0].begin == 0
    assert phases[-1].end == pytest.approx(20)
    for earlier, later in itertools.pairwise(phases):
        assert earlier.end == later.begin
    for phase in phases:
        starts = [each.start for each in plan if each.phase == phase.name]
        assert all(phase.begin <= start < phase.end for start in starts)
        expected = 50 * phase.factor * (phase.end - phase.begin)
        assert abs(len(starts) - expected) < 5 * math.sqrt(expected)
    assert {each.kind for each in plan} == {"read", "list", "create"}


async def test_requests_begin_at_their_times_and_count_from_them_however_slow_the_answers() -> None:
    plan = reads(*(0.02 * number for number in range(20)))
    arrived = 0
    everyone = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        arrived += 1
        if arrived == len(plan):  # a client that waits for its answers would never get here
            everyone.set()
        await everyone.wait()
        await asyncio.sleep(0.3)
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with listening(stall) as port:
        answers, _ = await send(port, plan)
    assert [answer.planned for answer in answers] == plan
    assert all(answer.served for answer in answers)
    for answer in answers:
        assert answer.seconds >= 0.3 + (plan[-1].start - answer.planned.start) - 0.01


async def test_being_late_itself_is_part_of_the_times() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async with listening(answer) as port:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.5)  # this program is busy: nothing can be sent
        answers, late = await send(port, reads(0.15, 1.0))
    assert [each.outcome for each in answers] == ["served", "served"]
    assert answers[0].seconds >= 0.4
    assert late >= 0.4


async def test_a_client_gives_up_when_its_patience_ends() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(silence) as port:
        answers, _ = await send(port, reads(0, 0.1), patience=0.3)
    assert [each.outcome for each in answers] == ["gave up", "gave up"]
    assert all(0.29 <= each.seconds < 1.5 for each in answers)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!", "HTTP 500"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "ConnectionResetError"),
        (b"", "ConnectionResetError"),
    ],
)
async def test_every_way_to_fail_is_an_answer(said: bytes, outcome: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with listening(answer) as port:
        answers, _ = await send(port, reads(0, 0.01, 0.02))
    assert [each.outcome for each in answers] == [outcome] * 3
    closed, _ = await send(port, reads(0))
    assert [each.outcome for each in closed] == ["ConnectionRefusedError"]


# -- results -----------------------------------------------------------------------------------------------------

PHASES = (Phase("calm", "nothing happens", 0, 1), Phase("stall", "silence", 1, 2, 2.0))


def made_run(name: str, served: str) -> ConfigurationRun:
    """A run with a request every 0.1 s: "+" was served after 10 ms, "-" failed after 1 ms."""
    answers = []
    for number, sign in enumerate(served):
        planned = Planned(number / 10, "calm" if number < 10 else "stall", "read", 1)
        answers.append(Answer(planned, *((0.01, "served") if sign == "+" else (0.001, "HTTP 500"))))
    return ConfigurationRun(name, PHASES, tuple(answers), 0.002)


@pytest.mark.parametrize(
    ("served", "outage"),
    [("++++", 0), ("+-++", 0.1), ("+--+--", 0.2), ("+--+---", 0.3), ("----", 0.4), ("-+--+-", 0.2), ("", 0)],
)
def test_the_longest_outage_lasts_from_a_failure_to_the_next_who_was_served(served: str, outage: float) -> None:
    answers = made_run("x", served).answers
    assert longest_outage(answers, len(served) / 10) == pytest.approx(outage)


def test_failures_are_never_answered_so_failing_fast_is_no_way_to_better_percentiles() -> None:
    seen = made_run("x", "++++++++-+" + "----------").overall
    assert (seen.sent, seen.served, seen.failed) == (20, 9, 11)
    assert seen.within(0.45) == 0.01
    assert math.isinf(seen.within(0.5))
    assert seen.as_dict() == {
        "sent": 20,
        "served": 9,
        "failed": 11,
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
        "outage_s": 1.0,
        "reasons": {"HTTP 500": 11},
    }


def test_the_table_shows_all_and_escapes_names() -> None:
    result = DrillResult((made_run("<b>&", "+" * 20), made_run("other", "+" * 15 + "-" * 5)), "conditions & <i>.")
    text, page = repr(result), result._repr_html_()
    assert [row[:5] for row in result.rows] == [
        ("<b>&", "calm", "10", "10", "0"),
        ("", "stall", "10", "10", "0"),
        ("", "altogether", "20", "20", "0"),
        ("other", "calm", "10", "10", "0"),
        ("", "stall", "10", "5", "5"),
        ("", "altogether", "20", "15", "5"),
    ]
    assert all(" ".join(row).strip() in " ".join(text.split()) for row in result.rows)
    assert "<b>" not in page
    assert "<i>" not in page
    assert html.escape("<b>&") in page
    assert "never" in page
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["other"]["stall"]["failed"] == 5
    with pytest.raises(KeyError, match="none of the configurations"):
        result["missing"]
    with pytest.raises(KeyError, match="none of the phases"):
        result["other"].in_phase("missing")


def test_the_finding_follows_from_the_numbers_whoever_did_better() -> None:
    good, bad = "+" * 20, "+" * 12 + "-" * 8
    better = DrillResult((made_run("first", bad), made_run("second", good)), "")
    worse = DrillResult((made_run("first", good), made_run("second", bad)), "")
    assert "second failed 0 of 20 requests (0.0 %), with a longest outage of 0.0 s" in better.finding
    assert "second failed less often in stall (0 instead of 8); failed as often in calm" in better.finding
    assert "second failed more often in stall (8 instead of 0); failed as often in calm" in worse.finding


def test_the_picture_says_in_words_what_it_shows() -> None:
    names = ("one", "two")
    result = DrillResult(tuple(made_run(name, "+" * 12 + "-" * 8) for name in names), "")
    chart = result.chart()
    data, metadata = chart.bundle()
    assert result.finding in metadata["image/png"]["alt"]
    assert set(data) == {"image/png", "text/html", "text/plain"}
    picture = Image.open(io.BytesIO(chart.png))
    assert picture.width == 800
    assert picture.height > 250 * len(names)
    assert len(picture.convert("RGBA").getcolors(1 << 20) or ()) > 10
    assert DrillResult((made_run("one", ""),), "").chart().png  # nothing came: an empty picture, not an error


# -- the application's process -----------------------------------------------------------------------------------


def sqlite(folder: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(folder / "drill.db"))


async def test_a_layer_in_a_file_is_served_without_the_settings_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = our_children()
    monkeypatch.setenv("DATABASE_POOL_SIZE", "not a number")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DATABASE_POOL_TIMEOUT=never\n")
    layer = tmp_path / "my_database.py"
    layer.write_text("from course_lib.database import create_db_and_tables, dispose, get_session\n")
    async with AppProcess(layer, sqlite(tmp_path), 5) as app:
        await prepare_rows(app.port)
        assert len(our_children() - before) == 2  # the application, and who removes its folder
    assert await gone(before)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os\nraise RuntimeError('no luck with ' + os.environ['DATABASE_URL'])", "RuntimeError: no luck with"),
        ("from course_lib.database import get_session\n", "TypeError: The database layer lacks lifespan"),
        ("from course_lib.database import get_session, lifespan\n", "ConnectionRefusedError"),
    ],
)
async def test_a_layer_that_does_not_start_is_told_without_its_password(tmp_path: Path, code: str, said: str) -> None:
    before = our_children()
    layer = tmp_path / "broken.py"
    layer.write_text(code)
    url = URL.create("postgresql+asyncpg", "user", "p@ss-example", "127.0.0.1", 1, "db")
    with pytest.raises(DrillError, match=said) as caught:
        async with AppProcess(layer, url, 5):
            pass
    assert "broken.py" in str(caught.value)
    assert "example" not in str(caught.value)
    assert await gone(before)


async def test_the_application_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom sqlalchemy import URL\n"
        "from course_lib._drill_process import AppProcess\n"
        "async def main():\n"
        "    url = URL.create('sqlite+aiosqlite', database=sys.argv[1])\n"
        "    async with AppProcess('course_lib.database', url, 5) as app:\n"
        "        print(app.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", program, str(tmp_path / "drill.db")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    pid = int(await asyncio.to_thread(process.stdout.readline))
    assert psutil.pid_exists(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 15
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the application outlived the drill"
        await asyncio.sleep(0.1)


async def test_pools_hurry(tmp_path: Path) -> None:
    url = URL.create("postgresql+asyncpg", "user", "example", "127.0.0.1", 1, "db")
    engines: list[AsyncEngine] = [create_async_engine(url), create_async_engine(url, pool_timeout=8, pool_recycle=60)]
    module = SimpleNamespace(engine=engines[0], same=engines[0], other=engines[1], number=3)
    found = pools_of(module)  # type: ignore[arg-type]
    hurry_pools(found, 4)
    pools = [engine.sync_engine.pool for engine in engines]
    assert {id(pool) for pool in found} == {id(pool) for pool in pools}
    assert len(found) == 2
    assert [(pool.timeout(), pool._recycle) for pool in pools] == [(7.5, -1), (2, 15)]  # type: ignore[attr-defined]


def test_connections_hurry() -> None:
    """In a process of its own, since it changes all engines of a process: nobody answers, and 10 s become 0.2 s.

    At an engine's second connection too: SQLAlchemy 2.0 gives it the options that the first one has had.
    """
    program = (
        "import asyncio, socket, time\nfrom course_lib._drill_app import hurry_connections\n"
        "from sqlalchemy import URL\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
        "hurry_connections(50)\n"
        "silent = socket.create_server(('127.0.0.1', 0))\n"
        "url = URL.create('postgresql+asyncpg', 'u', 'example', '127.0.0.1', silent.getsockname()[1], 'd')\n"
        "async def main(began):\n"
        "    for options in ({'timeout': 10, 'command_timeout': 10}, {}):\n"
        "        engine = create_async_engine(url, connect_args=options)\n"
        "        for again in range(2):\n"
        "            try:\n"
        "                await engine.connect()\n"
        "            except TimeoutError:\n"
        "                print(time.monotonic() - began)\n"
        "asyncio.run(main(time.monotonic()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    explicit, again, own, own_again = map(float, done.stdout.split())
    assert 0.19 < explicit < 2  # 10 s / 50
    assert 0.19 < again - explicit < 2
    assert 1.19 < own - again < 5  # asyncpg's own 60 s / 50
    assert 1.19 < own_again - own < 5


# -- the drill ---------------------------------------------------------------------------------------------------


async def at_rest(admin: asyncpg.Connection) -> None:
    """Wait until the application uses none of its connections: a request's session ends after its answer."""
    for _ in range(200):
        if not await admin.fetchval(f"select count(*) from {OTHERS} and state <> 'idle'"):
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)


async def test_after_kills_and_a_restart_only_the_typical_layer_fails() -> None:
    """One request after the other, so that none runs while its backend ends: from that no engine protects."""
    failed = {}
    async with PostgresServer() as server:
        admin_url = server.admin_url.set(drivername="postgresql").render_as_string(hide_password=False)
        for name, database in CONFIGURATIONS.items():
            async with FaultProxy(server.url) as proxy, AppProcess(database, proxy.url, 5) as app:
                statuses = []
                for event in ("kill", "restart", "kill"):
                    admin = await asyncpg.connect(admin_url)
                    await at_rest(admin)
                    if event == "kill":
                        await admin.fetch(f"select pg_terminate_backend(pid, 5000) from {OTHERS}")
                    await admin.close()
                    if event == "restart":
                        await server.restart()
                    await asyncio.sleep(0.2)  # the news has to reach the application
                    # A pool hands out its records in turn: the dead connection may be behind one without any.
                    statuses += [await ask(app.port, "GET", "/tasks") for _ in range(4)]
                failed[name] = statuses.count(500)
                assert set(statuses) <= {200, 500}
    assert failed == {"typical": 3, "complete": 0}


async def test_a_drill_accounts_for_each_request_and_leaves_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before, threads = our_children(), proxy_threads()
    lines: list[str] = []
    result = await run_drill(seconds=2.0, rate=15, surge=3, faster=10, round_trip=0.001, seed=5, show=lines.append)
    plan = plan_requests(make_phases(2.0, 3), 15, 5)
    assert [run.name for run in result.runs] == ["typical", "complete"]
    for run in result.runs:
        assert tuple(answer.planned for answer in run.answers) == plan
        assert run.overall.served + run.overall.failed == run.overall.sent == len(plan)
        assert sum(seen.sent for seen in run.seen[:-1]) == len(plan)
        assert sum(run.overall.reasons.values()) == run.overall.failed
        assert run.overall.served > 0, run.overall.reasons
        assert all(answer.seconds < 0.5 * 5 for answer in run.answers), "nobody is more patient than the client"
    assert [line.split(",")[0] for line in lines] == [
        f"{name}: {phase.name}" for name in ("typical", "complete") for phase in make_phases(2.0, 3)
    ]
    assert "divided by 10" in repr(result)
    assert await gone(before)
    assert proxy_threads() == threads
    assert capfd.readouterr() == ("", "")


async def test_a_cancelled_drill_leaves_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before, threads = our_children(), proxy_threads()
    reached = asyncio.Event()
    drill = asyncio.create_task(
        run_drill(
            {"complete": CONFIGURATIONS["complete"]},
            seconds=3,
            rate=10,
            round_trip=0,
            show=lambda line: reached.set() if ": stall," in line else None,
        )
    )
    async with asyncio.timeout(30):
        await reached.wait()
    await asyncio.sleep(0.2)
    drill.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drill
    assert await gone(before)
    assert proxy_threads() == threads
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_all_of_it_and_says_nothing_else() -> None:
    program = (
        "import asyncio\nfrom course_lib.drill import run_drill\n"
        "print('begins', flush=True)\n"
        "try:\n    asyncio.run(run_drill(seconds=20, rate=10, round_trip=0))\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("typical: calm"):
        assert process.poll() is None
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # to the whole group, as a terminal and a kernel's interrupt do
    out, err = process.communicate(timeout=30)
    assert "interrupted" in out
    assert err == ""
    assert children
    assert not psutil.wait_procs(children, timeout=10)[1]


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"seconds": -1}, {"faster": math.inf}, {"patience": math.nan}])
async def test_arguments_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` is"):
        await run_drill(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no configuration"):
        await run_drill({})
