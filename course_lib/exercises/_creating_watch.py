"""What the checks of lesson 11 share: tables that an answer can't know, and what its engine and the server saw."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import URL, Column, Integer, String, Table, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from course_lib import models  # noqa: F401  its table belongs to those that have to be there
from course_lib.exercises.core import NotYet

# sqlstates of "it is there already": a unique violation in the catalogue, a table, a type.
THERE_ALREADY = {"23505", "42P07", "42710"}
NOT_NULL = "23502"


@contextlib.contextmanager
def extra_table() -> Iterator[Table]:
    """A table with a random name and an index among those of ``SQLModel.metadata``, for as long as the block."""
    name = f"check_{secrets.token_hex(4)}"
    word = Column("word", String(40), index=True)
    table = Table(name, SQLModel.metadata, Column("id", Integer, primary_key=True), word)
    try:
        yield table
    finally:
        SQLModel.metadata.remove(table)


@contextlib.asynccontextmanager
async def asking(url: URL) -> AsyncIterator[Any]:
    """A connection of the check's own to the database, to see what the answer left there."""
    plain = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    try:
        yield connection
    finally:
        connection.terminate()


async def tables_in(url: URL) -> set[str]:
    """The names of the tables that everybody sees in this database."""
    async with asking(url) as connection:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {row["tablename"] for row in rows}


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, those in it if it is a group, and those behind it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        # What a traceback would not show is not behind it.
        context = None if each.__suppress_context__ else each.__context__
        waiting.append(each.__cause__ if each.__cause__ is not None else context)


def sqlstate(error: BaseException) -> str | None:
    """The server's code for what went wrong, from wherever in the chain it is."""
    for each in chain(error):
        code = vars(each).get("sqlstate") or vars(type(each)).get("sqlstate")
        if isinstance(code, str):
            return code
    return None


def words_of(error: BaseException) -> str:
    """An exception's message; nothing where an answer's own exception refuses to give one."""
    try:
        return str(error)
    except Exception:
        return ""


def made_by_another_engine() -> NotYet:
    """The verdict for tables that did not come through the engine that was handed in."""
    return NotYet(
        "The tables are there, but another engine made them: the one that was handed in sent nothing. Use the "
        "argument, so that its pool, its TLS and its limits count here as well.",
        misconception="new-engine",
    )


@dataclass(frozen=True)
class Step:
    """One thing that happened on a connection.

    Args:
        connection: which connection; the same number for the same one.
        kind: "statement", "commit" or "rollback".
        statement: its text, as the driver got it.
        parameters: its parameters.
    """

    connection: int
    kind: str
    statement: str = ""
    parameters: tuple[Any, ...] = ()

    @property
    def creates(self) -> bool:
        return self.statement.lstrip().upper().startswith("CREATE TABLE")

    @property
    def locks(self) -> bool:
        words = self.statement.lower()
        return ("advisory" in words and "lock" in words and not self.unlocks) or words.lstrip().startswith("lock ")

    @property
    def unlocks(self) -> bool:
        return "advisory_unlock" in self.statement.lower()

    @property
    def looks(self) -> bool:
        """Whether it asks the catalogue, or creates only what is missing."""
        words = self.statement.lower()
        return any(each in words for each in ("pg_class", "pg_tables", "information_schema", "to_regclass"))


class Record:
    """What passes on an engine's connections, in order, and how often it was disposed of."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.steps: list[Step] = []
        self.disposed = 0
        self._known: list[Any] = []
        target = engine.sync_engine
        event.listen(target, "before_cursor_execute", self._on_statement)
        event.listen(target, "commit", self._on_commit)
        event.listen(target, "rollback", self._on_rollback)
        event.listen(target, "engine_disposed", self._on_disposed)

    def creates(self, table: str) -> bool:
        """Whether a statement that makes this table was sent."""
        return any(step.creates and table in step.statement for step in self.steps)

    def _number(self, connection: Any) -> int:
        driver = connection.connection.driver_connection
        for number, known in enumerate(self._known):
            if known is driver:
                return number
        self._known.append(driver)
        return len(self._known) - 1

    def _on_statement(self, connection: Any, _: Any, statement: str, parameters: Any, *__: Any) -> None:
        values = tuple(parameters) if isinstance(parameters, tuple | list) else ()
        self.steps.append(Step(self._number(connection), "statement", statement, values))

    def _on_commit(self, connection: Any) -> None:
        self.steps.append(Step(self._number(connection), "commit"))

    def _on_rollback(self, connection: Any) -> None:
        self.steps.append(Step(self._number(connection), "rollback"))

    def _on_disposed(self, _: Any) -> None:
        self.disposed += 1
