"""The machine has a bad day: asleep, full, closed, slow, without a network, with a wrong clock."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kernels import Kernel, Place, code_cells, lesson_names, running, wait_until

START = """
import asyncio, os, sys, time
import course_lib.teaching
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from course_lib.servers import PostgresServer, ServerError
"""
SERVER = "server = await PostgresServer.start()\nengine = create_async_engine(server.url, pool_pre_ping=True)"
ASK = 'async with engine.connect() as c:\n    print((await c.execute(text("select 42"))).scalar())'
FIRST = code_cells("00_start_here")
CHECK = f"{FIRST[6]}\nfrom course_lib.exercises.start_here import q1\nawait q1.check(server_version)"


def solved(kernel: Kernel) -> str:
    """The text of the verdict on the right answer to the course's first exercise."""
    result = kernel.run(CHECK, 120)
    assert result.status == "ok", result
    return result.verdicts[-1]


def asleep(kernel: Kernel, seconds: float) -> None:
    """Stop the kernel and all its children for so long, as a laptop does that sleeps."""
    processes = [kernel.process, *kernel.family()]
    for process in processes:
        with contextlib.suppress(psutil.Error):  # a backend may end meanwhile
            process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    for process in reversed(processes):
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGCONT)


def sleeps_and_goes_on(here: Place, seconds: float) -> None:
    """Sleep between two cells and inside one; the lesson, its server and a check go on."""
    with Kernel(here) as kernel:
        assert kernel.run(f"{START}\n{SERVER}\n{ASK}").text.strip() == "42"
        asleep(kernel, seconds)
        assert kernel.value(ASK) == "42"
        message = kernel.begin(ASK.replace("select 42", "select 7 from pg_sleep(1)"))
        time.sleep(0.3)
        asleep(kernel, seconds)
        result = kernel.finish(message)
        assert result.text.strip() == "7", result
        message = kernel.begin(CHECK)
        time.sleep(0.5)
        asleep(kernel, seconds)
        result = kernel.finish(message)
        # A check may count the night as time of the answer; then it says that time ran out, and a second try is right.
        assert result.status == "ok" and result.verdicts[-1].startswith(("✔ Correct", "✖ Out of time")), result
        assert "Correct" in solved(kernel)
        assert kernel.run("await server.stop()").status == "ok"


def test_the_laptop_sleeps_for_a_moment(here: Place) -> None:
    """Does a lesson go on after a second?"""
    sleeps_and_goes_on(here, 1)


@pytest.mark.slow_day
def test_the_laptop_sleeps(here: Place) -> None:
    """Does a lesson go on after ten seconds?"""
    sleeps_and_goes_on(here, 10)


