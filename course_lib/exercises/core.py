"""Exercises that are checked by running what the learner wrote.

A check is an async function. It returns when the answer is right, raises `NotYet` when it is wrong and
`NotAttempted` when nothing has been written yet. Any other exception is no verdict: if it comes out of the
learner's code it is an ``error``, if it comes out of ours it is a ``checker_error`` and says so.
"""

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable, Coroutine, Generator
from dataclasses import replace
from typing import Any

from course_lib import graded
from course_lib.exercises import progress
from course_lib.exercises.asking import ask
from course_lib.exercises.cleanup import cleaned_up, put_back
from course_lib.exercises.feedback import Panel
from course_lib.exercises.in_kernel import prepare_kernel
from course_lib.exercises.lab import full_disk
from course_lib.exercises.limits import Exited, TimeUp, run_limited
from course_lib.exercises.originals import after_replacing, put_back_originals
from course_lib.exercises.starters import untouched
from course_lib.exercises.tracebacks import advice, has_learner_frame, learner_traceback, one_line
from course_lib.exercises.verdicts import (
    AnswerError,
    Call,
    Case,
    NotAttempted,
    NotCorrect,
    NotYet,
    Outcome,
    Status,
    calling,
    last_call,
    using_answer,
    verdict_within,
)
from course_lib.lessons import cell_source
from course_lib.servers import ServerError

__all__ = [
    "AnswerError",
    "Case",
    "Exercise",
    "NotAttempted",
    "NotCorrect",
    "NotYet",
    "Outcome",
    "PendingCheck",
    "Status",
    "ask",
    "calling",
    "exercise",
    "using_answer",
]

# What a check returns, if anything, is a remark for a right answer.
CheckFunction = Callable[..., Coroutine[Any, Any, str | None]]

prepare_kernel()


