"""Export, import and reset: is nothing lost, nothing doubled, and a bad file refused with its reason?"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from course_lib.exercises import progress, transfer
from course_lib.exercises.transfer import TransferError, export, merge, read_document, reset


async def tried(*exercises: str, status: str = "correct") -> None:
    for each in exercises:
        assert await progress.record(each, status, None) == ""


async def exported() -> bytes:
    return (await export())[0].encode()


async def test_there_and_back(course_home: Path) -> None:
    """Another machine: everything arrives, in order; a second import adds nothing."""
    await tried("02.1", "02.2", status="not_yet")
    await tried("02.1")
    await progress.record_guess("Wie viele? — “ten”", "0")
    data = await exported()
    (course_home / "progress.sqlite").unlink()
    done = await merge(read_document(data))
    assert (done.added, done.known, done.note) == (4, 0, "") and await exported() == data
    assert (await progress.standings())["02.1"].solved
    assert (await merge(read_document(data))).added == 0 and await exported() == data


async def test_equal_entries_are_merged_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checks of the same kind in one moment are two; imported where one is there, one is added."""
    monkeypatch.setattr(progress, "_now", lambda: "2031-05-04T10:20:30.400+00:00")
    await tried("02.1")
    one = await exported()
    await tried("02.1")
    two = await exported()
    await reset(None)
    assert [(await merge(read_document(data))).added for data in (one, two, one, two)] == [1, 1, 0, 0]
    assert (await progress.standings())["02.1"].tries == 2


async def test_imports_at_once_add_once() -> None:
    await tried(*(f"03.{number}" for number in range(1, 9)))
    data = await exported()
    await reset(None)
    done = await asyncio.gather(*(merge(read_document(data)) for _ in range(8)))
    assert sum(each.added for each in done) == 8 and len(await progress.standings()) == 8


async def test_reset_keeps_everything_in_a_file(course_home: Path) -> None:
    """One exercise, then all: each leaves a file that brings back what was there, under a new name each time."""
    await tried("02.1", "02.2")
    await progress.record_guess("How many?", "0")
    before = await exported()
    first = await reset(["02.1"])
    assert (first.exercises, first.entries) == (("02.1",), 1) and list(await progress.standings()) == ["02.2"]
    second = await reset(None)
    assert (second.exercises, second.entries) == (("02.2",), 2) and await progress.standings() == {}
    assert [each.backup and each.backup.name for each in (first, second)] == [
        "progress.before-reset.1.json",
        "progress.before-reset.2.json",
    ]
    assert first.backup is not None and first.backup.read_bytes() == before
    await merge(read_document(first.backup.read_bytes()))
    assert sorted(await progress.standings()) == ["02.1", "02.2"]


async def test_reset_of_nothing_leaves_no_file(course_home: Path) -> None:
    assert (await reset(None)).backup is None and not course_home.exists()
    await tried("02.1")
    assert (await reset(["02.2"])).entries == 0
    assert [each.name for each in course_home.iterdir()] == ["progress.sqlite"]


async def test_reset_that_cannot_write_its_file_takes_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    await tried("02.1")

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "write_new", full)
    with pytest.raises(OSError, match="No space"):
        await reset(None)
    assert (await progress.standings())["02.1"].solved


async def test_reset_while_others_write(course_home: Path) -> None:
    """What is checked meanwhile is either in the backup or in the log, never in neither."""
    names = [f"04.{number}" for number in range(1, 21)]
    *_, done = await asyncio.gather(*(progress.record(each, "correct", None) for each in names), reset(None))
    saved = json.loads(done.backup.read_text())["attempts"] if done.backup else []
    assert sorted([*(each["exercise"] for each in saved), *await progress.standings()]) == sorted(names)


def changed(**fields: Any) -> bytes:
    """An export with one attempt, some of whose fields, or of the whole's, are others."""
    attempt = {"exercise": "02.1", "status": "correct", "misconception": None, "at": "2031-05-04T10:20:30+00:00"}
    whole = {"format": transfer.FORMAT, "version": 1, "attempts": [attempt], "guesses": []}
    for name, value in fields.items():
        (whole if name in whole else attempt)[name] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe\xfa", "no text in UTF-8|no JSON"),
        (b"[" * 100_000, "nested too deeply|no JSON"),
        (b"[]", 'no "format"'),
        (b'{"cells": []}', 'no "format"'),
        (changed(version=2), "a later course wrote it .version 2, this one reads 1."),
        (changed(version="1"), "version: Input should be 1"),
        (changed(attempts=3), "attempts: Input should be a valid list"),
        (changed(exercise="2.1"), "attempts, entry 1, exercise: String should match"),
        (changed(status="not_attempted"), "attempts, entry 1, status: Input should be 'correct'"),
        (changed(misconception="x" * 1001), "misconception: String should have at most 1000"),
        (changed(misconception="\ud800"), "misconception: Input should be a valid string"),
        (changed(at="yesterday"), "at: Value error, should be a time such as"),
        (changed(at="2031-05-04T10:20:30"), "should say its offset"),
        (changed(more=1), "attempts, entry 1, more: Extra inputs are not permitted"),
        (changed(attempts=[{}, {}]), "entry 1, exercise: Field required; .* and 5 more like these"),
        (changed(guesses=[{"question": 1, "answer": "a", "at": "2031-05-04T10:20:30Z"}]), "guesses, entry 1, question"),
    ],
)
def test_a_bad_file_is_refused_with_its_reason(data: bytes, says: str) -> None:
    with pytest.raises(TransferError, match=says):
        read_document(data)


def test_a_good_file_is_read() -> None:
    assert len(read_document(changed()).attempts) == 1
