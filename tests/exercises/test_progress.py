"""Progress: is it kept, is none of it lost, and does a read-only home only cost a line?"""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

from course_lib.exercises import progress


async def test_solved_stays_solved_after_a_later_wrong_try() -> None:
    for status in ("not_yet", "correct", "not_yet"):
        assert await progress.record("02.1", status, None) == ""
    standing = (await progress.standings())["02.1"]
    assert (standing.tries, standing.solved) == (3, True)


async def test_a_hundred_writers_at_once_lose_nothing() -> None:
    await asyncio.gather(*(progress.record(f"01.{number % 4}", "correct", None) for number in range(100)))
    assert sum(each.tries for each in (await progress.standings()).values()) == 100


async def test_several_processes_at_once_lose_nothing(course_home: Path) -> None:
    code = (
        "import asyncio\nfrom course_lib.exercises import progress\n"
        "async def main():\n"
        "    for _ in range(10):\n"
        "        assert await progress.record('00.1', 'correct', None) == ''\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "COURSE_HOME": str(course_home)}
    writers = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert (await progress.standings())["00.1"].tries == 30


async def test_the_folder_is_private(course_home: Path) -> None:
    await progress.record("00.1", "correct", None)
    assert stat.S_IMODE(course_home.stat().st_mode) == 0o700


async def test_a_folder_that_cannot_be_made_costs_one_line_once(course_home: Path) -> None:
    course_home.parent.mkdir(exist_ok=True)
    course_home.write_text("a file stands where the folder would be")
    first = await progress.record("00.1", "correct", None)
    assert "not saved" in first
    assert "COURSE_HOME" in first
    assert "\n" not in first
    assert await progress.record("00.1", "correct", None) == ""
    assert await progress.standings() == {}


async def test_a_damaged_file_costs_one_line_and_is_left_as_it_is(course_home: Path) -> None:
    course_home.mkdir()
    (course_home / "progress.sqlite").write_text("not a database, but perhaps somebody's notes")
    assert "not saved" in await progress.record("00.1", "correct", None)
    assert await progress.standings() == {}
    assert "somebody's notes" in (course_home / "progress.sqlite").read_text()


async def test_clearing_the_lessons_metadata_does_not_touch_progress() -> None:
    from sqlmodel import SQLModel

    SQLModel.metadata.clear()
    await progress.record("00.1", "correct", None)
    assert "attempt" not in SQLModel.metadata.tables
    assert (await progress.standings())["00.1"].solved


async def test_a_guess_is_kept() -> None:
    assert await progress.record_guess("How many?", "0") == ""
    assert await progress.standings() == {}
