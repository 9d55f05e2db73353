"""`course progress` and what stands below it. As in `cli.py`, what a command needs is imported inside it."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from course_lib._command import AsJson, fail, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from course_lib.board import Board

T = TypeVar("T")

app = typer.Typer(invoke_without_command=True)
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask; for scripts.")]


@app.callback()
def show(
    context: typer.Context,
    as_json: AsJson = False,
    objectives: Annotated[bool, typer.Option("--objectives", help="Show the objectives of all lessons.")] = False,
) -> None:
    """Show which exercises are solved and tried, which objectives are reached, and what comes next.

    An objective is reached when the exercises that its lesson names for it are solved.
    """
    if context.invoked_subcommand is not None:
        return
    from course_lib.board import board
    from course_lib.exercises.progress import file

    found = asyncio.run(board())
    if as_json:
        print_json(found.as_dict() | {"file": file()})
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)  # it looks at NO_COLOR and at the terminal's width by itself
    _print_lessons(console, found)
    _print_objectives(console, found, all_of_them=objectives)
    console.print(Text(found.summary, "bold"))
    console.print(Text(f"Kept in {file()}"), soft_wrap=True)


@app.command()
def reset(
    exercises: Annotated[list[str] | None, typer.Argument(help="Such as 02.1.", metavar="EXERCISE")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All exercises, and your predictions.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Begin again with some exercises or all. Asks first.

    What was kept until then is written to a file beside the progress file; `course progress import` brings it back.
    Your answers in the notebooks stay as they are.

    Exit code 1: you said no. 2: nobody is there to ask, or there is no such exercise.
    """
    from course_lib.exercises import transfer
    from course_lib.lessons import lessons

    if everything == bool(exercises):
        fail("Name exercises, such as `course progress reset 02.1`, or give --all.", code=2)
    known = [each for lesson in lessons() for each in lesson.exercises]
    if unknown := [each for each in exercises or [] if each not in known]:
        fail(f"There is no exercise {', '.join(unknown)}. There are {', '.join(known) or 'none'}.", code=2)
    what = "all exercises and predictions" if everything else f"exercise {', '.join(exercises or [])}"
    _ask(f"Forget your progress in {what}?", yes)
    done = _run(transfer.reset(None if everything else exercises))
    if as_json:
        backup = str(done.backup) if done.backup else None
        result = {"reset": done.exercises, "removed": done.entries, "backup": backup, "note": done.note}
        print_json(result)
        return
    _tell(done.note)
    if done.backup is None:
        typer.echo("Nothing to forget: none of it was tried.")
        return
    typer.echo(f"Reset: {', '.join(done.exercises) or 'predictions'}. Your answers in the notebooks stay as they are.")
    typer.echo(f"What was kept until now: {done.backup}\n`course progress import FILE` brings it back.")


@app.command("export")
def export_progress(
    file: Annotated[str, typer.Argument(help="The file to write; - for the terminal.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write your progress to a file, as JSON. Asks before it replaces a file."""
    from course_lib.exercises import transfer

    if file == "-":
        text, _, note = _run(transfer.export())
        typer.echo(text, nl=False)
        _tell(note)
        return
    path = Path(file)
    if path.is_dir():
        fail(f"{file} is a folder. Name a file in it.", code=2)
    replaced = path.exists()
    if replaced:
        _ask(f"{file} is there already. Replace it?", yes)
    text, entries, note = _run(transfer.export())
    if replaced:
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        transfer.write_new(draft, text)
        draft.replace(path)
    else:
        transfer.write_new(path, text)
    if as_json:
        print_json({"file": str(path), "entries": entries, "replaced": replaced, "note": note})
        return
    _tell(note)
    typer.echo(f"{_count(entries)} written to {file}.")


@app.command("import")
def import_progress(
    file: Annotated[str, typer.Argument(help="What `course progress export` wrote; - for standard input.")],
    as_json: AsJson = False,
) -> None:
    """Add the progress of an exported file to yours. Nothing of yours changes, and nothing is added twice."""
    from course_lib.exercises import transfer

    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        document = transfer.read_document(data)
    except transfer.TransferError as error:
        fail(f"{'Standard input' if file == '-' else file} can't be imported: {error}")
    done = _run(transfer.merge(document))
    if as_json:
        print_json({"added": done.added, "known": done.known, "note": done.note})
        return
    _tell(done.note)
    typer.echo(f"{_count(done.added)} added; {done.known} were there already.")


def _print_lessons(console: "Console", found: "Board") -> None:
    from rich.table import Table
    from rich.text import Text

    from course_lib.board import HEADINGS

    table = Table(title="Your progress", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for cells in found.cells():
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def _print_objectives(console: "Console", found: "Board", *, all_of_them: bool) -> None:
    """Print what the next lesson teaches, or what all of them teach."""
    from rich.table import Table
    from rich.text import Text

    for row in found.rows if all_of_them else filter(None, [found.following]):
        if row.goals:
            table = Table(title=Text(f"{row.name}: you learn to"), title_justify="left")
            for heading in ("Objective", "Exercises", ""):
                table.add_column(heading, overflow="fold")
            for goal in row.goals:
                table.add_row(Text(goal.text.replace("`", "")), Text(goal.exercises), Text(goal.sign))
            console.print(table)


def _ask(question: str, yes: bool) -> None:
    """Go on only if the learner says so."""
    if yes:
        return
    if not _is_terminal():
        fail(f"{question} There is nobody to ask here; --yes says yes.", code=2)
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:  # Ctrl-C, which the `course` command tells in its own way
        raise KeyboardInterrupt from None
    if not agreed:
        fail("Nothing was changed.")


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _run(work: Coroutine[Any, Any, T]) -> T:
    from sqlalchemy.exc import SQLAlchemyError

    from course_lib.exercises.progress import file

    try:
        return asyncio.run(work)
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or type(error).__name__)
        fail(f"{file()} can't be used: {said}. `course doctor` checks folders and disk.")


def _count(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries} entries"


def _tell(note: str) -> None:
    if note:
        typer.echo(f"course: {note}", err=True)
