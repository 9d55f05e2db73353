"""A server lives exactly as long as its kernel wants it, however the kernel ends."""

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
from server_helpers import Kernel, all_gone, connect, family, value, wait_until

from course_lib.servers import PostgresServer, ServerError
from course_lib.servers._accounts import server_account
from course_lib.servers._folders import base_folder, remove_abandoned

# A server is gone well within a second; a loaded machine gets more before a test says that something stayed.
GONE_SECONDS = 10

_START_AND_WAIT = """
    async def main():
        server = await PostgresServer.start()
        print(server.data_folder, flush=True)
        await asyncio.sleep(600)
    asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after_the_kernel_was_ended(number: int) -> None:
    kernel = Kernel(_START_AND_WAIT)
    folder = kernel.folder()
    processes = family(folder)
    assert len(processes) >= 6, "the supervisor, the postmaster and its children"
    kernel.end(number)
    assert wait_until(lambda: all_gone(processes) and not folder.exists(), GONE_SECONDS), family(folder)


def test_nothing_is_left_after_an_ordinary_exit_without_stop() -> None:
    kernel = Kernel(
        """
        server = asyncio.run(PostgresServer.start())
        print(server.data_folder, flush=True)
        """
    )
    folder = Path(kernel.line())
    assert kernel.rest() == ""
    assert kernel.process.returncode == 0
    assert wait_until(lambda: not folder.exists() and not family(folder), GONE_SECONDS)


def instances(kernel: psutil.Process) -> list[Path]:
    """The folders of the servers whose supervisors are this process's children."""
    commands = []
    for child in kernel.children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            commands.append(child.cmdline())
    return [Path(each[each.index(part) + 1]) for each in commands for part in each if part.endswith("supervisor.sh")]


@pytest.mark.parametrize("delay", [0.01, 0.03, 0.06, 0.1])
def test_nothing_is_left_when_the_kernel_dies_while_the_server_starts(delay: float) -> None:
    kernel = Kernel(
        """
        async def main():
            print("begin", flush=True)
            await PostgresServer.start()
            await asyncio.sleep(600)
        asyncio.run(main())
        """
    )
    assert kernel.line() == "begin"
    # The supervisor's process is there: from now on nothing may be left.
    mine = psutil.Process(kernel.process.pid)
    assert wait_until(lambda: bool(instances(mine)), GONE_SECONDS)
    started = instances(mine)
    time.sleep(delay)
    kernel.end()
    assert wait_until(lambda: not any(folder.exists() or family(folder) for folder in started), GONE_SECONDS)


async def test_a_busy_server_goes_too() -> None:
    kernel = Kernel(
        """
        async def main():
            server = await PostgresServer.start()
            print(server.data_folder, flush=True)
            await value(server.url, "SELECT pg_sleep(600)")
        asyncio.run(main())
        """
    )
    folder = kernel.folder()
    assert wait_until(lambda: any("SELECT" in " ".join(p.cmdline()) for p in family(folder)), GONE_SECONDS)
    processes = family(folder)
    kernel.end()
    assert wait_until(lambda: all_gone(processes) and not folder.exists(), 2)


def test_an_interrupt_to_the_kernels_group_leaves_the_server_alive() -> None:
    kernel = Kernel(
        """
        signal.signal(signal.SIGINT, lambda *_: os.write(1, b"interrupted "))  # print may be at work
        server = asyncio.run(PostgresServer.start())
        print(server.data_folder, flush=True)
        time.sleep(1.0)
        print(asyncio.run(value(server.url, "SELECT 7")), flush=True)
        """
    )
    folder = kernel.folder()
    os.killpg(kernel.process.pid, signal.SIGINT)
    assert kernel.rest().split() == ["interrupted", "7"]
    assert wait_until(lambda: not folder.exists(), 2)


def test_a_forked_child_does_not_keep_the_server_alive() -> None:
    kernel = Kernel(
        """
        async def main():
            server = await PostgresServer.start()
            child = os.fork()
            if child == 0:
                time.sleep(600)
            print(server.data_folder, child, flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
        """
    )
    text, _, child = kernel.line().rpartition(" ")
    processes = family(Path(text))
    # The child has the kernel's output open, so communicate() would wait for it.
    kernel.process.kill()
    kernel.process.wait()
    try:
        assert psutil.Process(int(child)).is_running()
        assert wait_until(lambda: all_gone(processes) and not Path(text).exists(), 2)
    finally:
        os.kill(int(child), signal.SIGKILL)
        kernel.rest()


def test_the_end_of_a_child_process_does_not_end_the_server() -> None:
    kernel = Kernel(
        """
        server = asyncio.run(PostgresServer.start())
        child = os.fork()
        if child == 0:
            sys.exit(0)
        os.waitpid(child, 0)
        time.sleep(0.3)
        print(asyncio.run(value(server.url, "SELECT 7")))
        """
    )
    assert kernel.rest().split() == ["7"]


async def test_a_server_that_nobody_refers_to_ends() -> None:
    server = await PostgresServer.start()
    folder, processes = server.data_folder, family(server.data_folder)
    del server
    gc.collect()
    assert wait_until(lambda: all_gone(processes) and not folder.exists(), 2)


async def test_stop_works_without_the_supervisor() -> None:
    server = await PostgresServer.start()
    folder, processes = server.data_folder, family(server.data_folder)
    supervisor = next(process for process in processes if "supervisor" in " ".join(process.cmdline()))
    supervisor.kill()
    assert await value(server.url, "SELECT 1") == 1
    assert wait_until(lambda: all_gone([supervisor]), 2)
    with pytest.raises(ServerError, match="Make a new PostgresServer"):
        await server.restart()
    await server.stop()
    assert not folder.exists()
    assert wait_until(lambda: all_gone(processes), 2)


async def test_a_folder_left_by_a_crashed_machine_is_removed_and_one_in_use_is_not() -> None:
    base = base_folder(server_account())
    stale = base / "servers" / "server-stale"
    (stale / "data").mkdir(parents=True)
    (stale / "lock").touch()
    fresh = base / "servers" / "server-fresh"
    fresh.mkdir()
    build = base / "templates" / "making-stale"
    build.mkdir()
    long_ago = time.time() - 7200
    os.utime(stale, (long_ago, long_ago))
    os.utime(build, (long_ago, long_ago))
    try:
        async with PostgresServer() as server:
            assert not stale.exists()
            assert not build.exists()
            assert fresh.exists()
            os.utime(server.data_folder, (long_ago, long_ago))
            remove_abandoned(base)
            assert server.data_folder.exists()
            assert await value(server.url, "SELECT 1") == 1
    finally:
        fresh.rmdir()


async def test_a_frozen_server_is_ended_too() -> None:
    server = await PostgresServer.start()
    folder, processes = server.data_folder, family(server.data_folder)
    connection = await connect(server.url)
    postmaster = next(p for p in processes if "config_file" in " ".join(p.cmdline()))
    postmaster.suspend()
    await server.stop()
    connection.terminate()
    assert not folder.exists()
    assert wait_until(lambda: all_gone(processes), 2)


async def test_no_file_descriptor_or_thread_is_left() -> None:
    await (await PostgresServer.start()).stop()
    me = psutil.Process()
    await asyncio.sleep(0.05)
    before = me.num_fds()
    others = [thread.name for thread in threading.enumerate()].count("course-supervisor")
    for _ in range(3):
        await (await PostgresServer.start()).stop()
    await asyncio.sleep(0.05)
    assert me.num_fds() <= before
    assert [thread.name for thread in threading.enumerate()].count("course-supervisor") == others
