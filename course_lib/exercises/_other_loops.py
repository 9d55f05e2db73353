"""End the event loops that an answer left running in other threads."""

import asyncio
import sys
import threading
from types import FrameType

# The threads of `asyncio.to_thread` and `run_in_executor` are kept and used again; asyncio gives them this name.
_EXECUTOR = "asyncio_"
_RUNS = asyncio.BaseEventLoop.run_forever.__code__


def threads_now() -> set[int]:
    """The identifiers of the threads that are alive and that no answer can have been handed."""
    return {each.ident for each in threading.enumerate() if each.ident and not each.name.startswith(_EXECUTOR)}


def end_other_loops(before: set[int]) -> int:
    """Cancel what still runs on event loops of threads that are not among those of *before*.

    An engine that is used from two loops may wake a task of the other loop without waking that loop: it would sleep
    for ever, and with it the thread, the executor it belongs to, and whoever ends the executor.

    Args:
        before: identifiers of threads, from `threads_now`.

    Returns:
        How many loops there were.
    """
    frames = sys._current_frames()
    others = {each.ident for each in threading.enumerate()} - before - {threading.get_ident()}
    loops = [loop for each in others if each is not None and (loop := _loop_of(frames.get(each))) is not None]
    for loop in loops:
        loop.call_soon_threadsafe(_cancel_all, loop)
    return len(loops)


def _loop_of(frame: FrameType | None) -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in a thread, from where that thread is now."""
    while frame is not None:
        if frame.f_code is _RUNS:
            loop: asyncio.AbstractEventLoop = frame.f_locals["self"]
            return loop
        frame = frame.f_back
    return None


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
