"""What the checks of lesson 05 stand on: a watch on one pool, and questions put to a pool's limit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg
from sqlalchemy import URL, event
from sqlalchemy.exc import InvalidRequestError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.exercises.core import NotYet, ask, calling, using_answer


class PoolWatch:
    """Counts what one engine has checked out, as long as its ``with`` block lasts.

    It keeps each connection that was handed out from the garbage collector, which would otherwise end a leak at a
    moment of its own choice, and ends those that were never given back when the block ends.

    Args:
        engine: whose pool is watched; a pool that replaces it after a dispose is watched as well.

    Attributes:
        held: connections that are checked out now.
        most: the most that were checked out at one moment.
        time_outs: how often its pool gave up because no connection came free in time.
        disposed: how often the engine was disposed of.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.held = 0
        self.most = 0
        self.time_outs = 0
        self.disposed = 0
        self._engine = engine.sync_engine
        self._out: dict[int, tuple[Any, Any]] = {}

    def __enter__(self) -> "PoolWatch":
        for name, listener in self._listeners():
            event.listen(self._engine, name, listener)
        # SQLAlchemy has no event for a wait that was in vain; an attribute of the pool hides its method of that name.
        self._pool = self._engine.pool
        self._pool.connect = self._connect  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        vars(self._pool).pop("connect", None)
        for name, listener in self._listeners():
            event.remove(self._engine, name, listener)
        for record, _proxy in self._out.values():
            connection = record.driver_connection
            if connection is not None:
                with contextlib.suppress(Exception):
                    connection.terminate()
            record.dbapi_connection = None  # nothing is left for the garbage collector to warn the learner about

    def _listeners(self) -> tuple[tuple[str, Any], ...]:
        return ("checkout", self._checkout), ("checkin", self._checkin), ("engine_disposed", self._engine_disposed)

    def _connect(self) -> Any:
        try:
            return type(self._pool).connect(self._pool)
        except PoolTimeout:
            self.time_outs += 1
            raise

    def _checkout(self, connection: Any, record: Any, proxy: Any) -> None:
        self._out[id(record)] = (record, proxy)
        self.held += 1
        self.most = max(self.most, self.held)

    def _checkin(self, connection: Any, record: Any) -> None:
        if self._out.pop(id(record), None) is not None:
            self.held -= 1

    def _engine_disposed(self, engine: Any) -> None:
        self.disposed += 1


@dataclass(frozen=True)
class Ending:
    """How a piece of the learner's code ended.

    Args:
        kind: "returned", "timed out" (with either time-out error), "raised", or "waits" (not at all in time, or not
            even when it was cancelled).
        value: what it returned.
        error: what it raised.
        seconds: how long it took.
        counted: the same without the moments in which this process got no turn.
    """

    kind: Literal["returned", "timed out", "raised", "waits"]
    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    counted: float = 0.0


# A wait goes on in steps of so many seconds, and each step counts for twice as many at most: where the machine is busy
# elsewhere, nobody's time runs out before this process has had its turns.
_STEP = 0.05


async def ended_within(task: asyncio.Future[Any], seconds: float) -> tuple[bool, float]:
    """Wait for *task*, so many seconds of turns at most.

    Returns:
        Whether it is done, and the seconds that were counted.
    """
    loop = asyncio.get_running_loop()
    counted = 0.0
    while not task.done() and counted < seconds:
        begin = loop.time()
        await asyncio.wait({task}, timeout=min(_STEP, seconds - counted))
        counted += min(loop.time() - begin, 2 * _STEP)
    return task.done(), counted


