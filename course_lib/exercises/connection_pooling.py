"""The exercises of lesson 04: a pool for production, a restart survived, a pool's numbers, and a prediction."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._connection_pooling import (
    Connects,
    WatchedPool,
    create_failures,
    fill,
    measured_steps,
    most_open,
    replaced_at_age,
    returned_records,
    settled,
    survives_the_end_of_its_connection,
    tries,
)
from course_lib.exercises._pooling_verdicts import (
    judge_prediction,
    judge_recycle,
    judge_size,
    judge_snapshot,
    wrong_engine,
)
from course_lib.exercises.core import Case, NotAttempted, NotYet, ask, calling, exercise, using_answer
from course_lib.exercises.lab import lab
from course_lib.exercises.limits import clock_stopped
from course_lib.servers import PostgresServer

__all__ = ["q1", "q2", "q3", "q4"]

_ENOUGH = 21


@exercise(
    "04.1",
    title="The engine for production",
    hints=(
        "Every request calls `get_engine`. How many engines, and so how many pools, does the process have after a "
        "thousand requests?",
        "Keep the engines you have made by their URL: in a dict outside of the function, or with `functools.cache`. "
        "`max_overflow` counts only what comes on top of `pool_size`.",
        "Four settings of `create_async_engine`: `pool_size`, `max_overflow` (15 − 5), `pool_pre_ping`, and "
        "`pool_recycle` in seconds. `@cache` above the function makes it return the same engine for the same URL.",
    ),
    seconds=15,
)
async def q1(get_engine: Callable[[URL], AsyncEngine]) -> None:
    """04.1: one engine per URL, whose pool behaves on a real server as it should in production?"""
    async with lab() as box:
        engine = await ask(get_engine, box.url, given="url")
        if wrong := wrong_engine(engine, box.url):
            raise wrong
        if await box.connections():
            raise NotYet(
                "`get_engine` opened a connection. Making an engine must not need the database; the first query opens "
                "what it needs.",
                misconception="connects-at-creation",
            )
        again = await ask(get_engine, box.url, given="url, a second time")
        if not isinstance(again, AsyncEngine) or again.pool is not engine.pool:
            raise NotYet(
                "The second call made another engine. Each engine has a pool of its own, so with one per request no "
                "connection is ever used twice, and no limit holds for all of them. Make it once and return it again.",
                misconception="engine-per-request",
                case=Case("url, two calls", "the same engine twice", "two engines with a pool each"),
            )
        with returned_records(engine) as records:

            async def replaced(age: float) -> bool:
                return await replaced_at_age(engine, records, age)

            await judge_recycle(replaced)
        async with using_answer("running a query with your engine"):
            survives = await survives_the_end_of_its_connection(engine, box)
        if not survives:
            raise NotYet(
                "The server ended an idle connection, and the next query failed with `connection is closed`. "
                "`pool_pre_ping=True` tests a connection before it is handed out, and replaces a closed one.",
                misconception="no-pre-ping",
            )
        limit, held = await most_open(engine, _ENOUGH)
        for connection in held:
            await connection.close()
        judge_size(limit, await settled(box, 5), _ENOUGH)
        other = box.url.set(database="another")
        second = await ask(get_engine, other, given="the URL of another database")
        if not isinstance(second, AsyncEngine) or second.url != other:
            raise NotYet(
                "For another URL `get_engine` still returned the engine of the first one. Keep one engine for each "
                "URL, not one for all.",
                misconception="forgets-the-url",
            )


@exercise(
    "04.2",
    title="Survive a restart",
    hints=(
        "Two kinds of error can end a query: the connection was lost, or the query itself is wrong. Which of the two "
        "gets better when you try again?",
        "A lost connection arrives as `DBAPIError`, and so do many other errors. Its attribute "
        "`connection_invalidated` tells them apart.",
        "A loop over the attempts; inside, `try:` a fresh `async with engine.connect()`; `except DBAPIError as error:` "
        "and `raise` unless `error.connection_invalidated` and an attempt is left.",
    ),
    seconds=20,
)
async def q2(fetch_value: Callable[[AsyncEngine, str], Awaitable[Any]]) -> None:
    """04.2: does the function try again after a lost connection, and only then?"""
    with clock_stopped():
        server = await PostgresServer.start(max_connections=20)
    try:
        await create_failures(server.url)
        # One after the other: the checks below tell a retry of lost connections from a retry of everything.
        engine = create_async_engine(server.url, pool_size=3, max_overflow=0, pool_timeout=3)
        with Connects(engine) as connects:
            await _healthy(fetch_value, engine, connects)
            await _mistaken(fetch_value, engine, server.url)
            await _restarted(fetch_value, engine, server)
            await _away(fetch_value, engine, server)
        with contextlib.suppress(Exception):
            await engine.dispose()
    finally:
        await server.stop()


async def _value(fetch_value: Callable[..., Any], engine: AsyncEngine, question: str, expected: int) -> None:
    got = await ask(fetch_value, engine, question, given=f"engine, {question!r}")
    if type(got) is not int or got != expected:
        raise NotYet(
            "That is not the value that the query gives. Return the single value of its single row, as "
            "`await connection.scalar(…)` does.",
            misconception="wrong-value",
            case=Case(f"engine, {question!r}", repr(expected), repr(got)),
        )


async def _healthy(fetch_value: Callable[..., Any], engine: AsyncEngine, connects: Connects) -> None:
    for number in (7, 8, 9):
        await _value(fetch_value, engine, f"select {number}", number)
    if connects.all > connects.own:
        raise NotYet(
            "The query ran on another engine, and so in another pool, than the one that was given. Use `engine`.",
            misconception="another-engine",
        )
    if engine.pool.checkedout():  # type: ignore[attr-defined]
        raise NotYet(
            "A connection was not given back after the query. Open it with `async with`, which returns it in every "
            "case.",
            misconception="keeps-the-connection",
        )
    if connects.own > 1:
        raise NotYet(
            f"Three queries on a healthy server opened {connects.own} connections. Whoever empties the pool at each "
            "query survives a restart, and pays for a connect every time. Act only after a connection was lost.",
            misconception="disposes-each-query",
            case=Case("three queries", "1 connection opened", f"{connects.own} connections opened"),
        )


async def _mistaken(fetch_value: Callable[..., Any], engine: AsyncEngine, url: URL) -> None:
    question = "select always_fails()"
    try:
        got = await ask(fetch_value, engine, question, given=f"engine, {question!r}")
    except NotYet:
        raise
    except Exception:
        count = await tries(url)
    else:
        raise NotYet(
            "The query failed on the server, and nobody hears of it: the function returned as if all were well. Let "
            "errors that are no lost connection through to the caller.",
            misconception="hides-errors",
            case=Case(f"engine, {question!r}", "the exception", repr(got)),
        )
    if count > 1:
        raise NotYet(
            f"The function ran a query {count} times that fails each time, although its connection was fine. Try "
            "again only after a lost connection: `error.connection_invalidated` says so.",
            misconception="retries-everything",
            case=Case(f"engine, {question!r}", "1 attempt", f"{count} attempts"),
        )


async def _restarted(fetch_value: Callable[..., Any], engine: AsyncEngine, server: PostgresServer) -> None:
    await fill(engine, 3)
    await server.restart()
    try:
        await asyncio.gather(*(_value(fetch_value, engine, f"select {number}", number) for number in (1, 2, 3)))
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise NotYet(
            "The server was restarted, and the next query failed with `connection is closed`. The connection is lost, "
            "the server is back: catch this error and try once more, on a new connection.",
            misconception="gives-up",
        ) from None
    try:
        await _value(fetch_value, engine, "select breaks_once()", 42)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise NotYet(
            "A connection that was lost while a query ran still ends in an error. A test beforehand can't see that, "
            "and the class of the error is another one. Ask the error itself: `error.connection_invalidated`.",
            misconception="misses-lost-in-query",
        ) from None


async def _away(fetch_value: Callable[..., Any], engine: AsyncEngine, server: PostgresServer) -> None:
    await server.stop()
    calling("engine, 'select 1', while the server is away")
    try:
        async with asyncio.timeout(5) as limit:
            got = await ask(fetch_value, engine, "select 1", given="engine, 'select 1', while the server is away")
    except NotYet:
        raise
    except Exception:
        if limit.expired():
            raise NotYet(
                "The server is away, and after 5 seconds the function still tries. Whoever waits for it holds a "
                "request open. Give up after a few attempts and let the last error through.",
                misconception="retries-forever",
            ) from None
        return
    raise NotYet(
        "The server is away, and the function returns as if all were well. Let the last error through: the caller has "
        "to know that there is no answer.",
        misconception="hides-the-outage",
        case=Case("engine, 'select 1', while the server is away", "an exception", repr(got)),
    )


@exercise(
    "04.3",
    title="A pool's numbers",
    hints=(
        "Print `engine.pool.status()` of a fresh engine. Which number is below zero, and why?",
        "The pool has public methods: `size()`, `checkedout()`, `checkedin()`, `overflow()`. Only one of them does "
        "not yet say what the table asks for.",
        "`max(0, engine.pool.overflow())` is the number of connections open beyond `pool_size`.",
    ),
    seconds=10,
)
async def q3(pool_snapshot: Callable[[AsyncEngine], dict[str, int]]) -> None:
    """04.3: does the snapshot tell the pool's state, from public methods, in each phase of its life?"""
    async with lab() as box:
        engine = create_async_engine(box.url, poolclass=WatchedPool, pool_size=3, max_overflow=2, pool_timeout=1)

        async def judge(phase: str, in_use: int, idle: int, overflow: int) -> None:
            WatchedPool.touched.clear()
            with Connects(engine) as connects, returned_records(engine) as returned:
                got = await ask(pool_snapshot, engine, given=f"engine: {phase}")
            private = sorted(WatchedPool.touched)
            expected = {"size": 3, "in_use": in_use, "idle": idle, "overflow": overflow}
            judge_snapshot(got, expected, phase, private, borrowed=bool(connects.all or returned))

        try:
            await judge("nothing opened yet", 0, 0, 0)
            held = [await engine.connect()]
            await judge("1 connection borrowed", 1, 0, 0)
            held += [await engine.connect() for _ in range(4)]
            await judge("5 connections borrowed", 5, 0, 2)
            for connection in held[3:]:
                await connection.close()
            await judge("5 were borrowed, 2 of them returned", 3, 2, 2)
            for connection in held[:3]:
                await connection.close()
            await judge("5 were borrowed, all returned", 0, 3, 0)
        finally:
            await engine.dispose()


@exercise(
    "04.4",
    title="Predict what the server sees",
    hints=(
        "When is a connection opened, and by whom? Nothing happens between two calls that you make.",
        "Overflow connections are closed when they come back to a full pool. `pool_recycle` and `pool_pre_ping` act at "
        "a checkout, not in the background.",
        "Start the script of the exercise on your `server` and print `await server_sees()` after each step.",
    ),
    seconds=15,
)
async def q4(predicted: dict[str, Any]) -> None:
    """04.4: is each predicted number what the server really sees after that step?"""
    if isinstance(predicted, dict) and predicted and all(each is ... for each in predicted.values()):
        raise NotAttempted
    async with lab() as box:
        measured = [count async for count in measured_steps(box)]
    judge_prediction(predicted, measured)
