"""Which cells of a learner's notebook an exercise needs: its answer, and the cells that define what the answer uses.

A notebook is a program whose cells run from top to bottom, so a name means what the last cell before its use made of
it. Demonstrations start servers and wait; an answer that uses nothing of them does not have to pay for them.
"""

import ast
import builtins
import itertools
import re
import symtable
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.grade._reference import LessonReference, Question, source_of

_LARGEST_CELL = 200_000  # characters; the longest answer of the course's own has under 10,000
_MAGIC = re.compile(r"^(\s*)(?:[%!?]|[\w.]+\?{1,2}\s*$).*$")
_BUILTINS = frozenset(vars(builtins)) | {"__name__", "__file__", "get_ipython", "display", "_", "__", "In", "Out"}


@dataclass(frozen=True)
class Cell:
    """A code cell of a submission.

    Args:
        place: where it stands in the notebook.
        source: its text, without what only IPython understands.
        exercise: the exercise that it is the answer of, or "".
        is_check: whether it is a check; these are not run, the course's own are.
        tree: its syntax tree; None when it is not Python.
        error: why it is not Python.
        binds: the names that it defines.
        uses: the names that it uses and does not define itself.
    """

    place: int
    source: str
    exercise: str = ""
    is_check: bool = False
    tree: ast.Module | None = None
    error: str = ""
    binds: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()


def read_cells(notebook: dict[str, Any]) -> list[Cell]:
    """The code cells of a notebook."""
    found = []
    for place, raw in enumerate(_raw_cells(notebook)):
        if not isinstance(raw, dict) or raw.get("cell_type") != "code":
            continue
        metadata = raw.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        role, exercise = metadata.get("role"), metadata.get("exercise")
        named = str(raw.get("id", ""))
        if not isinstance(exercise, str):
            by_id = re.fullmatch(r"(answer|check)-(\d\d)-(\d+)", named)
            if by_id:
                exercise, role = f"{by_id[2]}.{by_id[3]}", "starter" if by_id[1] == "answer" else "check"
        known = isinstance(exercise, str)
        is_check = known and role == "check"
        answers = exercise if known and not is_check else ""
        found.append(make_cell(place, source_of(raw) or _input_of(raw), str(answers), is_check, str(exercise or "")))
    return found


def _raw_cells(notebook: dict[str, Any]) -> list[Any]:
    cells = notebook.get("cells")
    if isinstance(cells, list):
        return cells
    # Version 3 of the format has worksheets.
    sheets = notebook.get("worksheets")
    found: list[Any] = []
    for sheet in sheets if isinstance(sheets, list) else ():
        if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list):
            found += sheet["cells"]
    return found


def _input_of(raw: dict[str, Any]) -> str:
    return source_of({"source": raw.get("input", "")})


