"""The causes of pool exhaustion, each as a small run that fails, and as one that is repaired.

Each takes a URL, and makes a pool of its own that is disposed of at the end, or an engine, whose pool it uses as it
is. With the pools that they make, each ends in less than three seconds. A time limit is at least ten times
what the repaired version's requests wait on an idle machine: they have to be served on a busy one too.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from course_lib.pools._arrivals import poisson
from course_lib.pools._recording import PoolError
from course_lib.pools._requests import Request, run_requests
from course_lib.pools._run_result import RunResult
from course_lib.pools.recorder import PoolRecorder

_SELECT = text("select 1")
# One round trip to a server in another zone takes a few milliseconds; on loopback it takes a tenth of one.
_FAR_SELECT = text("select cast(:number as integer), pg_sleep(0.004)")
_FAR_SELECT_ALL = text("select number from pg_sleep(0.004), generate_series(1, 20) as number")
_ITEMS = 20


async def long_transaction(
    target: AsyncEngine | URL, *, fixed: bool = False, recorder: PoolRecorder | None = None
) -> RunResult:
    """Slow work inside the transaction: each request keeps its connection while it calls another service.

    The connection does nothing for most of its lease, and the server shows it as `idle in transaction`. The repair:
    end the transaction before the slow work, and take a connection again for what comes after.

    Args:
        target: an engine, or the URL of a database.
        fixed: run the repaired version.
        recorder: records the engine that is passed; a pool made here has its own recorder.
    Returns:
        The outcomes of 20 requests that come at once, on 2 connections with a time limit of 0.6 s.
    """

    async def work(request: Request) -> None:
        async with request.connection() as connection:
            await connection.execute(_SELECT)
            if not fixed:
                await _call_another_service()
                await connection.execute(_SELECT)
                return
        await _call_another_service()
        async with request.connection() as connection:
            await connection.execute(_SELECT)

    async with _pool(target, recorder, pool_size=2, pool_timeout=0.6) as (engine, watching):
        return await run_requests(
            engine, requests=20, concurrency=20, work=work, recorder=watching, title=_title("Long transaction", fixed)
        )


async def leaked_session(
    target: AsyncEngine | URL, *, fixed: bool = False, recorder: PoolRecorder | None = None
) -> RunResult:
    """A session that is closed only when all goes well: each bad request keeps its connection for ever.

    After as many bad requests as the pool has connections, every request times out, and the server shows that many
    sessions `idle in transaction`. The repair: ``async with AsyncSession(engine)``, which closes it in any case.

    Args:
        target: an engine, or the URL of a database.
        fixed: run the repaired version.
        recorder: records the engine that is passed; a pool made here has its own recorder.
    Returns:
        The outcomes of 12 requests on 2 connections with a time limit of 0.5 s; each third request is a bad one,
        and fails with a ValueError in both versions.
    """
    forgotten: list[AsyncSession] = []

    async def use(request: Request, session: AsyncSession) -> None:
        with request.waiting():
            await session.connection()
        await session.execute(_SELECT)
        if request.number % 3 == 0:
            raise ValueError("a bad request")

    async def work(request: Request) -> None:
        if fixed:
            async with AsyncSession(request.engine) as session:
                await use(request, session)
            return
        session = AsyncSession(request.engine)
        forgotten.append(session)  # otherwise garbage collection would end the leak at a moment of its own choice
        await use(request, session)
        await session.close()

    async with _pool(target, recorder, pool_size=2, pool_timeout=0.5) as (engine, watching):
        try:
            return await run_requests(
                engine, requests=12, concurrency=3, work=work, recorder=watching, title=_title("Leaked session", fixed)
            )
        finally:
            await _to_the_end(_close_all(forgotten))


async def n_plus_one(
    target: AsyncEngine | URL, *, fixed: bool = False, recorder: PoolRecorder | None = None
) -> RunResult:
    """One query for a list and one more for each of its 20 items: the lease lasts as long as 21 round trips.

    The server is hardly busy and the pool is exhausted. The repair: one query that fetches all items, with a join or
    ``selectinload``. A `pg_sleep` of 4 ms stands for a round trip to a server that is not on loopback.

    Args:
        target: an engine, or the URL of a database.
        fixed: run the repaired version.
        recorder: records the engine that is passed; a pool made here has its own recorder.
    Returns:
        The outcomes of 20 requests that come at once, on 2 connections with a time limit of 0.6 s.
    """

    async def work(request: Request) -> int:
        async with request.connection() as connection:
            if fixed:
                return len((await connection.execute(_FAR_SELECT_ALL)).all())
            numbers = (await connection.execute(text(f"select generate_series(1, {_ITEMS})"))).scalars().all()
            return sum([len((await connection.execute(_FAR_SELECT, {"number": each})).all()) for each in numbers])

    async with _pool(target, recorder, pool_size=2, pool_timeout=0.6) as (engine, watching):
        return await run_requests(
            engine, requests=20, concurrency=20, work=work, recorder=watching, title=_title("N+1 queries", fixed)
        )


async def nested_checkout(
    target: AsyncEngine | URL, *, fixed: bool = False, recorder: PoolRecorder | None = None
) -> RunResult:
    """A request that holds a connection asks for a second one: as many such requests as connections deadlock.

    Each waits for a connection that another one holds, until the pool's time limit ends it. A larger pool only needs
    more requests to deadlock. The repair: pass the connection (or session) on to the function that needs it.

    Args:
        target: an engine, or the URL of a database.
        fixed: run the repaired version.
        recorder: records the engine that is passed; a pool made here has its own recorder.
    Returns:
        The outcomes of 6 requests that come at once, on 2 connections with a time limit of 0.4 s.
    """

    async def work(request: Request) -> None:
        async with request.connection() as connection:
            await connection.execute(_SELECT)
            if fixed:
                await connection.execute(_SELECT)
                return
            async with request.connection() as second:
                await second.execute(_SELECT)

    async with _pool(target, recorder, pool_size=2, pool_timeout=0.4) as (engine, watching):
        return await run_requests(
            engine, requests=6, concurrency=6, work=work, recorder=watching, title=_title("Nested checkout", fixed)
        )


async def undersized_pool(
    target: AsyncEngine | URL, *, fixed: bool = False, recorder: PoolRecorder | None = None
) -> RunResult:
    """More work comes than the pool can carry: 40 requests a second, 0.05 s each, need 2 connections on average.

    That is Little's law. A pool of 1 falls behind further and further. The repair: a pool that the load fits into
    with room for its bumps, here 5; or shorter leases.

    Args:
        target: an engine, whose pool is used as it is in both versions, or the URL of a database.
        fixed: run the repaired version.
        recorder: records the engine that is passed; a pool made here has its own recorder.
    Returns:
        The outcomes of 40 requests that come independently of each other, with a time limit of 0.5 s.
    """
    async with _pool(target, recorder, pool_size=5 if fixed else 1, pool_timeout=0.5) as (engine, watching):
        return await run_requests(
            engine,
            requests=40,
            arrival=poisson(40),
            hold=0.05,
            seed=3,
            recorder=watching,
            title=_title("Undersized pool", fixed),
        )


@contextlib.asynccontextmanager
async def _pool(
    target: AsyncEngine | URL, recorder: PoolRecorder | None, *, pool_size: int, pool_timeout: float
) -> AsyncIterator[tuple[AsyncEngine, PoolRecorder | None]]:
    if isinstance(target, AsyncEngine):
        yield target, recorder
        return
    if not isinstance(target, URL):
        raise PoolError(f"A scenario takes an AsyncEngine or a sqlalchemy URL, and got {type(target).__name__}.")
    engine = create_async_engine(target, pool_size=pool_size, max_overflow=0, pool_timeout=pool_timeout)
    try:
        with PoolRecorder(engine, max_overflow=0) as own:
            # A cold pool would add the time to connect to the first waits, which is not what these runs show.
            async with contextlib.AsyncExitStack() as stack:
                await asyncio.gather(*(stack.enter_async_context(engine.connect()) for _ in range(pool_size)))
            yield engine, own
    finally:
        await _to_the_end(engine.dispose())


async def _call_another_service() -> None:
    await asyncio.sleep(0.25)


async def _close_all(sessions: list[AsyncSession]) -> None:
    for session in sessions:
        with contextlib.suppress(Exception):  # the server may be gone
            await session.close()


async def _to_the_end(cleaning: Coroutine[Any, Any, None]) -> None:
    """Finish cleaning up even if the cell is interrupted once more meanwhile."""
    task = asyncio.ensure_future(cleaning)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


def _title(name: str, fixed: bool) -> str:
    return f"{name}, {'repaired' if fixed else 'as found'}"
