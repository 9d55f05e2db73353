"""What exercise 10.4 asks of the engine for production: a pool with limits, which survives a restart of the server."""

import asyncio

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.exercises._connection_pooling import most_open
from course_lib.exercises.core import Case, NotYet, using_answer
from course_lib.exercises.lab import Lab

_KEPT, _MOST = 5, 10


async def judge_pool(engine: AsyncEngine, box: Lab) -> None:
    """Does the engine open ten connections and no more, and keep five of them?

    Raises:
        NotYet: it does not, with the reason.
    """
    limit, opened = await most_open(engine, _MOST + 1)
    try:
        if limit < _MOST:
            raise _limits(f"{_MOST} connections at once", "all open", f"{limit} open")
        async with using_answer("opening connections with the engine for production"):
            seen = {await _process(connection) for connection in opened}
    finally:
        for connection in opened:
            await connection.close()
    kept = await _kept(box)
    if kept == 0:
        raise NotYet(
            "After their use the engine for production keeps no connection: each request pays for a new one. Use a "
            f"pool that keeps {_KEPT}.",
            misconception="no-pool-in-production",
        )
    if limit > _MOST:
        raise _limits("an eleventh connection", "waits", "opened at once")
    if kept != _KEPT:
        raise _limits("all ten given back", f"{_KEPT} kept", f"{kept} kept")
    async with using_answer("opening a connection with the engine for production"), engine.connect() as connection:
        if await _process(connection) not in seen:
            raise NotYet(
                "The pool for production keeps connections and never lends one twice: each request pays for a new "
                "one. That survives a restart, and so does a pool that asks first: `pool_pre_ping=True`.",
                misconception="never-reuses",
            )


async def _process(connection: AsyncConnection) -> int:
    """The number of the server's process for a connection."""
    return int((await connection.execute(text("select pg_backend_pid()"))).scalar_one())


def _limits(given: str, expected: str, got: str) -> NotYet:
    return NotYet(
        f"The pool for production keeps {_KEPT} connections and opens at most {_MOST}: `pool_size` is what it keeps, "
        "`max_overflow` what it may open besides. Say both; the defaults are 5 and 10.",
        misconception="pool-not-bounded",
        case=Case(given, expected, got),
    )


async def judge_restart(engine: AsyncEngine, box: Lab) -> None:
    """Does the engine answer after the server has ended the connections in its pool?

    Raises:
        NotYet: it does not.
    """
    admin = await asyncpg.connect(box.server.admin_url.set(drivername="postgresql").render_as_string(False))
    try:
        await admin.fetch(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", box.url.database
        )
    finally:
        await admin.close()
    await asyncio.sleep(0.1)  # the driver learns of it
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
    except Exception:
        raise NotYet(
            "The server closed the pool's connections, as it does when it restarts, and the next request failed. Let "
            "the pool ask each connection before it lends it: `pool_pre_ping=True`.",
            misconception="no-pre-ping",
        ) from None


async def _kept(box: Lab) -> int:
    """The connections that are left; the server needs a moment to notice those that were closed."""
    seen = -1
    for _ in range(20):
        now = await box.connections()
        if now == seen:
            break
        seen = now
        await asyncio.sleep(0.05 if now == _KEPT else 0.2)
    return seen
