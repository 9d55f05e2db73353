"""Lesson 00: a warm-up, to meet check, hint and solution."""

import asyncio
import importlib.metadata
import inspect
import platform
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg
from sqlalchemy import URL, Result
from sqlalchemy.engine import FilterResult
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from course_lib.exercises._shown import shown
from course_lib.exercises.core import Case, NotYet, ask, exercise
from course_lib.exercises.lab import Lab, lab

_GIVEN = "the URL of a running server"
_NOBODY = "a URL where nothing listens"
_EXPECTED = "text with the version that this server reports"
_RAISED = object()
_LIBRARIES = ("SQLAlchemy", "asyncpg", "SQLModel", "aiosqlite")
_CLOSING = 2.0  # seconds; the server notices a closed connection within milliseconds


@exercise(
    "00.1",
    title="Ask the server for its version",
    hints=(
        "The first query above has all the pieces: engine, connection, `text(...)`, one value. Put them into the "
        "function, and let the engine use the `url` that the function is given.",
        "PostgreSQL answers `select version()` with a sentence, and `show server_version` with the number, on some "
        "systems with a package's name behind it. Either is right. `scalar_one()` takes the value out of the result.",
        'Inside `async with engine.connect() as connection:` write `result = await connection.execute(text("show '
        'server_version"))`. Keep `result.scalar_one()` in a variable, call `await engine.dispose()`, return the '
        "variable.",
    ),
    seconds=12,
)
async def q1(server_version: Callable[[URL], Awaitable[str]]) -> None:
    """Call the answer with a real server, look what it leaves behind, and call it where no server listens."""
    async with lab() as box:
        version = await _true_version(box)
        try:
            got = await ask(server_version, box.url, given=_GIVEN)
        except MissingGreenlet as error:
            raise NotYet(
                "Synchronous code met an async driver (an engine of `create_engine`, or the synchronous side of an "
                "async one): SQLAlchemy calls that `MissingGreenlet`. Make the engine with `create_async_engine`, "
                "open the connection with `async with`, and `await` the query.",
                misconception="synchronous-engine",
            ) from error
        if (type(got) is int and got == 1) or (type(got) is str and got.strip() == "1"):
            raise await _only_one(server_version, box.url, got)
        _judge(got, version)
        await _nothing_left(box)
        await _really_asked(server_version, box.url, version)


