"""The check of exercise 03.2: drive a session dependency as FastAPI does, through four requests."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as PlainAsyncSession
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises._engine_creation import Note, notes_with
from course_lib.exercises.core import NotYet, using_answer
from course_lib.exercises.lab import Lab

_Endpoint = Callable[[Any], Awaitable[None]]


class _EndpointFailed(Exception):
    """What the check's endpoint raises, to see how the dependency takes it."""


@dataclass(frozen=True)
class _Visit:
    """What one request left behind.

    Args:
        raised: the exception that came out at the end, or None.
        held: connections that were still checked out afterwards.
        stored: whether the note that the endpoint added is in the database.
    """

    raised: BaseException | None
    held: int
    stored: bool


async def judge_dependency(get_session: Callable[[AsyncEngine], Any], engine: AsyncEngine, box: Lab) -> None:
    """Judge the learner's `get_session`.

    Args:
        get_session: the answer.
        engine: what it is called with; its database has a table for `Note`.
        box: the database, to ask the server.

    Raises:
        NotYet: it is wrong, with the reason.
    """
    await _judge_shape(get_session, engine)
    pool = engine.pool
    await _judge_session(get_session, engine)

    async def ends_well(session: AsyncSession) -> None:
        session.add(Note(title="not committed"))
        await session.flush()

    async def fails(session: AsyncSession) -> None:
        session.add(Note(title="failed"))
        await session.flush()
        raise _EndpointFailed

    async def is_cancelled(session: AsyncSession) -> None:
        session.add(Note(title="cancelled"))
        await session.flush()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)

    kept: list[Any] = []  # as a framework may keep a session: no garbage collection tidies up after the answer
    after_failure = await _visit(get_session, engine, fails, "failed", kept)
    after_success = await _visit(get_session, engine, ends_well, "not committed", kept)
    if after_success.raised is not None:
        async with using_answer("ending a request that went well"):
            raise after_success.raised
    if after_failure.raised is None:
        raise NotYet(
            "The endpoint raised an exception and `get_session` swallowed it: the framework would take the request "
            "for a success. Let it through. If you need an `except`, end it with `raise`.",
            misconception="swallows-the-exception",
        )
    if not isinstance(after_failure.raised, _EndpointFailed):
        raise NotYet(
            f"The endpoint's exception became `{type(after_failure.raised).__name__}` on its way through "
            "`get_session`. Let the one that was raised pass, so that whoever handles it knows it.",
            misconception="replaces-the-exception",
        )
    if after_success.held:
        raise NotYet(
            "After an endpoint that ended well, the session still holds its connection. Close the session after the "
            "`yield`; `async with` does it for you.",
            misconception="never-closes",
        )
    if after_failure.held:
        raise NotYet(
            "After an endpoint that raised, the session still holds its connection: an exception arrives at the "
            "`yield`, and the lines below it are skipped. Close in `finally`, or use `async with`.",
            misconception="no-close-on-exception",
        )
    if after_failure.stored:
        raise NotYet(
            "The endpoint failed halfway, and what it had added was committed. Roll back after an exception; closing "
            "the session without a commit does.",
            misconception="commits-on-error",
        )
    if after_success.stored:
        raise NotYet(
            "The endpoint did not commit, and yet its note was stored. The endpoint decides when to commit, before it "
            "answers; `get_session` only opens and closes.",
            misconception="commits-by-itself",
        )
    after_cancel = await _visit(get_session, engine, is_cancelled, "cancelled", kept)
    if not isinstance(after_cancel.raised, asyncio.CancelledError):
        raise NotYet(
            "The request was cancelled, and `get_session` did not let the `CancelledError` through. Its task would go "
            "on. Do not catch it, or raise it again.",
            misconception="swallows-cancellation",
        )
    if after_cancel.held or after_cancel.stored:
        raise NotYet(
            "After a request that was cancelled, the session is not closed and rolled back: `except Exception` does "
            "not see a cancellation. Close in `finally`, or use `async with`.",
            misconception="no-close-on-cancel",
        )
    if engine.pool is not pool:
        raise NotYet(
            "`get_session` disposes of the engine, so each request throws the whole pool away. Close the session "
            "only; the engine lives as long as the program.",
            misconception="disposes-the-engine",
        )
    if await box.connections("idle in transaction"):
        raise NotYet(
            "The server sees a connection `idle in transaction` after the requests. End each transaction: close the "
            "session that began it.",
            misconception="leaves-a-transaction",
        )


