"""Whole classes: the same grades as nbgrader's, the whole answer bank, and a worker that is killed."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import bank
import psutil
import pytest
from nbgrader_class import Class, page_blocks, without_demonstrations
from test_grade import COURSE, graders_of

from course_lib.grade._grader import Grader
from course_lib.grade._marking import Mark, mark_submission
from course_lib.grade._reference import reference
from course_lib.grade._submissions import Submission
from course_lib.lessons import course_root

pytestmark = pytest.mark.classroom


def bank_answers(exercise: str, lesson: str) -> list[bank.Answer]:
    """The answer bank's parts for an exercise."""
    import importlib

    module = importlib.import_module(f"course_lib.exercises.{lesson[3:]}")
    question = next(each for each in vars(module).values() if getattr(each, "id", None) == exercise)
    return bank.answers(lesson[3:], question)


# These import less than they use, so they fail alone, as in the bank's own test. In a notebook they don't: the lesson's
# first cell has the import. `course grade` takes that cell from the lesson where a submission lacks it.
IMPORTED_ABOVE: dict[str, tuple[str, str | None]] = {
    "engine_creation.q2: error: NameError": ("correct", None),
    "engine_creation.q4: error: NameError": ("not_yet", "leaves-sessions-open"),
    "pool_exhaustion.q1: error: NameError: name 'PoolTimeout' is not defined": ("correct", None),
    "credentials.q1: error: name 'SecretStr' is not defined": ("not_yet", "does-not-read-the-file"),
}


def expected(answer: bank.Answer) -> tuple[str, str | None]:
    """The verdict and the misconception that an answer gets in a notebook; `course grade` lets none import pytest."""
    if "import pytest\n" in answer.source:
        return "refused", None
    return IMPORTED_ABOVE.get(str(answer), (answer.status, answer.misconception))


@dataclass(frozen=True)
class Given:
    """A submission whose answers are the bank's: some wrong, the others right, and what it has to earn."""

    answers: dict[str, bank.Answer]

    @property
    def points(self) -> dict[str, float]:
        return {exercise: float(expected(answer)[0] == "correct") for exercise, answer in self.answers.items()}


