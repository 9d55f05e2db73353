"""The file that holds the progress: its tables, and what happens to one that is damaged."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import registry
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib._lock import locked

T = TypeVar("T")

_ATTEMPTS = 4

# A writer waits for another one this long, in seconds; each holds the file for a few milliseconds.
_WAIT = 30
# https://sqlite.org/rescode.html#corrupt and #notadb
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Base(SQLModel, registry=registry()):
    """A registry of its own: a lesson that clears ``SQLModel.metadata`` does not touch progress."""


class Attempt(Base, table=True):
    """One run of a check that was more than looking: the starter untouched is not recorded."""

    id: int | None = Field(default=None, primary_key=True)
    exercise: str
    status: str
    misconception: str | None = None
    at: str


class Guess(Base, table=True):
    """One recorded prediction."""

    id: int | None = Field(default=None, primary_key=True)
    question: str
    answer: str
    at: str


async def using(path: Path, work: Callable[[AsyncSession], Awaitable[T]]) -> tuple[T, str]:
    """Do something with the progress file. A damaged one is set aside, and it is done with a new one.

    Args:
        path: the file; it and its folder are made if they aren't there.
        work: what to do; it commits by itself. It is called again if the file turns out to be damaged.

    Returns:
        What `work` returned, and "" or a line that says where the damaged file is.

    Raises:
        OSError: the folder can't be used.
        SQLAlchemyError: the file can't be read or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    said = ""
    for attempt in range(_ATTEMPTS):
        try:
            async with _session(path) as session:
                return await work(session), said
        except DBAPIError as error:
            if attempt == _ATTEMPTS - 1:
                raise
            # An extended code holds the primary one in its low byte.
            damaged = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
        # Any other error is tried again too: SQLite has several words for a file that another process set aside
        # while this one was using it.
        await asyncio.sleep(0.02 * attempt)
        kept = await asyncio.to_thread(_set_aside, path) if damaged else None
        if kept is not None:  # else another process was quicker, and says it
            said = (
                f"The file with your progress was damaged. It is kept as {kept}, and a new one was begun. "
                "If you have an export, `course progress import FILE` brings it back."
            )
    raise AssertionError("the last attempt returns or raises")


async def begin_writing(session: AsyncSession) -> None:
    """Keep other writers out from now on: between reading and writing nothing may change."""
    await (await session.connection()).exec_driver_sql("begin immediate")


@lru_cache
def _engine(path: Path) -> AsyncEngine:
    # NullPool: the file is open only while it is used, and no event loop is remembered. The engine itself remembers
    # the statements that it has compiled.
    url = URL.create("sqlite+aiosqlite", database=str(path))
    return create_async_engine(url, poolclass=NullPool, connect_args={"timeout": _WAIT})


@asynccontextmanager
async def _session(path: Path) -> AsyncIterator[AsyncSession]:
    async with _engine(path).connect() as connection:
        for table in Base.metadata.sorted_tables:
            # Not create_all: it looks first and creates then, and two lessons may do so at once.
            await connection.execute(CreateTable(table, if_not_exists=True))
        await connection.commit()
        async with AsyncSession(bind=connection) as session:
            yield session


def _set_aside(path: Path) -> Path | None:
    """Rename a damaged file, with its journal; None if it is sound, since another process did so before."""
    with locked(path.with_name("progress.lock"), seconds=_WAIT):
        if _is_sound(path):
            return None
        number = 1
        while (kept := path.with_name(f"{path.stem}.damaged.{number}{path.suffix}")).exists():
            number += 1
        # The journal first: SQLite would play it into the new file.
        journal = path.with_name(f"{path.name}-journal")
        if journal.exists():
            journal.rename(kept.with_name(f"{kept.name}-journal"))
        path.rename(kept)
        return kept


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT)) as connection:
            return connection.execute("pragma quick_check").fetchall() == [("ok",)]
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode & 0xFF not in _DAMAGED
