"""What does the monitor show, when does it end, and what does it leave behind? Against a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from conftest import MakeEngine, backends, run_apart
from course_lib.pools import _monitor_run
from course_lib.pools._monitor_engine import APPLICATION_NAME
from course_lib.pools._monitor_view import MonitorNumbers, Slots, log_lines
from course_lib.pools._recording import LiveConnection, PoolError, PoolEvent, Snapshot
from course_lib.pools.monitor import PoolMonitor
from course_lib.pools.server_view import server_view
from course_lib.servers import FaultProxy, PostgresServer

NOWHERE = "postgresql+asyncpg://somebody:s3cret@127.0.0.1:1/nothing"
VIEW = "application/vnd.jupyter.widget-view+json"
MakeMonitor = Callable[..., PoolMonitor]


@pytest.fixture
async def make_monitor(server: PostgresServer, nothing_left: None) -> AsyncIterator[MakeMonitor]:
    """Makes monitors on the server; a busy pool of two by default. Stops and closes them at the end."""
    made: list[PoolMonitor] = []

    def make(target: Any = None, **settings: Any) -> PoolMonitor:
        if target is None:
            settings = {"pool_size": 2, "max_overflow": 0, "timeout": 0.3, "concurrency": 6, "hold": 0.2, **settings}
        monitor = PoolMonitor(server.url if target is None else target, **settings)
        made.append(monitor)
        return monitor

    yield make
    for monitor in made:
        await monitor.stop()
        monitor.close()


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until it holds."""
    end = perf_counter() + seconds
    while not condition():
        assert perf_counter() < end, "it did not come about in time"
        await asyncio.sleep(0.02)


def pool_of(monitor: PoolMonitor) -> Snapshot:
    """The pool's numbers; all zero as long as there is no pool."""
    return monitor.snapshot().pool or Snapshot("none", 0, 0, 0, 0, 0, 0)


def test_before_the_start_its_text_is_the_same_each_time_and_tells_no_secret() -> None:
    """Is there text and HTML for where widgets don't run, which nbval can compare?"""
    bundles = [PoolMonitor(NOWHERE, pool_size=2, max_overflow=1)._repr_mimebundle_()[0] for _ in range(2)]
    first, second = ({kind: value for kind, value in each.items() if kind != VIEW} for each in bundles)
    assert first == second
    assert first["text/plain"] == (
        "Pool monitor: 2 connections + 1 overflow, 10 concurrent requests, each holds for 100 ms "
        "and waits at most 1.0 s\nSlots: not opened, not opened, not opened\nNot started."
    )
    assert first["text/html"].count("1px solid currentColor") == 2
    assert first["text/html"].count("1px dashed currentColor") == 1
    assert "s3cret" not in str(bundles) + str(PoolMonitor(NOWHERE).get_state())


async def test_what_it_shows_is_what_the_server_sees(server: PostgresServer, make_monitor: MakeMonitor) -> None:
    """Are slots, queue and time-outs those of the real pool, and is everything given back?"""
    monitor = make_monitor()
    monitor.start()
    monitor.start()  # a second click
    await until(lambda: monitor.snapshot().timed_out)
    now, pool = monitor.snapshot(), pool_of(monitor)
    assert now.running
    assert (pool.in_use, pool.idle, pool.waiting, pool.limit) == (2, 0, 4, 2)
    assert now.p95_wait == pytest.approx(0.3, abs=0.1)
    seen = await server_view(server)
    assert {each.application_name for each in seen} == {APPLICATION_NAME}
    assert sorted(pid for _, _, pid in monitor.picture["cells"]) == sorted(each.pid for each in seen)
    assert [letter for letter, _, _ in monitor.picture["cells"]] == ["U", "U"]
    assert len(monitor.picture["queue"]) == 4
    await monitor.stop()
    after = monitor.snapshot()
    assert not await backends(server)
    assert not after.running
    assert after.served > 0
    assert after.errors == 0
    assert after.message == "Stopped."
    assert "timed out" in str(monitor)
    assert f"served             {after.served}" in str(monitor)
    assert any("no connection within 0.3 s" in line for line in monitor.lines)


async def test_a_short_run_leaves_its_last_picture(server: PostgresServer, make_monitor: MakeMonitor) -> None:
    """Is there something to see where widgets don't run: the numbers of a real run, until the next start?"""
    monitor = make_monitor(timeout=0.1)
    assert await monitor.run(seconds=0.8) is monitor
    assert not await backends(server)
    data = monitor._repr_mimebundle_()[0]
    assert dict(line.rsplit(maxsplit=1) for line in data["text/plain"].splitlines()[2:8])["in use"] == "2"
    assert "Recorded in a run of 0." in data["text/plain"] and "Recorded in a run" in data["text/html"]
    assert "aria-label='Slots: in use, in use'" in data["text/html"]
    assert (monitor.snapshot().running, monitor.snapshot().message) == (False, "Stopped.")
    monitor.start()
    assert "Recorded" not in str(monitor)
    await monitor.stop()
    with pytest.raises(PoolError, match="positive number"):
        await monitor.run(seconds=0)


