"""Does the sandbox hold? Each test runs a program that really tries."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from course_lib import _sandbox_seccomp, sandbox
from course_lib._sandbox_hook import is_loopback, make_hook, refusal_of_address
from course_lib.sandbox import Finished, SandboxError, run_sandboxed

LINUX = sys.platform == "linux"
# Without a layer that this machine may have: what a machine without it does, tried here.
NO_NAMESPACES = frozenset({"namespaces"})
HOOK_ONLY = frozenset({"linux", "account"})

HAND_BACK = """
import json, os
def hand_back(value):
    os.write(int(os.environ["COURSE_RESULT_FD"]), json.dumps(value).encode() + b"\\n")
def attempt(call, *arguments):
    try:
        return ["done", str(call(*arguments))]
    except BaseException as error:
        return ["refused", type(error).__name__]
"""

Run = Callable[..., Awaitable[Finished]]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every account can enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="course sandbox ") as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


@pytest.fixture
def folder(place: Path) -> Path:
    """The program's folder; its name has a space."""
    path = place / "the program"
    path.mkdir()
    return path


@pytest.fixture
def run(folder: Path) -> Iterator[Run]:
    """Run source in the folder, and make sure that nothing is left of it."""

    async def run(source: str, **options: Any) -> Finished:
        finished = await run_sandboxed(HAND_BACK + textwrap.dedent(source), folder=folder, **options)
        assert not left_running(folder)
        return finished

    yield run
    assert not left_running(folder)


