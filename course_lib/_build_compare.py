"""Comparing the stored notebooks with a fresh conversion of the lessons, nothing executed."""

from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_lib._build_source import Folder, Source, convert, lesson_files, read_source

FOLDERS: tuple[Folder, ...] = ("solutions", "notebooks")
MAX_BYTES = 500_000


@dataclass(frozen=True)
class Course:
    """Where the lessons are; the built folders stand beside them.

    Args:
        lessons: The folder of the Markdown files.
    """

    lessons: Path

    @property
    def root(self) -> Path:
        """The folder that holds lessons/, solutions/ and notebooks/."""
        return self.lessons.resolve().parent

    def built(self, folder: Folder, lesson: Path) -> Path:
        """Return where the notebook of a lesson's Markdown file belongs."""
        return self.root / folder / f"{lesson.stem}.ipynb"

    def fresh(self, lesson: Path) -> tuple[Source, dict[Folder, NotebookNode]]:
        """Convert a lesson without executing it.

        Raises:
            BuildError: the lesson does not keep to the conventions.
        """
        files = lesson_files(self.lessons)
        at = files.index(lesson)
        previous = files[at - 1] if at else None
        following = files[at + 1] if at + 1 < len(files) else None
        source = read_source(lesson)
        return source, {folder: convert(source, folder, previous, following) for folder in FOLDERS}


def read_notebook(path: Path) -> NotebookNode | None:
    """Return a stored notebook, or None when there is none or the file is broken."""
    try:
        notebook: NotebookNode = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError):
        return None
    return notebook


def differences(course: Course, lesson: Path) -> list[str]:
    """Return how a lesson's stored notebooks differ from a fresh conversion; empty when they don't.

    Nothing is executed. Outputs are not compared, but have to be there in solutions/ and absent in notebooks/.

    Raises:
        BuildError: the lesson does not keep to the conventions.
    """
    _, fresh = course.fresh(lesson)
    found = []
    for folder in FOLDERS:
        path = course.built(folder, lesson)
        name = f"{folder}/{path.name}"
        if not path.is_file():
            found.append(f"{name} is not there.")
            continue
        stored = read_notebook(path)
        if stored is None:
            found.append(f"{name} is not a notebook.")
            continue
        if path.stat().st_size > MAX_BYTES:
            found.append(f"{name} is larger than {MAX_BYTES // 1000} kB.")
        if difference := _first_difference(stored, fresh[folder], executed=folder == "solutions"):
            found.append(f"{name}: {difference}")
    return found


def strays(course: Course) -> list[str]:
    """Return the built notebooks that have no lesson, as messages."""
    names = {path.stem for path in lesson_files(course.lessons)}
    return [
        f"{folder}/{path.name} has no lesson. Delete it, or add lessons/{path.stem}.md."
        for folder in FOLDERS
        for path in sorted((course.root / folder).glob("*.ipynb"))
        if path.stem not in names
    ]


def _first_difference(stored: NotebookNode, fresh: NotebookNode, *, executed: bool) -> str | None:
    for number, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=False), start=1):
        for key in ("cell_type", "source", "id", "metadata"):
            if old.get(key) != new.get(key):
                begin = new.source.strip().partition("\n")[0][:60]
                return f"the {key} of cell {number} ({begin!r}) is not that of the lesson."
        if old.cell_type != "code":
            continue
        if any(output.output_type == "error" for output in old.outputs):
            return f"cell {number} holds an error."
        if executed and old.execution_count is None:
            return f"cell {number} was never executed."
        if not executed and (old.outputs or old.execution_count is not None):
            return f"cell {number} holds an output or an execution count."
    if len(stored.cells) != len(fresh.cells):
        return f"it has {len(stored.cells)} cells, the lesson {len(fresh.cells)}."
    if (stored.metadata, stored.nbformat) != (fresh.metadata, fresh.nbformat):
        return "the notebook's metadata is not what a build writes."
    return None