async def test_a_full_server_is_named_in_the_log_and_above(nothing_left: None) -> None:
    """Does it say once that the server is full, and that nothing is served?"""
    async with PostgresServer(max_connections=6, superuser_reserved_connections=2) as full:
        blocker = create_async_engine(full.url, pool_size=4, max_overflow=0)
        held = [await blocker.connect() for _ in range(4)]
        monitor = PoolMonitor(full.url, pool_size=2, max_overflow=0, concurrency=3)
        monitor.start()
        await until(lambda: any("the server is full" in line for line in monitor.lines))
        await until(lambda: "Nothing is served: see the log." in monitor.snapshot().message)
        await asyncio.sleep(0.7)
        assert sum("the server is full" in line for line in monitor.lines) == 1
        await held[0].close()
        await blocker.dispose()
        await until(lambda: monitor.snapshot().message == "Running.")
        await monitor.stop()
        monitor.close()
        for connection in held[1:]:
            await connection.close()


async def test_an_engine_that_was_disposed_of_before(
    server: PostgresServer, make_engine: MakeEngine, make_monitor: MakeMonitor
) -> None:
    """Does a monitor drive the new pool of a disposed engine, and leave what belongs to it alone?"""
    engine = make_engine(pool_size=2, max_overflow=0)
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    await engine.dispose()
    monitor = make_monitor(engine, concurrency=4)
    monitor.start()
    await until(lambda: monitor.snapshot().served)
    await monitor.stop()
    assert monitor.snapshot().errors == 0
    assert len(await backends(server, 2, state="idle")) == 2


async def test_a_moved_slider_changes_the_real_pool_and_load(server: PostgresServer, make_monitor: MakeMonitor) -> None:
    """Is another engine made for another size, and do concurrency and hold follow at once?"""
    monitor = make_monitor()
    monitor.start()
    await backends(server, 2)
    monitor.pool_size, monitor.max_overflow = 3, 1
    assert len(await backends(server, 4)) == 4
    await until(lambda: pool_of(monitor).overflow == 1)
    # Until they are open they stand there as being opened.
    await until(lambda: [letter for letter, _, _ in monitor.picture["cells"]] == ["U", "U", "U", "O"])
    assert len(await backends(server, 4)) == 4  # the first engine's connections are closed
    monitor.concurrency = 2
    await until(lambda: pool_of(monitor).waiting == 0 and pool_of(monitor).in_use <= 2)
    monitor.hold = 0.0
    served = monitor.snapshot().served
    await until(lambda: monitor.snapshot().served > served + 50)