def left_running(folder: Path) -> list[psutil.Process]:
    """Processes that have their working directory in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def leave_off(monkeypatch: pytest.MonkeyPatch, layers: frozenset[str]) -> None:
    monkeypatch.setattr(sandbox, "_left_off", layers)


# What a program gets and gives


async def test_a_program_runs_as_python_would_run_it(folder: Path) -> None:
    script = folder / "my program.py"
    script.write_text(
        HAND_BACK + "import sys\nprint('out')\nprint('error', file=sys.stderr)\n"
        "hand_back([__name__, __file__, sys.argv[1:], sys.path[0], os.getcwd()])\n"
        "hand_back({'ä': None})\nsys.exit(3)\n",
        encoding="utf-8",
    )
    finished = await run_sandboxed([str(script), "one", "two words"], folder=folder)
    assert (finished.reason, finished.exit_code) == ("ended", 3)
    assert (finished.stdout, finished.stderr) == ("out\n", "error\n")
    home = str(folder)
    assert finished.results == (["__main__", str(script), ["one", "two words"], home, home], {"ä": None})
    assert finished.result == {"ä": None}
    assert 0 < finished.seconds < 5


async def test_an_exception_shows_the_programs_lines_only(run: Run) -> None:
    finished = await run("def divide():\n    1 / 0\ndivide()")
    assert (finished.reason, finished.exit_code) == ("ended", 1)
    assert "ZeroDivisionError" in finished.stderr
    assert "in divide" in finished.stderr
    assert "_sandbox_program" not in finished.stderr


@pytest.mark.parametrize("content", [b"this is not Python\n", b"name = '\xe4\xff'\n", b"a\x00b"])
async def test_a_file_that_is_not_python_ends_with_an_error(folder: Path, content: bytes) -> None:
    (folder / "database.py").write_bytes(content)
    finished = await run_sandboxed([str(folder / "database.py")], folder=folder)
    assert (finished.reason, finished.exit_code, finished.results) == ("ended", 1, ())
    assert "Error" in finished.stderr


async def test_a_path_that_does_not_exist_is_said(folder: Path) -> None:
    with pytest.raises(SandboxError, match=r"There is no .*nowhere"):
        await run_sandboxed("", folder=folder, readable=[folder / "nowhere"])


async def test_the_courses_packages_work(run: Run, folder: Path) -> None:
    source = """
        import asyncio, ssl, threading
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine
        import asyncpg, pydantic_settings, sqlmodel
        ssl.create_default_context()
        async def main():
            engine = create_async_engine("sqlite+aiosqlite:///app.db")
            async with engine.begin() as connection:
                await connection.execute(text("create table task (id integer)"))
                await asyncio.to_thread(lambda: None)
            await engine.dispose()
        asyncio.run(main())
        threads = [threading.Thread(target=threading.Event().wait, args=(0.1,)) for _ in range(30)]
        [thread.start() for thread in threads]
        hand_back("all of it")
    """
    finished = await run(source, seconds=30)
    assert finished.result == "all of it", finished.stderr
    assert (folder / "app.db").stat().st_size > 0


async def test_nothing_is_inherited(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_TEST_SECRET", "example-password")
    source = """
        seen = dict(os.environ)
        own = attempt(lambda: open("/proc/self/environ").read())
        others = [attempt(lambda: open(f"/proc/{pid}/environ").read()) for pid in (1, os.getppid(), *range(2, 60))]
        hand_back([seen, str(own) + str(others)])
        print(attempt(input), os.read(0, 10))
    """
    finished = await run(source, environment={"DATABASE_URL": "sqlite://"})
    seen, files = finished.result
    assert "example-password" not in files
    allowed = {"PATH", "LANG", "USER", "LOGNAME", "HOME", "TMPDIR", "DATABASE_URL", "COURSE_RESULT_FD"}
    assert set(seen) - {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} == allowed
    assert finished.stdout == "['refused', 'EOFError'] b''\n"


# Programs that don't end, or end in their own way


@pytest.mark.parametrize("left_off", [frozenset(), HOOK_ONLY])
@pytest.mark.parametrize("source", ["while True: pass", "import time; time.sleep(60)", "os.read(os.pipe()[0], 1)"])
async def test_a_program_that_never_ends_is_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch, left_off: frozenset[str], source: str
) -> None:
    leave_off(monkeypatch, left_off)
    finished = await run(f"print('begun')\nhand_back('first')\n{source}", seconds=0.4)
    assert finished.reason == "time"
    assert 0.4 <= finished.seconds < 5
    # What it did before is not lost.
    assert (finished.stdout, finished.result) == ("begun\n", "first")


@pytest.mark.parametrize(
    ("source", "reason", "code"),
    [
        ("os._exit(7)", "ended", 7),
        ("raise SystemExit", "ended", 0),
        ("raise KeyboardInterrupt", "ended", 1),
        ("os.abort()", "signal", -signal.SIGABRT),
        ("os.kill(os.getpid(), 9)", "signal", -signal.SIGKILL),
        ("import ctypes; ctypes.string_at(0)", "signal", -signal.SIGSEGV),
        ("import sys; sys.setrecursionlimit(10**6); f = lambda: f(); f()", None, None),
    ],
)
async def test_how_a_program_ended_is_said(run: Run, source: str, reason: str | None, code: int | None) -> None:
    finished = await run(source)
    assert reason in (None, finished.reason)
    assert code in (None, finished.exit_code)
    assert finished.exit_code != 0 or code == 0


@pytest.mark.parametrize("left_off", [frozenset(), NO_NAMESPACES])
async def test_a_fork_bomb_is_bounded_and_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch, left_off: frozenset[str]
) -> None:
    leave_off(monkeypatch, left_off)
    source = """
        import time
        while True:
            try:
                if os.fork() == 0:
                    os.setsid()
            except OSError:
                hand_back("no more")
                time.sleep(0.05)
    """
    finished = await run(source, seconds=1.0, processes=25, may_fork=True)
    assert finished.reason == "time"
    assert finished.result == "no more"


@pytest.mark.parametrize("left_off", [frozenset(), NO_NAMESPACES])
@pytest.mark.parametrize("end", ["pass", "time.sleep(60)", "os._exit(0)"])
async def test_a_daemon_does_not_outlive_the_program(
    run: Run, monkeypatch: pytest.MonkeyPatch, left_off: frozenset[str], end: str
) -> None:
    leave_off(monkeypatch, left_off)
    source = f"""
        import signal, time
        begun, begin = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            for number in range(1, 32):
                attempt(signal.signal, number, signal.SIG_IGN)
            os.closerange(0, 3)
            os.write(begin, b".")
            while True:
                time.sleep(1)
        os.read(begun, 1)
        hand_back("it runs")
        {end}
    """
    finished = await run(source, seconds=0.5 if "sleep" in end else 20, may_fork=True)
    assert finished.result == "it runs"
    assert finished.reason == ("time" if "sleep" in end else "ended")


async def test_cancelling_ends_the_program(folder: Path) -> None:
    task = asyncio.create_task(run_sandboxed("import time; open('begun', 'w'); time.sleep(60)", folder=folder))
    while not (folder / "begun").exists():
        assert not task.done()
        await asyncio.sleep(0.01)
    assert left_running(folder)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left_running(folder)


@pytest.mark.parametrize("left_off", [frozenset(), NO_NAMESPACES])
def test_the_program_ends_when_this_process_is_killed(folder: Path, left_off: frozenset[str]) -> None:
    program = "import os, time; os.fork() or os.setsid(); open('begun', 'w'); time.sleep(60)"
    source = f"""
