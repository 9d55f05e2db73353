"""The process that stands between the learner's kernel and PostgreSQL, or PgBouncer; see supervisor.sh."""

import asyncio
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

from course_lib.servers._accounts import Account, environment, run_as
from course_lib.servers._errors import ServerError
from course_lib.servers._folders import hand_over, write_private

_POLL = 0.002  # seconds
_processes: "weakref.WeakSet[subprocess.Popen[bytes]]" = weakref.WeakSet()


class Supervisor:
    """A running supervisor. Its end of the pipe is the server's life: closed, or lost, it ends the server."""

    def __init__(
        self,
        folder: Path,
        programs: Path,
        template: Path | None,
        account: Account | None,
        lock: int | None,
        icu_data: Path | None = None,
    ) -> None:
        script = Path(__file__).with_name("supervisor.sh" if sys.platform != "win32" else "_supervisor_windows.py")
        # The account may be unable to read the course's own folder.
        local = folder / script.name
        write_private(local, script.read_bytes())
        program = [sys.executable, "-I"] if sys.platform == "win32" else ["/bin/sh"]
        self.folder = folder
        self._events = folder / "events"
        self._read = 0
        hand_over(folder, account)
        self._process = subprocess.Popen(
            [*program, str(local), str(folder), str(programs), str(template or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=folder.parent if sys.platform == "win32" else folder,
            env=environment(icu_data),
            pass_fds=() if lock is None else (lock,),
            **run_as(account),
        )
        _processes.add(self._process)
        assert self._process.stdin is not None
        # Runs when this object is no longer referenced, and at the interpreter's exit.
        weakref.finalize(self, self._process.stdin.close)
        # Reaps it whenever it ends, also after the last reference to the server is gone.
        self._reaper = threading.Thread(target=self._process.wait, name="course-supervisor", daemon=True)
        self._reaper.start()

    def start_server(self, port: int) -> None:
        """Ask for the server to be started on ``port``; the event `started PID` answers."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"start {port}\n".encode())
        except (OSError, ValueError) as error:
            raise ServerError("The process that looks after the server is gone. Make a new PostgresServer.") from error

    async def event(self, timeout: float) -> list[str]:
        """Wait for the next event and return its words.

        Args:
            timeout: seconds to wait.
        Raises:
            ServerError: none came in time, or the supervisor ended.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = self.ended
            try:
                with self._events.open("rb") as file:
                    file.seek(self._read)
                    line = file.readline()
            except FileNotFoundError:
                line = b""
            if line.endswith(b"\n"):
                self._read += len(line)
                return line.decode().split()
            if ended:
                raise ServerError("The process that looks after the server ended. Make a new PostgresServer.")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"The server's files were not ready within {timeout:.0f} s. The machine is very busy or its disk "
                    "is slow; try again, or set COURSE_HOME to a folder on a local disk."
                )
            await asyncio.sleep(_POLL)

    @property
    def ended(self) -> bool:
        """Whether the supervisor has ended; it does when all of the server is gone."""
        return not self._reaper.is_alive()

    def close(self) -> None:
        """Begin the end of the server and of its folder. Returns at once; a second call does nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def closed(self, timeout: float) -> bool:
        """Wait until the supervisor has ended.

        Args:
            timeout: seconds to wait.
        Returns:
            Whether it ended in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            if self.ended or time.monotonic() > deadline:
                return self.ended
            await asyncio.sleep(_POLL)


def _forget_in_child() -> None:
    # A process forked from the kernel without exec, as multiprocessing does on Linux, would otherwise hold the
    # pipe open and keep the servers alive after the kernel's end.
    for process in list(_processes):
        if process.stdin is not None:
            process.stdin.close()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
