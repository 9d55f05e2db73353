"""What the course knows about its lessons: read from the notebooks themselves, by plain JSON."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Role = Literal["starter", "solution", "check"]

_NOTEBOOK = re.compile(r"(\d\d)_[a-z0-9_]+")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_TIME = re.compile(r"^\*\*Time:\*\* (\d+) minutes", re.MULTILINE)
_OBJECTIVES = re.compile(r"^## What you will learn\n((?:\n|[-* ].*\n?)+)", re.MULTILINE)
_OBJECTIVE = re.compile(r"^[-*] (.+(?:\n  .+)*?) \(exercises? ([\d., ]+)\)\.?$", re.MULTILINE)


@dataclass(frozen=True)
class Objective:
    """One line of a lesson's "What you will learn".

    Args:
        text: What a learner can do afterwards; code stands in backticks.
        exercises: The ids of the exercises that prove it.
    """

    text: str
    exercises: tuple[str, ...]


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Args:
        number: Its place in the course, from 0.
        name: The notebook's name without `.ipynb`, such as "02_url_conversion".
        title: The text of its H1.
        minutes: How long it takes, from the line `**Time:** 25 minutes`; None when it does not say.
        exercises: The ids of its exercises, such as "02.1", in order.
        path: The learner's notebook.
        objectives: What it teaches, in order.
    """

    number: int
    name: str
    title: str
    minutes: int | None
    exercises: tuple[str, ...]
    path: Path
    objectives: tuple[Objective, ...] = ()


def course_root() -> Path:
    """Return the folder that holds `notebooks/`.

    That is COURSE_ROOT if it is set, else the project this library was installed from, else the current folder or
    the nearest one above it.

    Raises:
        FileNotFoundError: there is none, with what to do.
    """
    if named := os.environ.get("COURSE_ROOT"):
        root = Path(named).expanduser()
        if (root / "notebooks").is_dir():
            return root
        raise FileNotFoundError(
            f"COURSE_ROOT is {named}, but that folder has no notebooks/. Set it to the course's folder, or unset it."
        )
    here = Path.cwd()
    for root in (Path(__file__).resolve().parent.parent, here, *here.parents):
        if (root / "notebooks").is_dir():
            return root
    raise FileNotFoundError(
        "The course's folder, the one with notebooks/ in it, was not found. Change to it, or set COURSE_ROOT to it."
    )


def lessons() -> list[Lesson]:
    """Return all lessons in order.

    Raises:
        FileNotFoundError: the course's folder was not found.
    """
    found = []
    for path in sorted((course_root() / "notebooks").glob("*.ipynb")):
        name = _NOTEBOOK.fullmatch(path.stem)
        if name is None:  # a learner's own notebook
            continue
        cells = _cells(path)
        first = next((_source(cell) for cell in cells if cell.get("cell_type") == "markdown"), "")
        title, time = _TITLE.search(first), _TIME.search(first)
        found.append(
            Lesson(
                number=int(name.group(1)),
                name=path.stem,
                title=title.group(1).strip() if title else path.stem,
                minutes=int(time.group(1)) if time else None,
                # A learner who pastes a copy of a check cell has its exercise twice; it stays one exercise.
                exercises=tuple(
                    dict.fromkeys(cell["metadata"]["exercise"] for cell in cells if _role(cell) == "check")
                ),
                path=path,
                objectives=_objectives(cells),
            )
        )
    return found


def cell_source(exercise_id: str, role: Role) -> str | None:
    """Return the source of one of an exercise's cells, as the built notebooks hold it.

    Args:
        exercise_id: Such as "02.1".
        role: "starter" and "check" are read from notebooks/, "solution" from solutions/. The starter is the one the
            lesson came with, also after the learner saved an answer in its place.

    Returns:
        The cell's source, or None when there is no such notebook or cell.

    Raises:
        FileNotFoundError: the course's folder was not found.
    """
    folder = course_root() / ("solutions" if role == "solution" else "notebooks")
    for path in sorted(folder.glob("*.ipynb")):
        if path.stem.partition("_")[0] == exercise_id.partition(".")[0]:
            for cell in _cells(path):
                if _role(cell) == role and cell["metadata"].get("exercise") == exercise_id:
                    # A learner who saved an answer has written over the starter; the metadata still holds it.
                    return str(cell["metadata"].get("starter") or _source(cell))
    return None


def _exercises(cells: list[dict[str, Any]]) -> tuple[str, ...]:
    # A learner who pastes a copy of a check cell has its exercise twice; it stays one exercise.
    return tuple(dict.fromkeys(cell["metadata"]["exercise"] for cell in cells if _role(cell) == "check"))


def _objectives(cells: list[dict[str, Any]]) -> tuple[Objective, ...]:
    for cell in cells:
        if cell.get("cell_type") == "markdown" and (found := _OBJECTIVES.search(_source(cell))):
            lines = _OBJECTIVE.findall(found.group(1))
            return tuple(Objective(" ".join(text.split()), tuple(ids.split(", "))) for text, ids in lines)
    return ()


def _cells(path: Path) -> list[dict[str, Any]]:
    """Return a notebook's cells; none when the file is not a notebook (half saved, or edited by hand)."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        return []
    return cells if isinstance(cells, list) else []


def _role(cell: dict[str, Any]) -> str | None:
    metadata = cell.get("metadata", {})
    return metadata.get("role") if "exercise" in metadata else None


def _source(cell: dict[str, Any]) -> str:
    """Return a cell's text; the format allows a string or a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)