import asyncio, pathlib
from course_lib import sandbox
sandbox._left_off = {left_off!r}
folder = pathlib.Path({str(folder)!r})
asyncio.run(sandbox.run_sandboxed({program!r}, folder=folder, seconds=60, may_fork=True))
"""
    # Its home can't be written: the sandbox needs none.
    caller = subprocess.Popen([sys.executable, "-c", source], env=dict(os.environ) | {"HOME": "/nonexistent"})
    wait_until(lambda: (folder / "begun").exists())
    assert left_running(folder)
    caller.kill()
    caller.wait()
    wait_until(lambda: not left_running(folder))


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Limits


@pytest.mark.parametrize(
    "source",
    [
        "bytearray(4 << 30)",
        "x = []\nwhile True: x.append(bytes(range(256)) * 4096)",
        # Shared memory, and memory of many processes, count too.
        "import mmap\nx = mmap.mmap(-1, 2 << 30)\nfor i in range(0, 2 << 30, 4096): x[i] = 1",
        "import time\nfor _ in range(6): os.fork() or (x := os.urandom(80 << 20), time.sleep(60))\ntime.sleep(60)",
    ],
)
async def test_memory_is_limited(run: Run, source: str) -> None:
    finished = await run(source, memory=256, seconds=20, may_fork=True)
    assert finished.reason == "memory"


async def test_memory_is_limited_elsewhere_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_off(monkeypatch, HOOK_ONLY)
    finished = await run("x = []\nwhile True: x.append(bytes(range(256)) * 4096)", memory=256, seconds=20)
    assert finished.reason == "memory"


async def test_memory_that_forks_share_is_counted_once(run: Run) -> None:
    source = """
        import time
        x = os.urandom(60 << 20)
        for _ in range(8):
            if os.fork() == 0:
                time.sleep(0.3)
                os._exit(0)
        time.sleep(0.5)
    """
    assert (await run(source, memory=256, may_fork=True)).reason == "ended"


@pytest.mark.parametrize("descriptor", [1, 2, 3])
async def test_output_is_limited(run: Run, descriptor: int) -> None:
    source = f"hand_back('first')\nwhile True: os.write({descriptor}, b'1234567\\n' * 1000)"
    finished = await run(source, output=20_000, result=20_000)
    assert finished.reason == "output"
    assert len(finished.stdout if descriptor == 1 else finished.stderr) == (20_000 if descriptor < 3 else 0)
    assert finished.results[0] == "first"


async def test_output_over_the_limit_of_a_program_that_has_ended(run: Run) -> None:
    finished = await run("print('x' * 5000)", output=4999)
    assert (finished.reason, finished.stdout) == ("output", "x" * 4999)


async def test_results_that_are_no_json_are_left_out(run: Run) -> None:
    source = "os.write(3, b'{\\n\\xff\\n' + b'[' * 100000 + b'\\n'); hand_back(1); os.write(3, b'\"cut o')"
    assert (await run(source)).results == (1,)


async def test_files_are_limited_in_size_and_open_ones_in_number(run: Run, folder: Path) -> None:
    source = """
        with open("big", "wb", buffering=0) as file:
            hand_back(attempt(lambda: [file.write(bytes(1 << 20)) for _ in range(100)]))
        kept = []
        hand_back(attempt(lambda: [kept.append(open("big", "rb")) for _ in range(1000)]))
        kept.clear()
    """
    assert (await run(source, file_size=2)).results == (["refused", "OSError"], ["refused", "OSError"])
    assert (folder / "big").stat().st_size == 2 << 20


# Files


@pytest.fixture
def outside(place: Path) -> Path:
    """Somebody else's folder, with a file."""
    path = place / "another learner"
    path.mkdir()
    (path / "answer.txt").write_text("the answer")
    (path / "empty").mkdir()
    # Open to all, so that it is not the file's mode that keeps the program out.
    for each in (place, path, path / "answer.txt", path / "empty"):
        each.chmod(0o777)
    return path


def state_of(path: Path) -> list[tuple[str, int, float, bytes]]:
    everything = sorted([path, *path.rglob("*")])
    return [
        (each.name, each.stat().st_mode, each.stat().st_mtime, each.read_bytes() if each.is_file() else b"")
        for each in everything
    ]


