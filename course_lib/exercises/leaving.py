"""Ways out of the kernel that an answer could take while it is checked, kept shut."""

import asyncio
import contextlib
import contextvars
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import psutil  # type: ignore[import-untyped]

_EXIT = os._exit
# How many checks run on a loop, by the loop's identity: the first one shuts the ways out, the last one opens them.
_kept: Counter[int] = Counter()


class Watch:
    """What one check's code tried.

    Args:
        left: the exception with which a callback wanted to leave, or None.
        before: the child processes there were when it forked first, or None.
    """

    def __init__(self) -> None:
        self.left: BaseException | None = None
        self.before: set[psutil.Process] | None = None


watch: contextvars.ContextVar[Watch | None] = contextvars.ContextVar("course_watch", default=None)


def _stay(mine: Watch, callback: Callable[..., object], *arguments: Any) -> object:
    try:
        return callback(*arguments)
    except (SystemExit, KeyboardInterrupt) as error:
        mine.left = error
        return None


def _staying(schedule: Callable[..., Any], given: int) -> Callable[..., Any]:
    """A method of the loop that guards the callbacks of a check; the callback follows *given* other arguments."""

    @functools.wraps(schedule)
    def guarded(*arguments: Any, context: contextvars.Context | None = None) -> Any:
        mine = watch.get() if context is None else context.get(watch)
        if mine is None:
            return schedule(*arguments, context=context)
        callback = functools.partial(_stay, mine, arguments[given])
        return schedule(*arguments[:given], callback, *arguments[given + 1 :], context=context)

    return guarded


@contextlib.contextmanager
def _shut(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    # asyncio re-raises SystemExit out of a callback, and the kernel's loop would end with it. A callback may run after
    # its check, so it is wrapped where it is scheduled.
    changed = {
        "call_soon": _staying(loop.call_soon, 0),
        "call_soon_threadsafe": _staying(loop.call_soon_threadsafe, 0),
        "call_at": _staying(loop.call_at, 1),  # call_later uses it
        "stop": _refusing(loop.stop),
    }
    _kept[id(loop)] += 1
    if _kept[id(loop)] == 1:
        os._exit = _leave
        with contextlib.suppress(AttributeError):  # a loop that is no Python object all through, such as uvloop's
            for name, method in changed.items():
                setattr(loop, name, method)
    try:
        yield
    finally:
        _kept[id(loop)] -= 1
        if not _kept[id(loop)]:
            del _kept[id(loop)]
            os._exit = _EXIT
            with contextlib.suppress(TypeError):  # has no attributes of its own
                for name in changed:
                    vars(loop).pop(name, None)


def _refusing(stop: Callable[[], None]) -> Callable[[], None]:
    @functools.wraps(stop)
    def refused() -> None:
        if watch.get() is not None:
            raise RuntimeError("this event loop runs the notebook itself: leave out loop.stop()")
        stop()

    return refused


def _leave(status: int) -> NoReturn:
    if watch.get() is None:
        _EXIT(status)
    raise SystemExit(status)


def _end_forks(before: set[psutil.Process]) -> None:
    """End children that are copies of this process: programs that the answer started have another command line."""
    with contextlib.suppress(psutil.Error):
        me = psutil.Process()
        for child in set(me.children()) - before:
            _end_fork(child, me.cmdline())


def _end_fork(child: psutil.Process, command: list[str]) -> None:
    with contextlib.suppress(psutil.Error):
        if child.cmdline() == command:
            child.kill()
            child.wait(1)


@contextlib.contextmanager
def kept_here(loop: asyncio.AbstractEventLoop) -> Iterator[Watch]:
    """Within this block, code in its context can't end the process by an exit or a callback, nor stop *loop*.

    Forked copies of the process that are left at the end are ended.

    Args:
        loop: the running event loop.

    Yields:
        What was tried.
    """
    mine = Watch()
    token = watch.set(mine)
    try:
        with _shut(loop):
            yield mine
    finally:
        watch.reset(token)
        if mine.before is not None:
            _end_forks(mine.before)


def _note_fork() -> None:
    mine = watch.get()
    if mine is not None and mine.before is None:
        # A grader's process can live in a namespace of its own, and not find itself in /proc. Its forks end with that.
        with contextlib.suppress(psutil.Error):
            mine.before = set(psutil.Process().children())


def _note_child() -> None:
    os._exit = _EXIT


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_note_fork, after_in_child=_note_child)
