"""A worker's handle on its warm process: grades a submission, exercise by exercise."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from course_lib.folders import memory_folder
from course_lib.grade._messages import receive, send
from course_lib.lessons import course_root
from course_lib.servers.binaries import find_postgres
from course_lib.servers.scratch import ScratchFolder

_START = """
import sys
sys.path.insert(0, {!r})
from course_lib.grade._zygote import main
del sys.path[0]
main()
"""
_ROOM = 4 << 30  # bytes that have to be free for servers in memory; they take 40 MB each
MEMORY = 1024  # MB for an exercise's process; the forked libraries are a fifth of it


class GraderError(RuntimeError):
    """The process that grades could not be started, or ended."""


class Grader:
    """One warm process with its servers. Not for several threads."""

    def __init__(self, memory: int = MEMORY) -> None:
        """Start it.

        Args:
            memory: the limit for one exercise, in MB.
        Raises:
            GraderError: it did not start; the message says why.
        """
        if not sys.platform.startswith("linux"):
            raise GraderError(
                "`course grade` runs other people's code, and only Linux can confine it. Use Linux or WSL."
            )
        find_postgres()
        # It goes with a killed worker too.
        self._folder = ScratchFolder("course-grade-", memory_folder(_ROOM))
        self._scratch = Path(self._folder.name)
        for folder in (self._scratch, self._scratch.parent):
            folder.chmod(0o711)
        self._log = (self._scratch / "log").open("w+b")
        root = course_root().resolve()
        package = Path(__file__).resolve().parents[1]
        kept = {name: value for name, value in os.environ.items() if name.startswith("COURSE_") or name in _KEPT}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", _START.format(str(package.parent))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            cwd="/",
            env=kept
            | {
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
                "COURSE_ROOT": str(root),
                "TMPDIR": str(self._scratch),
                # numpy's library for algebra would start threads, and only a process without any may leave the network.
                "OPENBLAS_NUM_THREADS": "1",
            },
            start_new_session=True,
        )
        readable = [str(package), str(root / "notebooks")]
        try:
            ready = self._ask({"scratch": str(self._scratch), "readable": readable, "memory": memory})
        except GraderError:
            self.close()
            raise
        self.layers: tuple[str, ...] = tuple(ready["layers"])

    @property
    def pid(self) -> int:
        """The warm process."""
        return self._process.pid

    def grade(self, job: dict[str, Any]) -> dict[str, Any]:
        """Grade one exercise; see `_child.grade` for what a job holds.

        Raises:
            GraderError: the process ended.
        """
        return dict(self._ask(job))

    def _ask(self, message: dict[str, Any]) -> Any:
        try:
            send(self._process.stdin, message)
            answer = receive(self._process.stdout)
        except (OSError, ValueError) as error:
            raise GraderError(f"The grading process ended ({error}). {self._said()}") from None
        if answer is None:
            raise GraderError(f"The grading process ended. {self._said()}")
        return answer

    def _said(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            return f"Its last words: {lines[-1]}" if lines else ""
        return ""

    def close(self) -> None:
        """End it, with its servers."""
        for end in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if end is not None:
                    end.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_KEPT = ("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ")
