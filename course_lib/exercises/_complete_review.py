"""The review of exercise 12.1. Its servers stay for the next check: to start them takes a quarter of the time."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from course_lib.review import Report, running
from course_lib.servers import ServerError


@dataclass(frozen=True)
class _Kept:
    """The servers, what ends them, and the event loop that they belong to."""

    lab: running.Lab
    stack: contextlib.AsyncExitStack
    loop: asyncio.AbstractEventLoop

    @property
    def usable(self) -> bool:
        try:
            return self.loop is asyncio.get_running_loop() and bool(self.lab.ports)
        except ServerError:  # one of them was stopped, or crashed
            return False


_kept: _Kept | None = None


async def review(path: Path) -> Report:
    """Review a file. Where answers are graded, the grader has its own review in the place of this one.

    Args:
        path: the file.

    Returns:
        The report.

    Raises:
        ServerError: no PostgreSQL could be started.
    """
    lab = await _servers()
    try:
        return await running.review(path, lab=lab)
    except BaseException:  # stopped half-way, say while a server was away: nobody knows what is there now
        await _let_go()
        raise


async def _servers() -> running.Lab:
    global _kept
    if _kept is not None and not _kept.usable:
        await _let_go()
    if _kept is None:
        stack = contextlib.AsyncExitStack()
        _kept = _Kept(await stack.enter_async_context(running.review_lab()), stack, asyncio.get_running_loop())
    return _kept.lab


async def _let_go() -> None:
    global _kept
    if _kept is not None:
        kept, _kept = _kept, None
        with contextlib.suppress(Exception):  # such as that of an event loop which has ended
            await kept.stack.aclose()
