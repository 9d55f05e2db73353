"""How fast a class is graded: `course grade` beside nbgrader and otter-grader, on the same submissions in one run.

    python benchmarks/grade.py [--submissions 30] [--others 3]

Each submission has lessons 01 to 03: solved, untouched, or with wrong answers of the answer bank. The other two grade
the first of them, as many as `--others` says, since they are slow. Throughput is submissions per minute; theirs is
scaled from those few. The floor is a plain process that runs the answers' cells and their checks, one after the other,
confined by nothing. otter gets notebooks without the check cells, which it would run a second time. The killed worker
has a part in grading the first 12.
"""

import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import nbformat
import psutil
import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "answers"), str(ROOT / "tests" / "classroom")]
from bank import run_cell  # noqa: E402
from nbgrader_class import Class, page_blocks, solved, write_answers  # noqa: E402
from test_answer_bank import EXERCISES  # noqa: E402
from test_answer_bank import answers as bank_answers  # noqa: E402

from course_lib.exercises import progress  # noqa: E402
from course_lib.lessons import cell_source  # noqa: E402

LESSONS = ("01_installation", "02_url_conversion", "03_engine_creation")
COURSE = [sys.executable, "-c", "from course_lib.cli import app; app()", "grade"]
_OTTER_TEST = """
from otter.test_files import test_case

OK_FORMAT = False
name = "{name}"
points = 1


@test_case()
def test_it(env):
    import asyncio
    import threading
    from course_lib.exercises.{module} import {question}

    found = []

    async def check():
        found.append(await {question}.check({takes}))

    thread = threading.Thread(target=asyncio.run, args=(check(),))
    thread.start()
    thread.join()
    assert found[0].status == "correct"
"""


def make_class(folder: Path, count: int) -> None:
    """Make the submissions: a third solved, a third with one wrong answer a lesson, a third untouched or mixed."""
    wrong = {
        question.id: [answer.source for answer in bank_answers(lesson, question) if answer.status == "not_yet"]
        for lesson, group in EXERCISES.items()
        for question in group
        if question.id[:2] in ("01", "02", "03")
    }
    for number in range(count):
        learner = folder / f"learner-{number:02}"
        learner.mkdir(parents=True)
        for lesson in LESSONS:
            shutil.copy(ROOT / "notebooks" / f"{lesson}.ipynb", learner)
            right = solved(lesson)
            kind = number % 3
            if kind == 1:
                spoiled = list(right)[number % len(right)]
                right[spoiled] = wrong[spoiled][number % len(wrong[spoiled])]
            elif kind == 2:
                right = dict(list(right.items())[: number % (len(right) + 1)])
            write_answers(learner / f"{lesson}.ipynb", right)


class Memory(threading.Thread):
    """The largest proportional memory (PSS) of each grading process with all below it, in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.most, self.done = pid, dict[int, float](), threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.5):
            with contextlib.suppress(psutil.Error):
                for process in psutil.Process(self.pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        parent = process.parent()
                        above = parent.cmdline() if parent is not None else []
                        if _warm(process.cmdline()) and not _warm(above):
                            used = sum(_pss(each) for each in (process, *process.children(recursive=True)))
                            self.most[process.pid] = max(self.most.get(process.pid, 0), used / 1e6)


def _warm(command: list[str]) -> bool:
    return "course_lib.grade._zygote" in " ".join(command)


def _pss(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss)
    return 0.0


def run_course(folder: Path, output: Path, *options: str) -> tuple[float, dict[str, Any], dict[int, float]]:
    """Seconds of `course grade` with its start, what it said, and the memory of its workers."""
    began = time.perf_counter()
    command = [*COURSE, str(folder), "--output", str(output), "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        memory = Memory(process.pid)
        memory.start()
        said = process.communicate()[0]
    memory.done.set()
    return time.perf_counter() - began, json.loads(said), memory.most


def run_nbgrader(folder: Path, count: int, place: Path) -> tuple[float, float]:
    """Seconds of `nbgrader autograde` for the first submissions, and their points."""
    place.mkdir()
    made = Class(place)
    made.set_up()
    for lesson in LESSONS:
        for commands in page_blocks("Release"):
            made.run(commands, lesson=lesson)
        for number in range(count):
            learner = f"learner-{number:02}"
            target = made.folder / "submitted" / learner / lesson
            target.mkdir(parents=True)
            shutil.copy(folder / learner / f"{lesson}.ipynb", target)
    began = time.perf_counter()
    for lesson in LESSONS:
        made.run(f"nbgrader autograde {lesson}")
    seconds = time.perf_counter() - began
    learners = [f"learner-{number:02}" for number in range(count)]
    return seconds, sum(sum(made.points(learner, lesson).values()) for learner in learners for lesson in LESSONS)


def run_otter(folder: Path, count: int, place: Path) -> tuple[float, float]:
    """Seconds of `otter run` for the first submissions, and their points."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"COURSE_HOME": str(place / "home"), "COURSE_ROOT": str(ROOT)}
    seconds = points = 0.0
    from course_lib.grade._reference import reference

    for lesson in LESSONS:
        tests = place / lesson / "tests"
        tests.mkdir(parents=True)
        for each in reference()[lesson].questions:
            takes = ", ".join(f'env["{name}"]' for name in each.takes)
            (tests / f"{each.name}.py").write_text(
                _OTTER_TEST.format(
                    name=each.name, module=each.module.rpartition(".")[2], question=each.name, takes=takes
                )
            )
        _quiet(["otter", "generate", "-t", "tests", "-o", "autograder.zip"], place / lesson, environment)
        for number in range(count):
            notebook = nbformat.read(folder / f"learner-{number:02}" / f"{lesson}.ipynb", as_version=4)
            notebook.cells = [cell for cell in notebook.cells if cell.metadata.get("role") != "check"]
            submission = place / lesson / f"learner-{number:02}" / f"{lesson}.ipynb"
            submission.parent.mkdir()
            nbformat.write(notebook, submission)
            began = time.perf_counter()
            command = ["otter", "run", "-a", "../autograder.zip", "-o", ".", "--no-logo", submission.name]
            _quiet(command, submission.parent, environment)
            seconds += time.perf_counter() - began
            results = json.loads((submission.parent / "results.json").read_text())
            points += sum(each.get("score") or 0 for each in results["tests"] if each.get("max_score"))
    return seconds, points


