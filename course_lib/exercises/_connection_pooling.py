"""What the checks of lesson 04 stand on: a pool driven from outside, connects counted, a script of steps."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, ClassVar

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool

from course_lib.exercises.core import using_answer
from course_lib.exercises.lab import Lab

# A connect on loopback takes milliseconds, also on a busy machine far less than this: who waits longer is queued.
_QUEUED = 5.0
# Who has not even begun to connect after so many seconds is queued as well.
_BEGUN = 0.1
# The same for a pool that connects in a way of its own, where nobody sees the beginning.
_UNSEEN = 1.5
_READINGS = 15


async def backend_of(engine: AsyncEngine) -> int:
    """Run one query; return the process ID of the backend that answered."""
    async with using_answer("running a query with your engine"), engine.connect() as connection:
        return int(await connection.scalar(text("select pg_backend_pid()")) or 0)


@contextlib.contextmanager
def returned_records(engine: AsyncEngine) -> Iterator[list[Any]]:
    """Within this block, the pool's record of each connection that comes back is added to the list."""
    records: list[Any] = []

    def on_checkin(connection: Any, record: Any) -> None:
        records.append(record)

    event.listen(engine.sync_engine, "checkin", on_checkin)
    try:
        yield records
    finally:
        event.remove(engine.sync_engine, "checkin", on_checkin)


async def replaced_at_age(engine: AsyncEngine, records: list[Any], seconds: float) -> bool:
    """Whether the pool replaces a connection that was opened so long ago. The pool's clock is set back for that.

    Args:
        engine: has exactly one connection in its pool.
        records: from `returned_records`, not empty.
        seconds: the age of that connection.
    """
    before = await backend_of(engine)
    records[-1].starttime = time.time() - seconds
    return await backend_of(engine) != before


async def most_open(engine: AsyncEngine, enough: int) -> tuple[int, list[AsyncConnection]]:
    """Open connections one by one until the pool makes one wait, refuses, or has opened *enough*.

    Returns:
        How many were open at once, and the connections, for the caller to close.
    """
    held: list[AsyncConnection] = []
    begun = 0

    def on_begin(*_: object) -> None:
        nonlocal begun
        begun += 1

    event.listen(engine.sync_engine, "do_connect", on_begin)
    try:
        while len(held) < enough:
            before = begun
            one_more = asyncio.ensure_future(_connected(engine))
            # The first one may come out of the pool, and the pool may ask it whether it is alive.
            done, _ = await asyncio.wait({one_more}, timeout=_BEGUN if begun and held else _UNSEEN)
            if not done and begun > before:
                done, _ = await asyncio.wait({one_more}, timeout=_QUEUED)
            if not done:
                one_more.cancel()
                await asyncio.wait({one_more})
                break
            if isinstance(one_more.exception(), PoolTimeout):
                break
            async with using_answer("opening connections with your engine"):
                held.append(one_more.result())
    finally:
        event.remove(engine.sync_engine, "do_connect", on_begin)
    return len(held), held


async def _connected(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


async def settled(box: Lab, at_most: int) -> int:
    """The server's connections, once no more than *at_most* are left or a few seconds have passed."""
    for _ in range(_READINGS):
        if (count := await box.connections()) <= at_most:
            break
        await asyncio.sleep(0.02)
    return count


async def end_all(box: Lab) -> None:
    """End all connections to the box's database from the server's side, and let the clients hear of it."""
    admin = await asyncpg.connect(box.server.admin_url.set(drivername="postgresql").render_as_string(False))
    try:
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", box.url.database
        )
    finally:
        await admin.close()
    await settled(box, 0)
    await asyncio.sleep(0.05)


async def survives_the_end_of_its_connection(engine: AsyncEngine, box: Lab) -> bool:
    """Whether the next query works after the server has ended all idle connections."""
    await end_all(box)
    try:
        async with engine.connect() as connection:
            await connection.scalar(text("select 1"))
    except DBAPIError as error:
        if error.connection_invalidated:
            return False
        raise
    return True


# Set while a `Connects` counts. Tasks inherit it, so that a monitor which runs beside the check is not counted.
_counting: ContextVar["Connects | None"] = ContextVar("counting", default=None)


class Connects:
    """Counts the connections that this task, and those it starts, open while the ``with`` block lasts.

    Args:
        engine: whose connections are told from those of others; None: all are foreign.

    Attributes:
        own: those of the engine.
        foreign: those of any other engine.
    """

    def __init__(self, engine: AsyncEngine | None = None) -> None:
        self.own = self.foreign = 0
        self._engine = None if engine is None else engine.sync_engine

    def __enter__(self) -> "Connects":
        if self._engine is not None:
            event.listen(self._engine, "connect", self._on_own)
        event.listen(Pool, "connect", self._on_any)
        self._before = _counting.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _counting.reset(self._before)
        event.remove(Pool, "connect", self._on_any)
        if self._engine is not None:
            event.remove(self._engine, "connect", self._on_own)

    def _on_own(self, connection: Any, record: Any) -> None:
        if _counting.get() is self:
            self.own += 1
            self.foreign -= 1  # `_on_any` hears of it too

    def _on_any(self, connection: Any, record: Any) -> None:
        if _counting.get() is self:
            self.foreign += 1


async def fill(engine: AsyncEngine, count: int) -> None:
    """Open *count* connections at once and give them back."""
    held = [await engine.connect() for _ in range(count)]
    for connection in held:
        await connection.close()


# --- 04.3 ---


class WatchedPool(AsyncAdaptedQueuePool):
    """The usual pool, which notes which private fields anybody but SQLAlchemy reads.

    Attributes:
        touched: their names, for all pools of this class.
    """

    touched: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__" or (name.startswith("_") and not name.startswith("__")):
            # Only the caller can be asked: the pool's own public methods read the same fields.
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if not caller.startswith("sqlalchemy") and caller != __name__:
                WatchedPool.touched.add(name)
        return super().__getattribute__(name)

    def __dir__(self) -> Iterable[str]:
        return super().__dir__()  # it reads `__dict__`: whoever asks for the names reads no field


# --- 04.4 ---

SIZE, OVERFLOW, RECYCLE, PAUSE = 2, 1, 1, 1.2


async def measured_steps(box: Lab) -> AsyncGenerator[int, None]:
    """Walk through the script of exercise 04.4; yields what the server sees after each step.

    Nobody waits for connections to become old: the pool's clock is set back instead.
    """
    engine = create_async_engine(
        box.url, pool_size=SIZE, max_overflow=OVERFLOW, pool_recycle=RECYCLE, pool_pre_ping=True
    )
    held: list[AsyncConnection] = []
    records: dict[int, Any] = {}
    event.listen(engine.sync_engine, "connect", lambda _, record: records.update({id(record): record}))
    try:
        yield await box.connections()
        await backend_of(engine)
        yield await box.connections()
        held = [await engine.connect() for _ in range(SIZE + OVERFLOW)]
        yield await box.connections()
        for connection in held:
            await connection.close()
        yield await settled(box, SIZE)
        for record in records.values():
            record.starttime -= PAUSE
        await asyncio.sleep(0.05)  # whatever the pool does about it in the background has begun
        yield await box.connections()
        await backend_of(engine)
        yield await settled(box, SIZE)
        await end_all(box)
        yield await box.connections()
        await backend_of(engine)
        yield await box.connections()
        await engine.dispose()
        yield await settled(box, 0)
        await backend_of(engine)
        yield await box.connections()
    finally:
        for connection in held:
            await connection.close()
        await engine.dispose()
