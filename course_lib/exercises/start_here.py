"""Lesson 00: a warm-up, to meet check, hint and solution."""

import asyncio
import importlib.metadata
import inspect
import platform
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import asyncpg
from sqlalchemy import URL, Result
from sqlalchemy.engine import FilterResult
from sqlalchemy.exc import MissingGreenlet

from course_lib.exercises.core import Case, NotYet, exercise
from course_lib.exercises.lab import Lab, lab

_GIVEN = "the URL of a running server"
_LIBRARIES = ("SQLAlchemy", "asyncpg", "SQLModel", "aiosqlite")
_CLOSING = 2.0  # seconds; the server notices a closed connection within milliseconds


@exercise(
    "00.1",
    title="Ask the server for its version",
    hints=(
        "The first query above has all the pieces: engine, connection, `text(...)`, one value. Put them into the "
        "function, and let the engine use the `url` that the function is given.",
        "PostgreSQL answers `select version()` with a sentence, and `show server_version` with the number alone. "
        "Either is right. `scalar_one()` takes the value out of the result.",
        'Inside `async with engine.connect() as connection:` write `result = await connection.execute(text("show '
        'server_version"))`. Keep `result.scalar_one()` in a variable, call `await engine.dispose()`, return the '
        "variable.",
    ),
    seconds=12,
)
async def q1(server_version: Callable[[URL], Awaitable[str]]) -> None:
    """Call the answer with a real server, look what it leaves behind, and call it where no server listens."""
    if not callable(server_version):
        raise NotYet(
            "The check wants the function itself, so that it can call it with a server of its own: "
            "`await q1.check(server_version)`, without parentheses after the name.",
            misconception="not-a-function",
        )
    async with lab() as box:
        version = await _true_version(box)
        try:
            got = await _value(server_version, box.url)
        except MissingGreenlet as error:
            raise NotYet(
                "A synchronous engine met an async driver: SQLAlchemy calls that `MissingGreenlet`. Make the "
                "engine with `create_async_engine`, open the connection with `async with`, and `await` the query.",
                misconception="synchronous-engine",
            ) from error
        _judge(got, version)
        await _nothing_left(box)
        await _really_asked(server_version, box.url, version)


async def _value(answer: Callable[[URL], object], url: URL) -> object:
    got = answer(url)
    return await got if inspect.isawaitable(got) else got


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
    case = Case(given=_GIVEN, expected="text with the version that this server tells", got=_shown(got))
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
    if got.strip() == "1":
        raise _select_one(case)
    if got.strip() == re.split(r"\D", number)[0]:
        raise NotYet(
            "That is the major version only. Return all that the server says: the minor version tells which "
            "corrections it has.",
            misconception="major-only",
            case=case,
        )
    raise NotYet(
        "The version that this server tells is not in the text. Ask with `select version()` or `show server_version`.",
        misconception="another-value",
        case=case,
    )


def _judge_other_types(got: object, number: str, case: Case) -> None:
    kind = type(got).__name__
    if got == 1:
        raise _select_one(case)
    # SQLAlchemy's Row is a Sequence and no tuple.
    if isinstance(got, Sequence | Mapping) and not isinstance(got, bytes) and _names(str(got), number):
        raise NotYet(
            f"The version is in there, but inside a `{kind}`: a row holds columns, also when there is only one. "
            "`scalar_one()` gives the value itself.",
            misconception="returns-the-row",
            case=case,
        )
    raise NotYet(
        f"Your function returns a `{kind}`. Return text, as the server's own answer is: `show server_version` gives a "
        "`str`.",
        misconception="not-text",
        case=case,
    )


def _select_one(case: Case) -> NotYet:
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
                "The version is right. But the server still sees an open connection: leaving the `async with` block "
                "gives it back to the engine's pool, which keeps it. Call `await engine.dispose()` before you return.",
                misconception="leaves-a-connection",
                case=Case(given="connections after your function", expected="0", got=str(left)),
            )
        await asyncio.sleep(0.05)


async def _really_asked(answer: Callable[[URL], object], url: URL, version: str) -> None:
    """Raise NotYet when the answer knows the version although no server listens at the URL."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, but nobody listens: a connection is refused at once
        try:
            got = await _value(answer, url.set(port=closed.getsockname()[1]))
        except Exception:
            return
    if isinstance(got, str) and _names(got, version.split()[0]):
        raise NotYet(
            "Your function told the same version for a URL where no server listens, so it did not ask there. Connect "
            "to the `url` that the function is given, at each call.",
            misconception="does-not-ask-the-url",
            case=Case(given="a URL where nothing listens", expected="an exception", got=_shown(got)),
        )


def _shown(value: object) -> str:
    """The value for the feedback, without a memory address."""
    if inspect.isawaitable(value) or isinstance(value, Result | FilterResult):
        return f"a {type(value).__name__}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
