"""Child processes for the runs: forked off after the costly imports, limited in time and output, relayed."""

import contextlib
import json
import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

_STARTS = (
    "subprocess.Popen",
    "os.fork",
    "os.forkpty",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "pty.spawn",
)
_FACTS = 3  # a child's descriptor for facts
_MOST_OUTPUT = 1 << 20  # bytes of each of stdout and stderr
_MOST_FACTS = 2 << 20  # bytes
_KEPT_OUTPUT = 200_000  # bytes of each that are handed back


class Child:
    """One run in a process of its own.

    Args:
        job: what it does.
        work: does the job, with the descriptor for facts.
    """

    def __init__(self, job: dict[str, Any], work: Callable[[dict[str, Any], int], None]) -> None:
        self.job = job
        self.reason = "ended"
        self.exit_code = 0
        self.facts: list[dict[str, Any]] = []
        self.began = time.monotonic()
        pipes = [os.pipe() for _ in range(3)]
        self.pid = os.fork()
        if self.pid == 0:
            _live(job, work, pipes)
        for _, write in pipes:
            os.close(write)
        self.streams = {read: bytearray() for read, _ in pipes}
        self._ends = list(self.streams)  # stdout, stderr, facts

    def read(self, descriptor: int) -> bool:
        """Read what is there; False at the end of the stream."""
        data = os.read(descriptor, 1 << 16)
        stream = self.streams[descriptor]
        stream += data
        if len(stream) > (_MOST_FACTS if descriptor == self._ends[2] else _MOST_OUTPUT):
            self.stop("output")
        return bool(data)

    def stop(self, reason: str) -> None:
        """End it now."""
        if self.reason == "ended":
            self.reason = reason
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def result(self) -> dict[str, Any]:
        """Wait for its end, and return how it ended with all that it wrote."""
        _, status = os.waitpid(self.pid, 0)
        self.exit_code = os.waitstatus_to_exitcode(status)
        if self.exit_code < 0 and self.reason == "ended":
            self.reason = "signal"
        out, err, facts = (bytes(self.streams[end]) for end in self._ends)
        for line in facts.splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                value = json.loads(line)
                if isinstance(value, dict):
                    self.facts.append(value)
        return {
            "run": self.job["name"],
            "reason": self.reason,
            "exit_code": self.exit_code,
            "seconds": round(time.monotonic() - self.began, 3),
            "stdout": out[:_KEPT_OUTPUT].decode(errors="replace"),
            "stderr": err[-_KEPT_OUTPUT:].decode(errors="replace"),
            "facts": self.facts,
        }


def _live(job: dict[str, Any], work: Callable[[dict[str, Any], int], None], pipes: list[tuple[int, int]]) -> None:
    """The life of a child; it does not return."""
    code = 1
    try:
        os.setpgid(0, 0)
        for (_, write), number in zip(pipes, (1, 2, _FACTS), strict=True):
            os.dup2(write, number)
        os.closerange(_FACTS + 1, 1024)
        os.chdir(job["scratch"])
        os.environ |= {"HOME": job["scratch"], "TMPDIR": job["scratch"], **job["environment"]}
        own = os.getpid()

        def refuse(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _STARTS or (event in ("os.kill", "os.killpg") and arguments[0] != own):
                raise PermissionError("A review lets a file neither start processes nor signal others")

        sys.addaudithook(refuse)
        work(job, _FACTS)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # threads and exit handlers of the reviewed code don't hold it up


def run_all(
    jobs: list[dict[str, Any]],
    work: Callable[[dict[str, Any], int], None],
    *,
    at_once: int,
    go_on: Callable[[dict[str, Any]], bool],
    tell: Callable[[dict[str, Any]], None],
) -> None:
    """Do all jobs, some at a time.

    Args:
        jobs: what to do, the most important first.
        work: does one of them, with a descriptor for facts.
        at_once: how many run at the same time.
        go_on: whether the others are of use, asked with the first one's result.
        tell: gets each result.
    """
    waiting, running = deque(jobs), dict[int, Child]()
    selector = selectors.DefaultSelector()
    while waiting or running:
        while waiting and len(running) < at_once:
            child = Child(waiting.popleft(), work)
            running[child.pid] = child
            for descriptor in child.streams:
                selector.register(descriptor, selectors.EVENT_READ, child)
        for key, _ in selector.select(0.05):
            child = key.data
            if not child.read(key.fd):
                selector.unregister(key.fd)
                os.close(key.fd)
        open_ends = {id(key.data) for key in selector.get_map().values()}
        for child in list(running.values()):
            if time.monotonic() - child.began > child.job["seconds"]:
                child.stop("time")
            if id(child) in open_ends:
                continue
            del running[child.pid]
            result = child.result()
            tell(result)
            if result["run"] == jobs[0]["name"] and not go_on(result):
                waiting.clear()
                for other in running.values():
                    other.stop("not needed")
