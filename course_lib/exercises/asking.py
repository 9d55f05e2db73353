"""How a check calls what the learner wrote."""

import asyncio
import inspect
import os
from typing import Any

from course_lib.exercises.tracebacks import has_learner_frame
from course_lib.exercises.verdicts import AnswerError, NotYet, calling


async def ask(answer: Any, *arguments: Any, given: str | None = None, made_up: bool = False) -> Any:
    """Call the learner's function, and await what it gives if that can be awaited.

    Args:
        answer: the learner's function.
        arguments: what it is called with.
        given: the call as feedback shows it; by default the arguments.
        made_up: the check invented the arguments, so a password in them is shown.

    Returns:
        What the function gives.

    Raises:
        NotYet: it can't be called, or takes other parameters.
        AnswerError: a library that was handed in as the answer raised, with no line of the learner's involved.
        Exception: whatever a line of the learner's raised.
    """
    name = getattr(answer, "__name__", "your function")
    shown = given if given is not None else ", ".join(map(repr, arguments))
    if not callable(answer):
        got = f"an object of type `{type(answer).__name__}`"
        raise NotYet(f"The check calls a function, and got {got}.", misconception="passes-no-function")
    try:
        signature: inspect.Signature | None = inspect.signature(answer)
    except (TypeError, ValueError):  # some callables written in C have none
        signature = None
    if signature is not None:
        try:
            signature.bind(*arguments)
        except TypeError:
            count = f"{len(arguments)} argument{'' if len(arguments) == 1 else 's'}"
            raise NotYet(
                f"The check calls `{name}` with {count}; yours takes `{signature}`. Keep the starter's parameters.",
                misconception="takes-other-parameters",
            ) from None
    calling(shown, made_up=made_up)
    process = os.getpid()
    try:
        got = answer(*arguments)
        if inspect.isawaitable(got):
            got = await got
    except asyncio.CancelledError:
        raise
    except Exception as error:
        # A coroutine must not let StopIteration out: Python would make another exception of it.
        if has_learner_frame(error) and not isinstance(error, StopIteration):
            raise
        raise AnswerError("calling your function") from error
    finally:
        if os.getpid() != process:  # the answer forked, and this is the child: it has no part in the lesson
            os._exit(0)
    return got
