"""What the checks of lesson 03 stand on: a table, a prepared engine, and two ways to watch engines at work."""

import asyncio
import logging
import os
import random
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from sqlalchemy import URL, Connection, Engine, ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class _Base(SQLModel, registry=registry()):
    """A base of its own: a lesson may define a `Note` as well."""


class Note(_Base, table=True):
    """The table of exercise 03.3: a note with a title, open until it is done."""

    id: int | None = Field(default=None, primary_key=True)
    title: str
    done: bool = False


class OtherThread(Exception):
    """An answer went to the database from another thread, and was stopped there."""


class EngineWatch:
    """Counts what the engines of this process do, as long as its ``with`` block lasts.

    Where it watches one engine, it stops other threads before they connect or send anything: a thread that waits
    for a connection of another event loop may never end.

    Args:
        engine: the engine that a check hands out. Whatever uses its pool counts as this engine, also what
            ``engine.execution_options(...)`` makes of it.

    Attributes:
        connects: connections that any engine began to open.
        checkouts: how often a connection was taken from the pool of *engine*.
        errors: what stopped statements, on any engine.
        sent: statements that the server answered on *engine*, in order.
        elsewhere: the statements that were begun on other engines.
        most_at_once: the largest number of statements that were begun on *engine* and not yet answered.
        shared: whether a statement was begun on a connection that was still busy with another one.
        other_threads: whether a thread besides this one wanted to connect or to send a statement.
    """

    def __init__(self, engine: AsyncEngine | None = None) -> None:
        self._engine = engine
        self.connects = 0
        self.checkouts = 0
        self.errors: list[BaseException] = []
        self.sent: list[str] = []
        self.elsewhere: list[str] = []
        self.most_at_once = 0
        self.shared = False
        self.other_threads = False
        self._thread = threading.get_ident()
        # By the cursor's identity. The objects themselves are kept, so that no identity is used twice.
        self._running: dict[int, tuple[Any, Any]] = {}

    def __enter__(self) -> "EngineWatch":
        self._listening = list(self._listeners())
        for target, name, listener in self._listening:
            event.listen(target, name, listener)
        return self

    def __exit__(self, *_: object) -> None:
        for target, name, listener in self._listening:
            event.remove(target, name, listener)

    def _listeners(self) -> Iterator[tuple[Any, str, Any]]:
        yield Engine, "do_connect", self._on_connect
        yield Engine, "before_cursor_execute", self._on_begin
        yield Engine, "after_cursor_execute", self._on_end
        yield Engine, "handle_error", self._on_error
        if self._engine is not None:
            yield self._engine.sync_engine.pool, "checkout", self._on_checkout

    def _is_ours(self, connection: Connection) -> bool:
        return self._engine is not None and connection.engine.pool is self._engine.sync_engine.pool

    def _on_connect(self, *_: Any) -> None:
        self.connects += 1
        self._stop_other_threads()

    def _stop_other_threads(self) -> None:
        if self._engine is not None and threading.get_ident() != self._thread:
            self.other_threads = True
            raise OtherThread

    def _on_checkout(self, *_: Any) -> None:
        self.checkouts += 1

    def _on_begin(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        self._stop_other_threads()
        if not self._is_ours(connection):
            self.elsewhere.append(statement)
            return
        driver = connection.connection.dbapi_connection
        self.shared = self.shared or any(driver is busy for _, busy in self._running.values())
        self._running[id(cursor)] = (cursor, driver)
        self.most_at_once = max(self.most_at_once, len(self._running))

    def _on_end(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        self._running.pop(id(cursor), None)
        if self._is_ours(connection):
            self.sent.append(statement)

    def _on_error(self, context: ExceptionContext) -> None:
        self._running.pop(id(getattr(context.execution_context, "cursor", None)), None)
        self.errors.append(context.original_exception)


class _Keep(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


_ENGINE_LOGGER = "sqlalchemy.engine.Engine"
_State = tuple[list[logging.Handler], bool, int, bool]


class EngineLog:
    """Within its ``with`` block, keeps what engines log instead of printing it; then all is put back as it was.

    What the learner configured before (levels, disabled loggers) does not count inside.

    Attributes:
        records: what engines logged.
    """

    def __init__(self) -> None:
        self.records: list[logging.LogRecord] = []

    def __enter__(self) -> "EngineLog":
        self._root_level = logging.getLogger().level
        self._disabled = logging.root.manager.disable
        logging.getLogger(_ENGINE_LOGGER)
        self._before: dict[str, _State] = {}
        for name, logger in _sqlalchemy_loggers():
            self._before[name] = (logger.handlers, logger.propagate, logger.level, logger.disabled)
            logger.disabled = False
            logger.setLevel(logging.WARNING if name == "sqlalchemy" else logging.NOTSET)
        logging.disable(logging.NOTSET)
        self.capture()
        return self

    def capture(self) -> None:
        """Take over the loggers that are there now: an engine with a name of its own has one of its own."""
        for name, logger in _sqlalchemy_loggers():
            if name == _ENGINE_LOGGER:
                # With a handler in place SQLAlchemy adds none of its own, which would print above the verdict.
                logger.handlers, logger.propagate = [_Keep(self.records)], False
            elif name.startswith(_ENGINE_LOGGER + "."):
                logger.handlers, logger.propagate = [], True
            else:
                logger.handlers, logger.propagate = [logging.NullHandler()], False

    def __exit__(self, *_: object) -> None:
        for name, logger in _sqlalchemy_loggers():
            handlers, propagate, level, disabled = self._before.get(name, ([], True, logging.NOTSET, False))
            logger.handlers, logger.propagate, logger.disabled = handlers, propagate, disabled
            logger.setLevel(level)
        logging.getLogger().setLevel(self._root_level)
        logging.disable(self._disabled)


def _sqlalchemy_loggers() -> list[tuple[str, logging.Logger]]:
    return [
        (name, logger)
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and f"{name}.".startswith("sqlalchemy.")
    ]


@contextmanager
def process_variable(name: str, value: str) -> Iterator[None]:
    """Within this block, the process has the environment variable *name*."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)  # the answer may have taken it out already
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
            # Nobody can guess an id; it has to be read.
            first = random.randrange(100, 1000)
            await connection.exec_driver_sql(f"alter sequence note_id_seq restart with {first} increment by 7")
        yield engine


async def notes_with(url: URL, title: str) -> list[dict[str, Any]]:
    """The committed notes of that title, read around every engine; none if their table is gone."""
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await connection.execute("set lock_timeout = '2s'")
        rows = await connection.fetch("select id, title, done from note where title = $1", title)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.LockNotAvailableError):
        return []
    finally:
        await connection.close()
    return [dict(row) for row in rows]


def notes_now(url: URL, title: str) -> list[dict[str, Any]]:
    """The same, while this event loop stands still: no task that the answer left behind gets on meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, notes_with(url, title)).result()
