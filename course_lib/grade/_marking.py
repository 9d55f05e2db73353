"""Grade one submission: from notebooks to points."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from course_lib.grade._grader import Grader, GraderError
from course_lib.grade._reference import LessonReference, Question, reference
from course_lib.grade._refusals import refusal
from course_lib.grade._slices import Cell, needed, read_cells
from course_lib.grade._submissions import Submission, parse_notebook

#: Seconds that an exercise's process gets beyond its check's own limit: cells above it, servers that start.
ALLOWANCE = 20.0
_MOST_CELLS = 2_000


@dataclass
class Mark:
    """What one exercise got.

    Args:
        exercise: its id.
        title: what was asked.
        lesson: the lesson's name.
        status: the check's verdict, or "refused", "missing" or "grader_error".
        points: what was earned.
        possible: what could be earned.
        misconception: the id of a recognised misunderstanding, or None.
        message: what the learner reads.
        seconds: how long its process ran.
    """

    exercise: str
    title: str
    lesson: str
    status: str
    points: float
    possible: float
    misconception: str | None
    message: str
    seconds: float = 0.0


@dataclass
class Result:
    """What a submission got.

    Args:
        learner: the folder's name.
        key: the submission's content, as a hash.
        marks: one for each exercise of the lessons that were handed in.
        problems: why something was not graded.
        seconds: how long it took.
    """

    learner: str
    key: str
    marks: list[Mark] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """All that was earned."""
        return sum(mark.points for mark in self.marks)

    @property
    def possible(self) -> float:
        """All that could be earned."""
        return sum(mark.possible for mark in self.marks)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"points": self.points, "possible": self.possible}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Result":
        """What `as_dict` made."""
        marks = [Mark(**mark) for mark in values["marks"]]
        return cls(values["learner"], values["key"], marks, values["problems"], values["seconds"])


def mark_submission(submission: Submission, grader: Grader) -> Result:
    """Grade everything in a submission.

    Raises:
        GraderError: the grading process ended; nothing is known about the submission then.
    """
    began = time.monotonic()
    result = Result(submission.learner, submission.key, problems=dict(submission.problems))
    for name, lesson in reference().items():
        if name in submission.notebooks:
            result.marks += _mark_notebook(submission, lesson, grader, result.problems)
    result.seconds = round(time.monotonic() - began, 3)
    return result


def _mark_notebook(
    submission: Submission, lesson: LessonReference, grader: Grader, problems: dict[str, str]
) -> list[Mark]:
    try:
        notebook = parse_notebook(submission.notebooks[lesson.name])
        cells = read_cells(notebook)
        if len(cells) > _MOST_CELLS:
            raise ValueError(f"it has {len(cells):,} code cells; up to {_MOST_CELLS:,} are read")
    except (ValueError, RecursionError) as error:
        problems[f"{lesson.name}.ipynb"] = str(error) or "it is nested too deeply"
        said = f"The notebook could not be read: {problems[f'{lesson.name}.ipynb']}."
        return [_mark(lesson, each, {"status": "refused", "message": f"refused: {said}"}) for each in lesson.questions]
    return [_mark_exercise(submission, lesson, each, cells, grader) for each in lesson.questions]


def _mark_exercise(
    submission: Submission, lesson: LessonReference, question: Question, cells: list[Cell], grader: Grader
) -> Mark:
    chosen = needed(question, cells, lesson)
    if not chosen:
        return _mark(lesson, question, {"status": "missing", "message": "The notebook has no answer to it."})
    known = {source for _, source in lesson.cells}  # the lesson's own cells are not looked at
    for cell in chosen:
        if cell.tree is None:
            said = f"The cell could not be read as Python. {cell.error}"
            return _mark(lesson, question, {"status": "error", "message": said})
        if cell.source not in known and (why := refusal(cell.tree, lesson.imports)):
            return _mark(lesson, question, {"status": "refused", "message": f"refused: {why}, which no answer needs"})
    job = {
        "exercise": question.id,
        "cells": [{"name": f"for {question.id}", "source": cell.source} for cell in chosen],
        "takes": question.takes,
        "imports": lesson.imports,
        "seconds": question.seconds + ALLOWANCE,
        "files": {name: data.hex() for name, data in submission.files.items()},
    }
    verdict = grader.grade(job)
    if verdict["status"] in ("grader_error", "checker_error"):
        verdict = grader.grade(job)  # a busy machine; a fault of ours comes again
    return _mark(lesson, question, verdict)


def _mark(lesson: LessonReference, question: Question, verdict: dict[str, Any]) -> Mark:
    status = str(verdict["status"])
    return Mark(
        question.id,
        question.title,
        lesson.name,
        status,
        question.points if status == "correct" else 0.0,
        question.points,
        verdict.get("misconception"),
        str(verdict["message"]),
        float(verdict.get("seconds", 0.0)),
    )


__all__ = ["ALLOWANCE", "GraderError", "Mark", "Result", "mark_submission"]
