"""Whole classes: the same grades as nbgrader's, the whole answer bank, and a worker that is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bank
import psutil
import pytest
from nbgrader_class import Class, page_blocks, solved
from test_grade import COURSE

from course_lib.grade._grader import Grader
from course_lib.grade._marking import mark_submission
from course_lib.grade._reference import reference
from course_lib.grade._submissions import Submission
from course_lib.lessons import course_root

pytestmark = pytest.mark.classroom
LESSONS = ("01_installation", "02_url_conversion", "03_engine_creation")


def bank_answers(exercise: str, lesson: str) -> list[bank.Answer]:
    """The answer bank's parts for an exercise."""
    import importlib

    module = importlib.import_module(f"course_lib.exercises.{lesson[3:]}")
    question = next(each for each in vars(module).values() if getattr(each, "id", None) == exercise)
    return bank.answers(lesson[3:], question)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_grades_are_nbgraders(lesson: str, tmp_path: Path) -> None:
    """Solutions, untouched notebooks, and each of the bank's answers in an otherwise solved notebook."""
    right = solved(lesson)
    given: dict[str, dict[str, str]] = {"solver": right, "untouched": {}}
    for exercise in right:
        for number, answer in enumerate(bank_answers(exercise, lesson)):
            if answer.status in ("correct", "not_yet", "error"):
                given[f"{exercise.replace('.', '-')}-{number}"] = right | {exercise: answer.source}
    made = Class(tmp_path)
    made.set_up()
    for commands in page_blocks("Release"):
        made.run(commands, lesson=lesson)
    for learner, answers in given.items():
        made.hand_in(learner, lesson, answers)
    made.run(page_blocks("Grade")[0], lesson=lesson)
    theirs = {learner: made.points(learner, lesson) for learner in given}

    folder = tmp_path / "flat"
    folder.mkdir()
    for learner in given:
        (folder / learner).symlink_to(made.folder / "submitted" / learner / lesson)
    ours: dict[str, dict[str, float]] = {}
    with Grader() as grader:
        for learner in given:
            data = (folder / learner / f"{lesson}.ipynb").read_bytes()
            marks = mark_submission(Submission(learner, {lesson: data}), grader).marks
            ours[learner] = {mark.exercise: mark.points for mark in marks}
    assert ours == theirs


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    """One grading process for the whole bank."""
    with Grader() as grader:
        yield grader


@pytest.mark.parametrize("lesson", reference())
def test_the_answer_bank_gets_what_its_checks_say(grader: Grader, lesson: str) -> None:
    """In the sandbox, behind the guards, each answer gets the verdict and the misconception that a notebook gives."""
    from test_grade_hostile import code

    wrong = []
    for question in reference()[lesson].questions:
        for answer in bank_answers(question.id, lesson):
            if answer.status == "timed_out":
                continue  # each takes its whole limit; test_grade_hostile has such answers
            metadata = {"exercise": question.id, "role": "starter"}
            notebook = {
                "nbformat": 4,
                "nbformat_minor": 5,
                "metadata": {},
                "cells": [code(answer.source, metadata, "x")],
            }
            data = json.dumps(notebook).encode()
            marks = mark_submission(Submission("x", {lesson: data}), grader).marks
            mark = next(each for each in marks if each.exercise == question.id)
            if (mark.status, mark.misconception) != (answer.status, answer.misconception):
                wrong.append((str(answer), mark.status, mark.misconception, mark.message[:300]))
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
            assert list(scratch.glob("course-grade-*"))
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
    while list(scratch.glob("course-grade-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(scratch.glob("course-grade-*"))
    assert re.search(r"learner-11,06_pool_sizing,06\.3,1,1,correct", (output / "grades.csv").read_text())
