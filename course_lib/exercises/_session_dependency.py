"""The check of exercise 03.2: drive a session dependency as FastAPI does, through four requests."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as PlainAsyncSession
from sqlalchemy.orm import Session as SyncSession
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises._engine_creation import Note, notes_with
from course_lib.exercises._engine_verdicts import disposes_the_engine
from course_lib.exercises.core import NotYet, ask, using_answer
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
        kept: whether the session still has objects that it loaded, as only an open one has.
    """

    raised: BaseException | None
    held: int
    stored: bool
    kept: bool


async def judge_dependency(get_session: Callable[[AsyncEngine], Any], engine: AsyncEngine, box: Lab) -> None:
    """Judge the learner's `get_session`.

    Args:
        get_session: the answer.
        engine: what it is called with; its database, *box*, has a table for `Note`.

    Raises:
        NotYet: it is wrong, with the reason.
    """
    await _judge_shape(get_session, engine)
    pool = engine.pool
    await _judge_session(get_session, engine, box)

    async def ends_well(session: AsyncSession) -> None:
        loaded.extend((await session.exec(select(Note))).all())
        session.add(Note(title="not committed"))
        await session.flush()

    async def only_adds(session: AsyncSession) -> None:
        session.add(Note(title="only added"))

    def failing(kind: type[Exception]) -> _Endpoint:
        async def endpoint(session: AsyncSession) -> None:
            await ends_well(session)
            if kind is IntegrityError:  # a real one, from the server
                session.add(Note(title=None))  # type: ignore[arg-type]
                await session.flush()
            raise kind("the endpoint failed")

        return endpoint

    async def is_cancelled(session: AsyncSession) -> None:
        await ends_well(session)
        if task := asyncio.current_task():
            task.cancel()
        await asyncio.sleep(60)

    loaded: list[Note] = []  # a session knows its objects only as long as somebody holds them
    sessions: list[Any] = []  # as a framework may keep a session: no garbage collection tidies up after the answer

    async def visit(endpoint: _Endpoint, title: str = "not committed") -> _Visit:
        return await _visit(get_session, engine, box, endpoint, title, sessions)

    failures = {kind: await visit(failing(kind)) for kind in (_EndpointFailed, IntegrityError, ValueError)}
    success = await visit(ends_well)
    if success.raised is not None:
        async with using_answer("ending a request that went well"):
            raise success.raised
    _judge_exception(_EndpointFailed, failures[_EndpointFailed])
    if success.held:
        raise NotYet(
            "After an endpoint that ended well, the session still holds its connection. Close the session after the "
            "`yield`; `async with` does it for you.",
            misconception="never-closes",
        )
    if any(failure.held for failure in failures.values()):
        raise NotYet(
            "After an endpoint that raised, the session still holds its connection: an exception arrives at the "
            "`yield`, and the lines below it are skipped. Close in `finally`, or use `async with`.",
            misconception="no-close-on-exception",
        )
    if any(failure.stored for failure in failures.values()):
        raise NotYet(
            "The endpoint failed halfway, and what it had added was committed. Roll back after an exception; closing "
            "the session without a commit does.",
            misconception="commits-on-error",
        )
    for kind, failure in failures.items():
        _judge_exception(kind, failure)
    if success.stored or (await visit(only_adds, "only added")).stored:
        raise NotYet(
            "The endpoint did not commit, and yet its note was stored. The endpoint decides when to commit, before it "
            "answers; `get_session` only opens and closes.",
            misconception="commits-by-itself",
        )
    if success.kept or any(failure.kept for failure in failures.values()):
        raise NotYet(
            "The connection is back, but the session is not closed: it still has the objects that it loaded. A "
            "rollback ends the transaction only; `close` ends the session, and rolls back as well.",
            misconception="rolls-back-without-closing",
        )
    cancelled = await visit(is_cancelled)
    if not isinstance(cancelled.raised, asyncio.CancelledError):
        raise NotYet(
            "The request was cancelled, and `get_session` did not let the `CancelledError` through. Its task would go "
            "on. Do not catch it, or raise it again.",
            misconception="swallows-cancellation",
        )
    if cancelled.held or cancelled.stored or cancelled.kept:
        raise NotYet(
            "After a request that was cancelled, the session is not closed and rolled back: `except Exception` does "
            "not see a cancellation. Close in `finally`, or use `async with`.",
            misconception="no-close-on-cancel",
        )
    if engine.pool is not pool:
        raise disposes_the_engine("get_session")
    if await box.connections("idle in transaction"):
        raise NotYet(
            "The server sees a connection `idle in transaction` after the requests. End each transaction: close the "
            "session that began it.",
            misconception="leaves-a-transaction",
        )


def _judge_exception(kind: type[Exception], visit: _Visit) -> None:
    name = "an exception" if kind is _EndpointFailed else f"`{kind.__name__}`"
    if visit.raised is None:
        raise NotYet(
            f"The endpoint raised {name} and `get_session` swallowed it: the framework would take the request for a "
            "success. Let it through. If you need an `except`, end it with `raise`.",
            misconception="swallows-the-exception",
        )
    if type(visit.raised) is not kind:
        raise NotYet(
            f"The endpoint raised {name}, which became `{type(visit.raised).__name__}` on its way through "
            "`get_session`. Let the one that was raised pass, so that whoever handles it knows it.",
            misconception="replaces-the-exception",
        )


async def _judge_shape(get_session: Callable[[AsyncEngine], Any], engine: AsyncEngine) -> None:
    made = await ask(get_session, engine, given="get_session(engine)")
    if inspect.isasyncgen(made):
        await made.aclose()
        return
    returned = NotYet(
        "`get_session` returns where it should `yield`: FastAPI could not come back to close the session after the "
        "endpoint, and a session from inside `async with` is closed already. Hand it out with `yield`.",
        misconception="returns-instead-of-yields",
    )
    if isinstance(made, PlainAsyncSession):
        await made.close()
        raise returned
    if inspect.iscoroutinefunction(get_session):
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


async def _judge_session(get_session: Callable[[AsyncEngine], Any], engine: AsyncEngine, box: Lab) -> None:
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
    if not await notes_with(box.url, "committed"):
        raise NotYet(
            "The endpoint committed a note, and it is not in the database. Leave commits to the endpoint and do not "
            "wrap them in another transaction.",
            misconception="loses-the-commit",
        )


def _wrong_session(session: Any, other: Any) -> NotYet | None:
    if isinstance(session, SyncSession):
        return NotYet(
            "`get_session` yields a synchronous `Session`: its first query would raise `MissingGreenlet`, since an "
            "async driver has to be awaited. Yield SQLModel's `AsyncSession(engine)`.",
            misconception="sync-session",
        )
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
    get_session: Callable[[AsyncEngine], Any],
    engine: AsyncEngine,
    box: Lab,
    endpoint: _Endpoint,
    title: str,
    sessions: list[Any],
) -> _Visit:
    """Let one request pass through the dependency, in a task of its own, and see what it leaves."""
    before = engine.pool.checkedout()  # type: ignore[attr-defined]
    raised: BaseException | None = None

    async def request() -> None:
        async with asynccontextmanager(get_session)(engine) as session:
            sessions.append(session)
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
    kept = bool(sessions and list(sessions[-1].identity_map))
    return _Visit(raised, held, bool(await notes_with(box.url, title)), kept)