class PendingCheck:
    """A check that has not run yet: it waits to be awaited, and says so when it is shown."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, Outcome]], call: str) -> None:
        self._run = run
        self._call = call

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._run().__await__()

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"this check has not run yet, so it has no {name!r}: write await {self._call}")

    def __repr__(self) -> str:
        return f"Not checked yet: the check has to be awaited. Write: await {self._call}"


class Exercise:
    """One exercise: check it, take a hint, read the solution.

    Args:
        id: lesson number and exercise number, such as ``"02.1"``.
        title: what is asked, in a few words.
        check: the async function that decides; its parameters are the learner's objects.
        hints: the hints, from the gentle one to the one that nearly tells.
        seconds: the check's time limit, in seconds.
    """

    def __init__(self, id: str, *, title: str, check: CheckFunction, hints: tuple[str, ...], seconds: float) -> None:
        self.id = id
        self.title = title
        self.hints = hints
        self.seconds = seconds
        self.name = check.__name__
        self.module = check.__module__
        self._check = check
        self._hints_given = 0

    def check(self, *answers: Any) -> PendingCheck:
        """Check the answer by running it. Always awaited: ``await q1.check(my_function)``.

        Args:
            answers: the learner's objects, as the lesson names them.

        Returns:
            Something to await, which gives the `Outcome`.

        Raises:
            NotCorrect: when awaited by a kernel that grades (see `course_lib.graded`), for any other outcome.
        """
        return PendingCheck(lambda: self._outcome(answers), f"{self.name}.check(...)")

    def hint(self, number: int | None = None) -> Panel:
        """Show one more hint at each call, or a certain one.

        Args:
            number: which hint, counted from 1; None for the next one.

        Returns:
            The hint, which a notebook displays.

        Raises:
            ValueError: there is no hint of that number.
        """
        if number is None:
            number = self._hints_given = min(self._hints_given + 1, len(self.hints))
        if not 1 <= number <= len(self.hints):
            raise ValueError(
                f"exercise {self.id} has hints 1 to {len(self.hints)}; {number} is none of them. "
                f"Call {self.name}.hint() for the next one."
            )
        after = (
            f"For the next one: `{self.name}.hint()`"
            if number < len(self.hints)
            else f"That was the last one. `{self.name}.solution()` shows an answer."
        )
        return Panel(f"Hint {number} of {len(self.hints)}", self.hints[number - 1], after=after)

    def solution(self) -> Panel:
        """Show the lesson's own solution cell.

        Returns:
            The solution, which a notebook displays.
        """
        source = cell_source(self.id, "solution")
        if source is None:
            return Panel(
                f"Solution of {self.id}",
                "The folder `solutions` is not part of this copy of the course. Ask whoever gave it to you.",
            )
        return Panel(f"Solution of {self.id}", "One answer of several that pass.", code=source)

    def __repr__(self) -> str:
        name = self.name
        return f"Exercise {self.id}: {self.title}. Use: await {name}.check(...), {name}.hint(), {name}.solution()"

    async def _outcome(self, answers: tuple[Any, ...]) -> Outcome:
        call = Call()
        token = last_call.set(call)
        put_back_originals()  # a cell may have replaced them before
        try:
            outcome = await self._judge(answers)
        finally:
            last_call.reset(token)
            replaced = put_back_originals()
        outcome = after_replacing(outcome, replaced)
        if outcome.status in ("error", "timed_out"):
            outcome = replace(outcome, call=call)
        with warnings.catch_warnings():
            # A coroutine that the answer never awaited would complain later, above some other cell's output.
            warnings.simplefilter("ignore", RuntimeWarning)
            gc.collect(1)  # the young ones: a whole collection takes longer than most checks
        if graded.GRADED:
            if outcome.status != "correct":
                raise NotCorrect(outcome)
            return outcome
        return replace(outcome, note="\n".join(filter(None, [outcome.note, await self._recorded(outcome)])))

    async def _recorded(self, outcome: Outcome) -> str:
        try:
            return await progress.record(outcome.exercise, outcome.status, outcome.misconception)
        except Exception as error:  # such as one of an event listener that the learner set on all engines
            return f"Your progress could not be saved: {one_line(error)}. Restart the kernel and check again."

    async def _judge(self, answers: tuple[Any, ...]) -> Outcome:
        try:
            inspect.signature(self._check).bind(*answers)
        except TypeError:
            wanted = ", ".join(inspect.signature(self._check).parameters)
            return Outcome(
                self.id,
                "error",
                f"`{self.name}.check` takes what the lesson asks for: `await {self.name}.check({wanted})`.",
            )
        if untouched(self.id, answers):
            return self._not_attempted()
        try:
            async with put_back(), cleaned_up():
                remark = await run_limited(self._check(*answers), self.seconds)
        except NotYet as wrong:
            return Outcome(self.id, "not_yet", wrong.message, wrong.misconception, wrong.case)
        except NotAttempted:
            return self._not_attempted()
        except TimeUp:
            return Outcome(
                self.id,
                "timed_out",
                f"Exercise {self.id} did not finish within {self.seconds:g} seconds, so it was stopped. "
                "Look for something that waits for ever (a loop without an end, `time.sleep`, `input`, an `await` that "
                "nothing answers), or for something slow that is done many times.",
            )
        except Exited:
            return Outcome(
                self.id,
                "error",
                "Your code asked Python to exit. The check stopped that call; remove it and check again.",
            )
        except (KeyboardInterrupt, GeneratorExit) as error:
            if isinstance(error, GeneratorExit) and has_learner_frame(error):
                return self._failed(error)
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the learner pressed stop
            said = "Your code awaited something that was cancelled, or raised `CancelledError` itself."
            return Outcome(self.id, "error", said, traceback=learner_traceback(error))
        except BaseException as error:
            return self._failed(error)
        solved = f"Exercise {self.id} is solved: {self.title}."
        return Outcome(self.id, "correct", f"{solved}\n\n{remark}" if remark else solved)

    def _failed(self, error: BaseException) -> Outcome:
        verdict = verdict_within(error)
        if isinstance(verdict, NotYet):
            return Outcome(self.id, "not_yet", verdict.message, verdict.misconception, verdict.case)
        if isinstance(verdict, NotAttempted):
            return self._not_attempted()
        if isinstance(error, AnswerError):
            cause = error.__cause__ or error
            lines = learner_traceback(cause) if has_learner_frame(cause) else ""
            said = f"While {error.doing}: {one_line(cause)}"
            return Outcome(self.id, "error", "\n\n".join(filter(None, [said, advice(cause)])), traceback=lines)
        if has_learner_frame(error):
            general = "Your code raised an exception. The last line says what happened, those above it say where."
            return Outcome(self.id, "error", advice(error) or general, traceback=learner_traceback(error))
        missing = error if isinstance(error, ServerError) else full_disk()
        if missing is not None:
            return Outcome(
                self.id, "checker_error", f"The check needs a real server, and could not have one. {missing}"
            )
        return Outcome(
            self.id,
            "checker_error",
            f"The check of exercise {self.id} itself failed, so it says nothing about your answer. "
            f"Restart the kernel and check again. If it stays, it is our mistake, please report it: {one_line(error)}",
        )

    def _not_attempted(self) -> Outcome:
        return Outcome(
            self.id,
            "not_attempted",
            f"Exercise {self.id} is waiting: {self.title}. Edit the cell above, run it, then run this one again. "
            f"`{self.name}.hint()` helps.",
        )


def exercise(
    id: str, *, title: str, hints: tuple[str, ...], seconds: float = 10.0
) -> Callable[[CheckFunction], Exercise]:
    """Make an `Exercise` of an async check function.

    Args:
        id: lesson number and exercise number, such as ``"02.1"``.
        title: what is asked, in a few words.
        hints: at least one, gentle first.
        seconds: the time limit, in seconds.

    Returns:
        A decorator for the check function.
    """

    def decorate(check: CheckFunction) -> Exercise:
        return Exercise(id, title=title, check=check, hints=hints, seconds=seconds)

    return decorate