WRITES = """
    import shutil, sqlite3
    there = {there!r}
    file = there + "/answer.txt"
    os.symlink(file, "link")
    open("mine", "w").close()
    hand_back([
        attempt(open, file, "w"),
        attempt(open, file, "r+"),
        attempt(open, "link", "a"),
        attempt(open, there + "/new", "x"),
        attempt(open, "../another learner/new", "w"),
        attempt(os.open, file, os.O_WRONLY | os.O_TRUNC),
        attempt(os.truncate, file, 0),
        attempt(os.remove, file),
        attempt(os.rmdir, there + "/empty"),
        attempt(os.mkdir, there + "/new"),
        attempt(os.rename, file, "stolen"),
        attempt(os.rename, "mine", file),
        attempt(os.symlink, "mine", there + "/new"),
        attempt(os.chmod, file, 0),
        attempt(os.utime, file, (1, 1)),
        attempt(shutil.rmtree, there),
        attempt(lambda: sqlite3.connect(there + "/new.db").execute("create table a (b)")),
    ])
    hand_back([attempt(open, "mine", "a"), attempt(os.rename, "mine", "yours"), attempt(os.remove, "yours")])
"""


@pytest.mark.parametrize("left_off", [frozenset(), HOOK_ONLY])
async def test_it_writes_in_its_folder_only(
    run: Run, outside: Path, monkeypatch: pytest.MonkeyPatch, left_off: frozenset[str]
) -> None:
    leave_off(monkeypatch, left_off)
    before = state_of(outside)
    finished = await run(WRITES.format(there=str(outside)), readable=[outside])
    attempts, own = finished.results
    assert {outcome for outcome, _ in attempts} == {"refused"}, attempts
    assert {outcome for outcome, _ in own} == {"done"}, own
    assert state_of(outside) == before


READS = """
    there = {there!r}
    os.symlink(there + "/answer.txt", "link")
    hand_back([
        attempt(lambda: open(there + "/answer.txt").read()),
        attempt(lambda: open("link").read()),
        attempt(lambda: os.read(os.open(there + "/answer.txt", os.O_RDONLY), 100)),
        attempt(os.listdir, there),
        attempt(lambda: list(os.scandir(there))),
        attempt(os.listdir, there + "/.."),
        attempt(lambda: open("/etc/passwd").read()),
    ])
"""


@pytest.mark.parametrize("left_off", [frozenset(), HOOK_ONLY])
async def test_it_reads_what_it_is_given_only(
    run: Run, outside: Path, monkeypatch: pytest.MonkeyPatch, left_off: frozenset[str]
) -> None:
    leave_off(monkeypatch, left_off)
    finished = await run(READS.format(there=str(outside)))
    assert {outcome for outcome, _ in finished.result} == {"refused"}, finished.result
    (Path(outside).parent / "the program" / "link").unlink()
    finished = await run(READS.format(there=str(outside)), readable=[outside])
    assert [outcome for outcome, _ in finished.result] == ["done"] * 5 + ["refused"] * 2, finished.result