def submissions_of_the_bank(lesson: str) -> dict[str, Given]:
    """Submissions that hold each of the bank's answers, by a learner's name.

    About half of a submission's exercises are wrong, and a twin of it has right answers there and wrong ones in the
    rest. Which ones go together changes from pair to pair, so a wrong answer that spoils another exercise is seen.
    """
    answers = {question.id: bank_answers(question.id, lesson) for question in reference()[lesson].questions}
    right = {exercise: [each for each in found if each.status == "correct"] for exercise, found in answers.items()}
    wrong = {exercise: [each for each in found if each.status != "correct"] for exercise, found in answers.items()}
    turns = {exercise: itertools.cycle(found) for exercise, found in right.items()}
    given = []
    splits = itertools.cycle(map(set, itertools.combinations(answers, max(1, len(answers) // 2))))
    while any(wrong.values()):
        half = next(splits)
        for chosen in (half, {*answers} - half):
            if any(wrong[each] for each in chosen):
                given.append(
                    {
                        each: wrong[each].pop() if each in chosen and wrong[each] else next(turns[each])
                        for each in answers
                    }
                )
    unused = {each for found in right.values() for each in found}.difference(*(one.values() for one in given))
    while unused:
        given.append({each: next((one for one in right[each] if one in unused), right[each][0]) for each in answers})
        unused.difference_update(given[-1].values())
    return {f"learner-{number:02}": Given(each) for number, each in enumerate(given)}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    """One grading process for the whole bank."""
    with Grader() as grader:
        yield grader


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Class:
    """A class with all lessons, none of them released."""
    made = Class(tmp_path_factory.mktemp("clone"))
    made.set_up()
    return made


@pytest.fixture(scope="module")
def handed_in(classroom: Class, grader: Grader) -> Callable[[str], tuple[dict[str, Given], dict[str, dict[str, Mark]]]]:
    """Hands in the bank's submissions of a lesson, and grades them once; returns both, marks by learner and exercise.

    They have no demonstrations; test_nbgrader has them.
    """

    @cache
    def hand_in(lesson: str) -> tuple[dict[str, Given], dict[str, dict[str, Mark]]]:
        classroom.run(page_blocks("Release")[0].replace('"*"', lesson))
        given = submissions_of_the_bank(lesson)
        ours = {}
        for learner, submission in given.items():
            sources = {exercise: answer.source for exercise, answer in submission.answers.items()}
            classroom.hand_in(learner, lesson, sources)
            path = classroom.folder / "submitted" / learner / lesson / f"{lesson}.ipynb"
            without_demonstrations(path)
            marks = mark_submission(Submission(learner, {lesson: path.read_bytes()}), grader).marks
            ours[learner] = {mark.exercise: mark for mark in marks}
        return given, ours

    return hand_in


@pytest.mark.parametrize("lesson", reference())
def test_the_answer_bank_gets_what_its_checks_say(handed_in: Any, lesson: str) -> None:
    """In the sandbox, behind the guards, each answer gets the verdict and the misconception that a notebook gives."""
    given, ours = handed_in(lesson)
    wrong = [
        (str(answer), learner, mark.status, mark.misconception, mark.message[:300])
        for learner, submission in given.items()
        for exercise, answer in submission.answers.items()
        if ((mark := ours[learner][exercise]).status, mark.misconception) != expected(answer)
    ]
    assert not wrong


@pytest.mark.parametrize("lesson", reference())
def test_the_grades_are_nbgraders(classroom: Class, handed_in: Any, lesson: str) -> None:
    """The whole bank, graded by both: a wrong answer earns nothing, and the right ones beside it earn all."""
    given, ours = handed_in(lesson)
    classroom.grade(lesson)
    theirs = {learner: classroom.points(learner, lesson) for learner in given}
    wrong = [
        (str(submission.answers[exercise]), learner, points, ours[learner][exercise].points, theirs[learner][exercise])
        for learner, submission in given.items()
        for exercise, points in submission.points.items()
        if not points == ours[learner][exercise].points == theirs[learner][exercise]
    ]
    assert not wrong


def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    """A scheduler and two workers, started by hand; one is killed in the middle: each submission is graded once."""
    folder, output = tmp_path / "in", tmp_path / "out"
    for number in range(12):
        (folder / f"learner-{number:02}").mkdir(parents=True)
        for lesson in ("02_url_conversion", "06_pool_sizing"):
            data = (course_root() / "solutions" / f"{lesson}.ipynb").read_bytes()
            (folder / f"learner-{number:02}" / f"{lesson}.ipynb").write_bytes(data)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    scratch.chmod(0o755)
    file = tmp_path / "scheduler.json"
    dask = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    ]
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        "--no-dashboard",
        "--nthreads",
        "1",
        "--host",
        "127.0.0.1",
    ]
    started = [subprocess.Popen([*dask, "--scheduler-file", str(file)], stderr=subprocess.DEVNULL)]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        for name in ("one", "two"):
            started.append(
                subprocess.Popen(
                    [*worker, address, "--name", name, "--no-nanny", "--local-directory", str(tmp_path / name)],
                    stderr=subprocess.DEVNULL,
                    env=os.environ | {"TMPDIR": str(scratch)},
                )
            )
        command = [*COURSE, "grade", str(folder), "--output", str(output), "--scheduler", address, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 200
            while len(list((output / "results").glob("*.json"))) < 3 and time.monotonic() < deadline:
                time.sleep(0.05)
            victim = started[-1]
            graders = psutil.Process(victim.pid).children(recursive=True)
            used = {Path(each.environ()["TMPDIR"]) for each in graders_of(victim.pid)}
            assert len(used) == 1
            assert next(iter(used)).is_dir()
            os.kill(victim.pid, signal.SIGKILL)
            said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    finally:
        for each in started:
            each.kill()
            each.wait()
    summary = json.loads(said)
    assert (summary["submissions"], summary["graded_now"], summary["points"]) == (12, 12, 84)
    results = [json.loads(path.read_text())["result"] for path in (output / "results").iterdir()]
    assert len({each["learner"] for each in results}) == len(results) == 12
    psutil.wait_procs(graders, timeout=20)
    assert not any(each.is_running() for each in graders)
    deadline = time.monotonic() + 20
    while any(each.exists() for each in used) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(each.exists() for each in used)
    assert re.search(r"learner-11,06_pool_sizing,06\.3,1,1,correct", (output / "grades.csv").read_text())
