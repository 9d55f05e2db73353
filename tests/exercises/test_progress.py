"""Progress: is it kept, is none of it lost, and does a bad file or folder only cost a line?"""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.exercises import progress

WRITER = """
import asyncio, sys
from course_lib.exercises import progress

async def main(name, count):
    print("ready", flush=True)
    sys.stdin.readline()
    notes = await asyncio.gather(*(progress.record(name, "correct", str(each)) for each in range(count)))
    assert [note for note in notes if "damaged" not in note] == [""] * sum(not note for note in notes), notes

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def write_together(home: Path, processes: int, each: int) -> None:
    """Several processes, each with several writers at once, which begin at the same moment."""
    environment = {**os.environ, "COURSE_HOME": str(home)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, f"0{number}.1", str(each)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * processes


async def test_solved_stays_solved_after_a_later_wrong_try() -> None:
    for status in ("not_yet", "correct", "not_yet"):
        assert await progress.record("02.1", status, None) == ""
    standing = (await progress.standings())["02.1"]
    assert (standing.tries, standing.solved) == (3, True)


async def test_a_hundred_writers_at_once_lose_nothing() -> None:
    await asyncio.gather(*(progress.record(f"01.{number % 4}", "correct", None) for number in range(100)))
    assert sum(each.tries for each in (await progress.standings()).values()) == 100


async def test_a_hundred_writers_in_five_processes_lose_nothing(course_home: Path) -> None:
    """As lessons that check at the same moment, while this one reads; the file is not there yet when they begin."""
    writing = asyncio.create_task(asyncio.to_thread(write_together, course_home, 5, 20))
    seen = [0]
    while not writing.done():
        seen.append(sum(each.tries for each in (await progress.standings()).values()))
        await asyncio.sleep(0.01)
    await writing
    assert seen == sorted(seen)
    assert {name: each.tries for name, each in (await progress.standings()).items()} == {
        f"0{number}.1": 20 for number in range(5)
    }


async def test_writers_that_meet_a_damaged_file_set_it_aside_once(course_home: Path) -> None:
    """Five processes find the same damage at once: one sets the file aside, and none of the new entries is lost."""
    course_home.mkdir()
    (course_home / "progress.sqlite").write_text("no database" * 1000)
    await asyncio.to_thread(write_together, course_home, 5, 4)
    assert sum(each.tries for each in (await progress.standings()).values()) == 20
    assert [path.name for path in course_home.glob("*damaged*")] == ["progress.damaged.1.sqlite"]


async def test_a_killed_writer_leaves_a_file_that_works(course_home: Path) -> None:
    """SIGKILL in the middle of a transaction: its journal is rolled back, what was there before is there."""
    assert await progress.record("00.1", "correct", None) == ""
    code = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('pragma cache_size = 1')\n"
        "connection.execute('begin immediate')\n"
        "for each in range(2000):\n"
        "    connection.execute('insert into attempt (exercise, status, at) values (?, 1, 2)', ('09.9' * 50,))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = course_home / "progress.sqlite"
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode != 0
    assert path.with_name("progress.sqlite-journal").exists() and path.stat().st_size > 100_000
    assert await progress.record("00.2", "correct", None) == ""
    assert sorted(await progress.standings()) == ["00.1", "00.2"]


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


async def test_a_file_of_another_shape_costs_one_line_and_is_left_as_it_is(course_home: Path) -> None:
    """A sound database that somebody else made is not damaged: it is not touched."""
    course_home.mkdir()
    path = course_home / "progress.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("create table attempt (something text)")
    connection.close()
    assert "not saved" in await progress.record("00.1", "correct", None)
    found, note = await progress.look()
    assert found == {} and "can't be read" in note
    assert [each.name for each in course_home.iterdir()] == ["progress.sqlite"]


@pytest.mark.parametrize("by", ["a check", "a look"])
@pytest.mark.parametrize("cut", [0.0, 0.01, 0.5, 0.8], ids=lambda cut: f"cut at {cut:.0%}")
async def test_a_damaged_file_is_set_aside_with_a_line_that_says_where(course_home: Path, cut: float, by: str) -> None:
    """No database at all, or cut off anywhere: the check goes on, all bytes are kept, each time under a new name."""
    path = course_home / "progress.sqlite"
    for number in (1, 2):
        for _ in range(6):
            assert await progress.record("00.1", "correct", "a long misconception " * 200) == ""
        whole = path.read_bytes()
        damaged = whole[: int(len(whole) * cut)] if cut else b"not a database, but perhaps somebody's notes"
        path.write_bytes(damaged)
        path.with_name("progress.sqlite-journal").write_bytes(b"a journal of the old file")
        note = await progress.record("00.2", "correct", None) if by == "a check" else (await progress.look())[1]
        kept = course_home / f"progress.damaged.{number}.sqlite"
        assert str(kept) in note and "\n" not in note
        assert kept.read_bytes() == damaged
        assert await progress.record("00.3", "correct", None) == ""
        assert sorted(await progress.standings()) == (["00.2", "00.3"] if by == "a check" else ["00.3"])


async def test_a_file_that_lost_its_last_bytes_costs_nothing(course_home: Path) -> None:
    """SQLite takes what is missing of the last page for zeros: at most the last entries read oddly, and all goes on."""
    for _ in range(6):
        await progress.record("00.1", "correct", "a long misconception " * 200)
    path = course_home / "progress.sqlite"
    path.write_bytes(path.read_bytes()[:-10])
    assert await progress.record("00.2", "correct", None) == ""
    assert (await progress.standings())["00.2"].solved


async def test_a_damaged_file_in_a_folder_that_cannot_be_written_costs_a_line(
    course_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renaming fails, as where the folder is read-only (which does not hold root back)."""
    course_home.mkdir()
    (course_home / "progress.sqlite").write_text("no database" * 1000)

    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "rename", refuse)
    assert "not saved (Permission denied)" in await progress.record("00.1", "correct", None)
    assert "can't be read (Permission denied)" in (await progress.look())[1]


async def test_a_folder_with_signs_of_a_url_in_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "a?b#c%20d"
    monkeypatch.setattr("course_lib.exercises.progress.data_folder", lambda: home)
    assert await progress.record("00.1", "correct", None) == ""
    assert [each.name for each in home.iterdir()] == ["progress.sqlite"]


async def test_clearing_the_lessons_metadata_does_not_touch_progress() -> None:
    from sqlmodel import SQLModel

    kept = dict(SQLModel.metadata.tables)
    SQLModel.metadata.clear()
    try:
        await progress.record("00.1", "correct", None)
        assert "attempt" not in SQLModel.metadata.tables
        assert (await progress.standings())["00.1"].solved
    finally:
        for name, table in kept.items():  # other tests of this process need their models
            SQLModel.metadata._add_table(name, None, table)


async def test_a_guess_is_kept() -> None:
    assert await progress.record_guess("How many?", "0") == ""
    assert await progress.standings() == {}
