"""Does the board show every lesson, what is solved in it, and what comes next?"""

import json
import re
from pathlib import Path

import pytest

from course_lib.board import board
from course_lib.exercises.progress import record
from course_lib.lessons import lessons


def notebook(title: str, *exercises: str, minutes: int | None = 10) -> str:
    """The text of a small lesson's notebook."""
    time = f"\n\n**Time:** {minutes} minutes" if minutes else ""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": f"# {title}{time}"}]
    cells += [
        {"cell_type": "code", "metadata": {"exercise": each, "role": "check"}, "source": "1"} for each in exercises
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of three lessons."""
    folder = tmp_path / "course" / "notebooks"
    folder.mkdir(parents=True)
    (folder / "00_first.ipynb").write_text(notebook("First <steps>", "00.1"))
    (folder / "01_second.ipynb").write_text(notebook("Second", "01.1", "01.2", minutes=25))
    (folder / "02_third.ipynb").write_text(notebook("Third", minutes=None))
    monkeypatch.setenv("COURSE_ROOT", str(folder.parent))
    return folder.parent


@pytest.mark.usefixtures("root")
async def test_nothing_done_yet() -> None:
    """At the beginning: is the first exercise what comes next?"""
    shown = await board()
    assert [(row.name, row.minutes, row.solved, row.tried, row.total) for row in shown.rows] == [
        ("00 First <steps>", 10, 0, 0, 1),
        ("01 Second", 25, 0, 0, 2),
        ("02 Third", None, 0, 0, 0),
    ]
    assert shown.summary == "0 of 3 exercises solved. Next: exercise 00.1 in lesson 00 First <steps>."
    assert [row.sign for row in shown.rows] == ["", "", ""]


@pytest.mark.usefixtures("root")
async def test_some_done() -> None:
    """Solved and tried are told apart, and the next one is the first that is not solved."""
    for exercise, status in (("00.1", "not_yet"), ("00.1", "correct"), ("01.1", "correct"), ("01.2", "error")):
        await record(exercise, status, None)
    shown = await board()
    assert [row.standing for row in shown.rows] == ["1 of 1 solved", "1 of 2 solved, 2 tried", "0 of 0 solved"]
    assert [row.sign for row in shown.rows] == ["✔ done", "✎ begun", ""]
    assert shown.summary == "2 of 3 exercises solved. Next: exercise 01.2 in lesson 01 Second."
    assert re.search(r"01 Second +25 +1 of 2 solved, 2 tried +✎ begun", repr(shown))
    assert shown.as_dict()["next"] == {"exercise": "01.2", "notebook": "01_second.ipynb"}


@pytest.mark.usefixtures("root")
async def test_all_done() -> None:
    """At the end: is there nothing next?"""
    for exercise in ("00.1", "01.1", "01.2"):
        await record(exercise, "correct", None)
    shown = await board()
    assert shown.following is None and shown.summary == "3 of 3 exercises solved. Nothing is left to solve."
    assert shown.as_dict()["next"] is None


@pytest.mark.usefixtures("root")
async def test_links_to_the_lessons() -> None:
    """In a notebook: does each title lead to the lesson beside it, escaped?"""
    shown = (await board())._repr_html_()
    assert "<a href='00_first.ipynb'>00 First &lt;steps&gt;</a>" in shown
    assert "<a href='01_second.ipynb'>01 Second</a>" in shown


async def test_objectives(root: Path) -> None:
    """An objective counts when all of its exercises are solved; both of the list's ways to name them are read."""
    path = root / "notebooks" / "01_second.ipynb"
    learn = "## What you will learn\n\n- Do `one` thing (exercise 01.1)\n- Do both, in a line\n  that goes on "
    title = f"Second\n\n{learn}(exercises 01.1, 01.2)\n\n## Next\n\n- no objective (exercise 01.2)"
    path.write_text(notebook(title, "01.1", "01.2"))
    await record("01.1", "correct", None)
    shown = await board()
    assert [(goal.text, goal.exercises, goal.sign) for goal in shown.rows[1].goals] == [
        ("Do `one` thing", "01.1", "✔ reached"),
        ("Do both, in a line that goes on", "01.1, 01.2", "✎ begun"),
    ]
    assert shown.summary.startswith("1 of 3 exercises solved, 1 of 2 objectives reached. Next: exercise 00.1")


async def test_the_course_s_own_objectives() -> None:
    """Is no line of any lesson's list missed: as many as it has bullets, and each exercise proves one?"""
    for lesson in lessons():
        first = json.loads(lesson.path.read_text())["cells"][0]["source"]
        listed = "".join(first).partition("## What you will learn\n")[2].partition("\n## ")[0]
        assert len(lesson.objectives) == len(re.findall(r"^- ", listed, re.M)) > 0
        assert {each for objective in lesson.objectives for each in objective.exercises} == set(lesson.exercises)


async def test_no_lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without lessons: is it said what is wrong?"""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="holds no lesson"):
        await board()
