"""The exercises of lesson 04: a pool for production, a restart survived, a pool's numbers, and a prediction."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._connection_pooling import (
    Connects,
    WatchedPool,
    measured_steps,
    most_open,
    replaced_at_age,
    returned_records,
    settled,
    survives_the_end_of_its_connection,
)
from course_lib.exercises._pooling_numbers import judge_form, judge_snapshot, judge_step
from course_lib.exercises._pooling_retries import away, bounded, create_failures, healthy, mistaken, restarted
from course_lib.exercises._pooling_verdicts import judge_recycle, judge_size, same_address, wrong_engine
from course_lib.exercises.core import Case, NotAttempted, NotYet, ask, exercise, using_answer
from course_lib.exercises.lab import Lab, lab
from course_lib.exercises.limits import clock_stopped
from course_lib.servers import PostgresServer

__all__ = ["q1", "q2", "q3", "q4"]

# More than any mix-up of 5, 10 and 15 allows.
_ENOUGH = 26
# By each of them two URLs can differ. Nothing is connected to.
_OTHERS = {"database": "another", "password": "another-example-pw", "username": "somebody", "host": "localhost"}


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
        engine = await _engine_of(get_engine, box)
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


async def _engine_of(get_engine: Callable[[URL], Any], box: Lab) -> AsyncEngine:
    """The engine for the box, once it is clear that each URL has exactly one, and that making it opens nothing."""
    engines: dict[URL, AsyncEngine] = {}
    with Connects() as opened:

        async def asked(url: URL, given: str) -> AsyncEngine:
            engine = await ask(get_engine, url, given=given)
            if opened.foreign or (not engines and await box.connections()):
                raise NotYet(
                    "`get_engine` opened a connection. Making an engine must not need the database; the first query "
                    "opens what it needs.",
                    misconception="connects-at-creation",
                )
            if wrong := wrong_engine(engine, url):
                raise wrong
            assert isinstance(engine, AsyncEngine)
            return engine

        engine = await asked(box.url, "url")
        again = await asked(box.url, "url, a second time")
        if again.pool is not engine.pool:
            raise NotYet(
                "The second call made another engine. Each engine has a pool of its own, so with one per request no "
                "connection serves a second request, and no limit holds for all. Make it once and return it again.",
                misconception="engine-per-request",
                case=Case("url, two calls", "the same engine twice", "two engines with a pool each"),
            )
        engines[box.url] = engine
        for part, other in _OTHERS.items():
            url = box.url.set(**{part: other})  # type: ignore[arg-type]
            given = f"a URL with another {part}"
            first, second = await asyncio.gather(*(ask(get_engine, url, given=given) for _ in range(2)))
            for each in (first, second):
                if not isinstance(each, AsyncEngine) or not same_address(each, url):
                    raise NotYet(
                        f"For a URL with another {part}, `get_engine` still returned the engine of the first one. "
                        "Keep one engine for each URL, not one for all; the whole URL tells them apart, and "
                        "`str(url)` masks its password.",
                        misconception="forgets-the-url",
                    )
            third = await asked(url, f"{given}, once more")
            if third.pool is not first.pool and third.pool is not second.pool:
                raise NotYet(
                    f"For a URL with another {part}, each call made another engine. Only the first URL's is kept: "
                    "keep one for each URL that comes.",
                    misconception="engine-per-request",
                    case=Case(f"{given}, three calls", "the same engine", "an engine with a pool of its own each"),
                )
            if first.pool is not second.pool:
                raise NotYet(
                    "Two calls at the same moment made two engines. Between the look whether there is one and the "
                    "moment it is kept, an `await` lets the other call in. Leave no `await` between the two; a plain "
                    "`def` has none.",
                    misconception="engine-per-request",
                    case=Case(f"{given}, two calls at once", "the same engine twice", "two engines"),
                )
            engines[url] = first
        for url, before in engines.items():
            if (await asked(url, "each of the URLs once more")).pool is not before.pool:
                raise NotYet(
                    "After calls with other URLs, the first one got a new engine: its old one was forgotten, pool and "
                    "all. Keep an engine for every URL. `lru_cache(maxsize=1)` remembers one; `cache` remembers all.",
                    misconception="engine-per-request",
                    case=Case("the URLs of before", "the same engines", "another engine with a pool of its own"),
                )
    return engine


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
    # What can be seen on any server comes first: one of its own takes longer to start.
    async with lab() as box:
        await create_failures(box.url)
        engine = create_async_engine(box.url, pool_size=3, max_overflow=0, pool_timeout=3)
        with Connects(engine) as connects:
            await healthy(fetch_value, engine, connects)
            # After that: the checks below tell a retry of lost connections from a retry of everything.
            await mistaken(fetch_value, engine, connects)
        await engine.dispose()
        await _lossy(fetch_value)


async def _lossy(fetch_value: Callable[[AsyncEngine, str], Awaitable[Any]]) -> None:
    """Lose connections on a server that is restarted and stopped; the function gets another engine for it."""
    with clock_stopped():
        server = await PostgresServer.start(max_connections=20)
    try:
        await create_failures(server.url)
        engine = create_async_engine(server.url, pool_size=3, max_overflow=0, pool_timeout=3)
        with Connects(engine) as connects:
            await healthy(fetch_value, engine, connects)
            await restarted(fetch_value, engine, server, connects)
            await bounded(fetch_value, engine)
            await away(fetch_value, engine, server)
        with contextlib.suppress(Exception):
            await engine.dispose()
    finally:
        await server.stop()


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
        for size, overflow in ((3, 2), (2, 4)):
            engine = create_async_engine(
                box.url, poolclass=WatchedPool, pool_size=size, max_overflow=overflow, pool_timeout=1
            )
            try:
                await _life(pool_snapshot, engine, size, overflow)
            finally:
                await engine.dispose()


async def _life(pool_snapshot: Callable[[AsyncEngine], Any], engine: AsyncEngine, size: int, overflow: int) -> None:
    """Let the pool fill up and empty itself, and judge the snapshot in each phase."""
    most = size + overflow

    async def judge(phase: str, in_use: int, idle: int, beyond: int) -> None:
        pool, state = engine.pool, engine.pool.status()
        WatchedPool.touched.clear()
        with Connects(engine) as connects, returned_records(engine) as returned:
            got = await ask(pool_snapshot, engine, given=f"engine: {phase}")
        private = sorted(WatchedPool.touched)
        borrowed = bool(connects.own or connects.foreign or returned)
        changed = engine.pool is not pool or engine.pool.status() != state
        expected = {"size": size, "in_use": in_use, "idle": idle, "overflow": beyond}
        judge_snapshot(got, expected, f"{size} + {overflow}, {phase}", private, borrowed=borrowed, changed=changed)

    await judge("nothing opened yet", 0, 0, 0)
    held = [await engine.connect()]
    await judge("1 connection borrowed", 1, 0, 0)
    held += [await engine.connect() for _ in range(most - 1)]
    await judge(f"{most} connections borrowed", most, 0, overflow)
    for _ in range(2):
        await held.pop().close()
    await judge(f"{most} were borrowed, 2 of them returned", most - 2, 2, overflow)
    for connection in held:
        await connection.close()
    await judge(f"{most} were borrowed, all returned", 0, size, 0)


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
async def q4(predicted: Mapping[str, Any]) -> None:
    """04.4: is each predicted number what the server really sees after that step?"""
    if isinstance(predicted, Mapping) and predicted and all(each is ... for each in predicted.values()):
        raise NotAttempted
    judge_form(predicted)
    async with lab() as box, contextlib.aclosing(measured_steps(box)) as steps:
        index = 0
        async for seen in steps:
            judge_step(predicted, index, seen)
            index += 1
