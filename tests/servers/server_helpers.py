"""Looking at a server from outside, and a Python process of its own that plays the learner's kernel."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import asyncpg
import psutil
from sqlalchemy import URL

T = TypeVar("T")


def run_apart(function: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine in an event loop of its own, in a thread of its own."""

    async def main() -> T:
        return await function()

    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(main())))
    thread.start()
    thread.join()
    return results[0]


async def connect(url: URL, **arguments: object) -> asyncpg.Connection:
    """Connect to the server's URL with asyncpg itself, without TLS unless ``ssl`` is given."""
    return await asyncpg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.database,
        **{"ssl": False, "timeout": 10, **arguments},
    )


async def value(url: URL, statement: str) -> object:
    """The first value that a statement gives."""
    connection = await connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def family(folder: Path) -> list[psutil.Process]:
    """The supervisor and postgres processes that belong to a server's folder, with all their children."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter(["cmdline"]):
        if str(folder) in " ".join(process.info["cmdline"] or []):
            for member in (process, *process.children(recursive=True)):
                found[member.pid] = member
    return list(found.values())


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether none of the processes runs any more."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


class Kernel:
    """A Python process of its own that starts servers, as a learner's kernel does."""

    def __init__(self, code: str, *, uid: int | None = None, **environment: str) -> None:
        drop = ""
        if uid is not None:
            # Everything is imported first: the interpreter may lie where the other account cannot read.
            drop = f"import os; os.setgroups([]); os.setgid({uid}); os.setuid({uid})\n"
        prelude = (
            "import asyncio, asyncpg, gc, multiprocessing, os, signal, sys, time\n"
            "import concurrent.futures.thread, encodings.idna, importlib.metadata, trustme\n"
            "import sqlalchemy.dialects.postgresql.asyncpg\n"
            "from course_lib.servers import PostgresServer, ServerError, find_postgres\n"
            "from server_helpers import value\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", prelude + drop + textwrap.dedent(code)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parent,
            env={**os.environ, **environment},
        )

    def line(self) -> str:
        """The next line that it printed."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def folder(self) -> Path:
        """The next line, as the path of an existing folder."""
        line = self.line()
        path = Path(line)
        assert path.is_dir(), line + self.rest() if self.process.poll() is not None else line
        return path

    def rest(self) -> str:
        """Everything else that it printed, until it ended."""
        return self.process.communicate(timeout=60)[0]

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it with a signal and reap it."""
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
