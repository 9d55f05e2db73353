"""The check of exercise 11.2: an application with the learner's lifespan, served, failing and cancelled at start."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._creating_watch import Record, chain, words_of
from course_lib.exercises.core import NotYet, using_answer
from course_lib.exercises.lab import Lab, lab
from course_lib.exercises.tracebacks import has_learner_frame
from course_lib.serving import ServingError, serve

_TABLE = Table("visit", MetaData(), Column("id", Integer, primary_key=True))
_GONE = 3.0  # seconds that the server gets to notice closed connections
_NOT_PREPARED = (
    "The application took a request before `prepare` had run. Call it before the `yield`, and await it: "
    "`await app.state.prepare(engine)`."
)


class StartFailed(Exception):
    """What the check's `prepare` raises half-way."""


class _App:
    """An application with the learner's lifespan, and what became of its start."""

    def __init__(self, lifespan: Any, box: Lab, after: Callable[[], Awaitable[None]] | None = None) -> None:
        self.engine = create_async_engine(box.url)
        self.record = Record(self.engine)
        self.prepared = 0
        self.reached = asyncio.Event()
        self.wrong_engine = False
        self.kept = 0  # connections in the pool at the moment when the lifespan said that it had ended
        self._after = after
        self.app = FastAPI(lifespan=lifespan)
        self.app.state.engine = self.engine
        self.app.state.prepare = self.prepare
        self.app.get("/visits")(self.visits)

    async def prepare(self, engine: AsyncEngine) -> None:
        """What the lifespan has to await: it makes a table, and then goes on, fails or waits."""
        self.wrong_engine = engine is not self.engine
        async with self.engine.begin() as connection:
            await connection.run_sync(_TABLE.metadata.create_all)
        self.reached.set()
        if self._after is not None:
            await self._after()
        self.prepared += 1

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application; notes what its pool holds when the lifespan has ended."""

        async def watched_send(message: Any) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                pool: Any = self.engine.pool
                self.kept = pool.checkedin() + pool.checkedout()
            await send(message)

        await self.app(scope, receive, watched_send)

    async def visits(self) -> int:
        async with self.engine.begin() as connection:
            await connection.execute(insert(_TABLE))
            return int(await connection.scalar(select(func.count()).select_from(_TABLE)) or 0)


async def judge_lifespan(lifespan: Any) -> None:
    """Judge the learner's `lifespan`.

    Raises:
        NotYet: it is wrong, with the reason.
    """
    if not callable(lifespan):
        raise NotYet(
            f"`lifespan` is an object of type `{type(lifespan).__name__}`. FastAPI wants a function that takes the "
            "application, decorated with `@asynccontextmanager`.",
            misconception="no-lifespan",
        )
    async with lab() as box:
        await _judge_a_day(lifespan, box)
        await _judge_failure(lifespan, box)
        await _judge_cancellation(lifespan, box)


async def _judge_a_day(lifespan: Any, box: Lab) -> None:
    """Start, two requests, stop."""
    made = _App(lifespan, box)
    prepared = early = 0
    try:
        async with serve(made, grace=2) as client:
            prepared, early = made.prepared, made.record.disposed
            if prepared:
                for _ in range(2):
                    (await client.get("/visits")).raise_for_status()
            during = made.record.disposed
    except ServingError as error:
        await _raise_answer(error, "starting and stopping an application with your lifespan")
    except httpx.HTTPError as error:
        raise NotYet(
            "The application started, and its first requests failed: they use `app.state.engine` and the table that "
            "`prepare` made. Await `prepare` in this event loop, and change nothing else.",
            misconception="requests-fail",
        ) from error
    if made.wrong_engine:
        raise NotYet(
            "`prepare` got another engine than the application's. Hand over `app.state.engine`, and make no new one.",
            misconception="other-engine",
        )
    if not prepared:
        raise NotYet(_NOT_PREPARED, misconception="does-not-prepare")
    if made.prepared > 1:
        raise NotYet(
            "`prepare` ran more than once. It belongs before the `yield`, once for each start.",
            misconception="prepares-twice",
        )
    if not await _gone(made, box):
        if early or during:
            raise NotYet(
                "The engine was disposed of before the requests came, so the pool that they filled stayed open after "
                "the stop. Dispose after the `yield`.",
                misconception="disposes-too-early",
            )
        raise NotYet(
            "The application has stopped, and the server still sees its connections. After the `yield`, write "
            "`await engine.dispose()`; without the `await` nothing happens.",
            misconception="no-dispose",
        )
    if made.kept:
        raise NotYet(
            "The lifespan ended while the pool still had its connections: `dispose` was begun and not awaited. The "
            "event loop of a real server ends next, and the rest of `dispose` with it. Await it.",
            misconception="dispose-not-awaited",
        )


async def _judge_failure(lifespan: Any, box: Lab) -> None:
    """The start fails half-way, with a connection in the pool."""

    async def fail() -> None:
        raise StartFailed("the start failed half-way, as this check wants it")

    made = _App(lifespan, box, fail)
    raised: ServingError | None = None
    try:
        async with serve(made, grace=2):
            pass
    except ServingError as error:
        raised = error
    left = not await _gone(made, box)
    _judge_reached(made)
    if raised is None:
        raise NotYet(
            "`prepare` raised, and the application served all the same, without what it needs. Let the exception "
            "through: the start has to fail where everybody sees it. `try` and `finally` do, without an `except`.",
            misconception="swallows-start-failure",
        )
    if not any(isinstance(each, StartFailed) for each in chain(raised)):
        hidden = raised.__cause__
        if hidden is not None and "didn't yield" in words_of(hidden):
            raise NotYet(
                "`prepare` raised, your lifespan caught it and did not `yield`: the log will say \"generator didn't "
                'yield" and not what went wrong. Let the exception through, or end the `except` with `raise`.',
                misconception="hides-the-reason",
            )
        if hidden is not None and hidden.__suppress_context__ and isinstance(hidden.__context__, StartFailed):
            raise NotYet(
                "`prepare` raised, and your lifespan raised something else `from None`: the log won't say what went "
                "wrong. Let the exception through, or name it: `raise ... from error`.",
                misconception="hides-the-reason",
            )
        await _raise_answer(raised, "starting an application whose `prepare` fails")
    if left:
        raise NotYet(
            "`prepare` failed half-way, and the connections that it had opened stayed open: the exception left the "
            "lifespan before it came to `dispose`. Put `try` above the call of `prepare`, and dispose in `finally`.",
            misconception="no-dispose-on-failure",
        )


async def _judge_cancellation(lifespan: Any, box: Lab) -> None:
    """The start is cancelled while `prepare` waits."""

    async def wait() -> None:
        await asyncio.Event().wait()

    made = _App(lifespan, box, wait)

    async def start() -> None:
        async with serve(made, grace=2):
            pass

    task = asyncio.create_task(start())
    reached = asyncio.create_task(made.reached.wait())
    await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    task.cancel()
    reached.cancel()
    await asyncio.wait({task, reached}, timeout=5)
    if task.done() and not task.cancelled():
        task.exception()
    _judge_reached(made)
    if not await _gone(made, box):
        raise NotYet(
            "The start was cancelled while `prepare` waited, and its connections stayed open. `except Exception` does "
            "not see a cancellation. Dispose in `finally`: that runs whatever happens.",
            misconception="no-dispose-on-cancel",
        )


def _judge_reached(made: _App) -> None:
    if not made.reached.is_set():
        raise NotYet(
            "The application started a second time in this process, with another engine, and `prepare` was not "
            "called. Each start has to prepare its own database.",
            misconception="prepares-only-once",
        )


async def _gone(made: _App, box: Lab) -> bool:
    """Whether the server sees no connection any more; it may need a moment to notice."""
    pool: Any = made.engine.pool
    until = asyncio.get_running_loop().time() + _GONE
    while await box.connections():
        kept = pool.checkedin() + pool.checkedout()  # then there is nothing to wait for
        if kept or asyncio.get_running_loop().time() > until:
            return False
        await asyncio.sleep(0.05)
    return True


async def _raise_answer(error: ServingError, doing: str) -> None:
    """Raise what the learner's lifespan raised, as theirs."""
    cause = error.__cause__
    async with using_answer(doing):
        if isinstance(cause, Exception):
            if has_learner_frame(cause):
                raise cause
            raise cause from error
        raise error
