"""How the sandbox's supervisor watches a program, ends it, and reports."""

import contextlib
import marshal
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Mapping
from typing import Any

_LINUX = sys.platform == "linux"
if _LINUX:
    from course_lib import _sandbox_linux

_TICK = 0.05  # seconds between two looks at the memory, and at whether the course's process is still there
_SETTING_UP = 20.0  # seconds for the layers; they take milliseconds, but the machine may be busy
_DRAINING = 2.0  # seconds for what the program has written last; all writers are dead then
_CHUNK = 1 << 16


class Pipe:
    """A pipe from the program, and what was kept of it."""

    def __init__(self, limit: int) -> None:
        self.read_end, self.write_end = os.pipe()
        self.limit = limit
        self.kept = bytearray()
        self.is_over = False

    def take(self) -> bool:
        """Read what is there. Returns whether the pipe has ended."""
        data = os.read(self.read_end, _CHUNK)
        room = self.limit - len(self.kept)
        self.kept += data[:room]
        self.is_over |= len(data) > room
        return not data


class Watch:
    """Watches one program from its start to its end."""

    def __init__(
        self, configuration: dict[str, Any], pipes: Mapping[str, Pipe], child: int, namespaces: bool, woken: int
    ) -> None:
        self.configuration = configuration
        self.pipes = pipes
        self.child = child
        self.namespaces = namespaces
        self.woken = woken
        self.layers = ["processes" if namespaces else "descendants" if configuration["linux"] else "session"]
        self.reason: str | None = None
        self.error: str | None = None
        self.code: int | None = None
        self.course = os.getppid()
        self.started = time.monotonic()
        self.deadline = self.started + _SETTING_UP
        self.is_ready = False
        self.open = {pipe.read_end: pipe for pipe in pipes.values()}
        self.poll = select.poll()
        for descriptor in (0, woken, *self.open):
            self.poll.register(descriptor, select.POLLIN)

    def run(self) -> bytes:
        """Watch until the program has ended or has to be ended. Returns the report."""
        look = 0.0
        while self.reason is None:
            now = time.monotonic()
            if now >= self.deadline:
                self.reason = "time" if self.is_ready else "error"
            elif now >= look:
                look = now + _TICK
                self._look()
            self._turn(min(look, self.deadline) - time.monotonic())
        ended = time.monotonic()
        self._end_all()
        drained = time.monotonic() + _DRAINING
        while self.open and time.monotonic() < drained:
            self._turn(0.1)
        return self._report(ended - self.started) if self.reason != "cancelled" else b""

    def _turn(self, timeout: float) -> None:
        for descriptor, _ in self.poll.poll(max(0.0, timeout) * 1000 + 1):
            if descriptor in self.open:
                pipe = self.open[descriptor]
                if pipe.take():
                    self._forget(descriptor)
                if pipe is self.pipes["notes"]:
                    self._read_notes()
                elif pipe.is_over:
                    self._judge("output")
                    self._forget(descriptor)
            elif descriptor == self.woken:
                os.read(self.woken, 512)
                self._collect()
            elif not os.read(0, 512):
                self.poll.unregister(0)
                self.reason = self.reason or "cancelled"

    def _judge(self, reason: str) -> None:
        # The program's end can be seen before the last that it wrote.
        if self.reason in (None, "ended"):
            self.reason = reason

    def _forget(self, descriptor: int) -> None:
        if self.open.pop(descriptor, None) is not None:
            self.poll.unregister(descriptor)

    def _read_notes(self) -> None:
        notes = self.pipes["notes"]
        *lines, rest = bytes(notes.kept).split(b"\n")
        notes.kept[:] = rest
        for line in lines:
            kind, _, text = line.decode(errors="replace").partition(" ")
            # Once the program runs, it could write here too: all that it can say then is that it fell short.
            if kind == "memory":
                self._judge("memory")
            elif kind == "ready" and not self.is_ready:
                self.is_ready = True
                self.started = float(text)
                self.deadline = self.started + self.configuration["seconds"]
            elif kind == "layer" and not self.is_ready:
                self.layers.append(text)
            elif kind == "error" and not self.is_ready:
                self.error, self.reason = text, "error"

    def _look(self) -> None:
        if os.getppid() != self.course:
            self.reason = "cancelled"
        elif self._is_over_memory(self.configuration["memory"] << 20):
            self.reason = "memory"

    def _is_over_memory(self, limit: int) -> bool:
        if self.configuration["linux"]:
            return _sandbox_linux.memory_of(self._descendants(), limit) > limit
        import psutil  # type: ignore[import-untyped]

        used = 0
        for pid in self._descendants():
            with contextlib.suppress(psutil.Error):
                used += psutil.Process(pid).memory_info().rss
        return used > limit

    def _descendants(self) -> list[int]:
        if self.configuration["linux"]:
            return _sandbox_linux.descendants(os.getpid())
        import psutil

        return [process.pid for process in psutil.Process().children(recursive=True)]

    def _collect(self) -> bool:
        """Collect children that have ended, the program's orphans among them. Returns whether none is left."""
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.child:
                self.code = code
                self.reason = self.reason or "ended"

    def _end_all(self) -> None:
        """End everything that the program has started, also what has left its session."""
        while True:
            for pid in self._descendants():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if not self.configuration["linux"]:
                # Children of a program that has ended are nobody's descendants here, but still of its group.
                with contextlib.suppress(OSError):
                    os.killpg(self.child, signal.SIGKILL)
            if self._collect():
                return
            time.sleep(0.001)

    def _report(self, seconds: float) -> bytes:
        code = self.code or 0
        if self.namespaces:
            kept = bytes(self.pipes["status"].kept)
            code = struct.unpack("=i", kept)[0] if len(kept) == 4 else signal.SIGKILL
        if self.reason == "error" and self.error is None:
            self.error = f"its layers were not ready within {_SETTING_UP:.0f} s; the machine may be very busy"
        if self.reason == "ended" and not self.is_ready:
            self.reason, self.error = "error", "its process ended before the program began"
        exit_code = os.waitstatus_to_exitcode(code)
        if self.reason == "ended" and exit_code < 0:
            self.reason = "time" if exit_code == -signal.SIGXCPU else "signal"
        return marshal.dumps(
            {
                "reason": self.reason,
                "error": self.error,
                "exit_code": exit_code,
                "seconds": seconds,
                "layers": self.layers,
                **{name: bytes(self.pipes[name].kept) for name in ("stdout", "stderr", "result")},
            }
        )