async def test_its_messages_are_few_and_small(make_monitor: MakeMonitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 20 updates a second, one message each?"""
    sent: list[int] = []
    monitor = make_monitor(pool_size=10, max_overflow=5, concurrency=40, timeout=0.1)
    monkeypatch.setattr(monitor, "_send", lambda message, buffers=None: sent.append(len(json.dumps(message))))
    monitor.start()
    await asyncio.sleep(1.0)
    await monitor.stop()
    assert 5 <= len(sent) <= 20
    assert max(sent) < 8_000
    assert len(monitor.lines) <= 50


async def test_it_stops_by_itself(server: PostgresServer, make_monitor: MakeMonitor) -> None:
    """Does a forgotten monitor end?"""
    monitor = make_monitor(seconds=0.3)
    monitor.start()
    await until(lambda: not monitor.snapshot().running and monitor.snapshot().seconds)
    assert monitor.snapshot().message == "Stopped by itself after 0.3 s."
    assert not await backends(server)


async def test_a_new_monitor_of_the_same_database_stops_the_old(
    server: PostgresServer, make_monitor: MakeMonitor
) -> None:
    """What happens when its cell is run again?"""
    old = make_monitor()
    old.start()
    await backends(server, 2)
    new = make_monitor()
    await until(lambda: not old.snapshot().running)
    assert "another monitor" in old.snapshot().message
    old.start()
    await until(lambda: old.snapshot().running)
    new.start()
    await until(lambda: not old.snapshot().running)
    assert "another monitor" in old.snapshot().message
    assert len(await backends(server, 2)) == 2


async def test_closing_the_widget_ends_the_run(server: PostgresServer, make_monitor: MakeMonitor) -> None:
    """Does nothing stay open behind a widget that is gone?"""
    monitor = make_monitor()
    monitor.start()
    await backends(server, 2)
    monitor.close()
    assert not await backends(server)
    await until(lambda: "closed" in monitor.snapshot().message)  # its backends are gone a moment before it says so


async def test_its_buttons_do_what_the_methods_do(server: PostgresServer, make_monitor: MakeMonitor) -> None:
    """Do the messages from the page start and stop it, and do strange ones nothing?"""
    monitor = make_monitor()
    monitor._handle_custom_msg({"do": "dance"}, [])
    monitor._handle_custom_msg("start", [])
    assert not monitor.snapshot().running
    monitor._handle_custom_msg({"do": "start"}, [])
    await until(lambda: monitor.snapshot().running)
    monitor._handle_custom_msg({"do": "stop"}, [])
    await until(lambda: not monitor.snapshot().running)
    assert not await backends(server)


async def test_an_engine_is_driven_as_it_is_and_told_when_disposed(
    server: PostgresServer, make_engine: MakeEngine, make_monitor: MakeMonitor
) -> None:
    """Are its own pool's numbers shown, and does disposing of it end the run with a clear message?"""
    engine = make_engine(pool_size=3, max_overflow=1, pool_timeout=0.4)
    monitor = make_monitor(engine, concurrency=8)
    assert (monitor.pool_size, monitor.max_overflow, monitor.timeout) == (3, None, 0.4)
    with pytest.raises(Exception, match="belongs to the engine"):
        monitor.pool_size = 4
    monitor.start()
    await until(lambda: pool_of(monitor).in_use == 4)
    assert engine.pool.checkedout() == 4  # type: ignore[attr-defined]
    await monitor.stop()
    assert len(await backends(server, 3, state="idle")) == 3  # they belong to the engine's pool
    monitor.start()
    await until(lambda: monitor.snapshot().running)
    await engine.dispose()
    await until(lambda: not monitor.snapshot().running)
    assert "disposed" in monitor.snapshot().message
    await engine.dispose()
    assert not await backends(server)


async def test_an_engine_without_a_queue_is_shown_too(make_monitor: MakeMonitor, server: PostgresServer) -> None:
    """Does a NullPool, which has no slots, break the picture?"""
    monitor = make_monitor(create_async_engine(server.url, poolclass=NullPool), concurrency=3)
    monitor.start()
    await until(lambda: pool_of(monitor).in_use == 3)
    assert [letter for letter, _, _ in monitor.picture["cells"]] == ["U", "U", "U"]


async def test_a_dead_server_ends_the_run_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does it say what happened and what to do, and leave no task?"""
    monkeypatch.setattr(_monitor_run, "_GIVE_UP", 0.4)
    async with PostgresServer() as server:
        monitor = PoolMonitor(server.url, pool_size=2, concurrency=4, hold=0.05)
        monitor.start()
        await until(lambda: monitor.snapshot().served)
    await until(lambda: not monitor.snapshot().running)
    message = monitor.snapshot().message
    assert "every request has failed" in message
    assert "Check that the server runs, then start again." in message
    assert message.endswith("If the server was started again, run this cell again.")
    assert any("failed: " in line for line in monitor.lines)
    assert any("lost connection" in line for line in monitor.lines)
    await monitor.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    monitor.close()


async def test_it_goes_on_after_a_restart_of_the_server(server: PostgresServer, make_monitor: MakeMonitor) -> None:
    """Are lost connections shown as errors and replaced?"""
    monitor = make_monitor(hold=0.05)
    monitor.start()
    await until(lambda: monitor.snapshot().served)
    await server.restart()
    served = monitor.snapshot().served
    await until(lambda: monitor.snapshot().served > served + 4)
    assert monitor.snapshot().errors


async def test_it_ends_although_the_other_side_answers_nothing_any_more(
    server: PostgresServer, nothing_left: None
) -> None:
    """Does a silent network keep the monitor, its tasks or its sockets?"""
    async with FaultProxy(server.url) as proxy:
        monitor = PoolMonitor(proxy.url, pool_size=3, concurrency=6, hold=0.05, timeout=0.2)
        monitor.start()
        await until(lambda: monitor.snapshot().served)
        proxy.black_hole()
        await until(lambda: monitor.snapshot().timed_out)
        begin = perf_counter()
        await monitor.stop()
        assert perf_counter() - begin < 3
        assert not [each for each in asyncio.all_tasks() if "monitor" in each.get_name()]
        monitor.close()


async def test_an_engine_of_another_loop_is_refused_with_a_message(
    server: PostgresServer, make_engine: MakeEngine, make_monitor: MakeMonitor
) -> None:
    """Does it end at once, instead of failing again and again?"""
    engine = make_engine(pool_size=1)

    async def use() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))

    run_apart(use)
    monitor = make_monitor(engine)
    monitor.start()
    await until(lambda: monitor.snapshot().message.startswith("Stopped"))
    assert "another event loop" in monitor.snapshot().message
    assert not await backends(server)


def test_nothing_stays_open_when_the_event_loop_ends(server: PostgresServer) -> None:
    """Does a monitor that nobody stopped give its connections back?"""

    async def forget() -> PoolMonitor:
        monitor = PoolMonitor(server.url, pool_size=2)
        monitor.start()
        await backends(server, 2)
        return monitor

    monitor = run_apart(forget)
    assert not run_apart(lambda: backends(server))
    assert "event loop ended" in monitor.snapshot().message
    monitor.close()


def test_without_a_running_loop_it_says_so() -> None:
    """Is the reason told, and the way out?"""
    with pytest.raises(PoolError, match="call start\\(\\) in a notebook cell or in a coroutine"):
        PoolMonitor(NOWHERE).start()


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        (5, {}, "give its URL or an AsyncEngine, not int"),
        ("nonsense", {}, "This is no database URL"),
        ("postgresql+psycopg2://x@127.0.0.1/x", {}, "No engine can be made"),
        (NOWHERE, {"pool_size": 0}, "`pool_size` is 0, and goes from 1 to 20"),
        (NOWHERE, {"max_overflow": -1}, "`max_overflow` is -1, and goes from 0 to 20"),
        (NOWHERE, {"timeout": float("nan")}, "`timeout` is nan"),
        (NOWHERE, {"hold": -0.1}, "`hold` is -0.1"),
        (NOWHERE, {"concurrency": 2.5}, "concurrency"),
        (NOWHERE, {"seconds": 0}, "`seconds` is a positive number"),
        (NOWHERE, {"pool_prepping": True}, "pool_prepping"),
        (create_async_engine(NOWHERE), {"pool_size": 3}, "Give the URL instead"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(target: Any, settings: dict[str, Any], message: str) -> None:
    """Does the error say what is wrong, without the password?"""
    with pytest.raises(PoolError, match=message) as caught:
        PoolMonitor(target, **settings)
    assert "s3cret" not in str(caught.value)


def live(number: int, who: str | None = None, state: Any = None) -> LiveConnection:
    """A connection for `Slots`."""
    return LiveConnection(number, 0, 100 + number, state or ("in use" if who else "idle"), who, 0.0, False)


def test_connections_keep_their_slots() -> None:
    """Can a picture of the slots be followed with the eyes?"""
    slots = Slots()
    pool = Snapshot("QueuePool", 2, 4, in_use=3, idle=0, overflow=1, waiting=0)
    first = slots.arrange([live(1, "a"), live(2, "b"), live(3, "c")], pool)
    assert first == [("U", 1, 101), ("U", 2, 102), ("O", 3, 103), ("", None, None)]
    pool = Snapshot("QueuePool", 2, 4, in_use=2, idle=1, overflow=1, waiting=0)
    assert slots.arrange([live(1, "a"), live(2), live(3, "c")], pool)[1:3] == [("I", 2, 102), ("O", 3, 103)]
    pool = Snapshot("QueuePool", 2, 4, in_use=2, idle=0, overflow=0, waiting=0)
    assert slots.arrange([live(1, "a"), live(3, "c")], pool)[:3] == [("U", 1, 101), ("U", 3, 103), ("", None, None)]


def test_slots_show_what_is_coming_and_what_is_dead() -> None:
    """Are connections that are being opened, or have died, told from free slots?"""
    pool = Snapshot("QueuePool", 4, 4, in_use=1, idle=0, overflow=0, waiting=0, dead=2)
    cells = Slots().arrange([live(1, state="dead")], pool)
    assert [letter for letter, _, _ in cells] == ["D", "C", "D", ""]


def test_the_log_leaves_out_the_ordinary_and_counts_the_many() -> None:
    """Is the log readable at hundreds of events a second?"""
    events = [PoolEvent(1, 0.5, "checked out", 1), PoolEvent(2, 0.6, "opened", 1, 4711)]
    events += [PoolEvent(number, 1.0, "timed out", who="x", seconds=0.3) for number in range(3, 9)]
    events += [PoolEvent(9, 1.1, "invalidated", 1, 4711, detail="InterfaceError"), PoolEvent(10, 1.2, "returned", 1)]
    assert log_lines(events, 0.3, shift=1.0) == [
        "   1.60 s  opened connection 1, PID 4711",
        "   2.00 s  6 requests timed out: no connection within 0.3 s",
        "   2.10 s  lost connection 1, PID 4711 (InterfaceError)",
    ]


def test_numbers_without_a_run_say_so() -> None:
    """Is a missing percentile a dash, not nan?"""
    assert dict(MonitorNumbers().rows)["p95 wait"] == "–"
