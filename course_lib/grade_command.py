"""The body of `course grade`."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text


def run_grade(
    folder: Path, *, output: Path, scheduler: str | None, workers: int | None, force: bool, as_json: bool
) -> int:
    """Grade a folder, print a summary, and return the exit code.

    Args:
        folder: holds one folder per learner.
        output: where the results go.
        scheduler: the address of a running Dask scheduler, or None.
        workers: how many workers a cluster on this machine gets, or None for one for each core.
        force: grade also what was graded before.
        as_json: whether to print JSON.
    Returns:
        0: all was graded; 1: something could not be; 2: the command was misused.
    """
    needed = [name for name in ("distributed", "jinja2") if importlib.util.find_spec(name) is None]
    if needed:
        return _misused(f"{' and '.join(needed)} is missing. Install the extra: pip install -e '.[classroom]'")
    if not folder.is_dir():
        return _misused(f"{folder} is no folder. Give the folder that holds one folder per learner.")
    if output.resolve().is_relative_to(folder.resolve()):
        return _misused("The results would lie among the submissions. Give --output a folder elsewhere.")
    from course_lib.grade import GraderError, SchedulerError, course_version, grade_folder, submissions, write_all

    if not submissions(folder):
        return _misused(f"There is no folder in {folder}. It has to hold one folder per learner.")
    output.mkdir(parents=True, exist_ok=True, mode=0o700)
    bar = Progress(
        TextColumn("Grading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left:"),
        TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty(),
    )  # fmt: skip
    try:
        with bar:
            task = bar.add_task("grade", total=None)
            run = grade_folder(
                folder,
                output,
                scheduler=scheduler,
                workers=workers,
                force=force,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        print("\ncourse: What was graded is kept; the same command goes on from there.", file=sys.stderr)
        raise
    except (GraderError, SchedulerError) as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    files = write_all(run.results, output, course_version())
    complete = not run.failed and not any(result.problems for result in run.results)
    summary: dict[str, Any] = {
        "submissions": len(run.results),
        "graded_now": run.graded,
        "points": sum(result.points for result in run.results),
        "possible": sum(result.possible for result in run.results),
        "not_graded": {result.learner: result.problems for result in run.results if result.problems},
        "failed": run.failed,
        "files": {name: str(path) for name, path in files.items()},
    }
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        _print(Console(highlight=False), run, summary)
    return 0 if complete else 1


def _misused(message: str) -> int:
    print(f"course: {message}", file=sys.stderr)
    return 2


def _print(console: Console, run: Any, summary: dict[str, Any]) -> None:
    table = Table("Learner", title="Points", title_justify="left")
    table.add_column("Points", justify="right")
    table.add_column("Not graded", overflow="fold")
    for result in run.results[:50]:
        problems = "; ".join(f"{what}: {why}" for what, why in result.problems.items())
        table.add_row(Text(result.learner), f"{result.points:g} of {result.possible:g}", Text(problems))
    console.print(table)
    if len(run.results) > 50:
        console.print(f"... and {len(run.results) - 50} more.")
    before = summary["submissions"] - summary["graded_now"] - len(run.failed)
    told = f" {before} had been graded before." if before > 0 else ""
    console.print(f"{summary['graded_now']} submissions graded.{told}")
    console.print(Text(f"The report of the class: {summary['files']['report.html']}"), soft_wrap=True)
