"""What runs in a Dask worker: one warm grading process for each worker, started with its first submission."""

import atexit
import threading
from typing import Any

from course_lib.grade._grader import Grader, GraderError
from course_lib.grade._marking import Result, mark_submission
from course_lib.grade._reference import course_version
from course_lib.grade._submissions import Submission

_local = threading.local()
_all: list[Grader] = []


def grade_submission(submission: Submission, version: str) -> dict[str, Any]:
    """Grade a submission; never raises for what is in it.

    Args:
        submission: what was handed in.
        version: the course's version where the command runs; another one here would give other grades.
    Returns:
        `Result.as_dict`, with "worker" naming the grading process.
    Raises:
        GraderError: this worker cannot grade.
    """
    if version != course_version():
        raise GraderError("This worker has another version of the course than the command. Update it.")
    for attempt in range(2):
        grader = _grader()
        try:
            result = mark_submission(submission, grader)
        except GraderError:
            _discard(grader)
            if attempt:
                raise
        except (RecursionError, MemoryError) as error:
            result = Result(submission.learner, submission.key)
            result.problems["the submission"] = f"it could not be read ({type(error).__name__})"
            return result.as_dict() | {"worker": grader.pid}
        else:
            return result.as_dict() | {"worker": grader.pid}
    raise AssertionError("not reached")


def close_graders() -> None:
    """End the grading processes of this worker."""
    while _all:
        _all.pop().close()
    _local.grader = None


def _grader() -> Grader:
    grader: Grader | None = getattr(_local, "grader", None)
    if grader is None:
        grader = _local.grader = Grader()
        _all.append(grader)
    return grader


def _discard(grader: Grader) -> None:
    _local.grader = None
    if grader in _all:
        _all.remove(grader)
    grader.close()


atexit.register(close_graders)
