"""What the check of exercise 07.3 sees of the server, and the other clients that it runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from course_lib.exercises.core import NotYet

SERVERS = 3
_RIVALS = 4
_ALONE = 3.0  # seconds for a call that nobody else competes with
_OURS = "select pg_sleep(0.003)"
# PgBouncer sets the application's name for each client, and asyncpg `jit` where it looks types up.
_SESSION_SETTINGS = (
    "select name, setting from pg_settings where source = 'session' and setting is distinct from reset_val "
    "and name not in ('application_name', 'jit')"
)
_SLEEPERS = (
    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
    f"and query ilike '%pg_sleep%' and query <> '{_OURS}'"
)
_LOCKS = (
    "select l.pid, a.xact_start from pg_locks l join pg_stat_activity a using (pid) "
    "where l.locktype = 'advisory' and l.granted and a.datname = current_database()"
)


@asynccontextmanager
async def direct(url: URL) -> AsyncIterator[Any]:
    """A connection of the driver itself, with no prepared statements."""
    connection = await asyncpg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False), ssl=False, statement_cache_size=0
    )
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def rivals(url: URL) -> AsyncIterator[None]:
    """Other clients with short transactions: whoever gives a server connection back gets another one next."""

    async def rival() -> None:
        async with direct(url) as connection:
            while True:
                # Whatever the answer does to the server connections, the others go on.
                with contextlib.suppress(asyncpg.PostgresError):
                    await connection.execute(_OURS)
                await asyncio.sleep(0)

    tasks = [asyncio.ensure_future(rival()) for _ in range(_RIVALS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def settings(url: URL) -> set[tuple[str, str]]:
    """What is set on any of the server connections: as many transactions at once as there are connections."""
    try:
        async with asyncio.timeout(3), contextlib.AsyncExitStack() as stack:
            found = set()
            for _ in range(SERVERS):
                connection = await stack.enter_async_context(direct(url))
                await connection.execute("begin")
                found |= {tuple(row) for row in await connection.fetch(_SESSION_SETTINGS)}
            return found
    except TimeoutError:
        raise NotYet(
            "A transaction stays open after its function has ended, and keeps a server connection from all others. "
            "`async with engine.begin()` ends it whatever happens.",
            misconception="transaction-stays-open",
        ) from None


async def saw_sleepers(url: URL) -> bool:
    """Whether somebody sleeps in the database, or did so a moment ago, other than the rivals."""
    async with direct(url) as shop:
        for _ in range(15):
            if await shop.fetchval(_SLEEPERS):
                return True
            await asyncio.sleep(0.02)
    return False


async def session_locks(url: URL) -> bool:
    """Whether an advisory lock is held that no transaction will release.

    Locks of a session and of a transaction look alike; one that outlives a transaction is a session's.
    """
    async with direct(url) as shop:
        held = {row["pid"]: row["xact_start"] for row in await shop.fetch(_LOCKS)}
        if held:
            await asyncio.sleep(0.1)
        later = {row["pid"]: row["xact_start"] for row in await shop.fetch(_LOCKS)}
    return any(later[pid] is None or later[pid] != begun for pid, begun in held.items() if pid in later)


async def locked_between_transactions(call: Awaitable[Any], engine: AsyncEngine, url: URL) -> bool:
    """Whether one call alone holds an advisory lock outside a transaction, so that none will release it.

    With many callers at once, each unlock may happen to reach the connection that has the lock.
    """
    found = False
    one_by_one = asyncio.Lock()  # the call may have several connections of its own

    async def look(begins: bool) -> None:
        nonlocal found
        async with one_by_one:
            held = await shop.fetch(_LOCKS)
        found = found or any(begins or row["xact_start"] is None for row in held)

    def on_begin(_: Any) -> None:
        await_only(look(begins=True))

    def before_statement(*_: Any) -> None:
        await_only(look(begins=False))  # in autocommit, each statement is a transaction

    event.listen(engine.sync_engine, "begin", on_begin)
    event.listen(engine.sync_engine, "before_cursor_execute", before_statement)
    try:
        async with direct(url) as shop:
            with contextlib.suppress(Exception):  # with others it went well, so this is not what it is asked for
                async with asyncio.timeout(_ALONE):
                    await call
    finally:
        event.remove(engine.sync_engine, "begin", on_begin)
        event.remove(engine.sync_engine, "before_cursor_execute", before_statement)
    return found


async def end_all(url: URL) -> None:
    """End all other connections to the database."""
    async with direct(url) as shop:
        await shop.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )


async def temporary_tables(url: URL) -> bool:
    """Whether any session has a temporary table."""
    async with direct(url) as shop:
        return bool(await shop.fetchval("select count(*) from pg_class where relpersistence = 't' and relkind = 'r'"))
