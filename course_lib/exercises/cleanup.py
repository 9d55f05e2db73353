"""Close what an answer left open, and put back what it changed around it."""

import asyncio
import contextlib
import inspect
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from course_lib.exercises._other_loops import end_other_loops, threads_now

# A server that no longer answers must not keep the learner waiting for the clean-up, in seconds.
_PATIENCE = 5.0


def _engines() -> dict[int, AsyncEngine]:
    """The async engines that are alive in this process, by identity.

    SQLAlchemy keeps weak references to them. Asking the garbage collector for all objects takes 30 ms and more.
    """
    found = [reference() for reference in list(AsyncEngine._proxy_objects.values())]
    return {id(each): each for each in found if type(each) is AsyncEngine}


async def _close(connection: Any) -> None:
    """Close one driver connection at once, without the round trip that a polite close would cost."""
    ender = getattr(connection, "terminate", None) or getattr(connection, "close", None)
    if ender is None or getattr(connection, "is_closed", lambda: False)():
        return
    result = ender()
    if inspect.isawaitable(result):
        await result


@contextlib.asynccontextmanager
async def put_back() -> AsyncIterator[None]:
    """After this block, the process has its working folder, environment, streams and recursion limit again.

    Without them the kernel, or the next check, would fail in places that have nothing to do with the answer.
    """
    try:
        folder: str | None = os.getcwd()  # noqa: PTH109 - a string, for the system
    except OSError:  # the kernel's folder was removed
        folder = None
    environment, streams, limit = os.environ.copy(), (sys.stdin, sys.stdout, sys.stderr), sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        if sys.getrecursionlimit() != limit:
            sys.setrecursionlimit(limit)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        with contextlib.suppress(OSError):
            if folder is not None:
                os.chdir(folder)


@contextlib.asynccontextmanager
async def cleaned_up() -> AsyncIterator[None]:
    """Within this block, remember what is opened; at its end, dispose of engines and close connections made in it.

    Async engines that were there before keep their connections: they belong to the lesson. A sync engine's are closed
    if they were opened in the block; its pool opens new ones when it needs them.
    """
    before, threads = _engines(), threads_now()
    opened: list[tuple[Any, Any]] = []
    kept: set[int] = set()

    def on_connect(dbapi_connection: Any, record: Any) -> None:
        opened.append((record, record.driver_connection))

    def on_kept_connect(dbapi_connection: Any, record: Any) -> None:
        kept.add(id(record.driver_connection))

    event.listen(Pool, "connect", on_connect)
    for engine in before.values():
        event.listen(engine.sync_engine, "connect", on_kept_connect)
    try:
        yield
    finally:
        end_other_loops(threads)
        event.remove(Pool, "connect", on_connect)
        for engine in before.values():
            event.remove(engine.sync_engine, "connect", on_kept_connect)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                for identity, engine in _engines().items():
                    if identity not in before:
                        with contextlib.suppress(Exception):
                            await engine.dispose()
                # Those of sync engines, and of async ones that are gone while somebody holds their connection.
                for record, connection in opened:
                    if connection is not None and id(connection) not in kept:
                        with contextlib.suppress(Exception):
                            await _close(connection)
                        # Nothing is left for the garbage collector to warn the learner about.
                        if record.driver_connection is connection:
                            record.dbapi_connection = None
