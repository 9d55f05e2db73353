"""Run a learner's code under a time limit, whether it waits, blocks or tries to leave."""

import asyncio
import contextlib
import contextvars
import ctypes
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

from course_lib.exercises.leaving import kept_here

# Time that the event loop gets to end a waiting answer by itself before a blocking one is interrupted, in seconds.
_GRACE = 0.3
# Time between two attempts to interrupt an answer that catches the interruption, in seconds.
_AGAIN = 0.05
# So many times a task is cancelled, since it can catch that.
_CANCELS = 5
# So many interruptions may be caught before a stronger one follows.
_PATIENT_RINGS = 3

Returned = TypeVar("Returned")

_run: contextvars.ContextVar["_Run | None"] = contextvars.ContextVar("course_check", default=None)


class TimeUp(BaseException):
    """The time limit ran out. Not an ``Exception``, so that ``except Exception`` in an answer does not catch it."""


class Exited(BaseException):
    """The answer raised ``SystemExit`` or ``KeyboardInterrupt``, or called ``os._exit``, which ends a kernel."""


class _Run:
    """One check: its tasks, those that the learner's code started among them, and when its time is up."""

    def __init__(self, seconds: float) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self.deadline = time.monotonic() + seconds
        self.stopped = False

    def remaining(self) -> float:
        """Seconds that are left; as long as the clock is stopped, there is always some time left."""
        left = self.deadline - time.monotonic()
        return max(left, _GRACE) if self.stopped else left


@contextlib.contextmanager
def clock_stopped() -> Iterator[None]:
    """Within this block, inside a check, time does not count: our own preparations are not the learner's time."""
    run = _run.get()
    began = time.monotonic()
    if run is not None:
        run.stopped = True
    try:
        yield
    finally:
        if run is not None:
            run.stopped = False
            run.deadline += time.monotonic() - began


async def _guard(coroutine: Coroutine[Any, Any, Any]) -> Any:
    # asyncio re-raises SystemExit and KeyboardInterrupt out of the event loop itself: the kernel would end.
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as exit_:
        raise Exited(*exit_.args) from exit_


@contextlib.contextmanager
def _watched_tasks(loop: asyncio.AbstractEventLoop, run: _Run) -> Iterator[None]:
    """Register and guard each task that is started on behalf of this check; leave all others alone."""
    before = loop.get_task_factory()

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Future[Any]:
        context = options.get("context")
        current = context.get(_run) if context is not None else _run.get()
        if current is run and asyncio.iscoroutine(coroutine):
            coroutine = _guard(coroutine)
        make = before or (lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))
        task: asyncio.Future[Any] = make(loop, coroutine, **options)
        if current is run and isinstance(task, asyncio.Task):
            run.tasks.add(task)
        return task

    loop.set_task_factory(factory)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def _raise_at_next_line(frame: FrameType, event: str, argument: Any) -> Any:
    if event == "line":
        raise TimeUp
    return _raise_at_next_line


@contextlib.contextmanager
def _interrupt_blocking(loop: asyncio.AbstractEventLoop, run: _Run, seconds: float) -> Iterator[None]:
    """After *seconds*, raise ``TimeUp`` inside an answer that blocks the event loop's thread, until it gives way."""

    def ours_runs() -> bool:
        return asyncio.current_task(loop) in run.tasks

    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        rings = 0

        def on_alarm(signum: int, frame: FrameType | None) -> None:
            nonlocal rings
            if not ours_runs() or run.remaining() > -_GRACE:
                return
            rings += 1
            if rings > _PATIENT_RINGS and frame is not None:
                # The answer catches everything. Raise once more at its next line, which is then its except clause.
                frame.f_trace = _raise_at_next_line
                sys.settrace(_raise_at_next_line)
            raise TimeUp

        tracing = sys.gettrace()
        handler = signal.signal(signal.SIGALRM, on_alarm)
        timer = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)
            if rings > _PATIENT_RINGS:
                sys.settrace(tracing)
        return

    # No alarm signal on Windows or in a side thread: ask the interpreter to raise at the next bytecode instead.
    # A call that blocks outside Python, such as time.sleep, ends first.
    ended = threading.Event()
    thread = threading.get_ident()

    def watch() -> None:
        wait = seconds
        while not ended.wait(wait):
            wait = _AGAIN
            if ours_runs() and run.remaining() <= -_GRACE:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeUp))

    watcher = threading.Thread(target=watch, name="course-time-limit", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel *tasks*, several times if need be; one that still refuses is left behind, without a complaint."""
    for _ in range(_CANCELS):
        alive = {task for task in tasks if not task.done()}
        if not alive:
            break
        for task in alive:
            task.cancel()
        await asyncio.wait(alive, timeout=_GRACE)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # mark it as seen: asyncio would log "exception was never retrieved"


async def run_limited(coroutine: Coroutine[Any, Any, Returned], seconds: float) -> Returned:
    """Run *coroutine* on the running event loop and stop it after *seconds*.

    It ends an answer that awaits forever (by cancelling it), one that blocks the thread (by raising in it) and
    tasks that the answer left running. The event loop and the kernel stay usable.

    Args:
        coroutine: the check, which calls the learner's code.
        seconds: the time limit, in seconds.

    Returns:
        What the coroutine returns.

    Raises:
        TimeUp: the limit ran out.
        Exited: the learner's code raised ``SystemExit`` or ``KeyboardInterrupt``.
        BaseException: whatever the coroutine raised.
    """
    loop = asyncio.get_running_loop()
    run = _Run(seconds)
    token = _run.set(run)
    try:
        with kept_here(loop) as watch, _watched_tasks(loop, run), _interrupt_blocking(loop, run, seconds + _GRACE):
            task = loop.create_task(coroutine)
            try:
                while not task.done() and (left := run.remaining()) > 0:
                    await asyncio.wait({task}, timeout=left)
                finished = task.done()
            finally:  # also when the learner presses stop: our own wait is cancelled then
                await _end(run.tasks)
    finally:
        _run.reset(token)
    if watch.left is not None:
        raise Exited(*watch.left.args) from watch.left
    if not finished:
        raise TimeUp
    if task.cancelled():
        raise asyncio.CancelledError("the answer was cancelled from inside")
    error = task.exception()
    if error is not None:
        raise error
    return task.result()