if os.geteuid() == 0 and sys.platform == "linux":

    @contextlib.contextmanager
    def disk(folder: Path, megabytes: int, *options: str) -> Iterator[None]:
        """A small file system of its own at that folder."""
        folder.mkdir(exist_ok=True)
        how = ",".join([f"size={megabytes}m", "mode=755", *options])
        subprocess.run(["mount", "-t", "tmpfs", "-o", how, "none", str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    def test_the_disk_fills_up_during_a_lesson(here: Place) -> None:
        """A server, a verdict and a work file on a full disk: each says what to do, and all is well with room again."""
        with (
            disk(here.folder / "tmp", 120),
            disk(here.folder / "home", 120),
            disk(here.folder / "work", 4),
            Kernel(here) as kernel,
        ):
            assert kernel.run(f"{START}\nfrom course_lib.work import work_file").status == "ok"
            assert "Correct" in solved(kernel)
            fill = [here.folder / name / "ballast" for name in ("tmp", "home", "work")]
            for path in fill:
                with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
                    while file.write(b"x" * 4096):
                        pass
            verdict = solved(kernel)
            # A database of its own for the check, or the note about progress, meets the full disk.
            assert "Correct" in verdict or "No space left" in verdict or "Free some room" in verdict, verdict
            refused = kernel.run("await PostgresServer.start()")
            assert refused.error.startswith("DiskFullError"), refused
            assert "Free some room, or set COURSE_HOME" in refused.error
            refused = kernel.run('work_file("notes.md", "text" * 4000)')
            assert refused.status == "error", refused
            assert "no space left on device" in refused.error, refused.error
            for path in fill:
                path.unlink()
            assert "Correct" in solved(kernel)
            assert kernel.run("await (await PostgresServer.start()).stop()").status == "ok"

    def test_a_read_only_home(here: Place) -> None:
        """Where nothing can be kept the lesson runs, and the verdict says that progress is not kept, and why."""
        with disk(here.folder / "home", 4, "ro"), Kernel(here, HOME=str(here.folder / "home")) as kernel:
            assert kernel.run(START).status == "ok"
            verdict = solved(kernel)
            assert "Correct" in verdict, verdict
            assert "could not be" in verdict or "not saved" in verdict, verdict

    def test_no_network(here: Place) -> None:
        """Does a lesson with a server work where there is a loopback interface alone?"""
        program = f"""
import asyncio
from course_lib.servers import PostgresServer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from course_lib.exercises.start_here import q1
{FIRST[6]}
async def main():
    print(await q1.check(server_version))
asyncio.run(main())
"""
        alone = ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        got = subprocess.run(
            [*alone, sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env=here.environment(),
            timeout=120,
            check=False,
        )
        assert "Correct" in got.stdout, got.stderr

    def test_a_slow_machine(here: Place) -> None:
        """With a quarter of a processor, by a control group, a server starts and a right answer is right."""
        group = Path("/sys/fs/cgroup/cpu", f"bad-day-{os.getpid()}")
        if not group.parent.is_dir():
            pytest.skip("control groups of version 1 are not mounted here")
        group.mkdir()
        try:
            (group / "cpu.cfs_quota_us").write_text("25000")
            with Kernel(here) as kernel:
                (group / "cgroup.procs").write_text(str(kernel.process.pid))
                assert kernel.run(f"{START}\n{SERVER}\n{ASK}", 180).text.strip() == "42"
                assert "Correct" in solved(kernel)
                assert kernel.run("await server.stop()").status == "ok"
                assert "nr_throttled 0" not in (group / "cpu.stat").read_text()
            assert wait_until(lambda: not (group / "cgroup.procs").read_text())
        finally:
            group.rmdir()


def test_a_port_that_is_taken_and_a_server_on_5432(here: Place) -> None:
    """A PostgreSQL of the system's on 5432 bothers no lesson; asking for its port says who has it and what to do."""
    with Kernel(here) as kernel:
        assert kernel.run(START).status == "ok"
        taken = kernel.run("system = await PostgresServer.start(port=5432)")
        assert taken.status == "ok" or "Port 5432 on 127.0.0.1 is in use" in taken.error, taken
        assert kernel.run(f"{SERVER}\n{ASK}").text.strip() == "42"
        assert kernel.value("print(server.port == 5432)") == "False"
        assert "Correct" in solved(kernel)
        refused = kernel.run("await PostgresServer.start(port=5432)")
        assert refused.error.startswith("PortTakenError"), refused
        assert "Leave `port` out to get a free one" in refused.error


def test_the_clock_jumps(here: Place) -> None:
    """A day forward, a year back: limits, checks, servers and tidying up count with a clock that does not jump."""
    jump = "import time\nreal = time.time\ntime.time = lambda: real() + {}"
    with Kernel(here) as kernel:
        assert kernel.run(f"{START}\n{SERVER}\n{ASK}").text.strip() == "42"
        for seconds in (86_400, -31_536_000):
            assert kernel.run(jump.format(seconds)).status == "ok"
            assert kernel.value(ASK) == "42"
            other = kernel.run("other = await PostgresServer.start()\nawait other.stop()")
            assert other.status == "ok", other
            assert kernel.value(ASK) == "42", "starting another server tidied this one away"
            assert "Correct" in solved(kernel)
            assert kernel.run("time.time = real").status == "ok"


def test_standard_input_is_closed(here: Place) -> None:
    """A program without standard streams can have a server, and leaves none."""
    program = """
import asyncio, os, sys
os.close(0)
from course_lib.servers import PostgresServer
async def main():
    async with PostgresServer() as server:
        print(server.version)
asyncio.run(main())
"""
    got = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=here.environment(), timeout=60, check=False
    )
    assert got.returncode == 0, got.stderr
    assert got.stdout.strip()
    assert wait_until(lambda: not here.servers)


@pytest.mark.slow_day
def test_all_lessons_are_open_at_once(here: Place) -> None:
    """A kernel for each lesson, with its first server up at the same time; the memory of all is printed."""
    with contextlib.ExitStack() as stack:
        kernels = [(name, stack.enter_context(Kernel(here))) for name in lesson_names()]
        asked = []
        for name, kernel in kernels:
            cells = code_cells(name)
            first = next((number for number, cell in enumerate(cells) if "PostgresServer.start" in cell), 2)
            asked.append([kernel.begin(cell) for cell in cells[: first + 1]])
        for (name, kernel), messages in zip(kernels, asked, strict=True):
            for message in messages:
                result = kernel.finish(message, 300)
                assert result.status == "ok", (name, result)
        up = sum(len(kernel.supervisors()) for _, kernel in kernels)
        processes = [each for _, kernel in kernels for each in (kernel.process, *kernel.family())]
        memory = sum(each.memory_full_info().pss for each in running(processes)) / 1e6
        print(f"{len(kernels)} kernels, {up} servers and poolers, {len(processes)} processes, {memory:.0f} MB (PSS)")
        assert up >= 10
    assert wait_until(lambda: not here.servers)
