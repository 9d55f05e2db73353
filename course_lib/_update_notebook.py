"""Carrying what a learner wrote in a lesson's notebook over to a newer version of that lesson."""

import hashlib
import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

Cell = dict[str, Any]


class NotANotebookError(ValueError):
    """A file is no notebook in format 4: half saved, edited by hand, or something else."""


@dataclass
class Carried:
    """A new version of a lesson with what the learner wrote in the old one.

    Args:
        data: the notebook's file.
        answers: the exercises that have the learner's answer again.
        changed: those of them that the new version asks otherwise; the new starter stands below the answer.
        own: how many cells of the learner's own stand in it.
        edited: how many of the lesson's cells are as the learner changed them.
        left: what found no place in it, such as "the answer to 02.1".
    """

    data: bytes = b""
    answers: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    own: int = 0
    edited: int = 0
    left: list[str] = field(default_factory=list)


def carry_over(base: bytes, mine: bytes, theirs: bytes) -> Carried:
    """Return the new version of a lesson with a learner's answers, own cells, and changed cells of the lesson.

    Answers go by their exercise; where exercises were numbered anew, by the starter. Own cells go behind the cell that
    they followed. A cell of the lesson that the learner changed stays so unless the new version changed it as well.
    Outputs are those of the new version, which is to say none.

    Args:
        base: the lesson's file that the learner began with.
        mine: the learner's file.
        theirs: the new version's file.

    Raises:
        NotANotebookError: one of them is no notebook.
    """
    before, learner, notebook = _read(base)["cells"], _read(mine)["cells"], _read(theirs)
    cells: list[Cell] = notebook["cells"]
    origin = _pairs(learner, before)
    target = _pairs(before, cells) | _replaced(before, cells, _pairs(before, cells))
    done = Carried(data=theirs)
    behind: dict[int, list[Cell]] = {}
    _put_answers_back(before, learner, origin, cells, done, behind)
    anchor = -1
    for index, cell in enumerate(learner):
        if index in origin:
            anchor = origin[index]
            _keep_edit(cell, before[anchor], cells, target.get(anchor), done)
        elif _source(cell).strip():
            place = -1 if anchor < 0 else target.get(anchor)
            if place is None:
                done.left.append(_described(cell))
            else:
                behind.setdefault(place, []).append(cell)
                done.own += 1
    if done.answers or done.own or done.edited:
        notebook["cells"] = _with_own(cells, behind)
        # As nbformat writes it, so that a difference shows only what the learner wrote.
        text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        done.data = text.encode("utf-8", "surrogatepass")
    return done


def told(carried: Carried, renamed: str) -> str:
    """Return in a sentence what was carried over.

    Args:
        carried: what was.
        renamed: the notebook's new path, or "" if it has none.
    """
    parts = [f"is now {renamed}"] if renamed else []
    if carried.answers:
        parts.append(f"answers put back: {', '.join(carried.answers)}")
    if carried.changed:
        parts.append(f"asked otherwise now: {', '.join(carried.changed)} (the new starter stands below your answer)")
    if carried.own:
        parts.append(f"{_cells(carried.own)} of your own put back")
    if carried.edited:
        parts.append(f"{_cells(carried.edited)} kept with your changes")
    if carried.left:
        parts.append(f"only in the copy: {'; '.join(carried.left)}")
    return f"New version: {'; '.join(parts) or 'nothing of yours but outputs'}."


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number} cells"


def _put_answers_back(
    before: list[Cell],
    learner: list[Cell],
    origin: dict[int, int],
    cells: list[Cell],
    done: Carried,
    behind: dict[int, list[Cell]],
) -> None:
    new = {_exercise(cell): index for index, cell in enumerate(cells) if _is_answer(cell)}
    by_starter = {_source(cells[index]).strip(): index for index in new.values()}
    waiting = []
    taken: set[int] = set()
    for index, place in origin.items():
        starter = _source(before[place]).strip()
        if not _is_answer(before[place]) or _source(learner[index]).strip() in ("", starter):
            continue
        same = new.get(_exercise(before[place]))
        if same is None or _source(cells[same]).strip() != starter:
            same = by_starter.get(starter)
        if same is None or same in taken:
            waiting.append((index, place))
        else:
            taken.add(same)
            cells[same]["source"] = learner[index]["source"]
            done.answers.append(_exercise(cells[same]))
    for index, place in waiting:  # their exercises are asked otherwise now, or not at all
        exercise = _exercise(before[place])
        same = new.get(exercise)
        if same is None or same in taken:
            done.left.append(f"the answer to {exercise}")
            continue
        taken.add(same)
        behind.setdefault(same, []).append(_new_starter(exercise, _source(cells[same])))
        cells[same]["source"] = learner[index]["source"]
        done.answers.append(exercise)
        done.changed.append(exercise)
    done.answers.sort()


