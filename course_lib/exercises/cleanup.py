"""Close what an answer left open: engines it made, connections it never gave back."""

import asyncio
import contextlib
import gc
import inspect
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

# A server that no longer answers must not keep the learner waiting for the clean-up, in seconds.
_PATIENCE = 5.0


def _engines() -> tuple[dict[int, AsyncEngine], dict[int, Engine]]:
    """The engines that are alive in this process, async and sync, by identity."""
    found = gc.get_objects()
    return (
        {id(each): each for each in found if type(each) is AsyncEngine},
        {id(each): each for each in found if type(each) is Engine},
    )


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

    Engines that were there before keep their connections: they belong to the lesson.
    """
    async_before, sync_before = _engines()
    opened: list[tuple[Any, Any]] = []
    kept: set[int] = set()

    def on_connect(dbapi_connection: Any, record: Any) -> None:
        opened.append((record, record.driver_connection))

    def on_kept_connect(dbapi_connection: Any, record: Any) -> None:
        kept.add(id(record.driver_connection))

    event.listen(Pool, "connect", on_connect)
    for engine in sync_before.values():
        event.listen(engine, "connect", on_kept_connect)
    try:
        yield
    finally:
        event.remove(Pool, "connect", on_connect)
        for engine in sync_before.values():
            event.remove(engine, "connect", on_kept_connect)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await _dispose_new(async_before, sync_before)
                for record, connection in opened:
                    if connection is not None and id(connection) not in kept:
                        with contextlib.suppress(Exception):
                            await _close(connection)
                        # Nothing is left for the garbage collector to warn the learner about.
                        if record.driver_connection is connection:
                            record.dbapi_connection = None


async def _dispose_new(async_before: dict[int, AsyncEngine], sync_before: dict[int, Engine]) -> None:
    """Dispose of each engine that exists now and did not exist before."""
    async_now, sync_now = _engines()
    owned = {id(each.sync_engine) for each in async_now.values()}
    for identity in async_now.keys() - async_before.keys():
        with contextlib.suppress(Exception):
            await async_now[identity].dispose()
    for identity in sync_now.keys() - sync_before.keys() - owned:
        engine = sync_now[identity]
        with contextlib.suppress(Exception):
            if engine.dialect.is_async:  # its AsyncEngine is gone already, and closing needs one
                await AsyncEngine(engine).dispose()
            else:
                engine.dispose()
