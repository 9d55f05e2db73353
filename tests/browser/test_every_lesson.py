"""Each lesson as a learner meets it, from the first cell to the last exercise, in a real JupyterLab and Chromium."""

import re

import nbformat
import pytest
from notebook_page import NO_WIDGET, THEMES, JupyterLab, NotebookPage
from playwright.sync_api import Browser

from course_lib.lessons import Lesson, cell_source, lessons

LESSONS = lessons()
PREDICTION = re.compile(r"^\w+ = predict\(", re.MULTILINE)
SKIPPED = re.compile(r"^Skipped: this cell needs", re.MULTILINE)

pytestmark = pytest.mark.every_lesson


def verdicts(lesson: NotebookPage, known: Lesson) -> list[str]:
    """What stands below the check of each exercise: the headings of all panels there, without their sign."""
    checks = [lesson.exercise_cell(exercise, "check") for exercise in known.exercises]
    return [text[2:] for each in checks for text in each.locator("[role='status'] > p > strong").all_inner_texts()]


def solve(lesson: NotebookPage, exercise: str) -> str:
    """Put the exercise's solution into its answer cell, run it and its check, and return what the check says."""
    solution = cell_source(exercise, "solution")
    assert solution
    answer = lesson.exercise_cell(exercise, "starter")
    lesson.type_into(answer, solution)
    assert lesson.source(answer) == solution
    lesson.run(answer)
    return lesson.run(lesson.exercise_cell(exercise, "check")).inner_text()


def test_the_course_has_its_lessons() -> None:
    """Are there thirteen lessons with exercises, so that the test below sees something?"""
    assert [each.number for each in LESSONS] == list(range(13))
    assert all(each.exercises for each in LESSONS)


@pytest.mark.parametrize("known", LESSONS, ids=[each.name for each in LESSONS])
def test_a_lesson_runs_and_is_solved(browser: Browser, jupyterlab: JupyterLab, known: Lesson) -> None:
    """No error, a quiet console, all widgets, nothing attempted; then each solution is correct, and axe content."""
    lesson = NotebookPage(browser, jupyterlab.address(known.path.name))
    try:
        lesson.run_all()
        assert lesson.error_outputs() == []
        text = "\n".join(lesson.page.locator(".jp-Notebook .jp-OutputArea").all_inner_texts())
        assert not SKIPPED.search(text)
        sent, shown = lesson.widgets()
        predictions = sum(len(PREDICTION.findall(each.source)) for each in nbformat.read(known.path, 4).cells)
        assert sent == len(shown) >= predictions
        assert [each for each in shown if not each.strip() or NO_WIDGET.search(each)] == []
        assert sum(each.startswith("Predict:") for each in shown) == predictions
        assert not NO_WIDGET.search(text)
        assert verdicts(lesson, known) == ["Not attempted yet"] * len(known.exercises)

        said = [solve(lesson, exercise) for exercise in known.exercises]
        assert verdicts(lesson, known) == ["Correct"] * len(known.exercises), said
        assert lesson.error_outputs() == []
        for theme in THEMES:
            lesson.use_theme(theme)
            kept, violations = lesson.axe()
            assert violations == [], theme
            assert {"color-contrast", "button-name"} <= kept
        assert lesson.problems == []
    finally:
        lesson.end_kernels()
        lesson.page.close()
