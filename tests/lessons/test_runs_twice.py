"""Can a learner run every cell twice in a row, with the answers in? Root conftest.py asks it of the untouched ones."""

from copy import deepcopy

import nbformat
import pytest
from conventions import PROJECT, lesson_names

from course_lib._build_run import execute
from course_lib.build import Course, staged


def test_there_are_notebooks() -> None:
    """Is there something to run?"""
    assert lesson_names()


@pytest.mark.slow_day
@pytest.mark.parametrize("name", lesson_names())
def test_each_cell_runs_twice(name: str) -> None:
    """Does each code cell succeed when it is run a second time right after the first?"""
    notebook = nbformat.read(PROJECT / "solutions" / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    notebook.cells = [deepcopy(cell) for cell in code for _ in range(2)]
    with staged(Course(PROJECT / "lessons")) as (folder, environment):
        execute(notebook, folder, environment)
    assert [cell.execution_count for cell in notebook.cells] == list(range(1, 2 * len(code) + 1))
