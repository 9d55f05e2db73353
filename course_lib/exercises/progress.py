"""What the learner has tried and solved: an append-only log in a small SQLite file, kept with SQLModel on aiosqlite."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import registry
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.folders import data_folder


class _Base(SQLModel, registry=registry()):
    """A registry of its own: a lesson that clears ``SQLModel.metadata`` does not touch progress."""


class Attempt(_Base, table=True):
    """One run of a check that was more than looking: the starter untouched is not recorded."""

    id: int | None = Field(default=None, primary_key=True)
    exercise: str
    status: str
    misconception: str | None = None
    at: str


class Guess(_Base, table=True):
    """One recorded prediction."""

    id: int | None = Field(default=None, primary_key=True)
    question: str
    answer: str
    at: str


@dataclass(frozen=True)
class Standing:
    """Where a learner stands with one exercise.

    Args:
        exercise: the exercise's id.
        tries: how many checks were run on an attempted answer.
        solved: whether one of them was correct.
    """

    exercise: str
    tries: int
    solved: bool


_told: set[str] = set()
# A writer waits for another one this long, in seconds; each holds the file for a few milliseconds.
_WAIT = 30


def file() -> str:
    """The path of the progress file; it may not exist yet."""
    return str(data_folder() / "progress.sqlite")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@lru_cache
def _engine(path: str) -> AsyncEngine:
    # NullPool: the file is open only while it is used, and no event loop is remembered. The engine itself remembers
    # the statements that it has compiled.
    return create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool, connect_args={"timeout": _WAIT})


@asynccontextmanager
async def _session() -> AsyncIterator[AsyncSession]:
    data_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    async with _engine(file()).connect() as connection:
        for table in _Base.metadata.sorted_tables:
            # Not create_all: it looks first and creates then, and two lessons may do so at once.
            await connection.execute(CreateTable(table, if_not_exists=True))
        await connection.commit()
        async with AsyncSession(bind=connection) as session:
            yield session


async def _keep(entry: _Base) -> str:
    try:
        async with _session() as session:
            session.add(entry)
            await session.commit()
    except (OSError, SQLAlchemyError) as error:
        folder = str(data_folder())
        if folder in _told:
            return ""
        _told.add(folder)
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else "the progress file can't be written"
        )
        return f"Your progress is not saved ({reason}). Set COURSE_HOME to a folder that you can write to keep it."
    return ""


async def record(exercise: str, status: str, misconception: str | None) -> str:
    """Keep the result of one check. An untouched starter is not an attempt and is not kept.

    Args:
        exercise: the exercise's id.
        status: the outcome's status.
        misconception: the misunderstanding that was recognised, or None.

    Returns:
        "" when it was kept, else one line that says why not; said once for each folder, not at each check.
    """
    if status in ("not_attempted", "checker_error"):
        return ""
    return await _keep(Attempt(exercise=exercise, status=status, misconception=misconception, at=_now()))


async def record_guess(question: str, answer: str) -> str:
    """Keep a prediction.

    Args:
        question: what was asked.
        answer: what the learner guessed.

    Returns:
        "" when it was kept, else one line that says why not.
    """
    return await _keep(Guess(question=question, answer=answer, at=_now()))


async def standings() -> dict[str, Standing]:
    """Where the learner stands: one entry for each exercise that was tried, by its id.

    Returns:
        An empty dictionary where nothing was kept yet or the file can't be read.
    """
    if not os.path.exists(file()):  # noqa: ASYNC240, PTH110 - a look at a local folder
        return {}
    try:
        async with _session() as session:
            attempts = (await session.exec(select(Attempt))).all()
    except (OSError, SQLAlchemyError):
        return {}
    found: dict[str, Standing] = {}
    for attempt in attempts:
        before = found.get(attempt.exercise, Standing(attempt.exercise, 0, False))
        solved = before.solved or attempt.status == "correct"
        found[attempt.exercise] = Standing(attempt.exercise, before.tries + 1, solved)
    return found
