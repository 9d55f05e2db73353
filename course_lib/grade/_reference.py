"""The course's own notebooks, as grading needs them: exercises, check cells, points."""

import ast
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_lib.grade._refusals import exercise_imports
from course_lib.lessons import course_root

# What grades depend on, in course_lib.
_DECIDES = (
    "exercises/*.py",
    "grade/*.py",
    "servers/*.py",
    "servers/*.sh",
    "review/**/*.py",
    "pools/*.py",
    "*sandbox*.py",
    "urls.py",
    "_url_query.py",
    "work.py",
)


@dataclass(frozen=True)
class Question:
    """One exercise.

    Args:
        id: such as "02.1".
        title: what is asked, in a few words.
        module: the module of its check.
        name: its name there, such as "q1".
        takes: the names that its check takes from the notebook.
        points: what it is worth.
        seconds: the check's own time limit.
    """

    id: str
    title: str
    module: str
    name: str
    takes: tuple[str, ...]
    points: float
    seconds: float


@dataclass(frozen=True)
class LessonReference:
    """A lesson's notebook as it was handed out.

    Args:
        name: such as "02_url_conversion".
        questions: its exercises, in order.
        cells: source by cell id of all its code cells but the checks; answers hold the starter.
        imports: what its cells import from the course and from IPython, as "module:name".
    """

    name: str
    questions: tuple[Question, ...]
    cells: tuple[tuple[str, str], ...]
    imports: tuple[str, ...]


def source_of(cell: dict[str, Any]) -> str:
    """A cell's text; the format allows a text or a list of lines."""
    source = cell.get("source", "")
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


@lru_cache(maxsize=1)
def reference() -> dict[str, LessonReference]:
    """All lessons with exercises, by name.

    Raises:
        FileNotFoundError: the course's folder was not found.
    """
    found = {}
    for path in sorted((course_root() / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        lesson = _read(path)
        if lesson.questions:
            found[lesson.name] = lesson
    return found


def _read(path: Path) -> LessonReference:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    questions: list[Question] = []
    others: list[tuple[str, str]] = []
    imports: set[str] = set()
    for cell in cells:
        metadata, source = cell["metadata"], source_of(cell)
        if metadata.get("role") == "check":
            points = metadata.get("nbgrader", {}).get("points", 1)
            questions.append(_question(metadata["exercise"], source, float(points)))
        else:
            source = metadata.get("starter") or source
            others.append((cell["id"], source))
            imports.update(exercise_imports(source))
    return LessonReference(path.stem, tuple(questions), tuple(others), tuple(sorted(imports)))


def _question(exercise: str, check: str, points: float) -> Question:
    from importlib import import_module

    tree = ast.parse(check)
    imported = next(node for node in tree.body if isinstance(node, ast.ImportFrom))
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert imported.module is not None
    name = imported.names[0].name
    known = getattr(import_module(imported.module), name)
    takes = tuple(each.id for each in call.args if isinstance(each, ast.Name))
    assert len(takes) == len(call.args), f"the check of {exercise} takes more than names"
    return Question(exercise, known.title, imported.module, name, takes, points, known.seconds)


@lru_cache(maxsize=1)
def course_version() -> str:
    """A short mark that changes with the course's checks, its notebooks, and how they are graded."""
    package = Path(__file__).parents[1]
    parts = hashlib.sha256()
    files = [path for pattern in _DECIDES for path in package.glob(pattern)]
    for path in sorted([*files, *(course_root() / "notebooks").glob("[0-9][0-9]_*.ipynb")]):
        parts.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return parts.hexdigest()[:16]
