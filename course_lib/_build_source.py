"""Reading a lesson's Markdown file and converting it to its two notebooks, nothing executed."""

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

from jupytext.myst import MystMetadataParsingError, myst_to_notebook
from nbformat import NotebookNode, ValidationError, v4

Folder = Literal["solutions", "notebooks"]
ROLES = ("starter", "solution", "check")
#: The only tag a cell may carry: its output varies, and an `assert` in it holds what does not.
ALLOWED_TAGS = frozenset({"nbval-ignore-output"})
LESSON_NAME = re.compile(r"\d\d_[a-z0-9_]+")

_NEW: Any = v4  # its functions carry no annotations
_DROPPED_ROLE: dict[Folder, str] = {"solutions": "starter", "notebooks": "solution"}
# Constant, because what the kernel reports names Python's patch version.
_LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class BuildError(Exception):
    """A lesson can't be built; the message names the lesson, the cell, the line, and what to do."""


@dataclass(frozen=True)
class SourceCell:
    """One cell of a lesson's Markdown file."""

    kind: str  # "markdown" or "code"
    source: str
    tags: tuple[str, ...]
    exercise: str | None
    role: str | None
    place: str  # where it is, for messages: lesson, cell number, file and line


@dataclass(frozen=True)
class Source:
    """A lesson as its author wrote it, checked for sense."""

    name: str
    cells: tuple[SourceCell, ...]


def lesson_files(folder: Path) -> list[Path]:
    """Return the lessons' Markdown files in `folder`, in order.

    Raises:
        BuildError: a Markdown file isn't named like a lesson.
    """
    files = sorted(folder.glob("*.md"))
    for path in files:
        if not LESSON_NAME.fullmatch(path.stem):
            raise BuildError(f"{path.name}: a lesson's file is named like 02_url_conversion.md. Rename it.")
    return files


def read_title(path: Path) -> str:
    """Return the text of a lesson's H1, or the file's name while it has none."""
    heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return heading.group(1).strip() if heading else path.stem


def read_source(path: Path) -> Source:
    """Read one lesson and check what can be checked without executing it.

    Raises:
        BuildError: the file isn't a lesson, or its exercises are not whole.
    """
    text = path.read_text(encoding="utf-8")
    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except MystMetadataParsingError as error:
        raise BuildError(f"{path.stem} (lessons/{path.name}): metadata isn't valid YAML: {error}") from error
    except ValidationError as error:
        raise BuildError(f"{path.stem} (lessons/{path.name}): not valid as a notebook: {error.message}.") from error
    lines = notebook.metadata.pop("source_map")
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        raise BuildError(
            f"{path.stem} (lessons/{path.name}:1): the front matter names the kernel {kernel!r}. "
            "It has to hold `kernelspec` with `name: python3`."
        )
    cells = []
    for number, (node, start) in enumerate(zip(notebook.cells, lines, strict=True), start=1):
        line = _line(text, node, start)
        cells.append(_read_cell(node, f"{path.stem}, cell {number} (lessons/{path.name}:{line})"))
    if not cells or not re.match(r"# \S", cells[0].source):
        raise BuildError(f"{path.stem} (lessons/{path.name}): the first cell has to begin with the title: `# …`.")
    _check_exercises(path, cells)
    return Source(path.stem, tuple(cells))


def convert(source: Source, folder: Folder, previous: Path | None, following: Path | None) -> NotebookNode:
    """Return the notebook for `folder` without outputs: its cells, ids and metadata.

    Args:
        source: The lesson.
        folder: "solutions" keeps the solution cells, "notebooks" the starter cells.
        previous: The Markdown file of the lesson before this one, if there is one.
        following: The Markdown file of the lesson after this one, if there is one.
    """
    cells = []
    ids = _cell_ids(source)
    for cell, cell_id in zip(source.cells, ids, strict=True):
        if cell.role == _DROPPED_ROLE[folder]:
            continue
        make = _NEW.new_code_cell if cell.kind == "code" else _NEW.new_markdown_cell
        metadata = _metadata(cell, cell_id)
        if cell.role == "starter":
            # The learner writes over the cell; its metadata still tells what stood there (lessons.cell_source).
            metadata["starter"] = cell.source
        cells.append(make(cell.source, id=cell_id, metadata=metadata))
    links = [
        f"{word} lesson: [{path.stem[:2]} {read_title(path)}]({path.stem}.ipynb)"
        for word, path in (("Previous", previous), ("Next", following))
        if path is not None
    ]
    if links:
        cells.append(_NEW.new_markdown_cell(" · ".join(links), id="navigation"))
    metadata = {"kernelspec": dict(_KERNEL), "language_info": dict(_LANGUAGE)}
    notebook: NotebookNode = _NEW.new_notebook(cells=cells, metadata=metadata)
    return notebook


