"""What an answer runs on event loops of other threads ends with its check."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from course_lib.exercises.cleanup import cleaned_up


def _stuck(started: threading.Event) -> None:
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(wait())


def _in_a_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


async def test_a_loop_that_sleeps_for_ever_is_ended() -> None:
    """In a thread of its own, and in one of asyncio's executor, which may be older than the check."""
    await asyncio.to_thread(int)  # the executor has a thread now
    own, lent = threading.Event(), threading.Event()
    async with cleaned_up():
        thread = _in_a_thread(lambda: _stuck(own))
        task = asyncio.create_task(asyncio.to_thread(_stuck, lent))
        assert await asyncio.to_thread(own.wait, 10)
        assert await asyncio.to_thread(lent.wait, 10)
    async with asyncio.timeout(5):
        await task
    thread.join(5)
    assert not thread.is_alive()


async def test_a_loop_that_was_there_before_goes_on() -> None:
    """A kernel has loops in threads of its own."""
    loop = asyncio.new_event_loop()
    thread = _in_a_thread(loop.run_forever)
    waits = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop)
    async with cleaned_up():
        pass
    answer = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "still there"), loop)
    assert await asyncio.wrap_future(answer) == "still there"
    assert not waits.done()
    waits.cancel()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()