@pytest.mark.skipif(not LINUX, reason="the kernel's layers are Linux's")
async def test_ctypes_gets_past_the_hook_but_not_past_the_kernel(run: Run, outside: Path) -> None:
    before = state_of(outside)
    source = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        file = {str(outside / "answer.txt")!r}.encode()
        hand_back([libc.open(file, 0), libc.open(file, 1), libc.truncate(file, 0), libc.unlink(file),
                   libc.rename(file, b"stolen"), libc.link(file, b"linked"), libc.creat(file, 0o600)])
        hand_back(libc.open(b"mine", 0o101, 0o600))
    """
    finished = await run(source)
    assert finished.results[0] == [-1] * 7
    assert finished.results[1] >= 0
    assert state_of(outside) == before


# Other processes


@pytest.mark.skipif(not LINUX, reason="the kernel's layers are Linux's")
@pytest.mark.parametrize("left_off", [frozenset(), NO_NAMESPACES, frozenset({"namespaces", "landlock", "account"})])
async def test_it_signals_no_other_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch, left_off: frozenset[str]
) -> None:
    leave_off(monkeypatch, left_off)
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    source = f"""{HAND_BACK}
import ctypes
libc = ctypes.CDLL(None)
victim, parent = {victim.pid}, os.getppid()
hand_back([attempt(os.kill, pid, 9) for pid in (victim, parent, {os.getpid()})])
hand_back([libc.kill(pid, 9) for pid in (victim, {os.getpid()})])
libc.kill(parent, 9)
hand_back([libc.ptrace(16, victim, 0, 0), libc.prlimit64(victim, 7, None, None)])
hand_back("still here")
"""
    try:
        finished = await run_sandboxed(source, folder=folder)
        assert finished.result == "still here", finished
        assert {outcome for outcome, _ in finished.results[0]} == {"refused"}
        assert finished.results[1:3] == ([-1, -1], [-1, -1])
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()
    assert not left_running(folder)


@pytest.mark.parametrize(
    "call",
    [
        "os.fork()",
        "os.system('true')",
        "__import__('subprocess').run(['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "__import__('pty').spawn('/bin/true')",
    ],
)
async def test_it_starts_no_process_unless_it_may(run: Run, call: str) -> None:
    finished = await run(f"hand_back(attempt(lambda: {call}))")
    assert finished.result == ["refused", "PermissionError"]
    assert finished.exit_code == 0


async def test_it_starts_processes_when_it_may(run: Run) -> None:
    source = "import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', 'import json; print(1)']))"
    finished = await run(source, may_fork=True)
    assert finished.stdout == "b'1\\n'\n", finished.stderr


# Network


@pytest.fixture
def servers() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two servers on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        one.settimeout(0.2)
        two.settimeout(0.2)
        yield one, two


def was_reached(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


CONNECTS = """
    import asyncio, ctypes, socket, struct
    def python(port, host="127.0.0.1"):
        socket.create_connection((host, port), timeout=2).close()
    def through_ctypes(port):
        libc = ctypes.CDLL(None, use_errno=True)
        address = struct.pack("=HH4s8x", 2, socket.htons(port), bytes((127, 0, 0, 1)))
        if libc.connect(libc.socket(2, 1, 0), address, 16):
            raise OSError
    def in_asyncio(port):
        asyncio.run(asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 2))
    for port in {ports}:
        hand_back([attempt(call, port)[0] for call in (python, in_asyncio, through_ctypes)])