def places(source: Source, folder: Folder) -> list[str]:
    """Return where each cell of the converted notebook comes from, in the notebook's order."""
    kept = [cell.place for cell in source.cells if cell.role != _DROPPED_ROLE[folder]]
    return [*kept, f"{source.name}, the generated links"]


def _line(text: str, node: NotebookNode, start: int) -> int:
    """Return a cell's line in the file, counted from 1: its fence, or its first line of text."""
    if node.cell_type == "code":
        return start  # jupytext maps a code cell to the line after its fence, counted from 0
    lines = text.splitlines()
    while start < len(lines) and not lines[start].strip():
        start += 1
    return start + 1


def _read_cell(node: NotebookNode, place: str) -> SourceCell:
    metadata: dict[str, Any] = dict(node.metadata)
    exercise, role = metadata.pop("exercise", None), metadata.pop("role", None)
    tags = metadata.pop("tags", [])
    if node.cell_type == "raw" or (node.cell_type == "markdown" and node.metadata):
        raise BuildError(f"{place}: only code cells carry metadata, and raw cells are not used. Take it out.")
    if metadata:
        raise BuildError(f"{place}: unknown metadata {sorted(metadata)}. Known: exercise, role, tags.")
    if not isinstance(tags, list) or not ALLOWED_TAGS.issuperset(tags):
        raise BuildError(f"{place}: tags are {tags!r}. The only tag is [{', '.join(ALLOWED_TAGS)}].")
    if node.cell_type == "code" and not node.source.strip():
        raise BuildError(f"{place}: the code cell is empty. Write it or take it out.")
    if node.cell_type == "code":
        _check_plain_python(node.source, place)
    if (exercise is None) != (role is None):
        raise BuildError(f"{place}: `exercise` and `role` come together. Add the missing one.")
    if role is not None and role not in ROLES:
        raise BuildError(f"{place}: role {role!r}. Known roles: {', '.join(ROLES)}.")
    if exercise is not None and not isinstance(exercise, str):
        raise BuildError(f'{place}: the exercise\'s id is read as a number. Put it in quotes: exercise: "02.1".')
    return SourceCell(node.cell_type, node.source, tuple(tags), exercise, role, place)


def _check_plain_python(source: str, place: str) -> None:
    """Raise BuildError for what only IPython understands: magics and shell commands can fail without an error."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        compile(source, "<cell>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        raise BuildError(
            f"{place}: not plain Python in the cell's line {error.lineno}: {error.msg}. "
            "Magics (%, %%), shell commands (!) and help (?) are not used in lessons."
        ) from error


def _check_exercises(path: Path, cells: list[SourceCell]) -> None:
    """Raise BuildError unless every exercise is starter, solution and check, numbered without a gap."""
    expected_role = cycle(ROLES)
    done: list[str] = []
    current: SourceCell | None = None
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.role is None:
            continue
        wanted = next(expected_role)
        if cell.exercise in done:
            raise BuildError(f"{cell.place}: exercise {cell.exercise} is already complete above. Number it anew.")
        identity = f"{path.stem[:2]}.{len(done) + 1}"
        if cell.role != wanted or cell.exercise != identity:
            raise BuildError(
                f"{cell.place}: {cell.role} of exercise {cell.exercise}, where the {wanted} of exercise {identity} "
                "belongs. Each exercise is one starter, one solution and one check cell, in this order."
            )
        if wanted == "solution" and before is not current:
            raise BuildError(f"{cell.place}: the solution of {identity} has to stand right after its starter.")
        current = cell
        if wanted == "check":
            done.append(identity)
    if current is not None and current.role != "check":
        missing = ROLES[ROLES.index(str(current.role)) + 1]
        raise BuildError(f"{current.place}: after this, the {missing} of exercise {current.exercise} is missing.")


def _cell_ids(source: Source) -> Iterator[str]:
    """Yield an id for each cell that stays the same while the cell (or the exercise) does."""
    seen: dict[str, int] = {}
    for cell in source.cells:
        if cell.exercise is not None:
            yield f"{'check' if cell.role == 'check' else 'answer'}-{cell.exercise.replace('.', '-')}"
            continue
        digest = hashlib.sha256(f"{cell.kind}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        yield f"cell-{digest}" + (f"-{seen[digest]}" if seen[digest] > 1 else "")


def _metadata(cell: SourceCell, cell_id: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": list(cell.tags)} if cell.tags else {}
    if cell.exercise is None:
        return metadata
    # nbgrader's cell metadata, schema 3: https://nbgrader.readthedocs.io/en/stable/contributor_guide/metadata.html
    # The answer is a plain cell to nbgrader: in one marked as a solution, it puts its own stub in place of the starter.
    is_check = cell.role == "check"
    nbgrader: dict[str, Any] = {
        "schema_version": 3,
        "grade": is_check,
        "solution": False,
        "locked": is_check,
        "task": False,
    }
    if is_check:
        nbgrader |= {"grade_id": cell_id, "points": 1}
    return metadata | {"exercise": cell.exercise, "role": cell.role, "nbgrader": nbgrader}