def _quiet(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


async def run_floor(folder: Path, count: int) -> tuple[float, float]:
    """Seconds that answers' cells and checks take in one plain process, and the points."""
    points, began = 0.0, 0.0
    for number in range(-1, count):  # one to warm up
        if number == 0:
            began, points = time.perf_counter(), 0.0
        for lesson in LESSONS:
            path = folder / f"learner-{max(number, 0):02}" / f"{lesson}.ipynb"
            cells = nbformat.read(path, as_version=4).cells
            for answer in (cell for cell in cells if cell.metadata.get("role") == "starter"):
                namespace: dict[str, Any] = {"__name__": "__main__"}
                with contextlib.redirect_stdout(io.StringIO()):
                    await run_cell(answer.source, "<answer>", namespace)
                    check = cell_source(answer.metadata.exercise, "check")
                    assert check is not None
                    outcome = await run_cell(check, "<check>", namespace)
                points += outcome.status == "correct"
    return time.perf_counter() - began, points


def run_killed(folder: Path, place: Path) -> dict[str, Any]:
    """Grade on a scheduler with two workers that are started by hand; one is killed in the middle."""
    place.mkdir()
    file, output = place / "scheduler.json", place / "grades"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        "--host",
        "127.0.0.1",
        "--nthreads",
        "1",
        "--no-nanny",
    ]
    started = [subprocess.Popen([*scheduler, "--no-dashboard", "--scheduler-file", str(file)], **quiet)]
    try:
        while not file.exists():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        for name in ("one", "two"):
            command = [*worker, "--no-dashboard", address, "--local-directory", str(place / name)]
            started.append(subprocess.Popen(command, **quiet))
        command = [*COURSE, str(folder), "--output", str(output), "--json", "--scheduler", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            while len(list((output / "results").glob("*.json"))) < 5 and process.poll() is None:
                time.sleep(0.05)
            os.kill(started[-1].pid, signal.SIGKILL)
            return dict(json.loads(process.communicate()[0]))
    finally:
        for each in started:
            each.kill()
            each.wait()


def main(
    submissions: Annotated[int, typer.Option(min=6, help="How many submissions the class has.")] = 30,
    others: Annotated[int, typer.Option(min=0, help="How many of them nbgrader and otter-grader grade.")] = 3,
    kill: Annotated[bool, typer.Option(help="Also kill one of two workers in the middle.")] = True,
) -> None:
    """Measure, and print submissions per minute and their ratios."""
    table = Table(title=f"{submissions} submissions of lessons 01 to 03")
    for heading in ("what", "submissions", "seconds", "per minute", "points", "ratio to course grade"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    with tempfile.TemporaryDirectory(prefix="course-bench-") as name:
        place = Path(name)
        place.chmod(0o755)
        progress.data_folder = lambda: place / "home"  # type: ignore[assignment]
        folder = place / "in"
        make_class(folder, submissions)
        two, said, memory = run_course(folder, place / "two", "--workers", "2")
        one, _, _ = run_course(folder, place / "one", "--workers", "1")
        rows: list[tuple[str, int, float, float]] = [
            ("course grade, 2 workers", submissions, two, said["points"]),
            ("course grade, 1 worker", submissions, one, said["points"]),
        ]
        rows.append(("floor: cells in one plain process", submissions, *asyncio.run(run_floor(folder, submissions))))
        if others:
            rows.append(("nbgrader autograde", others, *run_nbgrader(folder, others, place / "nbgrader")))
            (place / "otter").mkdir()
            rows.append(("otter run", others, *run_otter(folder, others, place / "otter")))
        for what, count, seconds, points in rows:
            ratio = (submissions / two) / (count / seconds)
            cells = (str(count), f"{seconds:.1f}", f"{count / seconds * 60:.1f}", f"{points:g}", f"{ratio:.2f}")
            table.add_row(what, *cells)
        Console().print(table)
        if 0 < others < submissions:
            print(f"nbgrader and otter graded {others} of {submissions}: their speed and ratio are scaled from these.")
        print(f"1 to 2 workers, with the start of the command: {one / two:.2f} times as fast")
        print(f"Memory of a worker's grading process with its servers (PSS): {max(memory.values(), default=0):.0f} MB")
        if kill:
            few, count = place / "few", min(submissions, 12)
            for learner in sorted(folder.iterdir())[:count]:
                shutil.copytree(learner, few / learner.name)
            grades = json.loads((place / "two" / "grades.json").read_text(encoding="utf-8"))["submissions"]
            without = sum(each["points"] for each in grades if (few / each["learner"]).is_dir())
            after = run_killed(few, place / "killed")
            print(
                f"One of two workers killed: {after['graded_now']} of {after['submissions']} graded, "
                f"{after['points']:g} points (without: {without:g}), failed: {len(after['failed'])}"
            )


if __name__ == "__main__":
    typer.run(main)
