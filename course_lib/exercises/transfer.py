"""Progress as JSON: to keep a copy, to carry it to another machine, and to begin again without losing anything."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises import progress
from course_lib.exercises._progress_file import Attempt, Guess, begin_writing

FORMAT = "async-database-course progress"
VERSION = 1


class TransferError(Exception):
    """A text is no exported progress; the message says where it goes wrong, and what to do."""


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("should be a time such as 2031-05-04T10:20:30+00:00") from None
    if moment.tzinfo is None:
        raise ValueError("should say its offset from UTC, such as +00:00")
    return text


Moment = Annotated[str, AfterValidator(_moment)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AttemptEntry(_Strict):
    """One check; the log's own number of it is left out, since it means nothing on another machine."""

    exercise: Annotated[str, Field(pattern=r"^\d\d\.\d{1,3}$")]
    status: Literal["correct", "not_yet", "error", "timed_out"]
    misconception: Annotated[str, Field(max_length=1000)] | None
    at: Moment


class GuessEntry(_Strict):
    """One prediction."""

    question: Annotated[str, Field(max_length=10_000)]
    answer: Annotated[str, Field(max_length=10_000)]
    at: Moment


class Document(_Strict):
    """Everything that is kept."""

    format: Literal["async-database-course progress"]
    version: Literal[1]
    attempts: list[AttemptEntry]
    guesses: list[GuessEntry]


@dataclass(frozen=True)
class Merged:
    """What an import did.

    Args:
        added: how many entries are new.
        known: how many were there already.
        note: "", or a line about a damaged file.
    """

    added: int
    known: int
    note: str


@dataclass(frozen=True)
class Removed:
    """What a reset did.

    Args:
        exercises: the ids of the exercises that are as if never tried.
        entries: how many entries were taken out of the log.
        backup: the file with everything that was kept before; None if there was nothing to take out.
        note: "", or a line about a damaged file.
    """

    exercises: tuple[str, ...]
    entries: int
    backup: Path | None
    note: str


def read_document(data: bytes) -> Document:
    """Return what an export holds.

    Args:
        data: its bytes.

    Raises:
        TransferError: it is no export of this course, or a later course wrote it.
    """
    try:
        raw = json.loads(data)
    except ValueError as error:
        said = f"no JSON ({error})" if not isinstance(error, UnicodeDecodeError) else "no text in UTF-8"
        raise TransferError(f"it is {said}. Give a file that `course progress export` wrote.") from None
    except RecursionError:
        raise TransferError("it is nested too deeply. Give a file that `course progress export` wrote.") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise TransferError(f'it has no "format": "{FORMAT}". Give a file that `course progress export` wrote.')
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise TransferError(
            f"a later course wrote it (version {version}, this one reads {VERSION}). `course update` first."
        )
    try:
        return Document.model_validate(raw)
    except ValidationError as error:
        found = [f"{_place(each['loc'])}: {each['msg']}" for each in error.errors()]
        more = f", and {len(found) - 3} more like these" if len(found) > 3 else ""
        raise TransferError(f"{'; '.join(found[:3])}{more}. Nothing was imported.") from None


async def export() -> tuple[str, int, str]:
    """Return everything that is kept as JSON, the number of its entries, and "" or a line about a damaged file.

    Raises:
        OSError: the folder can't be used.
        SQLAlchemyError: the file can't be read.
    """
    if not Path(progress.file()).exists():  # noqa: ASYNC240 - a look at a local folder
        return _as_json([], []), 0, ""
    (attempts, guesses), note = await progress.use_file(_everything)
    return _as_json(attempts, guesses), len(attempts) + len(guesses), note


async def merge(document: Document) -> Merged:
    """Add what is not there yet. Nothing that is there changes.

    Args:
        document: what to add. Its entries may be equal to each other: as many as it has of a kind are there afterwards.

    Raises:
        OSError: the folder can't be used.
        SQLAlchemyError: the file can't be written.
    """

    async def add(session: AsyncSession) -> int:
        await begin_writing(session)
        attempts, guesses = await _everything(session)
        missing = [Attempt(**each.model_dump()) for each in _missing(document.attempts, attempts)]
        missing_guesses = [Guess(**each.model_dump()) for each in _missing(document.guesses, guesses)]
        session.add_all([*missing, *missing_guesses])
        await session.commit()
        return len(missing) + len(missing_guesses)

    added, note = await progress.use_file(add)
    return Merged(added, len(document.attempts) + len(document.guesses) - added, note)


async def reset(exercises: Sequence[str] | None) -> Removed:
    """Begin again. What was kept is written to a numbered file before anything is taken out.

    Args:
        exercises: the ids of exercises; None for all of them and the predictions too.

    Raises:
        OSError: the folder can't be used, or the file with the copy can't be written; nothing is taken out then.
        SQLAlchemyError: the file can't be written.
    """
    if not Path(progress.file()).exists():  # noqa: ASYNC240 - a look at a local folder
        return Removed((), 0, None, "")

    async def remove(session: AsyncSession) -> tuple[tuple[str, ...], int, Path | None]:
        await begin_writing(session)
        attempts, guesses = await _everything(session)
        gone = [each for each in attempts if exercises is None or each.exercise in exercises]
        entries = len(gone) + (len(guesses) if exercises is None else 0)
        if not entries:
            return (), 0, None
        backup = _keep_copy(_as_json(attempts, guesses))
        await session.exec(delete(Attempt).where(col(Attempt.id).in_([each.id for each in gone])))
        if exercises is None:
            await session.exec(delete(Guess))
        await session.commit()
        return tuple(sorted({each.exercise for each in gone})), entries, backup

    removed, note = await progress.use_file(remove)
    return Removed(*removed, note)


async def _everything(session: AsyncSession) -> tuple[list[Attempt], list[Guess]]:
    attempts = list(await session.exec(select(Attempt).order_by(col(Attempt.id))))
    return attempts, list(await session.exec(select(Guess).order_by(col(Guess.id))))


def _missing(wanted: Iterable[AttemptEntry | GuessEntry], there: Iterable[Attempt | Guess]) -> list[BaseModel]:
    """The entries that are not there yet; of equal ones (two checks within a millisecond), as many as are missing."""
    known = Counter(tuple(sorted(each.model_dump(exclude={"id"}).items())) for each in there)
    missing: list[BaseModel] = []
    for entry in wanted:
        key = tuple(sorted(entry.model_dump().items()))
        if known[key]:
            known[key] -= 1
        else:
            missing.append(entry)
    return missing


def _as_json(attempts: Iterable[Attempt], guesses: Iterable[Guess]) -> str:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "attempts": [each.model_dump(exclude={"id"}) for each in attempts],
        "guesses": [each.model_dump(exclude={"id"}) for each in guesses],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _keep_copy(text: str) -> Path:
    number = 1
    while True:
        path = Path(progress.file()).with_name(f"progress.before-reset.{number}.json")
        try:
            write_new(path, text)
        except FileExistsError:
            number += 1
        else:
            return path


def write_new(path: Path, text: str) -> None:
    """Write a file that isn't there yet, whole or not at all.

    Raises:
        FileExistsError: something stands there.
        OSError: it can't be written.
    """
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _place(location: tuple[int | str, ...]) -> str:
    """Such as "attempts, entry 3, status"."""
    return ", ".join(f"entry {each + 1}" if isinstance(each, int) else each for each in location) or "the whole"
