"""A PostgreSQL that stays up for use from a terminal: `course db start` and its companions.

A holder process, detached from the terminal, owns a `PostgresServer`. What others need to find it is in a private
file in the data folder. When the holder ends, in whatever way, its server and all files of it go too.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from sqlalchemy import URL, make_url

from course_lib import folders
from course_lib.servers import PostgresServer, ServerError
from course_lib.servers._folders import write_private

_STOP_TIMEOUT = 30.0  # seconds
_LOOK = 1.0  # seconds between two looks at whether the server is still alive


@dataclass(frozen=True, repr=False)
class Standing:
    """A server that stays up: its holder's process id and time of birth, its version, origin, URL with password."""

    pid: int
    born: float
    version: str
    origin: str
    address: str

    @property
    def url(self) -> URL:
        """The URL for the learner; shown with its password masked."""
        return make_url(self.address)

    @property
    def holder(self) -> psutil.Process | None:
        """The process that holds the server; None when it is gone."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            # Less than a clock tick apart is the same process.
            if abs(process.create_time() - self.born) < 0.1 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


def state_file() -> Path:
    """The private file that says where the server is; it may not exist."""
    return folders.data_folder() / "standing_server.json"


def running() -> Standing | None:
    """Return the server that runs, or None. What a dead one left behind does not count."""
    try:
        kept = Standing(**json.loads(state_file().read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return kept if kept.holder is not None else None


def start() -> tuple[Standing, bool]:
    """Start the server, unless it runs, and return it with whether this call started it.

    Raises:
        ServerError, OSError: it could not be started, or the data folder can't be written.
    """
    if (already := running()) is not None:
        return already, False
    home = folders.data_folder().absolute()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    state_file().unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "course_lib.standing_server"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=home,
        env=os.environ | ({"COURSE_HOME": str(home)} if os.environ.get("COURSE_HOME") else {}),
        start_new_session=True,  # closing the terminal does not end it
        creationflags=getattr(subprocess, "DETACHED_PROCESS", 0),  # the same on Windows
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()  # one line: that it is ready, or why it is not
    except BaseException:
        process.terminate()
        raise
    process.stdout.close()
    process.returncode = 0  # it lives on: Python must not warn that nobody waited for it
    reason = json.loads(said or "true")
    if (now := running()) is None:
        reason = "The process that holds it ended." if reason is True else reason
        raise ServerError(f"The server did not stay up. {reason} `course doctor` checks this machine.")
    return now, reason is True


def stop() -> bool:
    """Stop the server, wait until it is gone, and return whether one was running.

    Raises:
        ServerError: it did not end in time.
    """
    standing = running()
    holder = standing.holder if standing else None
    if standing is not None and holder is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            holder.terminate()
        deadline = time.monotonic() + _STOP_TIMEOUT
        while standing.holder is not None:
            if time.monotonic() > deadline:
                raise ServerError(f"The server did not end within {_STOP_TIMEOUT:.0f} s. Try again.")
            time.sleep(0.02)
    state_file().unlink(missing_ok=True)
    return holder is not None


async def _hold() -> None:
    """Own a server until this process is asked to end or the server crashes."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT) if sys.platform != "win32" else ():
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    async with PostgresServer() as server:
        address = server.url.render_as_string(hide_password=False)
        state = Standing(os.getpid(), psutil.Process().create_time(), server.version, server.origin, address)
        write_private(state_file(), json.dumps(asdict(state)).encode())
        try:
            print("true", flush=True)
            while not asked.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asked.wait(), _LOOK)
                _ = server.port  # raises when the server crashed
        finally:
            state_file().unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        asyncio.run(_hold())
    except (ServerError, OSError) as error:
        print(json.dumps(str(error)), flush=True)
        sys.exit(1)
