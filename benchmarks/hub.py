"""A class at once on a real JupyterHub: each learner runs lesson 05 with a PostgreSQL of their own. Linux, as root.

    python benchmarks/hub.py [--learners 3] [--pause 0] [--no-tries] [--no-footprint]

hosting/jupyterhub_config.py runs on loopback, with an account made for each learner and removed at the end. Each
logs in, runs all cells of the lesson's solution through the proxy, and then tries to reach the next learner's files,
processes, servers and kernel. Half of them log out, the others stop their server, and what is left is looked for.
Without a pause all run the same cell at the same moment, which no class does; with one, each waits before a cell for a
random time of that mean, as readers do.

Memory is PSS, the proportional set size: a page that several processes share counts a part for each, so that the sum
over all is what the machine needs. CPU is what the learner's processes, and those that they have waited for, spent.
The footprint is that of one kernel with its PostgreSQL and PgBouncer in use, beside a kernel that has imported
SQLAlchemy, each started fresh and alone.
"""

import asyncio
import contextlib
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import nbformat
import psutil
import typer
from jupyter_client.manager import start_new_kernel
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "hosting"))

from trial_hub import Account, TrialHub, what_is_missing  # noqa: E402
from trial_learner import CellFailed, Learner, solution_cells, until_gone  # noqa: E402
from trial_trespass import CLOSED_TO_ALL, trespass  # noqa: E402

LESSON, EXERCISES = "05_pool_exhaustion", 5
MB = 2**20
FOOTPRINTS = {
    "import sqlalchemy": "import sqlalchemy",
    "PostgreSQL and PgBouncer in use": """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from course_lib.servers import PgBouncer, PostgresServer
server = await PostgresServer.start(tls=False)
bouncer = await PgBouncer.start(server)
engine = create_async_engine(bouncer.url)
async with engine.connect() as connection:
    assert await connection.scalar(text("select 7")) == 7
""",
}


@dataclass
class Report:
    """What was seen of one learner."""

    cells: int = 0
    correct: int = 0
    failed: list[str] = field(default_factory=list)
    lesson_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak: dict[str, float] = field(default_factory=dict)  # MB of PSS by part, when their sum was highest
    reached: list[str] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    gone_seconds: float = 0.0


def _part(process: psutil.Process) -> str:
    name, command = process.name(), " ".join(process.cmdline())
    if name in ("postgres", "pgbouncer"):
        return name
    return "kernel" if "ipykernel_launcher" in command else "Jupyter server" if "singleuser" in command else "other"


def _memory(processes: list[psutil.Process]) -> dict[str, float]:
    parts: Counter[str] = Counter()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            parts[_part(process)] += process.memory_full_info().pss / MB
    return dict(parts)


def _cpu(account: Account) -> float:
    spent = 0.0
    for process in account.processes():
        with contextlib.suppress(psutil.Error):
            spent += sum(process.cpu_times()[:4])
    return spent


async def _watch(reports: dict[Account, Report]) -> None:
    """Keep each learner's highest sum of PSS; a look at everybody takes a while, so there is one every few seconds."""
    while True:
        for account, report in reports.items():
            now = await asyncio.to_thread(lambda account=account: _memory(account.processes()))
            if sum(now.values()) > sum(report.peak.values()):
                report.peak = now
        await asyncio.sleep(5)


async def _lesson(learner: Learner, report: Report, cells: list[str], pause: float) -> None:
    began, before = time.perf_counter(), await asyncio.to_thread(_cpu, learner.account)
    await learner.start_kernel()
    for number, source in enumerate(cells, 1):
        await asyncio.sleep(random.uniform(0, 2 * pause))
        try:
            output = await learner.run(source)
        except CellFailed as failure:
            report.failed.append(f"cell {number}: {str(failure)[:300]}")
            continue
        report.cells += 1
        report.correct += any(text.startswith("✔ Correct") for text in output.shown)
    report.lesson_seconds = time.perf_counter() - began
    report.cpu_seconds = await asyncio.to_thread(_cpu, learner.account) - before


async def _trespass(learners: list[Learner], reports: dict[Account, Report]) -> None:
    """Let each learner try the next one: many at a time, but no kernel in two tries at once."""
    locks = [asyncio.Lock() for _ in learners]

    async def one(intruder: int, owner: int) -> None:
        report = reports[learners[intruder].account]
        async with locks[min(intruder, owner)], locks[max(intruder, owner)]:
            try:
                other, mine = await trespass(learners[intruder], learners[owner])
            except CellFailed as failure:
                report.failed.append(f"tries: {str(failure)[:300]}")
                return
        report.reached = [what for what, through in other.items() if through]
        report.not_reached = [what for what, through in mine.items() if not through and what not in CLOSED_TO_ALL]

    await asyncio.gather(*(one(number, (number + 1) % len(learners)) for number in range(len(learners))))


async def _leave(learner: Learner, report: Report, log_out: bool) -> None:
    began = time.perf_counter()
    await (learner.logout() if log_out else learner.stop_server())
    report.left = await until_gone(learner.account)
    report.gone_seconds = time.perf_counter() - began


