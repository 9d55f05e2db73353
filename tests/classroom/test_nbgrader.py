"""nbgrader's own commands on the lessons: does each exercise earn its point, and only where the answer is right?"""

import ast
import getpass
import importlib
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from bank import answers
from nbgrader_class import (
    PAGE_LESSON,
    Class,
    exercise_cells,
    page_blocks,
    read,
    read_notebook,
    solved,
    without_check,
    write_answers,
)
from packaging.requirements import Requirement

from course_lib.exercises.core import Exercise
from course_lib.lessons import Lesson, lessons

LESSONS = lessons()
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.name for lesson in LESSONS])

# Put below a right answer: it warns, logs, and writes to stderr in each way that reaches a notebook.
CHATTER = """
import functools, logging, os, sys, warnings

def chatty(function):
    @functools.wraps(function)
    def talks(*words, **named):
        warnings.warn("this way is slow", stacklevel=2)
        print("on stderr", file=sys.stderr)
        os.write(2, b"from a server\\n")
        logging.getLogger("answer").error("in the log")
        return function(*words, **named)
    return talks

{name} = chatty({name})
"""
# Put above a wrong answer: what tells that a grader runs it is gone.
FORGETS = "import os\n\nos.environ.clear()\n"


def bank_answer(lesson: Lesson, identity: str, status: str) -> str:
    """Return the first answer of the answer bank that has to get this verdict."""
    module = lesson.name.partition("_")[2]
    exercise = getattr(importlib.import_module(f"course_lib.exercises.{module}"), f"q{identity.partition('.')[2]}")
    assert isinstance(exercise, Exercise)
    return next(answer.source for answer in answers(module, exercise) if answer.status == status)


@pytest.mark.parametrize("folder", ["notebooks", "solutions"])
@each_lesson
def test_the_metadata_is_what_nbgrader_wants(lesson: Lesson, folder: str) -> None:
    """Is each check a locked cell worth one point, and each answer a cell that nbgrader leaves alone?"""
    from nbgrader.nbgraderformat import MetadataValidator  # takes as long to import as the rest of the file to run

    notebook = read(folder, lesson.name)
    MetadataValidator().validate_nb(notebook)
    marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert marked == list(exercise_cells(notebook).values())
    answer = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
    check = answer | {"grade": True, "locked": True, "points": 1}
    for cell in marked:
        is_check = cell.metadata.role == "check"
        assert cell.metadata.nbgrader == (check | {"grade_id": cell.id} if is_check else answer)
    ids = [f"check-{identity.replace('.', '-')}" for identity in lesson.exercises]
    assert [cell.id for cell in marked if cell.metadata.nbgrader.grade] == ids


def test_the_page_installs_what_nbgrader_needs() -> None:
    assert page_blocks("Set up")[0] == 'make env\n.venv/bin/python -m pip install -e ".[classroom]"\n'
    wanted = [Requirement(line) for line in requires("async-database-course") or ()]
    assert "nbgrader" in [each.name for each in wanted if each.marker and each.marker.evaluate({"extra": "classroom"})]


def test_the_course_needs_no_nbgrader() -> None:
    """Does a learner's install, which lacks the extra, import the build, the checks and the command?"""
    without = "import sys; sys.modules['nbgrader'] = None"
    code = f"{without}; import course_lib.build, course_lib.exercises.url_conversion"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Class:
    """A class to which every lesson was released."""
    made = Class(tmp_path_factory.mktemp("clone"))
    made.set_up()
    generate, release = page_blocks("Release")
    made.run(generate)
    made.run(release)
    return made


@pytest.mark.classroom
@each_lesson
def test_a_released_lesson_is_the_lesson(released: Class, lesson: Lesson) -> None:
    """Does every cell, starters too, come out of `nbgrader generate_assignment` as it went in?"""
    notebook = read_notebook(released.folder / "release" / lesson.name / f"{lesson.name}.ipynb")
    before = read("notebooks", lesson.name)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in before.cells]
    locked = [cell.id for cell in notebook.cells if not cell.metadata.get("editable", True)]
    assert locked == [f"check-{identity.replace('.', '-')}" for identity in lesson.exercises]


@pytest.mark.classroom
def test_from_release_to_grades(released: Class) -> None:
    """Do the commands of the page lead from a released lesson to feedback and grades that are right?"""
    lesson = next(lesson for lesson in LESSONS if lesson.name == PAGE_LESSON)
    right = solved(lesson.name)
    learner = released.clone / "learner"
    learner.mkdir()
    fetch_and_submit, collect = page_blocks("Hand in")
    fetch, submit = fetch_and_submit.splitlines()
    released.run(fetch, learner)
    given = {
        "02.1": right["02.1"] + CHATTER.format(name="get_async_database_url"),
        "02.3": FORGETS + bank_answer(lesson, "02.3", "not_yet"),
        "02.4": right["02.4"],
    }
    write_answers(learner / lesson.name / f"{lesson.name}.ipynb", given)
    released.run(submit, learner)
    released.run(collect)
    released.hand_in("solver", lesson.name, right)
    grade, feedback = page_blocks("Grade")
    released.run(grade)
    shutil.rmtree(released.folder / "feedback" / "solver")  # which did not come through the exchange
    released.run(feedback)

    name = getpass.getuser()
    assert released.points("solver", lesson.name) == dict.fromkeys(right, 1.0)
    assert released.points(name, lesson.name) == {"02.1": 1, "02.2": 0, "02.3": 0, "02.4": 1}
    assert released.exported(lesson.name) == {"solver": (4, 4), name: (2, 4)}
    cells = exercise_cells(read_notebook(released.folder / "autograded" / name / lesson.name / f"{lesson.name}.ipynb"))
    said = {identity: outputs_of(cell) for (identity, kind), cell in cells.items() if kind == "check"}
    for words in ("this way is slow", "on stderr", "from a server", "in the log"):
        assert words in said["02.1"], said["02.1"]
    assert said["02.2"].startswith("ℹ Not attempted yet\nExercise 02.2 is waiting")
    assert said["02.3"].startswith("✎ Not yet\n")
    page = (released.folder / "feedback" / name / lesson.name / f"{lesson.name}.html").read_text()
    assert "Exercise 02.4 is solved" in page
    assert "Traceback" not in said["02.3"]
    assert not list((released.clone / "home").glob("progress*"))  # the grader's own progress


