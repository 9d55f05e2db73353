"""A learner's kernel as Jupyter runs it: cells, interrupts, a kill, a sleep; and what it left behind."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

PROJECT = Path(__file__).resolve().parents[2]
GONE_SECONDS = 15  # under one where nothing else runs
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Result:
    """What a cell gave: ``error`` is "" or the exception's name and message; ``text`` all that it printed."""

    status: str = "unfinished"
    error: str = ""
    traceback: str = ""
    text: str = ""
    seconds: float = 0.0
    verdicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a kernel's files go: caches, progress, work and temporary files, all to be looked at afterwards."""

    folder: Path

    @property
    def servers(self) -> list[Path]:
        """The folders of servers and poolers that are there now."""
        # Progress closes the home to others, so a root's servers, which have an account of their own, go elsewhere.
        patterns = ("home/cache/postgres/servers/*", "tmp/async-database-course*/servers/*")
        return [folder for pattern in patterns for folder in self.folder.glob(pattern)]

    @property
    def temporary(self) -> list[Path]:
        """What lies in the folder for temporary files, besides the servers' own."""
        return [path for path in (self.folder / "tmp").iterdir() if not path.name.startswith("async-database-course")]

    def environment(self) -> dict[str, str]:
        """Variables that lead a kernel here, the author's own database settings taken out."""
        names = re.compile(r"PG[A-Z]+|DATABASE_\w+|COURSE_\w+|PYTHONSTARTUP")
        kept = {name: value for name, value in os.environ.items() if not names.fullmatch(name)}
        return kept | {
            "COURSE_HOME": str(self.folder / "home"),
            "COURSE_WORK": str(self.folder / "work"),
            "COURSE_ROOT": str(PROJECT),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "TMPDIR": str(self.folder / "tmp"),
            "COLUMNS": "80",
            "NO_COLOR": "1",
        }


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """A fresh place that PostgreSQL's account can enter. It is removed at the end, and must hold no server then."""
    folder = Path(tempfile.mkdtemp(prefix="course bad day ", dir="/tmp"))  # TMPDIR may be closed to others
    folder.chmod(0o755)
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir(mode=0o755)
    try:
        yield Place(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def lesson_names() -> list[str]:
    """The names of all lessons."""
    return sorted(path.stem for path in (PROJECT / "lessons").glob("*.md"))


def code_cells(name: str, folder: str = "solutions") -> list[str]:
    """The code cells of a built lesson, in order."""
    notebook = nbformat.read(PROJECT / folder / f"{name}.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def wait_until(condition: Callable[[], bool], seconds: float = GONE_SECONDS) -> bool:
    """Wait until the condition holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the processes that have not ended."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Kernel:
    """A kernel of this Python. Use it in a ``with`` block; at its end the kernel is ended like Jupyter ends it.

    Args:
        place: where its files go.
        options: environment variables besides the place's.
    """

    def __init__(self, place: Place, **options: str) -> None:
        self.place = place
        self.mark = f"/bad-day-{uuid.uuid4().hex}"
        environment = place.environment() | options
        # A server's supervisor inherits PATH, and little else: so it is known whose it is.
        environment["PATH"] += os.pathsep + self.mark
        self.manager = KernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
        self.manager.start_kernel(
            env=environment, cwd=str(place.folder / "work"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=180)
        self.process = psutil.Process(self.manager.provisioner.process.pid)

    def __enter__(self) -> "Kernel":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        with contextlib.suppress(psutil.Error):
            self.process.send_signal(signal.SIGCONT)
        self.manager.shutdown_kernel(now=not self.manager.is_alive())
        self.manager.cleanup_resources()

    def begin(self, source: str) -> str:
        """Start a cell, and return what `finish` wants."""
        self._began = time.monotonic()
        return str(self.client.execute(source, store_history=True))

    def finish(self, message: str, seconds: float = 60) -> Result:
        """Wait for the end of a cell; ``status`` is "unfinished" where it did not end in time."""
        result = Result()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                got = self.client.get_iopub_msg(timeout=min(left, 0.5))
            except Empty:
                if not self.manager.is_alive():
                    result.status = "dead"
                    break
                continue
            if got["parent_header"].get("msg_id") != message:
                continue
            if self._take(got, result):
                break
        if result.status == "idle":
            with contextlib.suppress(Empty):
                while (reply := self.client.get_shell_msg(timeout=10))["parent_header"].get("msg_id") != message:
                    pass
                result.status = reply["content"]["status"]
        result.seconds = time.monotonic() - self._began
        return result

    def run(self, source: str, seconds: float = 60) -> Result:
        """Run a cell to its end."""
        return self.finish(self.begin(source), seconds)

    def value(self, source: str) -> str:
        """What a cell prints."""
        result = self.run(source)
        assert result.status == "ok", result
        return result.text.strip()

    def interrupt(self) -> None:
        """What the stop button does."""
        self.manager.interrupt_kernel()

    def family(self) -> list[psutil.Process]:
        """The kernel's child processes, and theirs."""
        try:
            return list(self.process.children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> list[psutil.Process]:
        """End it with SIGKILL; return the processes that it had."""
        family = self.family()
        self.process.kill()
        self.manager.provisioner.process.wait()
        return family

    def supervisors(self) -> list[psutil.Process]:
        """The supervisors of this kernel's servers and poolers, also after its end."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                if not any(part.endswith("supervisor.sh") for part in command):
                    continue
                if self.mark in process.environ().get("PATH", ""):
                    found.append(process)
        return found

    @staticmethod
    def _take(got: dict[str, Any], result: Result) -> bool:
        """Keep one message; return whether it was the last."""
        kind, content = got["msg_type"], got["content"]
        if kind == "stream":
            result.text += content["text"]
        elif kind in ("execute_result", "display_data"):
            text = content["data"].get("text/plain", "")
            result.text += text + "\n"
            result.verdicts.append(text)
        elif kind == "error":
            result.error = f"{content['ename']}: {content['evalue']}"
            result.traceback = _ANSI.sub("", "\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            result.status = "idle"
            return True
        return False