"""


async def test_it_reaches_the_allowed_port_only(run: Run, servers: tuple[socket.socket, socket.socket]) -> None:
    allowed, other = (server.getsockname()[1] for server in servers)
    finished = await run(CONNECTS.format(ports=[other, allowed]), ports=[allowed])
    assert finished.results[1] == ["done"] * 3, finished.stderr
    assert finished.results[0] == ["refused"] * (3 if LINUX else 2)
    assert was_reached(servers[0])
    assert not was_reached(servers[1])


async def test_it_reaches_no_port_unless_told_and_all_when_told(
    run: Run, servers: tuple[socket.socket, socket.socket]
) -> None:
    port = servers[0].getsockname()[1]
    finished = await run(CONNECTS.format(ports=[port]))
    assert finished.result == ["refused"] * 3
    assert not was_reached(servers[0])
    assert (await run(CONNECTS.format(ports=[port]), ports=None)).result == ["done"] * 3


@pytest.mark.skipif(not LINUX, reason="the kernel's layers are Linux's")
async def test_it_has_no_sockets_but_tcp(run: Run, servers: tuple[socket.socket, socket.socket]) -> None:
    port = servers[0].getsockname()[1]
    source = f"""
        import ctypes, socket
        kinds = [(2, 2, 0), (10, 2, 0), (2, 3, 1), (1, 1, 0), (16, 3, 0), (17, 3, 0), (2, 1, 262), (40, 1, 0)]
        libc = ctypes.CDLL(None)
        hand_back([libc.socket(*kind) for kind in kinds])
        hand_back([attempt(socket.socket, *kind)[0] for kind in kinds])
        # A first packet with data would connect past the list of ports.
        address = (ctypes.c_char * 16).from_buffer_copy(
            (2).to_bytes(2, "little") + ({port}).to_bytes(2, "big") + bytes((127, 0, 0, 1)) + bytes(8))
        hand_back(libc.sendto(libc.socket(2, 1, 0), b"hello", 5, 0x20000000, address, 16))
        hand_back([libc.unshare(0x10000000), libc.syscall(425, 8, bytes(128)), libc.memfd_create(b"a", 0)])
        socket.socketpair()
        hand_back(attempt(socket.getaddrinfo, "localhost", {port})[0])
    """
    finished = await run(source)
    assert "system calls" in finished.layers
    assert finished.results[:4] == ([-1] * 8, ["refused"] * 8, -1, [-1] * 3)
    assert finished.result == "done", finished.stderr
    assert not was_reached(servers[0])


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "10.0.0.1", "0.0.0.0", "", "example.invalid", "127.1", "127.0.0.1.", "2130706433", "::",  # noqa: S104
     "2001:db8::1", "::ffff:192.0.2.1", "::1%1", b"192.0.2.1", None, 1, "localhost.", "127.0.0.1\0.example"],
)  # fmt: skip
def test_addresses_that_are_not_loopback_are_refused(host: object) -> None:
    """The hook is asked; nothing is connected."""
    assert not is_loopback(host)
    assert refusal_of_address((host, 80), None) == "it is not 127.0.0.1 or ::1"
    hook = make_hook("/", [], None, may_fork=False, guards_files=False)
    for event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        with pytest.raises(PermissionError, match="does not allow this connection"):
            hook(event, (None, (host, 80)))
    if host is not None:
        for event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            with pytest.raises(PermissionError, match="look-up"):
                hook(event, (host, 80))


def test_addresses_on_loopback_are_allowed_on_their_ports() -> None:
    class Shifting(tuple):  # type: ignore[type-arg]
        """Shows the hook another host than the one it holds."""

        def __getitem__(self, item: Any) -> Any:
            return ("127.0.0.1", 80)[item]

    for host in ("127.0.0.1", "127.8.9.10", "localhost", "::1", b"127.0.0.1"):
        assert refusal_of_address((host, 80), None) is None
        assert refusal_of_address((host, 80), {80, 81}) is None
        assert refusal_of_address((host, 80), {81}) == "this port is not among the allowed ones"
    assert refusal_of_address(("::1", 80, 0, 0), {80}) is None
    for address in ("/run/socket", b"/run/socket", Shifting(("192.0.2.1", 80)), ("127.0.0.1",), None):
        assert refusal_of_address(address, None) == "it is no address of TCP on this machine"


# What is there


async def test_the_layers_of_this_machine_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = await sandbox.layers()
    assert {"limits", "audit hook"} <= set(here)
    assert ("account" in here) == (LINUX and os.geteuid() == 0)
    assert all(len(text) > 10 for text in here.values())
    leave_off(monkeypatch, HOOK_ONLY)
    assert set(await sandbox.layers()) == {"session", "limits", "audit hook"}


def decide(program: bytes, machine: int, number: int, *arguments: int) -> int:
    """What a seccomp filter answers to a call: the classic BPF machine, as far as the filter uses it."""
    data = struct.pack("=iIQ6Q", number, machine, 0, *(arguments + (0,) * 6)[:6])
    instructions = list(struct.iter_unpack("=HBBI", program))
    position = value = 0
    while True:
        code, yes, no, operand = instructions[position]
        position += 1
        if code == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        elif code == 0x54:
            value &= operand
        elif code == 0x06:
            return int(operand)
        else:
            position += yes if (value == operand if code == 0x15 else value >= operand) else no


@pytest.mark.parametrize(
    ("name", "machine", "socket_call", "kill", "read"),
    [("x86_64", 0xC000003E, 41, 62, 0), ("aarch64", 0xC00000B7, 198, 129, 63)],
)
def test_the_filter_of_each_machine(
    monkeypatch: pytest.MonkeyPatch, name: str, machine: int, socket_call: int, kill: int, read: int
) -> None:
    allowed, refused = 0x7FFF0000, {0x00050000 | number for number in (1, 13, 38)}
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:4], name)))
    program = _sandbox_seccomp.build(own_pid=4711)
    assert program is not None
    assert decide(program, machine, read, 0) == allowed
    assert decide(program, machine, socket_call, 2, 1 | 0o2000000, 0) == allowed
    assert decide(program, machine, socket_call, 2, 2, 0) in refused
    assert decide(program, machine, socket_call, 1, 1, 0) in refused
    assert decide(program, machine, kill, 4711, 9) == allowed
    assert decide(program, machine, kill, 4712, 9) in refused
    assert decide(program, machine, kill, 2**64 - 1, 9) in refused
    assert decide(program, machine ^ 1, read, 0) in refused
    assert decide(program, machine, 425) in refused
    unguarded = _sandbox_seccomp.build(own_pid=None)
    assert unguarded is not None
    assert decide(unguarded, machine, kill, 4712, 9) == allowed
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:4], "sparc")))
    assert _sandbox_seccomp.build(own_pid=None) is None
