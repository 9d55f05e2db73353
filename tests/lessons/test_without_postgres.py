"""Does a learner whose machine has no PostgreSQL get through each lesson?"""

import nbformat
import pytest
from conventions import PROJECT, lesson_names

from course_lib._build_run import execute
from course_lib.build import Course, staged

NEEDS = "# needs PostgreSQL"


@pytest.mark.parametrize("name", lesson_names())
def test_only_the_cells_that_need_it_are_skipped(name: str) -> None:
    """No cell fails, one line says what is missing and how to get it, and each skipped cell says so."""
    notebook = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)
    with staged(Course(PROJECT / "lessons")) as (folder, environment):
        environment["COURSE_POSTGRES_BIN"] = str(folder / "no such folder")
        execute(notebook, folder, environment)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    skipped = [cell for cell in code if cell.source.startswith(NEEDS)]
    for cell in skipped:
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert printed == "Skipped: this cell needs PostgreSQL.\n"
    said = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert not skipped or f"cells that begin with '{NEEDS}' are skipped" in said
