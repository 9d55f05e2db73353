"""What the learner has tried and solved: an append-only log in a small SQLite file, kept with SQLModel on aiosqlite."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib import graded
from course_lib.exercises._progress_file import Attempt, Base, Guess, using
from course_lib.folders import data_folder

T = TypeVar("T")


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


def file() -> str:
    """The path of the progress file; it may not exist yet."""
    return str(data_folder() / "progress.sqlite")


async def use_file(work: Callable[[AsyncSession], Awaitable[T]]) -> tuple[T, str]:
    """Do something with the progress file; see `using`, which says what it returns and raises."""
    return await using(Path(file()), work)


async def record(exercise: str, status: str, misconception: str | None) -> str:
    """Keep the result of one check. An untouched starter is not an attempt and is not kept.

    Args:
        exercise: the exercise's id.
        status: the outcome's status.
        misconception: the misunderstanding that was recognised, or None.

    Returns:
        "" when it was kept in the usual file, else one line: where a damaged file was set aside, or why it was not
        kept, which is said once for each folder and not at each check.
    """
    if status in ("not_attempted", "checker_error"):
        return ""
    return await _keep(lambda: Attempt(exercise=exercise, status=status, misconception=misconception, at=_now()))


async def record_guess(question: str, answer: str) -> str:
    """Keep a prediction.

    Args:
        question: what was asked.
        answer: what the learner guessed.

    Returns:
        As `record` does.
    """
    return await _keep(lambda: Guess(question=question, answer=answer, at=_now()))


async def look() -> tuple[dict[str, Standing], str]:
    """Where the learner stands, and what there is to say about the file.

    Returns:
        One entry for each exercise that was tried, by its id, none where nothing was kept yet; and "", or a line that
        says where a damaged file was set aside, or that the file can't be read.
    """
    if not Path(file()).exists():  # noqa: ASYNC240 - a look at a local folder
        return {}, ""
    try:
        attempts, note = await use_file(_attempts)
    except (OSError, SQLAlchemyError) as error:
        return {}, f"Your progress can't be read ({_reason(error, 'the file is no progress file of this course')})."
    found: dict[str, Standing] = {}
    for attempt in attempts:
        before = found.get(attempt.exercise, Standing(attempt.exercise, 0, False))
        solved = before.solved or attempt.status == "correct"
        found[attempt.exercise] = Standing(attempt.exercise, before.tries + 1, solved)
    return found, note


async def standings() -> dict[str, Standing]:
    """Where the learner stands: one entry for each exercise that was tried, by its id.

    Returns:
        An empty dictionary where nothing was kept yet or the file can't be read.
    """
    return (await look())[0]


async def _attempts(session: AsyncSession) -> list[Attempt]:
    return list(await session.exec(select(Attempt).order_by(col(Attempt.id))))


async def _keep(make: Callable[[], Base]) -> str:
    if graded.GRADED:  # it would be the grader's own progress
        return ""

    async def add(session: AsyncSession) -> None:
        session.add(make())  # a new one at each call: an object belongs to one session
        await session.commit()

    try:
        return (await use_file(add))[1]
    except (OSError, RuntimeError, SQLAlchemyError) as error:  # RuntimeError: a thread could not be started
        folder = str(data_folder())
        if folder in _told:
            return ""
        _told.add(folder)
        reason = _reason(error, "the progress file can't be written")
        return f"Your progress is not saved ({reason}). Set COURSE_HOME to a folder that you can write to keep it."


def _reason(error: Exception, otherwise: str) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else otherwise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
