"""One program of a server: its private folder, its supervisor, its process and its port."""

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import psutil  # type: ignore[import-untyped]

from course_lib.servers._accounts import Account
from course_lib.servers._diagnosis import disk_full_error, tail
from course_lib.servers._errors import PortTakenError, ServerError
from course_lib.servers._folders import private_folder, take_lock, write_private
from course_lib.servers._supervisor import Supervisor

HOST = "127.0.0.1"
POLL = 0.002  # seconds
START_TIMEOUT = 60.0  # seconds; it takes less than one where nothing else runs
STOP_TIMEOUT = 20.0  # seconds; PostgreSQL itself kills a child that ignores an immediate shutdown after 5
# Below the ports that Linux, macOS and Windows give to outgoing connections, so that none of those takes the
# server's port while it restarts.
_PORTS = range(15000, 30000)
_PORT_TRIES = 20


class Guarded(ABC):
    """A program that a supervisor starts and ends, with a private folder that goes with it.

    Making one writes its files and starts the supervisor, but not the program yet.

    Args:
        base: the base folder, from `base_folder`.
        files: gives the files that it begins with, by name, once the folder is known.
        programs: the folder of PostgreSQL's programs, or the PgBouncer program.
        template: the cluster template to copy; None for a program without data.
        account: the account that runs it, or None for this user.
        icu_data: where PostgreSQL finds ICU's data, if it has to be told.
    """

    #: What messages call the program.
    name = "The program"

    def __init__(
        self,
        base: Path,
        files: Callable[[Path], Mapping[str, bytes]],
        programs: Path,
        template: Path | None,
        account: Account | None,
        icu_data: Path | None = None,
    ) -> None:
        self.port = 0
        self._process: psutil.Process | None = None
        self.folder = private_folder(base / "servers", "server-")
        lock = None
        try:
            lock = take_lock(self.folder)
            for name, content in files(self.folder).items():
                write_private(self.folder / name, content)
            self._supervisor = Supervisor(self.folder, programs, template, account, lock, icu_data)
        except BaseException as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            full = disk_full_error(str(error), None, base) if isinstance(error, OSError) else None
            raise (full or error) from None
        finally:
            if lock is not None:
                os.close(lock)

    @abstractmethod
    def is_ready(self, pid: int, log: str) -> bool:
        """Whether the program accepts connections.

        Args:
            pid: its process id.
            log: what it has written since it was started.
        """

    @abstractmethod
    def start_error(self, log: str, port: int) -> ServerError:
        """The error for a program that ended while it started."""

    async def launch(self, port: int | None) -> None:
        """Start the program on ``port``, or on a free one, and wait until it accepts connections.

        Raises:
            PortTakenError: ``port`` is in use, or no free one was found.
            ServerError: it did not start; the subclasses say why.
        """
        for attempt in range(_PORT_TRIES):
            try:
                return await self._launch_once(port or _free_port())
            except PortTakenError:
                # Between finding a free port and listening on it another program can be quicker.
                if port is not None or attempt == _PORT_TRIES - 1:
                    raise
        return None

    async def relaunch(self, patience: float = 5.0) -> None:
        """Start the program again on its port.

        Args:
            patience: seconds to wait for the port, should another program use it for a moment.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                return await self._launch_once(self.port)
            except PortTakenError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def _launch_once(self, port: int) -> None:
        before = len(self.log())
        self._supervisor.start_server(port)
        event = await self.event()
        self.port = port
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process = psutil.Process(int(event[1]))
        deadline = time.monotonic() + START_TIMEOUT
        while not self.is_ready(int(event[1]), self.log()[before:]):
            if not self.is_alive:
                raise self.start_error(self.log()[before:], port)
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.name} was not ready within {START_TIMEOUT:.0f} s. The end of its log:\n"
                    f"{tail(self.log()[before:])}\nThe machine may be very busy: try again."
                )
            await asyncio.sleep(POLL)

    async def event(self) -> list[str]:
        """The next event of the supervisor.

        Raises:
            ServerError: none came in time, or the supervisor ended.
        """
        return await self._supervisor.event(START_TIMEOUT)

    @property
    def is_alive(self) -> bool:
        """Whether the program's main process runs."""
        if self._process is None:
            return False
        try:
            return bool(self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    async def end_process(self, mode: Literal["fast", "immediate"]) -> None:
        """End the program's process, keep its folder. Does nothing when it has ended already."""
        if self.is_alive and self._process is not None:
            self.send_signal(mode)
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.is_alive:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.name} did not stop within {STOP_TIMEOUT:.0f} s (mode {mode!r}). Close its connections "
                    "and try again, or use mode='immediate'."
                )
            await asyncio.sleep(POLL)

    @property
    def process(self) -> psutil.Process:
        """The program's main process, once it was started."""
        assert self._process is not None
        return self._process

    def send_signal(self, mode: Literal["fast", "immediate"]) -> None:
        """Tell the program to end, as PostgreSQL wants to be told."""
        assert self._process is not None
        if sys.platform == "win32":
            self._process.kill()
            return
        # https://www.postgresql.org/docs/17/server-shutdown.html
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def log(self) -> str:
        """What the program has written to its log so far."""
        return self.text("log")

    def text(self, name: str) -> str:
        """The text of one of its files; "" where there is none."""
        try:
            return (self.folder / name).read_text(errors="replace")
        except OSError:
            return ""

    def abandon(self) -> None:
        """Begin the end of program and folder; the supervisor sees to it. Returns at once."""
        self._supervisor.close()

    async def remove(self) -> None:
        """End the program and remove its folder.

        Raises:
            ServerError: something of it could not be removed.
        """
        self.abandon()
        await self._supervisor.closed(STOP_TIMEOUT)
        if self.is_alive or self.folder.exists():
            # Only after something has killed the supervisor.
            await asyncio.to_thread(self._remove_by_force)

    def _remove_by_force(self) -> None:
        if self._process is not None:
            with contextlib.suppress(psutil.Error, subprocess.SubprocessError):
                self._process.kill()
                self._process.wait(STOP_TIMEOUT)
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.1)
        raise ServerError(f"{self.name} ended, but its folder {str(self.folder)!r} could not be removed. Remove it.")


def _free_port() -> int:
    first = random.randrange(len(_PORTS))
    for port in itertools.chain(_PORTS[first:], _PORTS[:first]):
        with socket.socket() as probe:
            if sys.platform != "win32":
                # As PostgreSQL does: connections of an earlier server that are still closing are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise PortTakenError(f"All ports from {_PORTS.start} to {_PORTS.stop - 1} are in use. Close some programs.")
