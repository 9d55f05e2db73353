"""Lesson 12: is what it builds and solves course_lib/database.py itself, and what does its first check tell?"""

import ast
import asyncio
import inspect
from pathlib import Path

import nbformat
import psutil
import pytest

from course_lib import database
from course_lib.exercises import _complete_review as kept_review
from course_lib.exercises import complete_configuration as lesson
from course_lib.exercises.core import NotYet
from course_lib.lessons import cell_source, course_root
from course_lib.review import RULES, Finding, Report
from course_lib.servers import PostgresServer
from course_lib.work import template, work_file

# What stands in the file and not in a step: the lesson's first cell imports, and its cells make engines of their own.
NOT_IN_A_STEP = {"engine"}


def parts_of(source: str) -> dict[str, str]:
    """What a piece of Python defines at its top level, by name, without layout and comments."""
    found = {}
    for statement in ast.parse(source).body:
        targets = getattr(statement, "targets", [])
        for name in [getattr(statement, "name", None), *(ast.unparse(target) for target in targets)]:
            if name:
                found[name] = ast.dump(statement)
    return found


def test_the_solution_is_the_reference() -> None:
    """One text: the file that the solution cell makes is course_lib/database.py to the letter."""
    cell = cell_source("12.1", "solution")
    assert cell is not None
    texts = [node.value for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Constant)]
    assert inspect.getsource(database) in texts


def test_the_steps_are_the_reference() -> None:
    """Each class, function and constant of the file stands in a cell of the lesson, above the exercise, unchanged."""
    notebook = nbformat.read(course_root() / "notebooks" / "12_complete_configuration.ipynb", as_version=4)
    shown: dict[str, str] = {}
    for cell in notebook.cells:
        if cell.metadata.get("exercise") == "12.1":
            break
        if cell.cell_type == "code" and not cell.source.startswith("# needs"):
            with_await = compile(cell.source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            shown |= parts_of(ast.unparse(with_await))
    wanted = parts_of(inspect.getsource(database))
    assert {name for name in wanted if wanted[name] != shown.get(name)} == NOT_IN_A_STEP


def test_the_templates_are_made_up_and_valid() -> None:
    """The generated file is Python, and its password is an invented one."""
    assert {"engine", "get_session"} <= set(parts_of(template("database.py")))
    assert template("database.py").count("example-pw") == 1


def made_report(**outcomes: str) -> Report:
    """A report in which every rule is kept, but for some."""
    findings = (Finding(rule, outcomes.get(rule.id.replace("-", "_"), "ok"), "seen") for rule in RULES)  # type: ignore[arg-type]
    return Report("work/database.py", True, "", tuple(findings), 20)


def test_the_first_rule_in_order_is_named() -> None:
    """Two gaps: the message is about the first, has the lesson and what was observed, and counts the rest."""
    with pytest.raises(NotYet) as caught:
        lesson._judge(made_report(recycles="gap", disposed="gap"), "work/database.py")
    assert caught.value.misconception == "recycles"
    assert "lesson 04" in caught.value.message and "1 more" in caught.value.message
    assert caught.value.case is not None and caught.value.case.got == "seen"


@pytest.mark.parametrize("rule", [rule.id for rule in RULES if rule.id in lesson._PARTS])
@pytest.mark.parametrize("outcome", ["not_applicable", "cannot_tell"])
def test_a_part_that_is_not_there_is_no_pass(rule: str, outcome: str) -> None:
    """For what the task lists, `not applicable` and `can't tell` are not enough."""
    with pytest.raises(NotYet) as caught:
        lesson._judge(made_report(**{rule.replace("-", "_"): outcome}), "work/database.py")
    assert caught.value.misconception == rule


def test_other_rules_may_not_apply() -> None:
    said = lesson._judge(made_report(pgbouncer_settings="not_applicable", disposed="cannot_tell"), "work/database.py")
    assert said == "20 of the review's 22 rules apply to work/database.py, and it keeps them all."


@pytest.mark.parametrize("observed", ["It has no default URL, and says so: set it", "It works, on PostgreSQL."])
def test_the_default_is_sqlite(observed: str) -> None:
    """The review is content with a file that demands its URL; the exercise asks for more."""
    findings = tuple(Finding(rule, "ok", observed if rule.id == "pool-arguments" else "") for rule in RULES)
    with pytest.raises(NotYet) as caught:
        lesson._judge(Report("work/database.py", True, "", findings, 20), "work/database.py")
    assert caught.value.misconception == "no-sqlite-default"


async def test_comments_alone_are_no_attempt() -> None:
    """The generated file with other layout is still untouched."""
    made = work_file("database.py", "# mine now\n" + template("database.py"))
    outcome = await lesson.q1.check(made)
    assert outcome.status == "not_attempted"


async def test_without_a_server_it_is_nobodys_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """No PostgreSQL on this machine: the check says that it can't tell, and what to do."""
    monkeypatch.setenv("COURSE_POSTGRES_BIN", "/nonexistent")
    outcome = await lesson.q1.check(work_file("database.py", "x = 1\n"))
    assert outcome.status == "checker_error" and "needs a real server" in outcome.message


async def test_what_it_could_not_tell_is_reviewed_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a server may be late: a right answer is not refused for that, and a wrong one not twice."""
    doubtful, clear, gap = (made_report(one_engine=outcome) for outcome in ("cannot_tell", "ok", "gap"))
    for reports, verdict in (([doubtful, clear], "correct"), ([doubtful, doubtful], "not_yet"), ([gap], "not_yet")):
        given = iter(reports)

        async def review(path: Path, given: object = given) -> Report:
            return next(given)  # type: ignore[call-overload,no-any-return]

        monkeypatch.setattr(lesson, "review", review)
        assert (await lesson.q1.check(work_file("database.py", "x = 1\n"))).status == verdict
        assert next(given, None) is None


def process_of(server: PostgresServer) -> psutil.Process:
    return psutil.Process(int((server.data_folder / "data" / "postmaster.pid").read_text().splitlines()[0]))


def test_its_servers_stay_as_long_as_they_can() -> None:
    """Checks of one kernel share them; after a crash, and in another event loop, there are others, and no error."""

    async def right() -> kept_review._Kept:
        outcome = await lesson.q1.check(work_file("database.py", inspect.getsource(database)))
        assert outcome.status == "correct", outcome
        assert kept_review._kept is not None
        return kept_review._kept

    async def first_loop() -> tuple[kept_review._Kept, psutil.Process]:
        first = await right()
        assert await right() is first
        crashed = process_of(first.lab.other)
        crashed.kill()
        psutil.wait_procs([crashed], 10)
        second = await right()
        assert second is not first
        return second, process_of(second.lab.main)

    second, server = asyncio.run(first_loop())
    third = asyncio.run(right())
    assert third is not second
    assert psutil.wait_procs([server], 10)[1] == []