async def _judge_shape(get_session: Callable[[AsyncEngine], Any], engine: AsyncEngine) -> None:
    made = get_session(engine)
    if inspect.isasyncgen(made):
        await made.aclose()
        return
    returned = NotYet(
        "`get_session` returns where it should `yield`: FastAPI could not come back to close the session after the "
        "endpoint, and a session from inside `async with` is closed already. Hand it out with `yield`.",
        misconception="returns-instead-of-yields",
    )
    if inspect.isawaitable(made):
        await made
        raise returned
    if isinstance(made, PlainAsyncSession):
        await made.close()
        raise returned
    if inspect.isgenerator(made):
        made.close()
        raise NotYet(
            "`get_session` is a generator without `async`, and so it cannot `await` the session's close. Write "
            "`async def`.",
            misconception="sync-generator",
        )
    if hasattr(made, "__aenter__"):
        raise NotYet(
            "`get_session` gives a context manager. FastAPI makes one of your generator by itself, so leave out "
            "`@asynccontextmanager`.",
            misconception="wraps-it-twice",
        )
    raise NotYet(
        f"`get_session` gave {type(made).__name__}. Write an `async def` function that yields a session once.",
        misconception="yields-nothing",
    )


async def _judge_session(get_session: Callable[[AsyncEngine], Any], engine: AsyncEngine) -> None:
    """Is it SQLModel's session, on the given engine, a new one for each request, with values that survive a commit?"""
    wrong: NotYet | None = None
    async with using_answer("using your session in an endpoint"), contextlib.AsyncExitStack() as stack:
        # Found inside, raised outside: a dependency that swallows exceptions would swallow the verdict as well.
        session, other = [
            await stack.enter_async_context(asynccontextmanager(get_session)(engine)) for _ in ("one", "another")
        ]
        wrong = _wrong_session(session, other)
        if wrong is None:
            note = Note(title="committed")
            session.add(note)
            await session.flush()
            if not engine.pool.checkedout():  # type: ignore[attr-defined]
                wrong = NotYet(
                    "The session does not take its connection from the engine it was given. An engine made in "
                    "`get_session` means a new pool for each request. Use the argument.",
                    misconception="new-engine-per-call",
                )
            await session.commit()
            wrong = wrong or _wrong_after_commit(note)
    if wrong is not None:
        raise wrong
    if not await notes_with(engine, "committed"):
        raise NotYet(
            "The endpoint committed a note, and it is not in the database. Leave commits to the endpoint and do not "
            "wrap them in another transaction.",
            misconception="loses-the-commit",
        )


def _wrong_session(session: Any, other: Any) -> NotYet | None:
    if not isinstance(session, PlainAsyncSession):
        return NotYet(
            f"`get_session` yields {type(session).__name__}, not an `AsyncSession`.",
            misconception="yields-no-session",
        )
    if not isinstance(session, AsyncSession):
        return NotYet(
            "The session has no `exec`: it is SQLAlchemy's own. Import `AsyncSession` from "
            "`sqlmodel.ext.asyncio.session`; with `async_sessionmaker`, pass it as `class_=`.",
            misconception="no-exec",
        )
    if session is other:
        return NotYet(
            "Two requests at once got the same session. A session belongs to one task: make a new one in each call.",
            misconception="one-session-for-all",
        )
    return None


def _wrong_after_commit(note: Note) -> NotYet | None:
    try:
        _ = note.title
    except MissingGreenlet:
        return NotYet(
            "After a commit in the endpoint, reading `note.title` raises `MissingGreenlet`: the session has expired "
            "it. Make the session with `expire_on_commit=False`.",
            misconception="expires-on-commit",
        )
    return None


async def _visit(
    get_session: Callable[[AsyncEngine], Any], engine: AsyncEngine, endpoint: _Endpoint, title: str, kept: list[Any]
) -> _Visit:
    """Let one request pass through the dependency, in a task of its own, and see what it leaves."""
    before = engine.pool.checkedout()  # type: ignore[attr-defined]
    raised: BaseException | None = None

    async def request() -> None:
        async with asynccontextmanager(get_session)(engine) as session:
            kept.append(session)
            await endpoint(session)

    try:
        await asyncio.create_task(request())
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # the check itself is being stopped
        raised = error
    except Exception as error:
        raised = error
    held = engine.pool.checkedout() - before  # type: ignore[attr-defined]
    return _Visit(raised, held, bool(await notes_with(engine, title)))
