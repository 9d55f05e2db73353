"""What the checks of lesson 03 make of what they saw: each function raises `NotYet`, the most specific reason first."""

import inspect
import traceback
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.exc import InvalidRequestError, MissingGreenlet, ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._engine_creation import EngineWatch, Note
from course_lib.exercises._shown import shown
from course_lib.exercises.core import Case, NotYet

OFF = (None, "", "0", "false", "False", "no", "off", "2", "10", "n", "y", "t", "debug", "test", "only")
ON = ("1", "true", "TRUE", "Yes", "YES", "on", "tRuE")


def wrong_engine(engine: object, url: URL) -> NotYet | None:
    """What is wrong with *engine* before it is used, if anything."""
    if isinstance(engine, Engine):
        return NotYet(
            "This is a synchronous `Engine`: its first connect fails under an async driver. "
            "Make it with `create_async_engine` from `sqlalchemy.ext.asyncio`.",
            misconception="sync-engine",
        )
    if not isinstance(engine, AsyncEngine):
        return NotYet(
            f"`make_engine` returned {type(engine).__name__}, not an `AsyncEngine`. Return what `create_async_engine` "
            "gives you.",
            misconception="returns-no-engine",
        )
    if engine.url.password == "***":
        return NotYet(
            "The engine would log in with the password `***`: turning a URL into text with `str(url)` masks it. "
            "Give the URL object itself to `create_async_engine`.",
            misconception="masked-url",
        )
    if engine.url != url:
        return NotYet(
            "The engine has another address than the `url` it was given. Pass `url` on as it is.",
            misconception="another-url",
        )
    return None


def judge_echo(logged: dict[str | None, bool], default: bool) -> None:
    """03.1: did the engine log exactly when it should?

    Args:
        logged: whether it logged, by the value of DEBUG (None: not set), while the process had the opposite DEBUG.
        default: whether it logged without DEBUG, while the process had it off.
    """
    on = {value for value, logs in logged.items() if logs}
    environ = NotYet(
        "The echo follows the DEBUG of this process, not the one in `environment`. Read the argument: only then can "
        "a test, or a second engine, say something else.",
        misconception="reads-os-environ",
    )
    if default and on >= set(OFF) and len(on & set(ON)) < len(ON) - 1:
        raise NotYet(
            "The condition is the wrong way round: the engine logs where DEBUG is off. On are `1`, `true`, `yes` and "
            "`on`; all other text, and no DEBUG at all, is off.",
            misconception="wrong-way-round",
            case=Case("{'DEBUG': 'true'}", "statements in the log", "no statement in the log"),
        )
    if on == set(OFF):
        raise environ
    if None in on and not default:
        raise NotYet(
            "Without DEBUG in `environment`, the echo follows the DEBUG of this process. Read the argument alone: only "
            "then can a test, or a second engine, say something else.",
            misconception="reads-os-environ",
        )
    if on == set(logged):
        raise NotYet(
            "The engine logs its statements whatever DEBUG says, in production too. Let DEBUG decide.",
            misconception="always-on",
            case=Case("environment without DEBUG", "no statement in the log", "statements in the log"),
        )
    if not on:
        raise NotYet(
            "SQLAlchemy's log of the engine holds nothing, whatever DEBUG says. `environment` holds it: "
            "`{'DEBUG': 'true'}` has to turn `echo` on.",
            misconception="never-on",
            case=Case("{'DEBUG': 'true'}", "statements in the log", "no statement in the log"),
        )
    if on == {value for value in logged if value}:
        raise NotYet(
            "Any text at all turns the echo on, `'false'` and `'0'` included: `bool()` of text is False only when "
            "the text is empty. Compare the text with the words that mean on.",
            misconception="bool-of-text",
            case=Case("{'DEBUG': 'false'}", "no statement in the log", "statements in the log"),
        )
    for value, logs in logged.items():
        if logs != (value in ON):
            given = "environment without DEBUG" if value is None else f"{{'DEBUG': {value!r}}}"
            words = ("no statement in the log", "statements in the log")
            raise NotYet(
                "Some spellings of DEBUG are read the wrong way round. On are `1`, `true`, `yes` and `on`, in any "
                "case; everything else is off.",
                misconception="misses-a-spelling",
                case=Case(given, words[value in ON], words[logs]),
            )


def judge_trips(watch: EngineWatch) -> None:
    """03.3: did the endpoint use the given engine only, in this thread, with one SELECT at most?"""
    if watch.other_threads:
        raise NotYet(
            "The endpoint went to the database from another thread. That thread has no part in this event loop, and a "
            "connection works only in the loop that opened it. One `await` in the endpoint itself is enough.",
            misconception="uses-a-thread",
        )
    if watch.elsewhere:
        raise _second_engine()
    reads = [statement for statement in watch.sent if _is_select(statement)]
    if len(reads) > 1:
        raise NotYet(
            f"The endpoint sent {len(reads)} `SELECT` statements for one note. One `refresh` loads all columns at "
            "once, and with `expire_on_commit=False` no `SELECT` is needed.",
            misconception="one-query-per-attribute",
        )


def _second_engine() -> NotYet:
    return NotYet(
        "The endpoint ran statements around the engine it was given, so they need a connection of their own. Use "
        "`engine` for all of them.",
        misconception="second-engine",
    )


