"""Are the stored notebooks those of the lessons, whole, and fit for nbval to mean something?"""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import nbformat
import pytest
from conventions import MINIMUM_LESSONS, PROJECT, SECRET_LINE, lesson_names
from nbformat import NotebookNode

import course_lib.exercises
from course_lib.build import MAX_BYTES, Course, differences, strays
from course_lib.exercises.core import Exercise
from course_lib.lessons import cell_source, lessons

EACH_LESSON = pytest.mark.parametrize("name", lesson_names())
NBVAL_COMMENT = re.compile(r"^\s*#+\s*(?:NBVAL_|PYTEST_VALIDATE_)", re.MULTILINE)


def read(folder: str, name: str) -> NotebookNode:
    return nbformat.read(PROJECT / folder / f"{name}.ipynb", as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def exercises_of(name: str) -> list[str]:
    return [cell.metadata.exercise for cell in read("solutions", name).cells if cell.metadata.get("role") == "check"]


def exercise_modules() -> dict[str, list[str]]:
    """The ids of q1, q2, … of each module in course_lib.exercises that has any."""
    found = {}
    for module in pkgutil.iter_modules(course_lib.exercises.__path__):
        members = vars(importlib.import_module(f"course_lib.exercises.{module.name}"))
        numbered = sorted((int(key[1:]), value) for key, value in members.items() if re.fullmatch(r"q\d+", key))
        if numbered:
            assert all(isinstance(value, Exercise) for _, value in numbered), module.name
            assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1)), module.name
            found[module.name] = [value.id for _, value in numbered]
    return found


def test_there_are_lessons() -> None:
    """Do the parametrised guards have something to guard, in all three folders alike?"""
    names = lesson_names()
    assert len(names) >= MINIMUM_LESSONS
    for folder in ("solutions", "notebooks"):
        assert sorted(path.stem for path in (PROJECT / folder).glob("*.ipynb")) == names
    assert [name[:2] for name in names] == [f"{number:02}" for number in range(len(names))]
    assert strays(Course(PROJECT / "lessons")) == []


def test_exercises_and_modules_match() -> None:
    """Does each exercise in a lesson have its object, and each object its cells?"""
    in_lessons = {name[3:]: exercises_of(name) for name in lesson_names()}
    modules = exercise_modules()
    assert len(modules) >= MINIMUM_LESSONS
    assert {name: ids for name, ids in in_lessons.items() if ids} == modules
    for identity in (identity for ids in modules.values() for identity in ids):
        for role in ("starter", "solution", "check"):
            assert cell_source(identity, role), f"{role} of {identity}"  # type: ignore[arg-type]


def test_the_library_sees_the_same_lessons() -> None:
    """Does course_lib.lessons read title, time and exercises of every lesson?"""
    found = lessons()
    assert [lesson.name for lesson in found] == lesson_names()
    assert all(lesson.minutes and lesson.title != lesson.name for lesson in found)
    assert [list(lesson.exercises) for lesson in found] == [exercises_of(name) for name in lesson_names()]


@EACH_LESSON
def test_equals_a_fresh_build(name: str) -> None:
    """Was the lesson built after its last change, and was no notebook edited by hand?"""
    assert differences(Course(PROJECT / "lessons"), PROJECT / "lessons" / f"{name}.md") == []


@EACH_LESSON
def test_has_content(name: str) -> None:
    """Are there cells, exercises and stored outputs, so that nbval's green means something?"""
    solution, notebook = read("solutions", name), read("notebooks", name)
    assert len(code_cells(solution)) == len(code_cells(notebook)) >= 3
    assert sum(cell.cell_type == "markdown" for cell in solution.cells) >= 3
    assert len(exercises_of(name)) >= 1
    assert sum(len(cell.outputs) for cell in code_cells(solution)) >= 1
    assert all(cell.execution_count for cell in code_cells(solution))
    assert not any(cell.outputs or cell.execution_count for cell in code_cells(notebook))
    checks = [cell for cell in code_cells(solution) if cell.metadata.get("role") == "check"]
    assert all(cell.outputs for cell in checks), "a check without a stored verdict"


@EACH_LESSON
@pytest.mark.parametrize("folder", ["solutions", "notebooks"])
def test_notebook_is_sound(folder: str, name: str) -> None:
    """Is it valid, small, of the python3 kernel, without stored errors or widget views?"""
    notebook = read(folder, name)
    nbformat.validate(notebook)
    assert (PROJECT / folder / f"{name}.ipynb").stat().st_size <= MAX_BYTES
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]


@EACH_LESSON
def test_nothing_hides_from_nbval(name: str) -> None:
    """Is every cell plain Python, compared, or else asserting what does not vary?"""
    for folder in ("solutions", "notebooks"):
        for number, cell in enumerate(code_cells(read(folder, name)), start=1):
            where = f"{folder}/{name}, code cell {number}"
            tree = compile(cell.source, where, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            tags = cell.metadata.get("tags", [])
            assert set(tags) <= {"nbval-ignore-output"}, where
            assert not NBVAL_COMMENT.search(cell.source), where
            if tags:
                assert any(isinstance(node, ast.Assert) for node in ast.walk(tree)), (
                    f"{where}: ignored, asserts nothing"
                )


@EACH_LESSON
def test_notebooks_do_not_give_the_answer(name: str) -> None:
    """Is no line of a solution left in what the learner opens, unless the lesson showed it before the exercise?"""
    cells = read("notebooks", name).cells
    for cell in read("solutions", name).cells:
        if cell.metadata.get("role") != "solution":
            continue
        at = next(i for i, other in enumerate(cells) if other.id == cell.id)
        shown = {line.strip() for other in cells[: at + 1] for line in other.source.splitlines()}
        below = {line.strip() for other in cells[at + 1 :] for line in other.source.splitlines()}
        kept = re.compile(r"(from|import|with|async with) ")
        answer = {line.strip() for line in cell.source.splitlines()}
        answer = {line for line in answer if len(line) > SECRET_LINE and not kept.match(line)} - shown
        assert answer & below == set(), cell.id
        assert cells[at].source != cell.source, f"{cell.id}: the starter is the solution"


def test_guards_read_this_project() -> None:
    """Do the guards and the library look at the same folder?"""
    assert Path(course_lib.exercises.__file__).resolve().is_relative_to(PROJECT)