def outputs_of(cell: dict[str, list[dict[str, object]]]) -> str:
    """Return the text of a cell's outputs."""
    parts = []
    for output in cell["outputs"]:
        data = output.get("data")
        parts.append(str(data["text/plain"]) if isinstance(data, dict) else str(output.get("text", "")))
        parts += [str(line) for line in output.get("traceback", [])]  # type: ignore[attr-defined]
    return "\n".join(filter(None, parts))


@pytest.mark.classroom
@each_lesson
def test_every_exercise_is_graded(released: Class, lesson: Lesson) -> None:
    """Do solutions earn all points, untouched notebooks none, and does a wrong answer cost its own exercise only?

    With the demonstrations. The whole bank goes through nbgrader in test_grade_class.
    """
    right = solved(lesson.name)
    classes = {"solver": (right, set(right)), "untouched": ({}, set())}
    for name, half in (("odd", lesson.exercises[::2]), ("even", lesson.exercises[1::2])):
        wrong = {identity: bank_answer(lesson, identity, "not_yet") for identity in half}
        if wrong:
            classes[f"wrong-{name}"] = (right | wrong, set(right) - set(wrong))
    for name, (given, _) in classes.items():
        released.hand_in(f"all-{name}", lesson.name, given)
    released.run(page_blocks("Grade")[0], lesson=lesson.name)
    found = {name: released.points(f"all-{name}", lesson.name) for name in classes}
    assert found == {
        name: {identity: float(identity in earned) for identity in right} for name, (_, earned) in classes.items()
    }
    for name, (_, earned) in classes.items():
        assert released.exported(lesson.name)[f"all-{name}"] == (len(earned), len(right))


@pytest.mark.classroom
def test_an_accident_costs_its_own_exercise(released: Class) -> None:
    """Is an answer stopped that never ends, in its check and in its own cell? Does a check cell count that is gone?"""
    lesson = LESSONS[1]
    right = solved(lesson.name)
    first, second = lesson.exercises
    endless = {
        "in-the-check": (second, "def installed_versions(names):\n    while True:\n        pass"),
        "in-its-cell": (first, "while True:\n    pass"),
    }
    for name, (identity, source) in endless.items():
        released.hand_in(name, lesson.name, right | {identity: source})
    released.hand_in("without-a-check", lesson.name, right)
    without_check(released.folder / "submitted" / "without-a-check" / lesson.name / f"{lesson.name}.ipynb", second)
    config = released.folder / "nbgrader_config.py"
    before = config.read_text()
    config.write_text(f"{before}c.Execute.timeout = 45  # 01.2 has 30 seconds\n")
    try:
        released.run(page_blocks("Grade")[0], lesson=lesson.name)
    finally:
        config.write_text(before)
    for name, (identity, _) in endless.items():
        assert released.points(name, lesson.name) == {each: float(each != identity) for each in right}
    assert released.points("without-a-check", lesson.name) == {first: 1.0, second: None}


@pytest.mark.classroom
def test_answers_in_files_are_those_of_the_submission(released: Class) -> None:
    """Are the files beside a notebook graded, and are they no one else's?"""
    lesson = LESSONS[12]
    files = {
        "work/database.py": ("12.1", "DATABASE_PY"),
        "work/relational-db-agent/SKILL.md": ("12.3", "SKILL_MD"),
    }
    right = solved(lesson.name)
    released.hand_in("files-given", lesson.name, {})
    for name, (identity, variable) in files.items():
        path = released.folder / "submitted" / "files-given" / lesson.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(constant(right[identity], variable))
    released.hand_in("files-missing", lesson.name, {})  # graded after the one above
    released.run(page_blocks("Grade")[0], lesson=lesson.name)
    assert released.points("files-given", lesson.name) == {"12.1": 1, "12.2": 0, "12.3": 1}
    assert released.points("files-missing", lesson.name) == dict.fromkeys(right, 0.0)


def constant(source: str, name: str) -> str:
    """Return the text that a cell assigns to a name."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"no cell assigns {name}")


@pytest.mark.classroom
def test_nbgrader_validates_a_learners_notebook(released: Class, tmp_path: Path) -> None:
    """Does the learner's own button "Validate" tell solved from unsolved?"""
    lesson = LESSONS[0]
    path = tmp_path / f"{lesson.name}.ipynb"
    path.write_bytes((released.folder / "release" / lesson.name / path.name).read_bytes())
    said = released.run(f"nbgrader validate {path.name}", tmp_path)
    assert "VALIDATION FAILED ON 1 CELL" in said
    assert "Exercise 00.1 is waiting" in said
    write_answers(path, solved(lesson.name))
    assert "Success! Your notebook passes all the tests." in released.run(f"nbgrader validate {path.name}", tmp_path)
