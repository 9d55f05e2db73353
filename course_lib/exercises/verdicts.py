"""The verdicts of the check protocol, and what a check found."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from course_lib import graded
from course_lib.exercises.feedback import Panel, Tone

Status = Literal["correct", "not_yet", "not_attempted", "error", "timed_out", "checker_error"]

_HEADINGS: dict[Status, tuple[str, Tone]] = {
    "correct": ("Correct", "good"),
    "not_yet": ("Not yet", "wrong"),
    "not_attempted": ("Not attempted yet", "plain"),
    "error": ("Error in your code", "fault"),
    "timed_out": ("Out of time", "fault"),
    "checker_error": ("The check failed, not you", "fault"),
}


@dataclass(frozen=True)
class Case:
    """The one case that a wrong answer failed.

    Args:
        given: what the answer was called with, as text.
        expected: what a right answer gives, as text.
        got: what this answer gave, as text.
        made_up: the check invented these values, so a password in them is shown: it is what the case is about.
    """

    given: str
    expected: str
    got: str
    made_up: bool = False


class NotYet(Exception):
    """The answer is wrong.

    Args:
        message: what is wrong and what to do next; `code` in backticks.
        misconception: id of the misunderstanding behind it, such as ``"keeps-sslmode"``.
        case: the case that failed.
    """

    def __init__(self, message: str, *, misconception: str | None = None, case: Case | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.misconception = misconception
        self.case = case


class NotAttempted(Exception):
    """The starter is untouched."""


class AnswerError(Exception):
    """Something that the learner configured raised while our code used it."""

    def __init__(self, doing: str) -> None:
        super().__init__(doing)
        self.doing = doing


@dataclass
class Call:
    """What the answer was last called with, so that an exception or a time-out can say it.

    Args:
        given: the call, as text; "" as long as the check did not say.
        made_up: the check invented the values, so a password in them is shown.
    """

    given: str = ""
    made_up: bool = False


last_call: ContextVar[Call] = ContextVar("course_last_call")


def calling(given: str, *, made_up: bool = False) -> None:
    """Say what the answer is called with next. Feedback shows it if the answer raises or does not end.

    Args:
        given: the argument or the call, as text.
        made_up: the check invented the values, so a password in them is shown.
    """
    call = last_call.get(None)
    if call is not None:
        call.given, call.made_up = given, made_up


@asynccontextmanager
async def using_answer(doing: str) -> AsyncIterator[None]:
    """Within this block, an exception is the answer's: our code uses what the learner made.

    Args:
        doing: what is being tried, to follow the word "while": ``"opening a connection with your engine"``.

    Raises:
        AnswerError: in place of any exception that is not a verdict.
    """
    try:
        yield
    except (NotYet, NotAttempted, AnswerError):
        raise
    except Exception as error:
        raise AnswerError(doing) from error


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Args:
        exercise: the exercise's id, such as ``"02.1"``.
        status: one of the six verdicts.
        message: plain text, what to do next.
        misconception: id of the recognised misunderstanding, or None.
        case: the case that failed, or None.
        traceback: the learner's own lines of the traceback, or "".
        call: what the answer was called with when it raised or ran out of time, where the check said it.
        note: a line about something besides the verdict, such as progress that could not be saved.
    """

    exercise: str
    status: Status
    message: str
    misconception: str | None = None
    case: Case | None = None
    traceback: str = ""
    call: Call | None = None
    note: str = ""

    def __bool__(self) -> bool:
        return self.status == "correct"

    def panel(self) -> Panel:
        """The outcome as it is shown: the verdict first, then the case that failed, then the next step."""
        heading, tone = _HEADINGS[self.status]
        rows: tuple[tuple[str, str], ...] = ()
        reveal = False
        if self.case:
            rows = (("Called with", self.case.given), ("Expected", self.case.expected), ("Got", self.case.got))
            reveal = self.case.made_up
        elif self.call and self.call.given:
            rows = (("Called with", self.call.given),)
            reveal = self.call.made_up
        return Panel(heading, self.message, tone, rows, self.traceback, self.note, reveal)

    def __repr__(self) -> str:
        return repr(self.panel())

    def _repr_html_(self) -> str:
        return self.panel()._repr_html_()

    def _ipython_display_(self) -> None:
        """Show it beside the cell's result when graded: nbgrader reads a result as a number of points."""
        if not graded.GRADED:
            raise NotImplementedError  # IPython's word for "as always"
        from IPython.display import publish_display_data

        data = {"text/plain": repr(self), "text/html": self._repr_html_()}
        publish_display_data(data)  # type: ignore[no-untyped-call]


class NotCorrect(AssertionError):
    """What a check raises when it is graded and its answer is not correct. Its text is the feedback.

    Args:
        outcome: what the check found.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(repr(outcome))
        self.outcome = outcome

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the lines of our own code that led here help nobody."""
        return [str(self)]


def verdict_within(error: BaseException) -> NotYet | NotAttempted | None:
    """The verdict that a task group wrapped, if there is one."""
    if isinstance(error, NotYet | NotAttempted):
        return error
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            if found := verdict_within(each):
                return found
    return None