def _is_select(statement: str) -> bool:
    return statement.lstrip()[:6].upper() == "SELECT"


def judge_note(got: Any, stored: list[dict[str, Any]], watch: EngineWatch, title: str) -> None:
    """03.3: is the answer what the database holds, stored through the engine, and did no read fail on the way?"""
    case = Case(f"create_note(engine, {title!r})", repr(stored[0]) if stored else "a stored note", shown(got))
    if inspect.isgenerator(got) or inspect.isasyncgen(got):
        raise NotYet(
            "`yield` makes a generator of `create_note`, and whoever calls it gets that instead of the answer. Hand "
            "the answer over with `return`.",
            misconception="yields-instead-of-returning",
        )
    if not stored:
        raise NotYet(
            "The answer came, but the note is not in the database: nothing was committed. Without a commit, closing "
            "the session rolls back.",
            misconception="nothing-stored",
        )
    if not watch.checkouts or (watch.sent and all(map(_is_select, watch.sent))):
        raise _second_engine()
    if any(within(error, MissingGreenlet) for error in watch.errors):
        raise NotYet(
            "Somewhere `MissingGreenlet` is raised and caught. Catching it hides the failed read; it does not bring "
            "the values. Keep the read from failing, then there is nothing to catch.",
            misconception="catches-it",
            case=case if shown(got) != shown(stored[0]) else None,
        )
    if isinstance(got, Note):
        raise NotYet(
            "The endpoint returns the `Note` itself. Whether anything is left in it depends on the session's settings, "
            "and the client may get `{}`. Return a dict with `id`, `title` and `done`.",
            misconception="returns-the-instance",
        )
    if got == {}:
        raise NotYet(
            "The answer is `{}`: after the commit the note is empty, and `model_dump()` shows that emptiness without "
            "an error. Load it again before you dump it, or do not let the commit expire it.",
            misconception="empty-answer",
            case=case,
        )
    if len(stored) > 1:
        raise NotYet(
            f"One call of the endpoint stored {len(stored)} notes. Add one, and commit once.",
            misconception="stores-twice",
        )
    # Plain values are compared, types first, so that no class of the answer's decides what is equal.
    plain = dict(got) if isinstance(got, dict) else {}
    plain = {key: str.__str__(value) if isinstance(value, str) else value for key, value in plain.items()}
    types = {key: type(value) for key, value in plain.items()}
    if types != {key: type(value) for key, value in stored[0].items()} or plain != stored[0]:
        raise NotYet(
            "The answer differs from what the database holds. It has to be a dict with `id`, `title` and `done` of "
            "the note that was stored: an `int`, a `str` and a `bool`.",
            misconception="wrong-values",
            case=case,
        )


def shared_session() -> NotYet:
    """The verdict on queries that share a session."""
    return NotYet(
        "The queries share one session, or one connection. On a fresh pool a shared session fails; on a warm one it "
        "passes and runs one query after another, so the error comes and goes. Open a session inside each task.",
        misconception="shared-session",
    )


def sessions_left_open() -> NotYet:
    """The verdict on queries whose sessions keep their connections."""
    return NotYet(
        "All connections of the pool are held, by sessions that nobody closed or by tasks that hold one and want a "
        "second, so queries wait for one in vain. Open one session in each task, with `async with`, so that it closes.",
        misconception="leaves-sessions-open",
    )


def sync_session() -> NotYet:
    """The verdict on a synchronous session under an async driver."""
    return NotYet(
        "A statement was sent from synchronous code, such as `Session(engine.sync_engine)`, and raised "
        "`MissingGreenlet`: an async driver has to be awaited. Use SQLModel's `AsyncSession(engine)`.",
        misconception="sync-session",
    )


def uses_threads() -> NotYet:
    """The verdict on queries in threads, each with an event loop of its own."""
    return NotYet(
        "The queries go to the engine from other threads, so from outside its event loop. A connection works only in "
        "the loop that opened it. The check stopped the threads; run tasks in this loop, with `asyncio.gather`.",
        misconception="threads",
    )


def disposes_the_engine(name: str) -> NotYet:
    """The verdict on an answer that ends the pool it was lent."""
    return NotYet(
        f"`{name}` disposes of the engine, so the next call has to connect anew. Whoever made the engine disposes of "
        "it, at the end of the program. Close the sessions only.",
        misconception="disposes-the-engine",
    )


def within(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether *error* is of that kind, or a group that holds one."""
    if isinstance(error, BaseExceptionGroup):
        return any(within(each, kind) for each in error.exceptions)
    return isinstance(error, kind)


def raised_by_sqlalchemy(error: BaseException) -> bool:
    """Whether a line of SQLAlchemy's raised *error*, not one that called it."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(names[-1]).partition(".")[0] == "sqlalchemy"


def from_sharing(error: object) -> bool:
    """Whether SQLAlchemy raised because two tasks used one session: its code isce, or what follows from it."""
    if isinstance(error, ExceptionGroup):
        return any(from_sharing(each) for each in error.exceptions)
    if isinstance(error, ResourceClosedError):
        return "does not return rows" not in str(error)
    return isinstance(error, InvalidRequestError) and error.code == "isce"