async def _true_version(box: Lab) -> str:
    """What the server itself says, such as "17.10" or "15.18 (Debian 15.18-0+deb12u1)"."""
    admin = await asyncpg.connect(box.url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        return str(await admin.fetchval("show server_version"))
    finally:
        await admin.close()


def _names(text: str, number: str) -> bool:
    """Whether *text* holds this version number, as a number of its own or as `server_version_num` writes it."""
    if re.search(rf"(?<![\d.]){re.escape(number)}(?!\.?\d)", text):
        return True
    parts = re.fullmatch(r"(\d+)\.(\d+)", number)  # 17.10 is 170010; a beta version has no second number
    return parts is not None and text.strip() == f"{int(parts[1]) * 10000 + int(parts[2])}"


def _judge(got: object, version: str) -> None:
    """Raise NotYet unless *got* is text that holds the server's version."""
    number = version.split()[0]
    case = Case(given=_GIVEN, expected=_EXPECTED, got=shown(got))
    if isinstance(got, AsyncConnection | AsyncSession | AsyncEngine | asyncpg.Connection):
        raise NotYet(
            f"Your function returns the `{type(got).__name__}`, through which the server can be asked. Ask inside the "
            "function: send the query, and return the value that comes back.",
            misconception="returns-the-connection",
            case=case,
        )
    if inspect.isawaitable(got):
        if inspect.iscoroutine(got):
            got.close()  # Python would warn that it was never awaited
        raise NotYet(
            "Your function returns something that still waits to be awaited. Put `await` in front of the call that "
            "asks the server.",
            misconception="forgets-await",
            case=case,
        )
    if got is None:
        raise NotYet(
            "Your function returns `None`. Printing shows a value to a person; `return` hands it to the caller.",
            misconception="returns-nothing",
            case=case,
        )
    if isinstance(got, Result | FilterResult):
        raise NotYet(
            "Your function returns the result, which can hold many rows. Take the one value out of it, with "
            "`scalar_one()`, while the connection is open.",
            misconception="returns-the-result",
            case=case,
        )
    if not isinstance(got, str):
        _judge_other_types(got, number, case)
    assert isinstance(got, str)
    if _names(got, number):
        return
    for library in _LIBRARIES:
        if got == importlib.metadata.version(library):
            raise NotYet(
                f"That is the version of {library}, a Python package on your side. The server is another program, "
                "with a version of its own: ask it with a query.",
                misconception="version-of-a-library",
                case=case,
            )
    if got == platform.python_version():
        raise NotYet(
            "That is Python's version. The server is another program: ask it with a query.",
            misconception="version-of-a-library",
            case=case,
        )
    if got.strip() == re.split(r"\D", number)[0]:
        raise NotYet(
            "That is the major version only. Return all that the server says: the minor version shows which "
            "corrections it has.",
            misconception="major-only",
            case=case,
        )
    raise NotYet(
        "The version that this server reports is not in the text. Ask with `select version()` or "
        "`show server_version`.",
        misconception="another-value",
        case=case,
    )


def _judge_other_types(got: object, number: str, case: Case) -> None:
    kind = type(got).__name__
    # SQLAlchemy's Row is a Sequence and no tuple.
    if isinstance(got, Sequence | Mapping) and not isinstance(got, bytes) and _names(shown(got), number):
        raise NotYet(
            f"The version is in there, but inside a `{kind}`: a row holds columns, also when there is only one. "
            "`scalar_one()` gives the value itself.",
            misconception="returns-the-row",
            case=case,
        )
    raise NotYet(
        f"Your function returns a value of type `{kind}`. Return text, as the server's own answer is: "
        "`show server_version` gives a `str`.",
        misconception="not-text",
        case=case,
    )


async def _only_one(answer: Callable[[URL], object], url: URL, got: object) -> NotYet:
    """What to say about a 1: it may be the answer to `select 1`, or no server was asked at all."""
    case = Case(given=_GIVEN, expected=_EXPECTED, got=repr(got))
    without = await _where_nobody_listens(answer, url)
    if type(without) is type(got) and without == got:
        return NotYet(
            "1 is not the version, and your function asked no server: where none listens, it returns the same.",
            misconception="does-not-ask-the-url",
            case=case,
        )
    return NotYet(
        "`select 1` shows that a server answers, but not which one. Ask it for its version instead.",
        misconception="select-one",
        case=case,
    )


async def _nothing_left(box: Lab) -> None:
    """Raise NotYet when the server still sees a connection of the answer."""
    deadline = time.monotonic() + _CLOSING
    while (left := await box.connections()) > 0:
        if time.monotonic() > deadline:
            raise NotYet(
                "The version is right. But the server still sees an open connection. An engine's pool keeps what you "
                "give back: write `await engine.dispose()`, with `await`, after the `async with` block has ended, and "
                "before `return`. A connection that the driver opened itself ends with `await connection.close()`.",
                misconception="leaves-a-connection",
                case=Case(
                    given=_GIVEN,
                    expected="no connection at the server after your function has returned",
                    got=f"{left} connection{'' if left == 1 else 's'} still open at the server",
                ),
            )
        await asyncio.sleep(0.05)


async def _where_nobody_listens(answer: Callable[[URL], object], url: URL) -> Any:
    """What the answer gives for a URL whose port refuses connections; `_RAISED` if it raises, as it should."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, but nobody listens: a connection is refused at once
        try:
            return await ask(answer, url.set(port=closed.getsockname()[1]), given=_NOBODY)
        except Exception:
            return _RAISED


async def _really_asked(answer: Callable[[URL], object], url: URL, version: str) -> None:
    """Raise NotYet when the answer knows the version although no server listens at the URL."""
    got = await _where_nobody_listens(answer, url)
    if isinstance(got, str) and _names(got, version.split()[0]):
        raise NotYet(
            "Your function returned the same version for a URL where no server listens, so it did not ask there. "
            "Connect to the `url` that the function is given, at each call.",
            misconception="does-not-ask-the-url",
            case=Case(given=_NOBODY, expected="an exception", got=repr(got)),
        )
