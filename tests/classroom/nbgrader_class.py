"""A class that is taught with nbgrader, by the commands that stand in INSTRUCTORS.md."""

import csv
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_lib.lessons import course_root

ROOT = Path(__file__).resolve().parents[2]
PAGE_LESSON = "02_url_conversion"


def page_blocks(heading: str) -> list[str]:
    """Return the commands below one of the headings of INSTRUCTORS.md, block by block."""
    sections = re.split(r"^## ", (ROOT / "INSTRUCTORS.md").read_text(), flags=re.M)
    section = next(text for text in sections if text.startswith(f"{heading}\n"))
    return re.findall(r"^```console\n(.+?)^```$", section, re.M | re.S)


def read(folder: str, name: str) -> NotebookNode:
    """Return a lesson's notebook from notebooks/ or solutions/."""
    return read_notebook(course_root() / folder / f"{name}.ipynb")


def read_notebook(path: Path) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def exercise_cells(notebook: NotebookNode) -> dict[tuple[str, str], NotebookNode]:
    """Return the cells of a notebook's exercises, by the exercise's id and "answer" or "check"."""
    return {
        (cell.metadata.exercise, "check" if cell.metadata.role == "check" else "answer"): cell
        for cell in notebook.cells
        if "exercise" in cell.metadata
    }


def solved(name: str) -> dict[str, str]:
    """Return the reference answers to a lesson's exercises, by exercise."""
    cells = exercise_cells(read("solutions", name))
    return {exercise: cell.source for (exercise, kind), cell in cells.items() if kind == "answer"}


@dataclass
class Class:
    """One class, in the folder `class` of a copy of the course, with an exchange and grade book of its own.

    Args:
        clone: an empty folder, which stands for the clone of the course.
    """

    clone: Path

    def __post_init__(self) -> None:
        (self.clone / "notebooks").symlink_to(course_root() / "notebooks")
        (self.clone / ".venv").symlink_to(sys.prefix)
        exchange, config = self.clone / "exchange", self.clone / "jupyter"
        exchange.mkdir()
        exchange.chmod(0o777)
        config.mkdir()
        (config / "nbgrader_config.py").write_text(f"c = get_config()\nc.Exchange.root = {str(exchange)!r}\n")

    @property
    def folder(self) -> Path:
        """Where the instructor works."""
        return self.clone / "class"

    def run(self, commands: str, folder: Path | None = None, lesson: str = PAGE_LESSON) -> str:
        """Run commands of the page, and return what they said.

        Args:
            commands: one block.
            folder: where; the class's folder if None.
            lesson: put in the place of the lesson that the page speaks of.

        Raises:
            AssertionError: a command failed.
        """
        removed = ("COURSE_WORK", "NBGRADER_EXECUTION", "PYTEST_CURRENT_TEST")
        environment = {name: value for name, value in os.environ.items() if name not in removed}
        environment |= {
            "COURSE_HOME": str(self.clone / "home"),
            "IPYTHONDIR": str(self.clone / "ipython"),
            "JUPYTER_CONFIG_DIR": str(self.clone / "jupyter"),
            "JUPYTER_DATA_DIR": str(self.clone / "jupyter"),
            # What `source .venv/bin/activate` does; nbgrader calls `alembic` by its name.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-ec", commands.replace(PAGE_LESSON, lesson)],
            cwd=folder or self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def set_up(self) -> None:
        """Do what stands under "Set up" once the environment is there."""
        _, folder, sources = page_blocks("Set up")
        self.run(folder, self.clone)
        self.run(sources)

    def grade(self, lesson: str) -> None:
        """Do what stands under "Grade", and once more where a kernel's port was taken: what is graded stays."""
        try:
            self.run(page_blocks("Grade")[0], lesson=lesson)
        except AssertionError as error:
            # Jupyter chooses a port before the kernel takes it; another program was quicker once in 200 submissions.
            if "Address already in use" not in str(error):
                raise
            self.run(page_blocks("Grade")[0], lesson=lesson)

    def hand_in(self, learner: str, lesson: str, answers: dict[str, str]) -> None:
        """Put a submission where `nbgrader collect` would: the released notebook with these answers, by exercise."""
        folder = self.folder / "submitted" / learner / lesson
        folder.mkdir(parents=True)
        released = self.folder / "release" / lesson / f"{lesson}.ipynb"
        (folder / released.name).write_bytes(released.read_bytes())
        write_answers(folder / released.name, answers)

    def points(self, learner: str, lesson: str) -> dict[str, float | None]:
        """Return a learner's points in a lesson, by exercise; None where nbgrader leaves it to the instructor."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}") as book:
            grades = book.find_submission_notebook(lesson, lesson, learner).grades
            found = {grade.name: None if grade.needs_manual_grade else float(grade.score) for grade in grades}
        return {name.removeprefix("check-").replace("-", "."): score for name, score in sorted(found.items())}

    def exported(self, lesson: str) -> dict[str, tuple[float, float]]:
        """Return each learner's score in a lesson and the highest possible one, as `nbgrader export` wrote them."""
        with (self.folder / "grades.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["assignment"] == lesson]
        return {row["student_id"]: (float(row["score"] or 0), float(row["max_score"])) for row in rows}


def write_answers(path: Path, answers: dict[str, str]) -> None:
    """Write answers, by exercise, into a learner's notebook."""
    notebook = read_notebook(path)
    cells = exercise_cells(notebook)
    for exercise, source in answers.items():
        cells[exercise, "answer"].source = source
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def without_check(path: Path, exercise: str) -> None:
    """Delete the check cell of an exercise from a learner's notebook."""
    notebook = read_notebook(path)
    gone = exercise_cells(notebook)[exercise, "check"]
    notebook.cells = [cell for cell in notebook.cells if cell is not gone]
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def without_demonstrations(path: Path) -> None:
    """Delete the cells of a learner's notebook that belong to no exercise, but for the first one: it imports."""
    notebook = read_notebook(path)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [first, *(cell for cell in exercise_cells(notebook).values() if cell is not first)]
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
