"""What the checks of lesson 03 stand on: a table, a prepared engine, and two ways to watch engines at work."""

import logging
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import registry
from sqlalchemy.pool import Pool
from sqlmodel import Field, SQLModel


class _Base(SQLModel, registry=registry()):
    """A base of its own: a lesson may define a `Note` as well."""


class Note(_Base, table=True):
    """The table of exercise 03.3: a note with a title, open until it is done."""

    id: int | None = Field(default=None, primary_key=True)
    title: str
    done: bool = False


class EngineWatch:
    """Counts what the engines of this process do, as long as its ``with`` block lasts.

    Attributes:
        connects: connections opened, by any engine.
        threads: ids of the threads in which a connection was opened or a statement was begun.
    """

    def __init__(self) -> None:
        self.connects = 0
        self.threads: set[int] = set()
        self._begun: Counter[int] = Counter()
        self._sent: list[tuple[int, str]] = []
        self._running: Counter[int] = Counter()
        self._most: Counter[int] = Counter()

    def begun(self, engine: AsyncEngine) -> int:
        """Statements that were begun on *engine*, also those that never reached the server."""
        return self._begun[id(engine.sync_engine)]

    def sent(self, engine: AsyncEngine) -> list[str]:
        """The statements that the server answered on *engine*, in order."""
        return [statement for owner, statement in self._sent if owner == id(engine.sync_engine)]

    def elsewhere(self, engine: AsyncEngine) -> int:
        """Statements that were begun on other engines."""
        return self._begun.total() - self.begun(engine)

    def most_at_once(self, engine: AsyncEngine) -> int:
        """The largest number of statements that were begun on *engine* and not yet answered."""
        return self._most[id(engine.sync_engine)]

    def __enter__(self) -> "EngineWatch":
        for target, name, listener in self._listeners():
            event.listen(target, name, listener)
        return self

    def __exit__(self, *_: object) -> None:
        for target, name, listener in self._listeners():
            event.remove(target, name, listener)

    def _listeners(self) -> tuple[tuple[Any, str, Any], ...]:
        return (
            (Pool, "connect", self._on_connect),
            (Engine, "before_cursor_execute", self._on_begin),
            (Engine, "after_cursor_execute", self._on_end),
        )

    def _on_connect(self, connection: Any, record: Any) -> None:
        self.connects += 1
        self.threads.add(threading.get_ident())

    def _on_begin(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        owner = id(connection.engine)
        self.threads.add(threading.get_ident())
        self._begun[owner] += 1
        self._running[owner] += 1
        self._most[owner] = max(self._most[owner], self._running[owner])

    def _on_end(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        owner = id(connection.engine)
        self._running[owner] -= 1
        self._sent.append((owner, statement))


class _Keep(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@contextmanager
def engine_log() -> Iterator[list[logging.LogRecord]]:
    """Within this block, what engines log is kept in the list instead of printed; levels are put back afterwards."""
    loggers = [logging.getLogger(name) for name in ("sqlalchemy.engine.Engine", "sqlalchemy.engine", "sqlalchemy")]
    loggers.append(logging.getLogger())
    levels = [logger.level for logger in loggers]
    engines = loggers[0]
    handlers, propagates = engines.handlers, engines.propagate
    records: list[logging.LogRecord] = []
    # With a handler in place SQLAlchemy adds none of its own, which would print into the verdict.
    engines.handlers, engines.propagate = [_Keep(records)], False
    try:
        yield records
    finally:
        engines.handlers, engines.propagate = handlers, propagates
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def process_variable(name: str, value: str) -> Iterator[None]:
    """Within this block, the process has the environment variable *name*."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@asynccontextmanager
async def disposed(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Dispose of *engine* at the end of this block, whatever happens in it."""
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def engine_with_notes(url: URL, pool_size: int) -> AsyncIterator[AsyncEngine]:
    """An engine for a check, with a table for `Note` in its database and one connection open.

    Args:
        url: an empty database.
        pool_size: the most connections that it opens.
    """
    async with disposed(create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=3)) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(_Base.metadata.create_all)
        yield engine


async def notes_with(engine: AsyncEngine, title: str) -> list[dict[str, Any]]:
    """The committed notes of that title, read on a connection of its own."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("select id, title, done from note where title = :title"), {"title": title})
        return [dict(row) for row in rows.mappings()]


# Each call counts itself, waits until so many calls run at the same moment (or a while, in vain), and remembers the
# most it saw. Sequences keep their value over a rollback, so the count does not depend on a commit. The advisory lock
# marks a call that is running; one connection runs one statement at a time, so it can't be counted twice.
_SLOW_PRICE = """
create function slow_price(n integer) returns integer language plpgsql as $$
declare
    together integer;
    patience timestamptz := clock_timestamp() + interval '0.15 s';
begin
    perform nextval('calls');
    perform pg_advisory_lock_shared(303);
    loop
        select count(*) into together from pg_locks l join pg_database d on d.oid = l.database
            where l.locktype = 'advisory' and l.objid = 303 and l.granted and d.datname = current_database();
        if together > (select last_value from most) then
            perform setval('most', together);
        end if;
        exit when (select last_value from most) >= {wanted} or clock_timestamp() > patience;
        perform pg_sleep(0.01);
    end loop;
    perform pg_sleep(case when n % 2 = 1 then 0.1 else 0.01 end);
    perform pg_advisory_unlock_shared(303);
    return n * {factor};
end $$
"""


async def create_slow_price(engine: AsyncEngine, *, wanted: int, factor: int) -> None:
    """Create the SQL function `slow_price(n)`: n times *factor*, slower for odd n, counted on the server.

    Args:
        engine: where to create it.
        wanted: calls at the same moment that it waits for, a short while.
        factor: what it multiplies by.
    """
    async with engine.begin() as connection:
        await connection.exec_driver_sql("create sequence calls minvalue 0 start 0")
        await connection.exec_driver_sql("create sequence most minvalue 0 start 0")
        await connection.exec_driver_sql(_SLOW_PRICE.format(wanted=wanted, factor=factor))


async def slow_price_calls(engine: AsyncEngine) -> tuple[int, int]:
    """How often `slow_price` was called, and how many calls the server ran at the same moment at most."""
    async with engine.connect() as connection:
        calls = await connection.scalar(text("select case when is_called then last_value + 1 else 0 end from calls"))
        most = await connection.scalar(text("select last_value from most"))
    return int(calls), int(most)
