"""How long a lesson lets its reader wait: imports, the first result, and each lesson from top to bottom.

    python benchmarks/lessons.py [--rounds 5] [--no-lessons] [BEGINNING OF A LESSON'S NAME ...]

The import of `course_lib` is taken beside that of sqlmodel alone, in turns, each in a process of its own. The first
result is the time from the start of a kernel to the end of lesson 00's first cell that asks a server. A lesson's run
is that of its solutions notebook, all cells; what its kernel and its servers did not compute, they waited for: most
of it on purpose, since the lessons show time-outs, queues and stalls.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbformat.v4 import new_code_cell
from rich.console import Console
from rich.progress import track
from rich.table import Table

from course_lib._build_run import execute, kernel_environment

ROOT = Path(__file__).parents[1]
IMPORTS = {
    "sqlmodel alone": "import sqlmodel",
    "sqlmodel and course_lib": "import sqlmodel, course_lib",
    "sqlmodel and asyncpg": "import sqlmodel, asyncpg",
    "sqlmodel and a lesson's first cells": (
        "import sqlmodel; from course_lib.teaching import predict; from course_lib.servers import PostgresServer"
    ),
}
# Processor seconds of the kernel, of what it has started and waited for, and of the servers that still run.
COMPUTED = """
import os as _os, psutil as _psutil
_spent = sum(_os.times()[:4])
for _each in _psutil.Process().children(recursive=True):
    try:
        _spent += sum(_each.cpu_times()[:4])
    except _psutil.Error:
        pass
print(_spent)
"""


def _import_seconds(source: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", source], check=True)
    return time.perf_counter() - began


def _table(title: str, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _imports(rounds: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in IMPORTS}
    bare = []
    for _ in track(range(rounds), "Imports", console=Console(stderr=True)):
        bare.append(_import_seconds("pass"))
        for name, source in IMPORTS.items():
            taken[name].append(_import_seconds(source))
    python = statistics.median(bare)
    medians = {name: statistics.median(seconds) - python for name, seconds in taken.items()}
    alone = medians["sqlmodel alone"]
    rows = [(name, f"{median:.3f} s", f"{median / alone:.2f}") for name, median in medians.items()]
    _table(f"Import, {rounds} rounds, without Python's own {python:.3f} s", ("", "median", "ratio"), rows)


def _run(notebook: nbformat.NotebookNode) -> float:
    """Seconds from the start of a kernel to the end of the last cell."""
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        began = time.perf_counter()
        execute(notebook, Path(folder), kernel_environment(Path(folder), ROOT))
        return time.perf_counter() - began


def _first_result(rounds: int) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    first = next(number for number, cell in enumerate(notebook.cells) if "PostgresServer.start" in cell.source)
    asks = next(
        number
        for number, cell in enumerate(notebook.cells)
        if number >= first and cell.cell_type == "code" and "select" in cell.source.lower()
    )
    notebook.cells = [cell for cell in notebook.cells[: asks + 1] if cell.cell_type == "code"]
    seconds = [_run(notebook) for _ in track(range(rounds), "First result", console=Console(stderr=True))]
    print(f"From the start of a kernel to lesson 00's first answer of a server: {statistics.median(seconds):.1f} s")


def _lessons(beginnings: tuple[str, ...]) -> None:
    paths = [path for path in sorted((ROOT / "solutions").glob("*.ipynb")) if path.name.startswith(beginnings)]
    rows = []
    for path in track(paths, "Lessons", console=Console(stderr=True)):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.append(new_code_cell(COMPUTED))
        wall = _run(notebook)
        computed = float(notebook.cells[-1].outputs[-1].text)
        rows.append((path.stem, f"{wall:.1f} s", f"{computed:.1f} s", f"{max(wall - computed, 0):.1f} s"))
    _table("Each lesson, all cells", ("lesson", "from start to end", "computed", "waited"), rows)


def main(
    beginnings: Annotated[list[str] | None, typer.Argument(help="Such as 04; all lessons if none is named.")] = None,
    rounds: Annotated[int, typer.Option(min=2, help="How often an import and the first result are measured.")] = 5,
    lessons: Annotated[bool, typer.Option(help="Run the lessons as well.")] = True,
) -> None:
    """Measure imports, the first result and the lessons, and print them."""
    _imports(rounds)
    _first_result(rounds)
    if lessons:
        _lessons(tuple(beginnings or [""]))


if __name__ == "__main__":
    typer.run(main)
