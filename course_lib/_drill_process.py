"""The application of a fire drill as a process of its own, so that it and the load don't share an event loop."""

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL

from course_lib._drill_client import ask
from course_lib.exercises.feedback import masked, steady
from course_lib.servers.scratch import ScratchFolder

_START = 30.0  # seconds; imports alone take one or two, and many on a busy machine
_STOP = 1.5  # seconds; requests that hang keep it from ending in order


class DrillError(RuntimeError):
    """The drill could not take place; the message says why and what to do."""


class AppProcess:
    """`course_lib._drill_app` as a process. ``async with AppProcess(...) as app`` waits until it serves.

    Args:
        database: the name of a module, or the path of a `database.py`.
        url: the database's URL; the process gets it as DATABASE_URL, and no other setting of a database.
        faster: by how much its time-outs are divided.
    """

    def __init__(self, database: str | Path, url: URL, faster: float) -> None:
        self._database = database if isinstance(database, str) else str(database.resolve())
        self._url = url
        self._faster = faster
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            DrillError: it ended, or did not serve in time.
        """
        # Neither the learner's settings nor the `.env` of the folder they work in.
        foreign = ("DATABASE_", "PG", "UVICORN_", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS")
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
        environment["DATABASE_URL"] = self._url.render_as_string(hide_password=False)
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
        )
        self._folder = ScratchFolder("course-drill-")
        self._errors = Path(self._folder.name) / "errors"
        try:
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(  # noqa: ASYNC220  it returns at once
                    [sys.executable, "-m", "course_lib._drill_app", self._database, repr(self._faster)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=self._folder.name,
                    env=environment,
                    start_new_session=True,  # a kernel's interrupt goes to its whole group, and is not meant for it
                )
            async with asyncio.timeout(_START):
                assert self._process.stdout is not None
                port = await asyncio.to_thread(self._process.stdout.readline)
                if not port.strip().isdigit():
                    raise self._failed("ended before it served")
                self.port = int(port)
                # It listens already and answers when it has started.
                status = await ask(self.port, "GET", "/tasks")
                if status != 200:
                    raise self._failed(f"answered its first request with the status {status}")
        except ConnectionError:
            await self.stop()
            raise self._failed("did not start") from None
        except TimeoutError:
            await self.stop()
            raise self._failed(f"did not answer within {_START:g} s") from None
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process is not None else None

    async def held(self) -> int:
        """How many connections are checked out of its pools.

        Raises:
            DrillError: the application ended by itself.
        """
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"?")
            process.stdin.flush()
        answer = await asyncio.to_thread(process.stdout.readline)
        if not answer.strip().isdigit():
            raise self._failed("ended during the drill")
        return int(answer)

    async def stop(self) -> None:
        """End the process: in order if it does so in time, and in any case. A second call does nothing."""
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        try:
            with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
                process.stdin.close()
                await asyncio.to_thread(process.wait, _STOP)
        finally:  # also when a second interrupt comes meanwhile
            process.kill()
            process.wait()
            process.stdout.close()
            self._said = self._errors.read_text(errors="replace").strip()
            self._folder.cleanup()

    def _failed(self, what: str) -> DrillError:
        said = self._said if self._process is None else self._errors.read_text(errors="replace").strip()
        lines = masked(said).replace(self._url.password or "\0", "***").splitlines()
        last = steady(lines[-1]) if lines else "it gave no reason"
        return DrillError(
            f"The application on {Path(self._database).name!r} {what}: {last}\n"
            "Run that database layer by itself first, with DATABASE_URL set."
        )
