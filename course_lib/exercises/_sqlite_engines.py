"""What the checks of lesson 10 share: an answer's engine, kept from files that are none of its business."""

import asyncio
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.exc import ArgumentError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.exercises.core import NotYet, ask, using_answer

# A pool that lets nobody else in waits up to 30 seconds: so long the check waits instead, in seconds.
_PATIENCE = 3.0
_POOL_OPTIONS_REFUSED = re.compile(
    r"Invalid argument\(s\) .*'(pool_size|max_overflow|pool_timeout|pool_use_lifo)'.*/StaticPool/"
)


async def engine_from(answer: Any, *arguments: Any, given: str, name: str) -> AsyncEngine:
    """The engine that the answer makes.

    Args:
        answer: the learner's function.
        arguments: what it is called with.
        given: the call as feedback shows it.
        name: the function's name in the lesson.

    Raises:
        NotYet: it makes none, with the reason.
    """
    if type(answer).__module__.startswith("_pytest.") or hasattr(answer, "__pytest_wrapped__"):
        raise NotYet(
            f"`@pytest.fixture` makes a fixture of `{name}`, and only pytest can call that. Leave the decorator away: "
            "a fixture of its own can call your function.",
            misconception="is-a-fixture",
        )
    try:
        engine = await ask(answer, *arguments, given=given)
    except (TypeError, InvalidRequestError, ArgumentError) as error:
        raise _refused(error) or error from None
    except Exception as error:
        if wrong := _refused(error.__cause__):
            raise wrong from None
        raise
    if isinstance(engine, Engine):
        raise NotYet(
            "This is a synchronous `Engine`. Make it with `create_async_engine` from `sqlalchemy.ext.asyncio`.",
            misconception="sync-engine",
        )
    if inspect.isgenerator(engine) or inspect.isasyncgen(engine):
        raise NotYet(
            f"`yield` makes a fixture of `{name}`, and whoever calls it gets a generator. Hand the engine over with "
            "`return`.",
            misconception="yields-the-engine",
        )
    if not isinstance(engine, AsyncEngine):
        raise NotYet(
            f"`{name}` returned `{type(engine).__name__}`. Return what `create_async_engine` gives you.",
            misconception="returns-no-engine",
        )
    async with using_answer("looking at your engine"):
        _ = engine.dialect.name, engine.sync_engine.pool  # both are there, unless somebody took it apart
    return engine


def _refused(error: BaseException | None) -> NotYet | None:
    said = str(error)
    if isinstance(error, TypeError) and _POOL_OPTIONS_REFUSED.search(said):
        return NotYet(
            "SQLAlchemy refuses the pool's options: in memory the pool is `StaticPool`, which has one connection and "
            "so neither a size nor an overflow. Leave them out there.",
            misconception="pool-arguments",
        )
    if isinstance(error, InvalidRequestError) and "async driver" in said:
        return NotYet(
            "`create_async_engine` got a URL with a synchronous driver. The asynchronous one for SQLite is "
            "`sqlite+aiosqlite`.",
            misconception="sync-driver",
        )
    if isinstance(error, ArgumentError) and "asyncio engine" in said:
        return NotYet(
            "That pool class is for synchronous engines, and `create_async_engine` refuses it. Without `poolclass` it "
            "takes one that fits.",
            misconception="sync-pool",
        )
    return None


def in_memory(parameters: Any) -> bool:
    """Whether what a driver is called with names a database in memory."""
    names = [str(each) for each in (*parameters[0], *parameters[1].values())]
    return any(
        name.startswith((":memory:", "file::memory:"))
        or (name.startswith("file:") and ("mode=memory" in name or "vfs=memdb" in name))
        for name in names[:1]
    )


@contextmanager
def before_connecting(engine: AsyncEngine, look: Any) -> Iterator[None]:
    """Call ``look((args, kwargs))`` with what the driver gets, before anything is opened. It may raise `NotYet`."""

    def on_connect(dialect: Any, record: Any, arguments: Any, parameters: Any) -> None:
        look((arguments, parameters))

    event.listen(engine.sync_engine, "do_connect", on_connect)
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "do_connect", on_connect)


async def tables_of(engine: AsyncEngine) -> set[str]:
    """The names of the tables in an SQLite database, of views and temporary ones as well."""
    ask_for = " union ".join(
        f"select name from {schema} where type in ('table', 'view')"
        for schema in ("sqlite_master", "sqlite_temp_master")
    )
    async with using_answer("asking your engine for its tables"), engine.connect() as connection:
        return set((await connection.execute(text(ask_for))).scalars())


def same_engine(one: AsyncEngine, other: AsyncEngine) -> bool:
    """Whether two engines are one, if only under other execution options."""
    return one is other or one.sync_engine.pool is other.sync_engine.pool


async def make_table(engine: AsyncEngine, value: int) -> None:
    """Create the table `item` with one row, and commit."""
    async with using_answer("creating a table with your engine"), engine.begin() as connection:
        await connection.execute(text("create table item (value integer)"))
        await connection.execute(text("insert into item values (:value)"), {"value": value})


async def values_seen(engine: AsyncEngine, connections: int) -> list[list[int] | None]:
    """What each of several connections, open at the same time, finds in `item`; None where it finds no such table.

    Raises:
        NotYet: the pool does not open so many at the same time.
    """
    found: list[list[int] | None] = []
    opened: list[AsyncConnection] = []
    try:
        for _ in range(connections):
            try:
                async with asyncio.timeout(_PATIENCE):
                    opened.append(await engine.connect())
            except (TimeoutError, PoolTimeout):
                raise NotYet(
                    f"With {len(opened)} of your engine's connections in use, the next one has to wait. A handler "
                    f"that opens two sessions would wait for ever. {connections} at the same time have to work.",
                    misconception="too-few-connections",
                ) from None
            try:
                async with using_answer("reading with several connections of your engine"):
                    rows = await opened[-1].execute(text("select value from item"))
                    found.append(sorted(rows.scalars()))
            except Exception as error:
                if not (isinstance(error.__cause__, OperationalError) and "no such table" in str(error.__cause__)):
                    raise
                found.append(None)
    finally:
        for connection in opened:
            await connection.close()
    return found
