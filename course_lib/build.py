"""Build the lessons: each `lessons/NN_name.md` becomes two notebooks of that name.

`solutions/` holds the answers and the outputs of a strict execution, `notebooks/` neither. What an author follows:

- The front matter names the kernelspec `python3`. One H1, the title without the lesson's number, begins the first cell.
- A code cell is a fence `{code-cell} ipython3`; a Markdown cell ends at a code cell or at a line `+++`.
- An exercise is three code cells with the metadata `exercise: "02.1"` (in quotes) and `role: starter`, `solution`,
  `check`, in this order. The solution stands right after its starter; both are whole cells, of which each notebook
  gets one. Ids count up without a gap.
- The only tag is `nbval-ignore-output`, for an output that varies; an `assert` in that cell holds what does not.
- An output holds no path, user or host name of this machine, and no URL with a password unless that is `***` or
  contains the word `example`.
- A cell takes under 60 s, a built notebook under 500 kB.

The headings a lesson needs are listed in `tests/lessons/conventions.py`. Links to the neighbouring lessons are added.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from course_lib._build_compare import FOLDERS, MAX_BYTES, Course, differences, read_notebook, strays
from course_lib._build_run import (
    CELL_SECONDS,
    CellFailure,
    execute,
    kernel_environment,
    private_patterns,
    refuse_leaks,
    tidy_outputs,
)
from course_lib._build_source import BuildError, lesson_files, places

PROJECT = Path(__file__).resolve().parent.parent
app = typer.Typer(add_completion=False)


def build_lesson(
    course: Course,
    lesson: Path,
    *,
    always_run: bool = True,
    seconds: int = CELL_SECONDS,
    on_cell: Callable[[int, int], None] = lambda index, total: None,
) -> bool:
    """Build one lesson and write both notebooks, or neither.

    Args:
        course: Where everything is.
        lesson: The lesson's Markdown file.
        always_run: False keeps the stored outputs when no code cell changed.
        seconds: The time limit of each cell.
        on_cell: Called with a cell's index and their number before it runs.

    Returns:
        Whether the cells were executed.

    Raises:
        BuildError: the lesson does not keep to the conventions, a cell failed, or an output can't be stored.
    """
    source, fresh = course.fresh(lesson)
    solution = fresh["solutions"]
    run = always_run or not _reuse_outputs(solution, course.built("solutions", lesson))
    try:
        if run:
            with staged(course) as (folder, environment):
                total = len(solution.cells)
                execute(solution, folder, environment, seconds=seconds, on_cell=lambda index: on_cell(index, total))
            tidy_outputs(solution)
        refuse_leaks(solution, private_patterns(course.root, PROJECT))
    except CellFailure as failure:
        raise BuildError(f"{places(source, 'solutions')[failure.index]}: {failure}") from failure
    texts = {}
    for name, notebook in fresh.items():
        nbformat.validate(notebook)
        texts[course.built(name, lesson)] = _bytes(notebook)
        if (size := len(texts[course.built(name, lesson)])) > MAX_BYTES:
            limit = f"{size // 1000} kB, more than {MAX_BYTES // 1000} kB"
            raise BuildError(f"{source.name}: {name}/{source.name}.ipynb has {limit}. Make its pictures smaller.")
    _write_all(texts)
    return run


@contextmanager
def staged(course: Course) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield a working folder and an environment for a lesson's kernel.

    The folder is the solutions/ of a temporary course root with a fresh conversion of every lesson, so that what a
    cell sees of the course does not depend on what was built before. The project's other files are linked into it.
    """
    with tempfile.TemporaryDirectory(prefix="course-build-", ignore_cleanup_errors=True) as name:
        root = Path(name) / "course"
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True)
        for entry in course.root.iterdir():
            if entry.name not in FOLDERS and not entry.name.startswith("."):
                (root / entry.name).symlink_to(entry)
        for lesson in lesson_files(course.lessons):
            try:
                _, fresh = course.fresh(lesson)
            except BuildError:  # reported when that lesson itself is built
                continue
            for folder, notebook in fresh.items():
                (root / folder / f"{lesson.stem}.ipynb").write_bytes(_bytes(notebook))
        yield root / "solutions", kernel_environment(Path(name), root)


def _bytes(notebook: NotebookNode) -> bytes:
    return f"{nbformat.writes(notebook).rstrip()}\n".encode()  # type: ignore[no-untyped-call]


