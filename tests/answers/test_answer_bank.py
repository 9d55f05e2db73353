"""Every exercise: does its check accept what is right, name what is wrong, and never blame itself?"""

import importlib
import logging
import pkgutil
from collections import Counter
from collections.abc import Iterator

import pytest
from bank import Answer, answers, run

import course_lib.exercises
from course_lib.exercises.core import Exercise


def exercises() -> dict[str, list[Exercise]]:
    """All exercises, by the module of their lesson."""
    found: dict[str, list[Exercise]] = {}
    for module in pkgutil.iter_modules(course_lib.exercises.__path__):
        members = vars(importlib.import_module(f"course_lib.exercises.{module.name}")).values()
        questions = [each for each in members if isinstance(each, Exercise)]
        if questions:
            found[module.name] = questions
    return found


EXERCISES = exercises()


def _loggers() -> dict[str, logging.Logger]:
    named = logging.root.manager.loggerDict.items()
    return {"": logging.root} | {name: each for name, each in named if isinstance(each, logging.Logger)}


@pytest.fixture(scope="module", autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Some answers switch loggers on or off, all that there are among them: the tests that follow need theirs."""
    before = {name: (each.disabled, each.level, list(each.handlers)) for name, each in _loggers().items()}
    yield
    for name, each in _loggers().items():
        each.disabled, level, handlers = before.get(name, (False, logging.NOTSET, []))
        each.setLevel(level)
        for handler in [handler for handler in each.handlers if type(handler) is logging.StreamHandler]:
            if handler not in handlers:
                each.removeHandler(handler)
    logging.disable(logging.NOTSET)


BANK = [(each, answer) for lesson, group in EXERCISES.items() for each in group for answer in answers(lesson, each)]


@pytest.mark.parametrize(("exercise", "answer"), BANK, ids=[str(answer) for _, answer in BANK])
async def test_each_answer_gets_what_it_deserves(
    exercise: Exercise, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer.status == "timed_out":
        # It never ends: nobody has to wait for the whole limit to see that it is stopped.
        monkeypatch.setattr(exercise, "seconds", min(exercise.seconds, 2))
    outcome = await run(answer, exercise)
    assert outcome.status == answer.status, repr(outcome)
    assert outcome.misconception == answer.misconception, repr(outcome)
    assert answer.fragment in repr(outcome)


@pytest.mark.parametrize("lesson", EXERCISES)
def test_each_exercise_has_enough_answers(lesson: str) -> None:
    """At least two right answers besides the solution, and four wrong ones that are told apart."""
    for exercise in EXERCISES[lesson]:
        bank = answers(lesson, exercise)
        kinds = Counter(answer.status for answer in bank)
        assert kinds["correct"] >= 3, exercise.id
        assert kinds["not_attempted"] == 1, exercise.id
        named = [answer for answer in bank if answer.misconception]
        assert len(named) >= 4, exercise.id
        assert all(answer.fragment for answer in named), exercise.id
        sources = [answer.source for answer in bank]
        assert len(set(sources)) == len(sources), exercise.id


@pytest.mark.parametrize("lesson", EXERCISES)
def test_each_exercise_helps_in_steps(lesson: str) -> None:
    """Two hints or more, each another; the solution is the lesson's own cell."""
    for exercise in EXERCISES[lesson]:
        assert len(exercise.hints) >= 2, exercise.id
        assert len(set(exercise.hints)) == len(exercise.hints), exercise.id
        solution = next(answer for answer in answers(lesson, exercise) if answer.title == "solution")
        assert exercise.solution().code == solution.source.rstrip("\n")


def test_every_lesson_with_a_module_is_in_the_bank() -> None:
    folders = {path.name for path in __import__("bank").FOLDER.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders == set(EXERCISES)
