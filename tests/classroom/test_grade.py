"""`course grade`: from a folder of submissions to points, files and pages."""

import ast
import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from bs4 import BeautifulSoup
from nbgrader_class import Class, page_blocks

from course_lib.grade import Mark, Result, course_version, write_all
from course_lib.grade._integrity import Fingerprint
from course_lib.grade._reference import reference
from course_lib.grade._refusals import refusal, refused_import
from course_lib.grade._results import Store, slug
from course_lib.grade._slices import make_cell, needed
from course_lib.lessons import cell_source, course_root, lessons

ROOT = course_root()
LESSON = "06_pool_sizing"
COURSE = [sys.executable, "-c", "from course_lib.cli import app; app()"]


def class_of(folder: Path, learners: dict[str, str]) -> Path:
    """Submissions of one lesson: a learner's notebook is copied from solutions/ or notebooks/."""
    for learner, source in learners.items():
        (folder / learner).mkdir(parents=True)
        text = (ROOT / source / f"{LESSON}.ipynb").read_bytes()
        (folder / learner / f"{LESSON}.ipynb").write_bytes(text)
    return folder


def course_grade(*arguments: str | Path, code: int = 0) -> str:
    """What the command says on stdout."""
    done = subprocess.run([*COURSE, "grade", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout or done.stderr


def graders_of(parent: int) -> Iterator[psutil.Process]:
    """The grading processes below a process."""
    for process in psutil.Process(parent).children(recursive=True):
        try:
            if "course_lib.grade._zygote" in " ".join(process.cmdline()) and process.parent() is not None:
                yield process
        except psutil.Error:
            continue


def test_a_class_from_submissions_to_pages(tmp_path: Path) -> None:
    """One command grades all, a second one nothing; one bad submission stops nothing."""
    folder = class_of(tmp_path / "in", {"anna": "solutions", "bernd <b>ünal": "notebooks", "clara": "solutions"})
    (folder / "clara" / f"{LESSON}.ipynb").write_bytes(b'{"cells": [')
    output = tmp_path / "out"
    first = json.loads(course_grade(folder, "--output", output, "--workers", "1", "--json", code=1))
    assert (first["submissions"], first["graded_now"], first["points"], first["possible"]) == (3, 3, 3, 9)
    assert list(first["not_graded"]) == ["clara"]
    second = json.loads(course_grade(folder, "--output", output, "--json", code=1))
    assert (second["graded_now"], second["points"]) == (0, 3)

    with (output / "grades.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["learner"], row["status"]) for row in rows if row["exercise"] == "06.1"] == [
        ("anna", "correct"),
        ("bernd <b>ünal", "not_attempted"),
        ("clara", "refused"),
    ]
    grades = json.loads((output / "grades.json").read_text(encoding="utf-8"))
    assert [each["points"] for each in grades["submissions"]] == [3, 0, 0]
    suites = ElementTree.parse(output / "junit.xml").getroot()
    assert [suite.get("failures") for suite in suites] == ["0", "0", "3"]
    pages = sorted((output / "feedback").iterdir())
    assert len(pages) == 3
    page = BeautifulSoup((output / "feedback" / f"{slug('bernd <b>ünal')}.html").read_text("utf-8"), "html.parser")
    assert page.h1 is not None
    assert page.h1.get_text() == "Feedback for bernd <b>ünal"
    report = BeautifulSoup((output / "report.html").read_text("utf-8"), "html.parser")
    assert [heading.get_text() for heading in report("h2")] == ["Points", "Attempts by exercise", "Learners"]
    assert all(len(picture["alt"]) > 20 for picture in report("img"))
    assert all((output / str(link["href"])).is_file() for link in report("a"))


@pytest.mark.classroom
def test_the_pages_commands(tmp_path: Path) -> None:
    """What INSTRUCTORS.md says about this command, from what nbgrader collected to grades."""
    made = Class(tmp_path)
    collected = made.folder / "submitted" / "anna b" / LESSON
    collected.mkdir(parents=True)
    (collected / f"{LESSON}.ipynb").write_bytes((ROOT / "solutions" / f"{LESSON}.ipynb").read_bytes())
    plain, again, dask = page_blocks("Grading with `course grade`")
    said = made.run(plain, lesson=LESSON)
    assert "1 submissions graded." in said
    assert {path.name for path in (made.folder / "grades").iterdir()} >= {
        "grades.csv", "grades.json", "junit.xml", "feedback", "report.html",
    }  # fmt: skip
    assert json.loads((made.folder / "grades" / "grades.json").read_text())["submissions"][0]["points"] == 3
    assert "1 had been graded before" in made.run(again.replace(" --force", ""))
    assert again.endswith(" --force\n")
    assert dask.count("127.0.0.1:8786") == 2


@pytest.mark.classroom
def test_the_pages_scheduler(tmp_path: Path) -> None:
    """The page's commands for Dask and --force."""
    made = Class(tmp_path)
    class_of(made.folder / "handed-in", {"anna": "solutions"})
    _, again, dask = page_blocks("Grading with `course grade`")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    dask = dask.replace("8786", port).replace("--no-nanny", f"--no-nanny --local-directory {tmp_path}")
    assert "1 submissions graded." in made.run(f"trap 'kill -KILL $(jobs -p)' EXIT\n{dask}")
    assert "1 submissions graded." in made.run(again)


def test_misuse_is_told_apart(tmp_path: Path) -> None:
    """Exit code 2, one sentence, and nothing is made."""
    assert "no folder" in course_grade(tmp_path / "nowhere", code=2)
    assert "one folder per learner" in course_grade(tmp_path, code=2)
    (tmp_path / "anna").mkdir()
    assert "among the submissions" in course_grade(tmp_path, "--output", tmp_path / "grades", code=2)
    assert list(tmp_path.iterdir()) == [tmp_path / "anna"]
    said = course_grade("--help")
    assert all(f"{code}: " in " ".join(said.split()) for code in ("0", "1", "2"))


@pytest.mark.classroom
def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    """Interrupted while it grades: no process stays, no traceback, and the next run goes on."""
    folder = class_of(tmp_path / "in", {f"learner-{number}": "solutions" for number in range(6)})
    output = tmp_path / "out"
    command = [*COURSE, "grade", str(folder), "--output", str(output), "--workers", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 300  # a busy machine
        while not list((output / "results").glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list((output / "results").glob("*.json"))
        graders = list(graders_of(process.pid))
        assert graders
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        said = process.stderr.read() if process.stderr else ""
        assert process.wait(60) == 130, said
    assert "Traceback" not in said
    assert "goes on from there" in said
    psutil.wait_procs(graders, timeout=20)
    assert not any(each.is_running() for each in graders)
    kept = len(list((output / "results").glob("*.json")))
    assert 0 < kept < 6
    rest = json.loads(course_grade(folder, "--output", output, "--workers", "1", "--json"))
    assert (rest["graded_now"], rest["points"]) == (6 - kept, 18)


def test_a_changed_submission_and_a_changed_course_are_graded_again(tmp_path: Path) -> None:
    """Results are kept for a content and a version of the course."""
    store = Store(tmp_path, "1")
    result = Result("anna/../ü", "key", [Mark("02.1", "t", "02_x", "correct", 1, 1, None, "fine")], {"a": "b"}, 1.5)
    store.keep(result)
    assert store.known("anna/../ü", "key") == result
    assert store.known("anna/../ü", "other") is None
    assert Store(tmp_path, "2").known("anna/../ü", "key") is None
    (path,) = (tmp_path / "results").iterdir()
    path.write_text(path.read_text()[:50])
    assert store.known("anna/../ü", "key") is None
    assert re.fullmatch("[0-9a-f]{16}", course_version())


def test_nothing_in_a_page_or_table_is_run(tmp_path: Path) -> None:
    """Names and messages are text everywhere."""
    evil = "<script>alert(1)</script>\x00\ud800=1"
    mark = Mark("02.1", evil, "02_x", "not_yet", 0, 1, evil, f"=cmd {evil}")
    write_all([Result(f"={evil}".replace("\x00", ""), "k", [mark], {evil: evil})], tmp_path, "1")
    for page in (tmp_path / "report.html", *(tmp_path / "feedback").iterdir()):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "default-src 'none'" in text
    with (tmp_path / "grades.csv").open(newline="", encoding="utf-8") as file:
        assert not any(cell.startswith("=") for row in csv.reader(file) for cell in row)
    ElementTree.parse(tmp_path / "junit.xml")


def test_every_exercise_is_found_with_its_points() -> None:
    """The reference knows all exercises of all lessons."""
    known = [question.id for lesson in reference().values() for question in lesson.questions]
    assert known == [exercise for lesson in lessons() for exercise in lesson.exercises]
    assert all(question.points == 1 for lesson in reference().values() for question in lesson.questions)


@pytest.mark.parametrize("role", ["starter", "solution"])
def test_the_courses_own_answers_are_not_refused_and_stand_alone(role: str) -> None:
    """The look at the source lets every starter and solution through, and no demonstration has to run for them."""
    for lesson in reference().values():
        for question in lesson.questions:
            cell = make_cell(5, str(cell_source(question.id, role)), question.id)  # type: ignore[arg-type]
            assert cell.tree is not None, cell.error
            assert refusal(cell.tree, lesson.imports) is None, question.id
            assert needed(question, [cell], lesson) == [cell], question.id


def test_the_answer_bank_is_not_refused() -> None:
    """Nor does it refuse any of the bank's right answers."""
    import bank

    for path in sorted(bank.FOLDER.glob("*/q*.py")):
        lesson = next(each for name, each in reference().items() if name[3:] == path.parent.name)
        text = path.read_text(encoding="utf-8")
        pieces = bank._PART.split(text)
        for kind, part in zip(pieces[1::3], pieces[3::3], strict=True):
            cell = make_cell(0, part)
            if kind == "right" and cell.tree is not None:
                assert refusal(cell.tree, lesson.imports) is None, (path, part)


def test_a_cell_tells_what_it_defines_and_uses() -> None:
    """Names of functions, comprehensions and loops are their own; a name used before it is defined comes from above."""
    source = "import re\nx = [a for a in b]\nu = u.v()\ndef f(p):\n    return p + later + q\nlater = 1\n"
    source += "for i in r:\n    i\nn += 1"
    cell = make_cell(0, source)
    assert cell.binds == {"re", "x", "u", "f", "later", "i", "n"}
    assert cell.uses == {"b", "u", "q", "r", "n"}


def test_a_name_comes_from_above_or_from_a_helper() -> None:
    """Not from what a kernel runs only after the check: other exercises' answers and the lesson's cells below it."""
    lesson = reference()["03_engine_creation"]
    question = next(each for each in lesson.questions if each.id == "03.2")
    answer = make_cell(5, "def get_session(engine):\n    return fetch_prices, helper", question.id)
    below = [make_cell(6, "helper = 1"), make_cell(7, "fetch_prices = 1", "03.4")]
    assert "fetch_prices" in {name for _, source in lesson.cells for name in make_cell(0, source).binds}
    assert needed(question, [answer, *below], lesson) == [answer, below[0]]
    above = make_cell(4, "fetch_prices = 1", "03.1")
    assert needed(question, [above, answer, *below], lesson) == [above, answer, below[0]]


def test_the_lessons_first_cells_may_import_what_they_import() -> None:
    """An answer that leaves its imports to that cell is right in a notebook."""
    for lesson in reference().values():
        for node in ast.walk(ast.parse(lesson.cells[0][1])):
            if isinstance(node, ast.Import):
                assert not any(refused_import(each.name, None, lesson.imports) for each in node.names), lesson.name
            elif isinstance(node, ast.ImportFrom):
                names = [each.name for each in node.names]
                assert refused_import(node.module or "", names, lesson.imports) is None, lesson.name


def test_a_fingerprint_sees_a_patch_and_its_mending() -> None:
    """Functions of modules and of classes; restored, they are what they were."""
    from course_lib.exercises import limits
    from course_lib.exercises.core import Exercise

    made = Fingerprint()
    assert len(made) > 3000
    assert made.changed() is None
    for owner, name in ((limits, "run_limited"), (Exercise, "_judge")):
        before = vars(owner)[name]
        setattr(owner, name, lambda *_: None)
        try:
            assert str(made.changed()).endswith(name)
        finally:
            setattr(owner, name, before)
    assert made.changed() is None
