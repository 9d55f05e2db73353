"""Which part of a traceback is the learner's, and how to show only that."""

import re
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

_OURS = str(Path(__file__).resolve().parents[1])
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# A runaway recursion repeats the same lines a thousand times: its last few tell as much.
_MOST_FRAMES = 6
_MOST_CHARACTERS = 600

# What the well-known first mistakes of async database code look like, and what mends them.
_ADVICE = (
    (r"'coroutine' object", "An `await` is missing before the call whose result is used here."),
    (r"^ObjectNotExecutableError", 'SQL as a string has to be marked as such: `text("select 1")`.'),
    (
        r"password authentication failed",
        "If you made text of a URL: `str(url)` shows the password as `***`. Hand over the `url` object itself.",
    ),
    (r"^MissingGreenlet", "SQLAlchemy had to ask the database outside an awaited call. Lesson 03 shows where from."),
    (
        r"(reuse already awaited coroutine|coroutine is being awaited already)",
        "A coroutine can be awaited once, and a cache kept it for the next call. Put `cache` above a plain `def`, or "
        "keep the finished object.",
    ),
    (r"cannot be called from a running event loop", "The event loop runs already: write `await main()`."),
)


def advice(error: BaseException) -> str:
    """What to do about an exception that async beginners meet often; "" for all others."""
    said = one_line(error)
    return next((text for pattern, text in _ADVICE if re.search(pattern, said)), "")


def _is_learners(filename: str) -> bool:
    if filename.startswith(("<frozen", "<string", "<sqlalchemy", "<attrs")):  # code that libraries make up
        return False
    if filename.endswith((".pyx", ".pxi")):  # compiled by Cython, and named without a folder
        return False
    return not filename.startswith((_OURS, *_INSTALLED))


def _learner_frames(error: BaseException) -> list[traceback.FrameSummary]:
    frames: list[traceback.FrameSummary] = []
    step: TracebackType | None = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if _is_learners(code.co_filename):
            frames.append(traceback.FrameSummary(code.co_filename, step.tb_lineno, code.co_name))
        step = step.tb_next
    return frames


def has_learner_frame(error: BaseException) -> bool:
    """Whether *error* passed through a line of the learner's, looking into exception groups too."""
    if isinstance(error, BaseExceptionGroup) and any(has_learner_frame(each) for each in error.exceptions):
        return True
    return bool(_learner_frames(error))


def one_line(error: BaseException) -> str:
    """Type and message of *error* in a line, shortened, without SQLAlchemy's link to its background page."""
    try:
        message = str(error)
    except Exception:  # the answer's own exception may fail to describe itself
        message = ""
    message = message.split("\n(Background on this error")[0].split(" (Background on this error")[0]
    message = " ".join(message.split())
    if len(message) > _MOST_CHARACTERS:
        message = message[:_MOST_CHARACTERS] + "…"
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def learner_traceback(error: BaseException) -> str:
    """The learner's own lines of the traceback, with line numbers counted in their cell, then the exception.

    Args:
        error: the exception that came out of the learner's code.

    Returns:
        Text without any path, so that it reads alike on every machine.
    """
    if isinstance(error, BaseExceptionGroup):
        error = next((each for each in error.exceptions if has_learner_frame(each)), error)
    frames = _learner_frames(error)
    lines = [
        f"  line {frame.lineno} of your cell, in {frame.name}\n    {frame.line}" for frame in frames[-_MOST_FRAMES:]
    ]
    if len(frames) > _MOST_FRAMES:
        lines.insert(0, f"  ({len(frames) - _MOST_FRAMES} calls before)")
    return "\n".join([*lines, one_line(error)])
