"""Close what an answer left open: engines it made, connections it never gave back."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

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
async def cleaned_up() -> AsyncIterator[None]:
    """Within this block, remember what is opened; at its end, dispose of engines and close connections made in it.

    Async engines that were there before keep their connections: they belong to the lesson. A sync engine's are closed
    if they were opened in the block; its pool opens new ones when it needs them.
    """
    before = _engines()
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
