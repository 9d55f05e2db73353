"""The process between the course and a sandboxed program: it starts the program, watches its limits and ends it.

`course_lib.sandbox` starts it as `python -c`; it reads its configuration from its standard input and writes its
report to its standard output. The input's end, when the course's process ends or gives up, ends the program.
"""

import contextlib
import marshal
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from course_lib import _sandbox_program
from course_lib._sandbox_watch import Pipe, Watch

_LINUX = sys.platform == "linux"
if _LINUX:
    from course_lib import _sandbox_linux
if sys.platform != "win32":
    import fcntl

_HIGH = 64  # above all numbers that the program's descriptors get


def main() -> None:
    """Read the configuration, run the program, write the report. Returns in the program's process only, at its end."""
    size = struct.unpack("=Q", _read_exactly(8))[0]
    configuration = marshal.loads(_read_exactly(size))
    # Where the packages are when it isn't this interpreter's own folder; the watcher may need one of them.
    sys.path += [path for path in configuration["libraries"] if path not in sys.path]
    supervise(configuration)


def supervise(
    configuration: dict[str, Any], run: Callable[[Callable[[], None]], None] | None = None, kept: Sequence[int] = ()
) -> None:
    """Run the program, write the report to descriptor 1. Returns in the program's process only, at its end.

    Args:
        configuration: see `course_lib.sandbox`.
        run: runs in the program's process in place of its program; gets what to call when memory has run out.
        kept: descriptors that the program has besides, as 5 and so on.
    """
    pipes = {
        name: Pipe(configuration[limit])
        for name, limit in (("stdout", "output"), ("stderr", "output"), ("result", "result"))
    }
    pipes["notes"], pipes["status"] = Pipe(1 << 14), Pipe(4)
    # Wakes the watcher when a child ends, on every Unix.
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    child, namespaces = _start(configuration, pipes["status"].write_end)
    if child == 0:
        _run(configuration | {"namespaces": namespaces}, pipes, run, kept)
        return
    for pipe in pipes.values():
        os.close(pipe.write_end)
    report = Watch(configuration, pipes, child, namespaces, woken).run()
    report = struct.pack("=Q", len(report)) + report if report else b""
    with contextlib.suppress(BrokenPipeError):
        while report:
            report = report[os.write(1, report) :]
    os._exit(0)


def _read_exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def _start(configuration: dict[str, Any], status: int) -> tuple[int, bool]:
    """Fork. Returns the process to watch, 0 in the program's own, and whether it lives in its own namespaces."""
    if configuration["linux"]:
        _sandbox_linux.adopt_orphans()
    if configuration["linux"] and configuration["namespaces"]:
        child = _start_in_namespaces(status)
        if child is not None:
            return child, True
    return os.fork(), False


def _start_in_namespaces(status: int) -> int | None:
    """Fork into a user and a process namespace; None where the system refuses them."""
    answer, question = os.pipe()
    wait, go = os.pipe()
    supervisor = os.getpid()
    child = os.fork()
    if child:
        os.close(question)
        os.close(wait)
        allowed = os.read(answer, 1) == b"y" and _sandbox_linux.map_users(child)
        os.write(go, b"y" if allowed else b"n")
        os.close(go)
        os.close(answer)
        if not allowed:
            os.waitpid(child, 0)
        return child if allowed else None
    signal.set_wakeup_fd(-1)
    os.write(question, b"y" if _sandbox_linux.leave_namespaces() else b"n")
    if os.read(wait, 1) != b"y":
        os._exit(0)
    _sandbox_linux.die_with(supervisor)
    first = os.fork()
    if first:
        _serve_until(first, None)
    # The first process of a process namespace: nothing in it can signal it, and nothing in it outlives it.
    _sandbox_linux.die_with(0)
    program = os.fork()
    if program:
        _serve_until(program, status)
    return 0


def _serve_until(child: int, status: int | None) -> NoReturn:
    """Collect ended processes until ``child`` is among them, then end, with a word on how it ended."""
    while True:
        pid, code = os.waitpid(-1, 0)
        if pid == child:
            if status is not None:
                os.write(status, struct.pack("=i", code))
            os._exit(0)


def _run(
    configuration: dict[str, Any],
    pipes: dict[str, Pipe],
    run: Callable[[Callable[[], None]], None] | None,
    extra: Sequence[int],
) -> None:
    """In the program's process: sort out the descriptors, put on the layers, run."""
    parent = os.getppid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    empty = os.open(os.devnull, os.O_RDONLY)
    kept = (empty, *(pipes[name].write_end for name in ("stdout", "stderr", "result", "notes")), *extra)
    # First to numbers that none of them moves to.
    for target, end in enumerate([fcntl.fcntl(descriptor, fcntl.F_DUPFD, _HIGH) for descriptor in kept]):
        os.dup2(end, target, inheritable=target < 4)
    result, notes = 3, 4
    os.closerange(len(kept), 4096)

    def tell(text: str) -> None:
        os.write(notes, f"{text}\n".encode())

    try:
        _sandbox_program.enter(configuration, result, lambda name: tell(f"layer {name}"), parent)
    except BaseException as error:
        tell(f"error {type(error).__name__}: {error}".replace("\n", " ")[:4000])
        os._exit(1)
    tell(f"ready {time.monotonic()}")
    if run is not None:
        run(lambda: tell("memory"))
    else:
        _sandbox_program.run(configuration["program"], lambda: tell("memory"))
