"""End the event loops that an answer left running in other threads."""

import asyncio
import gc
import threading

# The threads of `asyncio.to_thread` and `run_in_executor` are kept and used again; asyncio gives them this name.
_EXECUTOR = "asyncio_"


def threads_now() -> set[int]:
    """The identifiers of the threads that are alive and that no answer has been handed yet."""
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
    others = {each.ident for each in threading.enumerate()} - before - {threading.get_ident()}
    if not others:
        return 0
    found = 0
    for loop in gc.get_objects():
        if isinstance(loop, asyncio.BaseEventLoop) and getattr(loop, "_thread_id", None) in others:
            found += 1
            loop.call_soon_threadsafe(_cancel_all, loop)
    return found


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