def make_cell(place: int, source: str, answers: str = "", is_check: bool = False, exercise: str = "") -> Cell:
    """A cell of this source."""
    if is_check:
        return Cell(place, source, exercise, True)
    if len(source) > _LARGEST_CELL:
        return Cell(place, "", answers, error=f"the cell has {len(source):,} characters; {_LARGEST_CELL:,} are read")
    source = _without_magics(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a text of theirs is not our matter
            tree = ast.parse(source)
            compile(tree, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            binds, uses = _names(source, tree)
    except SyntaxError as error:
        return Cell(place, source, answers, error=f"SyntaxError: {error.msg} (line {error.lineno} of the cell)")
    except (ValueError, RecursionError, MemoryError, OverflowError, UnicodeError) as error:
        return Cell(place, source, answers, error=f"{type(error).__name__}: it can't be read as Python")
    return Cell(place, source, answers, tree=tree, binds=binds, uses=uses)


def _without_magics(source: str) -> str:
    lines = source.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%"):
        # What times or captures a cell runs it; what hands it to another program does not.
        keeps = first.split()[0] in ("%%time", "%%timeit", "%%capture", "%%prun")
        return "\n".join("" if line is first else line for line in lines) if keeps else ""
    if not any(_MAGIC.match(line) for line in lines):
        return source
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "\n".join(_MAGIC.sub(r"\1pass", line) for line in lines)
    return source


def _names(source: str, tree: ast.Module) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a cell binds at its top level, and those that it uses before it binds them, or without."""
    module = symtable.symtable(source, "<cell>", "exec")
    bound = {each.get_name() for each in module.get_symbols() if each.is_assigned() or each.is_imported()}
    used = {each.get_name() for each in module.get_symbols() if each.is_referenced()}
    scopes = list(module.get_children())
    for scope in scopes:
        scopes += scope.get_children()
        for each in scope.get_symbols():
            if each.is_global() and each.is_assigned():
                bound.add(each.get_name())
            if each.is_global() and each.is_referenced():
                used.add(each.get_name())
    return frozenset(bound), frozenset((used - bound | _used_first(tree) & bound) - _BUILTINS)


def _used_first(tree: ast.Module) -> set[str]:
    """Names that the cell's own level uses in a statement above which nothing in the cell binds them."""
    bound: set[str] = set()
    first: set[str] = set()
    for statement in tree.body:
        names = list(_own_names(statement))
        first |= {name for name, loads in names if loads} - bound
        bound |= {name for name, loads in names if not loads}
        if isinstance(statement, ast.For | ast.AsyncFor | ast.With | ast.AsyncWith):
            first -= {name for name, loads in names if not loads}  # bound at its head, used in its body
    return first


def _own_names(statement: ast.stmt) -> Iterator[tuple[str, bool]]:
    """Names of a statement outside functions and comprehensions, and whether they are used there or bound."""
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name):
            yield node.id, isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, True
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((each.asname or each.name.partition(".")[0], False) for each in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, False
            stack += node.decorator_list
            continue
        if not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            stack += ast.iter_child_nodes(node)


def needed(question: Question, cells: Sequence[Cell], lesson: LessonReference) -> list[Cell]:
    """The cells to run for an exercise, in order; empty when nothing in the notebook answers it.

    Args:
        question: the exercise.
        cells: those of the learner's notebook.
        lesson: the lesson as it was handed out; its cells stand in for what the notebook lacks.
    """
    own = [cell for cell in cells if cell.exercise == question.id and not cell.is_check]
    checks = [cell.place for cell in cells if cell.exercise == question.id and cell.is_check]
    # Where the check stands, the kernel would have run all that is above it. A check above its answer was moved there.
    end = max([*checks, *(cell.place for cell in own)], default=10**9) + 1
    code = [cell for cell in cells if not cell.is_check]
    chosen: dict[int, Cell] = {cell.place: cell for cell in own}
    wanted = [(name, end) for name in question.takes] + [(name, cell.place) for cell in own for name in cell.uses]
    # What a lesson defines below an exercise, a kernel has not run when its check comes.
    answer = f"answer-{question.id.replace('.', '-')}"
    above = itertools.takewhile(lambda cell: cell[0] != answer, lesson.cells)
    starters = [make_cell(-1000 + index, source) for index, (_, source) in enumerate(above)]
    asked: set[tuple[str, int]] = set()
    while wanted:
        name, before = wanted.pop()
        if (name, before) in asked:
            continue
        asked.add((name, before))
        found = _definer(name, code, before, question.id)
        if found is None and name not in question.takes:
            found = next((each for each in reversed(starters) if name in each.binds), None)
        if found is not None and found.place not in chosen:
            chosen[found.place] = found
            wanted += [(other, found.place) for other in found.uses]
    if not own and not any(set(question.takes) & cell.binds for cell in chosen.values()):
        return []
    return [chosen[place] for place in sorted(chosen)]


def _definer(name: str, cells: Iterable[Cell], before: int, exercise: str) -> Cell | None:
    """The last cell above a place that defines a name; another exercise's answer only where there is no other.

    A cell below it counts where there is none above, if it is no exercise's: learners move their helpers.
    """
    above = [cell for cell in cells if name in cell.binds and cell.place < before]
    own = [cell for cell in above if cell.exercise == exercise]
    free = [cell for cell in above if not cell.exercise]
    last = max([*own, *(cell for cell in free if not own or cell.place > own[-1].place)], key=_place, default=None)
    below = (each for each in cells if name in each.binds and each.exercise in ("", exercise))
    return last or max(above, key=_place, default=None) or next(below, None)


def _place(cell: Cell) -> int:
    return cell.place