def _keep_edit(mine: Cell, base: Cell, cells: list[Cell], place: int | None, done: Carried) -> None:
    if _is_answer(base) or (_source(mine) == _source(base) and mine["cell_type"] == base["cell_type"]):
        return
    if place is None or (_source(cells[place]), cells[place]["cell_type"]) != (_source(base), base["cell_type"]):
        if place is None or _source(cells[place]) != _source(mine):
            done.left.append(_described(mine))
        return
    cells[place] = mine | {"id": cells[place]["id"], "metadata": cells[place].get("metadata", {})}
    if mine["cell_type"] == "code":
        cells[place] |= {"outputs": [], "execution_count": None}
    done.edited += 1


def _with_own(cells: list[Cell], behind: dict[int, list[Cell]]) -> list[Cell]:
    """The lesson's cells with the learner's between them, each with an id that no other cell has."""
    taken = {str(cell.get("id")) for cell in cells}
    merged: list[Cell] = []
    for index in range(-1, len(cells)):
        if index >= 0:
            merged.append(cells[index])
        for cell in behind.get(index, []):
            given = cell.get("id")
            if not isinstance(given, str) or given in taken:
                # Not random: a second run after an interruption writes the same file.
                given = (
                    f"own-{hashlib.sha256(f'{len(merged)} {_source(cell)}'.encode(errors='replace')).hexdigest()[:12]}"
                )
            taken.add(given)
            merged.append(cell | {"id": given, "metadata": cell.get("metadata", {})})
    return merged


def _pairs(ours: list[Cell], others: list[Cell]) -> dict[int, int]:
    """Which cell of one notebook is which of the other: by id, by exercise and role, by what it says."""
    found: dict[int, int] = {}
    keys: tuple[Callable[[Cell], Hashable], ...] = (
        lambda cell: str(cell["id"]) if "id" in cell else None,
        lambda cell: (_exercise(cell), str(cell["metadata"].get("role"))) if _exercise(cell) else None,
        lambda cell: (cell["cell_type"], _source(cell)) if _source(cell).strip() else None,
    )
    for key in keys:
        free: dict[Hashable, list[int]] = {}
        for index, cell in enumerate(others):
            if index not in found.values() and key(cell) is not None:
                free.setdefault(key(cell), []).append(index)
        for index, cell in enumerate(ours):
            if index not in found and free.get(key(cell)):
                found[index] = free[key(cell)].pop(0)
    return found


def _replaced(before: list[Cell], cells: list[Cell], known: dict[int, int]) -> dict[int, int]:
    """Cells that the new version wrote anew in their place: between the same neighbours, as many, of the same kinds."""
    marks: list[Hashable] = [
        ("same", known[index]) if index in known else ("old", index) for index in range(len(before))
    ]
    new: list[Hashable] = [("same" if index in known.values() else "new", index) for index in range(len(cells))]
    found: dict[int, int] = {}
    for name, a, b, c, d in SequenceMatcher(None, marks, new, autojunk=False).get_opcodes():
        kinds = [cell["cell_type"] for cell in before[a:b]], [cell["cell_type"] for cell in cells[c:d]]
        if name == "replace" and kinds[0] == kinds[1]:
            found |= {index: c + index - a for index in range(a, b) if index not in known}
    return found


def _read(data: bytes) -> dict[str, Any]:
    try:
        notebook = json.loads(data)
        cells = notebook["cells"]
        fine = notebook["nbformat"] == 4 and all(_is_cell(cell) for cell in cells)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        fine = False
    if not fine:
        raise NotANotebookError("It is no notebook in format 4.")
    assert isinstance(notebook, dict)
    return notebook


def _is_cell(cell: Any) -> bool:
    source = cell.setdefault("source", "")
    lines = isinstance(source, list) and all(isinstance(line, str) for line in source)
    metadata = isinstance(cell.setdefault("metadata", {}), dict)
    return metadata and cell["cell_type"] in ("code", "markdown", "raw") and (lines or isinstance(source, str))


def _source(cell: Cell) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _exercise(cell: Cell) -> str:
    return str(cell["metadata"].get("exercise", ""))


def _is_answer(cell: Cell) -> bool:
    return bool(_exercise(cell)) and cell["metadata"].get("role") == "starter"


def _new_starter(exercise: str, source: str) -> Cell:
    text = f"The course changed exercise {exercise}. Your answer stands above; this is the new starter:\n\n"
    return {
        "cell_type": "markdown",
        "id": f"starter-{exercise.replace('.', '-')}",
        "metadata": {},
        "source": f"{text}```python\n{source}\n```",
    }


def _described(cell: Cell) -> str:
    line = next(line.strip() for line in [*_source(cell).splitlines(), "(empty)"] if line.strip())
    return f"the cell that begins {line if len(line) <= 40 else line[:39] + '…'!r}"