async def ending(work: Awaitable[Any], seconds: float, connecting: asyncio.Event | None = None) -> Ending:
    """Let *work* run for so many seconds, then cancel it; its errors are returned, not raised.

    Args:
        work: what runs.
        seconds: for how long.
        connecting: if it is set by then, a connection is being opened: that may take some seconds more.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()
    task = asyncio.ensure_future(work)
    done, counted = await ended_within(task, seconds)
    if not done and connecting is not None and connecting.is_set():
        done, _ = await ended_within(task, 5)
    took = loop.time() - begin
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=2)
        return Ending("waits", seconds=took, counted=counted)
    if task.cancelled():
        return Ending("raised", error=asyncio.CancelledError(), seconds=took, counted=counted)
    error = task.exception()
    if error is None:
        return Ending("returned", value=task.result(), seconds=took, counted=counted)
    return Ending("timed out" if is_time_out(error) else "raised", error=error, seconds=took, counted=counted)


def is_slip(error: BaseException) -> bool:
    """Whether *error* says that code is faulty: nothing that an answer raises by intent."""
    return isinstance(error, NameError | AttributeError | TypeError | ImportError)


def is_time_out(error: BaseException | None) -> bool:
    """Whether *error* is a time-out, SQLAlchemy's or the builtin one, or was made of one."""
    while error is not None and not is_slip(error):
        if isinstance(error, PoolTimeout | TimeoutError):
            return True
        if isinstance(error, BaseExceptionGroup):
            return any(map(is_time_out, error.exceptions))
        error = error.__cause__ or error.__context__
    return False


def from_sharing(error: BaseException) -> bool:
    """Whether SQLAlchemy raised because two tasks used one session: its code isce, or what follows from it."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(from_sharing, error.exceptions))
    return isinstance(error, ResourceClosedError) or (isinstance(error, InvalidRequestError) and error.code == "isce")


async def engine_of(make_engine: Any, url: URL) -> AsyncEngine:
    """The engine that the learner's `make_engine` makes.

    Raises:
        NotYet: it is no AsyncEngine for this database.
    """
    engine = await ask(make_engine, url, given="the URL of the check's database")
    if not isinstance(engine, AsyncEngine):
        raise NotYet(
            f"`make_engine` gave `{type(engine).__name__}`. Return what `create_async_engine` makes.",
            misconception="makes-no-engine",
        )
    if engine.url.set(query={}) != url.set(query={}):  # options of the driver may stand in the query
        raise NotYet(
            "`make_engine` made an engine for another database. Hand its `url` on unchanged.",
            misconception="another-database",
        )
    return engine


def patience_of(engine: AsyncEngine) -> float | None:
    """The time limit of the engine's pool, in seconds; None where it has none."""
    timeout = getattr(engine.pool, "timeout", None)
    return None if timeout is None else timeout()


@asynccontextmanager
async def all_taken(engine: AsyncEngine, limit: int) -> AsyncIterator[list[AsyncConnection]]:
    """Check out *limit* connections for this block; they are idle, so that giving one back takes no round trip.

    Raises:
        NotYet: the pool has fewer.
    """
    calling(f"{limit} requests at once")
    taken: list[AsyncConnection] = []
    try:
        for count in range(1, limit + 1):
            connection = engine.connect()
            async with using_answer("opening connections with your engine"):
                try:
                    await asyncio.wait_for(connection.start(), 5)
                except (PoolTimeout, TimeoutError):
                    raise NotYet(
                        f"The engine gave {count - 1} connection{'' if count == 2 else 's'} and no more. The limit "
                        f"is {limit}: `pool_size` and `max_overflow` together.",
                        misconception="shrinks-the-pool",
                    ) from None
            taken.append(connection)
        yield taken
    finally:
        for connection in taken:
            await connection.close()


async def one_too_many(engine: AsyncEngine, limit: int, seconds: float) -> Ending:
    """Ask for a connection while *limit* are taken, and give it back if there is one."""
    async with asking_for_one_too_many(engine, limit, seconds) as (asking, _):
        return await asking


@asynccontextmanager
async def asking_for_one_too_many(
    engine: AsyncEngine, limit: int, seconds: float
) -> AsyncIterator[tuple[asyncio.Future[Ending], asyncio.Event]]:
    """Ask for a connection while *limit* are taken: the task that asks, and an event for a connect that it begins."""
    connecting = asyncio.Event()

    async def one_more() -> None:
        async with engine.connect():
            pass

    def on_connect(*_: object) -> None:
        connecting.set()

    async with all_taken(engine, limit):
        event.listen(engine.sync_engine, "do_connect", on_connect)
        asking = asyncio.ensure_future(ending(one_more(), seconds, connecting))
        try:
            yield asking, connecting
            await asking
        finally:
            asking.cancel()
            event.remove(engine.sync_engine, "do_connect", on_connect)


@asynccontextmanager
async def disposed(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Dispose of *engine* at the end of this block, whatever happens in it."""
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def admin(url: URL) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the check's database that has nothing to do with any engine."""
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        yield connection
    finally:
        connection.terminate()