def _reuse_outputs(fresh: NotebookNode, path: Path) -> bool:
    """Copy the stored outputs to `fresh` when every code cell is the same; return whether that was possible."""
    stored = read_notebook(path)
    if stored is None:
        return False
    old = [cell for cell in stored.cells if cell.cell_type == "code"]
    new = [cell for cell in fresh.cells if cell.cell_type == "code"]
    if [cell.source for cell in old] != [cell.source for cell in new]:
        return False
    if any(cell.execution_count is None or any(o.output_type == "error" for o in cell.outputs) for cell in old):
        return False
    for before, cell in zip(old, new, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return True


def _write_all(texts: dict[Path, bytes]) -> None:
    """Write all files or, when one can't be written, none."""
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    drafts = {path: path.with_name(f".{path.name}.draft") for path in texts}
    replaced: list[Path] = []
    try:
        for path, draft in drafts.items():
            path.parent.mkdir(exist_ok=True)
            draft.write_bytes(texts[path])
        for path, draft in drafts.items():
            draft.replace(path)
            replaced.append(path)
    except BaseException:
        for path in replaced:
            old = before[path]
            if old is None:
                path.unlink()
            else:
                path.write_bytes(old)
        raise
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _chosen(course: Course, names: list[str]) -> list[Path]:
    """Return the Markdown files of the named lessons ("02", "02_url_conversion" or a path), all if none is named."""
    files = lesson_files(course.lessons)
    chosen = []
    for name in names:
        wanted = Path(name).name.removesuffix(".md").removesuffix(".ipynb")
        match = [path for path in files if wanted in (path.stem, path.stem[:2])]
        if not match:
            known = ", ".join(path.stem for path in files) or "none"
            raise typer.BadParameter(f"There is no lesson {name!r} in {course.lessons}. Lessons: {known}.")
        chosen += match
    return sorted(set(chosen)) if names else files


def _check(course: Course, lessons: list[Path], *, everything: bool) -> list[str]:
    found = strays(course) if everything else []
    for lesson in lessons:
        try:
            found += differences(course, lesson)
        except BuildError as error:
            found.append(str(error))
    return found


def _build(course: Course, lessons: list[Path], console: Console, *, forced: bool) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        whole = progress.add_task("lessons", total=len(lessons))
        for lesson in lessons:
            if forced or differences(course, lesson):
                bar = progress.add_task(lesson.stem, total=None)
                ran = build_lesson(
                    course,
                    lesson,
                    always_run=forced,
                    on_cell=lambda index, total, bar=bar: progress.update(bar, completed=index, total=total),  # type: ignore[misc]
                )
                progress.remove_task(bar)
                console.print(f"{lesson.stem}: {'executed' if ran else 'only text changed, outputs kept'}")
            progress.advance(whole)


@app.command()
def main(
    lessons: Annotated[list[str] | None, typer.Argument(metavar="LESSON", help="02, or 02_url_conversion.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Execute nothing: compare, and exit 1 on a difference.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Rebuild unchanged lessons too.")] = False,
    lessons_dir: Annotated[
        Path, typer.Option(help="The folder of the lessons' Markdown files.", show_default="lessons")
    ] = PROJECT / "lessons",
) -> None:
    """Build the notebooks from lessons/*.md: those that changed, or those named."""
    console, errors = Console(highlight=False, markup=False), Console(stderr=True, highlight=False, markup=False)
    if not lessons_dir.is_dir():
        raise typer.BadParameter(f"There is no folder {lessons_dir}.")
    course = Course(lessons_dir)
    try:
        chosen = _chosen(course, lessons or [])
        if not chosen:
            raise BuildError(f"There are no lessons in {lessons_dir}.")
        if check:
            found = _check(course, chosen, everything=not lessons)
        else:
            _build(course, chosen, errors, forced=everything or bool(lessons))
            found = strays(course)
    except BuildError as error:
        errors.print(str(error), soft_wrap=True)
        raise typer.Exit(1) from error
    for message in found:
        errors.print(message, soft_wrap=True)
    if found:
        errors.print("Run `make notebooks`." if check else "Nothing else is wrong.")
        raise typer.Exit(1)
    console.print(f"{len(chosen)} lesson{'s'[: len(chosen) != 1]}: the notebooks are those of the lessons.")


if __name__ == "__main__":
    app()