async def _class(
    hub: TrialHub, pause: float, tries: bool, tell: Callable[[str], None]
) -> tuple[dict[Account, Report], float]:
    cells = solution_cells(nbformat.read(ROOT / "solutions" / f"{LESSON}.ipynb", as_version=4).cells)
    reports = {account: Report() for account in hub.accounts}
    async with contextlib.AsyncExitStack() as stack:
        began = time.perf_counter()
        entering = (stack.enter_async_context(Learner(hub, account)) for account in hub.accounts)
        learners = await asyncio.gather(*entering)
        started = time.perf_counter() - began
        tell(f"{len(learners)} servers up after {started:.0f} s; load {os.getloadavg()[0]:.1f}")
        watch = asyncio.create_task(_watch(reports))
        await asyncio.gather(*(_lesson(learner, reports[learner.account], cells, pause) for learner in learners))
        watch.cancel()
        tell(f"lesson done; load {os.getloadavg()[0]:.1f}")
        if tries and len(learners) > 1:
            await _trespass(learners, reports)
            tell("neighbours tried")
        leaving = (_leave(each, reports[each.account], number % 2 == 0) for number, each in enumerate(learners))
        await asyncio.gather(*leaving)
    return reports, started


def _print_class(reports: dict[Account, Report], cells: int, started: float, tries: bool, console: Console) -> None:
    seen = list(reports.values())
    table = Table(title=f"{len(seen)} learners at once, lesson {LESSON[:2]}, {os.cpu_count()} cores")
    for heading in ("", "least", "median", "most"):
        table.add_column(heading, justify="right" if heading else "left")

    def row(name: str, values: list[float], unit: str) -> None:
        table.add_row(name, *(f"{what(values):.0f} {unit}" for what in (min, statistics.median, max)))

    row("lesson", [each.lesson_seconds for each in seen], "s")
    row("CPU of the lesson", [each.cpu_seconds for each in seen], "s")
    for part in ("Jupyter server", "kernel", "postgres", "pgbouncer", "other"):
        if any(part in each.peak for each in seen):
            row(f"PSS: {part}", [each.peak.get(part, 0.0) for each in seen], "MB")
    row("PSS together", [sum(each.peak.values()) for each in seen], "MB")
    row("until all is gone", [each.gone_seconds for each in seen], "s")
    console.print(table)
    whole = sum(each.cells == cells and each.correct == EXERCISES for each in seen)
    console.print(f"All servers up after {started:.0f} s.")
    console.print(f"{whole} of {len(seen)} ran all {cells} cells, with {EXERCISES} of {EXERCISES} exercises correct.")
    for number, each in enumerate(seen):
        for failure in each.failed:
            console.print(f"  learner {number}, {failure}", markup=False)
        if each.correct != EXERCISES:
            console.print(f"  learner {number}: {each.correct} exercises correct")
    for what in (*(("reached", "not_reached") if tries else ()), "left"):
        found = Counter(one for each in seen for one in getattr(each, what))
        said = {"reached": "Another's, reached", "not_reached": "One's own, not reached", "left": "Left behind"}[what]
        console.print(f"{said}: {dict(found) or 'nothing'}")


def _footprint(source: str) -> dict[str, float]:
    """Start a kernel, run ``source`` in it, and return the PSS of it and what it started, in MB by part."""
    manager, client = start_new_kernel(extra_arguments=["--log-level=ERROR"])
    try:
        reply = client.execute_interactive(source, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
        time.sleep(1)  # PostgreSQL's helpers have begun by then
        kernel = psutil.Process(manager.provisioner.process.pid)
        return _memory([kernel, *kernel.children(recursive=True)])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _print_footprint(console: Console) -> None:
    seen = {name: _footprint(source) for name, source in FOOTPRINTS.items()}
    table = Table(title="Footprint of one learner's kernel, PSS")
    for heading in ("", "kernel", "postgres", "pgbouncer", "together", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    least = sum(next(iter(seen.values())).values())
    for name, parts in seen.items():
        together = sum(parts.values())
        columns = [f"{parts.get(part, 0.0):.1f} MB" for part in ("kernel", "postgres", "pgbouncer")]
        table.add_row(name, *columns, f"{together:.1f} MB", f"{together / least:.2f}")
    console.print(table)


def main(
    learners: Annotated[int, typer.Option(min=0, help="How many at once; 0 for the footprint alone.")] = 3,
    pause: Annotated[float, typer.Option(min=0, help="Mean pause of a learner before each cell, in seconds.")] = 0.0,
    tries: Annotated[bool, typer.Option(help="Also let each learner try to reach the next one.")] = True,
    footprint: Annotated[bool, typer.Option(help="Also measure what a kernel and its servers weigh.")] = True,
) -> None:
    """Run a class on a JupyterHub and print what it took."""
    console = Console(width=110)
    if learners and (reason := what_is_missing()):
        console.print(f"Skipped: {reason}")
        learners = 0
    if footprint:
        _print_footprint(console)
    if learners:
        cells = len(solution_cells(nbformat.read(ROOT / "solutions" / f"{LESSON}.ipynb", as_version=4).cells))
        with TrialHub(learners) as hub:
            reports, started = asyncio.run(_class(hub, pause, tries, lambda line: console.print(line, style="dim")))
        _print_class(reports, cells, started, tries, console)


if __name__ == "__main__":
    typer.run(main)
