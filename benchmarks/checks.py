"""How long a learner waits for each check, with the lesson's own solution as the answer.

    python benchmarks/checks.py [--rounds 15] [BEGINNING OF AN EXERCISE'S NUMBER ...]

The answer's definitions are no part of the time: only the check cell is. The first check of a process also starts the
server that checks share; it is shown apart. Checks take turns, so that a busy machine is busy for all.
"""

import asyncio
import contextlib
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "answers"))
from bank import run_cell
from test_answer_bank import EXERCISES

from course_lib.exercises import progress
from course_lib.exercises.core import Exercise
from course_lib.lessons import cell_source


def _cell(exercise: Exercise, role: str) -> str:
    source = cell_source(exercise.id, role)
    assert source is not None, f"{exercise.id} has no {role} cell"
    return source


async def _check(exercise: Exercise, namespace: dict[str, Any]) -> float:
    """Seconds of one check, which must say "correct"."""
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        outcome = await run_cell(_cell(exercise, "check"), "<check>", namespace)
    seconds = time.perf_counter() - began
    assert outcome.status == "correct", f"{exercise.id}: {outcome!r}"
    return seconds


async def _measure(exercises: list[Exercise], rounds: int) -> tuple[dict[str, list[float]], float]:
    namespaces: dict[str, dict[str, Any]] = {}
    for exercise in exercises:
        namespaces[exercise.id] = {"__name__": "__main__"}
        await run_cell(_cell(exercise, "solution"), "<solution>", namespaces[exercise.id])
    taken: dict[str, list[float]] = {exercise.id: [] for exercise in exercises}
    first = 0.0
    for number in track(range(rounds + 1), "Rounds", console=Console(stderr=True)):
        for exercise in exercises:
            seconds = await _check(exercise, namespaces[exercise.id])
            if number:
                taken[exercise.id].append(seconds)
            else:  # it starts the server and imports what the check needs
                first = max(first, seconds)
    return taken, first


def main(
    beginnings: Annotated[list[str] | None, typer.Argument(help="Such as 04, or 04.2; all if none is named.")] = None,
    rounds: Annotated[int, typer.Option(min=2, help="How often each check is run.")] = 15,
) -> None:
    """Measure the checks of the exercises, and print the median and the 95th percentile of each, in milliseconds."""
    chosen = [each for group in EXERCISES.values() for each in group if each.id.startswith(tuple(beginnings or [""]))]
    chosen.sort(key=lambda each: each.id)
    with tempfile.TemporaryDirectory() as home:
        progress.data_folder = lambda: Path(home)  # type: ignore[assignment]
        taken, first = asyncio.run(_measure(chosen, rounds))
    table = Table(title=f"A check of the reference solution, {rounds} rounds")
    for heading in ("exercise", "median, ms", "p95, ms"):
        table.add_column(heading, justify="left" if heading == "exercise" else "right")
    for exercise in chosen:
        times = [seconds * 1000 for seconds in taken[exercise.id]]
        p95 = statistics.quantiles(times, n=20, method="inclusive")[18]
        table.add_row(f"{exercise.id} {exercise.title}", f"{statistics.median(times):.0f}", f"{p95:.0f}")
    Console().print(table)
    print(f"The slowest first check of this process, with the start of a server: {first:.1f} s")


if __name__ == "__main__":
    typer.run(main)
