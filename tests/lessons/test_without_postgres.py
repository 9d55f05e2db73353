"""Does a learner whose machine has no PostgreSQL, or no PgBouncer, get through each lesson?"""

import nbformat
import pytest
from conventions import PROJECT, lesson_names

from course_lib._build_run import execute
from course_lib.build import Course, staged

#: The comment that begins a cell, and the variable that hides the program.
HIDDEN = {"PostgreSQL": "COURSE_POSTGRES_BIN", "PgBouncer": "COURSE_PGBOUNCER_BIN"}


def needing(program: str) -> list[str]:
    """The lessons to try without a program: all without PostgreSQL, and those that need PgBouncer without it."""
    names = lesson_names()
    if program == "PostgreSQL":
        return names
    return [name for name in names if f"# needs {program}" in (PROJECT / "lessons" / f"{name}.md").read_text()]


CASES = [(program, name) for program in HIDDEN for name in needing(program)]


@pytest.mark.parametrize(("program", "name"), CASES, ids=[f"{name} without {program}" for program, name in CASES])
def test_only_the_cells_that_need_it_are_skipped(program: str, name: str) -> None:
    """No cell fails, one line says what is missing and how to get it, and each skipped cell says so."""
    notebook = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)
    with staged(Course(PROJECT / "lessons")) as (folder, environment):
        environment[HIDDEN[program]] = str(folder / "no such folder")
        execute(notebook, folder, environment)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    skipped = [cell for cell in code if cell.source.startswith(f"# needs {program}")]
    for cell in skipped:
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert printed == f"Skipped: this cell needs {program}.\n"
    said = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert not skipped or f"cells that begin with '# needs {program}' are skipped" in said
