"""The exercises of lesson 05: a pool that fails soon, and handlers that do not exhaust it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from course_lib.exercises._pool_exhaustion import (
    Ending,
    PoolWatch,
    all_taken,
    disposed,
    ending,
    engine_of,
    one_too_many,
)
from course_lib.exercises._pool_jobs import judge_jobs
from course_lib.exercises._pool_leaks import Bank, judge_orders, judge_payments
from course_lib.exercises._pool_library import Author, Book, add_authors, library, list_titles
from course_lib.exercises.core import Case, NotYet, ask, exercise
from course_lib.exercises.lab import lab

__all__ = ["Author", "Book", "q1", "q2", "q3", "q4", "q5"]

_LIMIT = 2
# "Under a second", and room for a machine that is busy: both timers run in the same event loop.
_SOON = 1.25
_SLOW_QUERY = "select 'slow' from pg_sleep(1.1)"


@exercise(
    "05.1",
    title="Fail in under a second",
    hints=(
        "Which of the two takes the 30 seconds: the query, or the wait for a connection before it?",
        "`create_async_engine` has a setting for that wait, in seconds. 0 would mean not to wait at all.",
        "`create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)`, and `fetch` stays as it is.",
    ),
    seconds=20,
)
async def q1(make_engine: Callable[[URL], AsyncEngine], fetch: Callable[[AsyncEngine, str], Awaitable[Any]]) -> None:
    """05.1: does a request fail soon when no connection comes free, and only then?"""
    async with (
        lab() as box,
        disposed(await engine_of(make_engine, box.url)) as engine,
        disposed(await engine_of(make_engine, box.url)) as other,
    ):
        with PoolWatch(engine) as watch:
            _expect(await ending(ask(fetch, engine, "select 'ready'", given="a query, free pool"), 5), "ready")
            # On a pool of its own it runs meanwhile, unless `make_engine` gives the same engine twice.
            slow_query = ask(fetch, other, _SLOW_QUERY, given="a query of 1.1 s, free pool")
            begun = asyncio.ensure_future(ending(slow_query, 10)) if other is not engine else None
            async with all_taken(engine, _LIMIT):
                third = await ending(
                    ask(fetch, engine, "select 'third'", given="a query, both connections taken"), _SOON
                )
            if third.kind == "returned":
                await _judge_third(engine, third)
            slow = await (begun or ending(slow_query, 10))
            if third.kind == "waits":
                _judge_waiting(slow)
            if third.kind == "raised" and third.error is not None:
                raise third.error
            if slow.kind == "timed out":
                raise NotYet(
                    "A query that has its connection is cut off as well. Only the wait for a connection is to be "
                    "short: a report may take longer than a second.",
                    misconception="limits-the-query-too",
                    case=Case("a query of 1.1 s, free pool", "'slow'", type(slow.error).__name__),
                )
            _expect(slow, "slow")
            await _judge_healthy(fetch, engine)
            if watch.held:
                raise NotYet(
                    f"After the requests, connections are still checked out: {watch.held}. Close each one.",
                    misconception="leaves-connections-out",
                )


async def _judge_third(engine: AsyncEngine, third: Ending) -> None:
    if (await one_too_many(engine, _LIMIT, _SOON)).kind == "returned" or third.value == "third":
        raise NotYet(
            "The third request got a connection: the limit of two is gone. A larger pool moves the problem to the "
            "server, and the wait comes back when that pool is full. Keep two, and shorten the wait.",
            misconception="raises-the-size",
        )
    raise NotYet(
        "The third request returned as if all were well, without an answer. Let the error through, so that the "
        "caller can say: busy, try again.",
        misconception="swallows-the-error",
        case=Case("a query, both connections taken", "a time-out error", repr(third.value)),
    )


def _judge_waiting(slow: Ending) -> None:
    if slow.kind == "timed out":
        raise NotYet(
            "The time limit is around the query only. With both connections taken, the request never comes to its "
            "query: it waits for a connection, and that wait is as long as before.",
            misconception="limits-only-the-query",
        )
    raise NotYet(
        "With both connections taken, the request still waits after more than a second. `pool_timeout` says how "
        "long, in seconds; the default is 30, and `None` means for ever.",
        misconception="still-waits",
    )


async def _judge_healthy(fetch: Any, engine: AsyncEngine) -> None:
    """A connection that comes free after a moment must still be waited for; three tries, for a busy machine."""
    for _ in range(3):
        async with all_taken(engine, _LIMIT) as taken:
            begun = ask(fetch, engine, "select 'patient'", given="a query; a connection comes free after 0.1 s")
            end, _ = await asyncio.gather(ending(begun, 5), _give_back_soon(taken))
        if end.kind != "timed out":
            _expect(end, "patient")
            return
    raise NotYet(
        "A connection came free after 0.1 s, and the request had given up by then. Healthy traffic waits a moment "
        "now and then: let it wait for 0.2 s at least, and for less than a second.",
        misconception="fails-healthy-traffic",
    )


async def _give_back_soon(taken: list[AsyncConnection]) -> None:

    await asyncio.sleep(0.1)
    await taken[0].close()


def _expect(end: Ending, value: str) -> None:
    if end.error is not None:
        raise end.error
    if end.kind == "waits" or end.value != value:
        got = "nothing yet" if end.kind == "waits" else repr(end.value)
        raise NotYet(
            "`fetch` runs the statement it gets and returns the single value of its answer. Keep that.",
            misconception="wrong-answer",
            case=Case(f"select '{value}'", repr(value), got),
        )


@exercise(
    "05.2",
    title="Find and fix the leak",
    hints=(
        "Follow each way out of `order`: sold out, unknown, a good order, and a cancellation at any `await`. On which "
        "of them is the session closed?",
        "One statement of Python runs its last step on every way out. You need neither more connections nor the "
        "garbage collector.",
        "`async with AsyncSession(engine) as session:` around the whole body; then the `close` can go.",
    ),
    seconds=25,
)
async def q2(make_engine: Callable[[URL], AsyncEngine], order: Callable[[AsyncEngine, int], Awaitable[bool]]) -> None:
    """05.2: does a handler give its connection back, whichever way it ends?"""
    async with lab() as box:
        await judge_orders(make_engine, order, box)


@exercise(
    "05.3",
    title="Move slow work out of the transaction",
    hints=(
        "What does the session hold from its first statement on, and until when?",
        "Three steps: read what the bank needs, ask the bank, write what it said. Only the first and the last need "
        "a connection.",
        "`await session.commit()` right after the read gives the connection back; the write takes one again and needs "
        "a commit of its own. Two `async with` blocks with the question between them do the same.",
    ),
    seconds=20,
)
async def q3(settle: Callable[[AsyncEngine, int, Bank], Awaitable[str]]) -> None:
    """05.3: is the connection back in the pool while a slow service is asked?"""
    async with lab() as box:
        engine = create_async_engine(box.url, pool_size=2, max_overflow=0, pool_timeout=1)
        async with disposed(engine):
            await judge_payments(settle, engine, box)


@exercise(
    "05.4",
    title="Remove the N+1",
    hints=(
        "How many statements does the function send for 100 authors? Which number would not depend on how many "
        "there are?",
        "Ask for all books at once: with a join, with a second query, or by telling the first query to load the "
        "relationship `Author.books` with it.",
        "`select(Author).options(selectinload(Author.books))` sends two statements. After it, `author.books` is "
        "loaded, and reading it asks nobody.",
    ),
    seconds=15,
)
async def q4(titles_by_author: Callable[[AsyncEngine], Awaitable[dict[str, list[str]]]]) -> None:
    """05.4: does the number of statements stay the same when there are more authors?"""
    async with lab() as box, library(box.url) as engine:
        written = await add_authors(engine, 1, 4)
        few = await list_titles(titles_by_author, engine, written)
        written |= await add_authors(engine, 5, 16)
        many = await list_titles(titles_by_author, engine, written)
        if many > few:
            raise NotYet(
                f"For 4 authors the function sends {few} statements, for 16 it sends {many}: one more for each. Ask "
                "for all books with one statement.",
                misconception="one-query-per-author",
                case=Case("4 authors, then 16", "the same number of statements", f"{few}, then {many}"),
            )


@exercise(
    "05.5",
    title="200 jobs on a pool of five",
    hints=(
        "Where do 195 jobs wait at the moment, and who gives them 0.5 s? Where could they wait without a limit?",
        "Let only as many jobs go to the pool as it has connections. As soon as one is done, the next may go.",
        "`gate = asyncio.Semaphore(5)`, and in each job `async with gate, engine.connect() as connection:`. The "
        "engine stays as it is.",
    ),
    seconds=40,
)
async def q5(
    make_engine: Callable[[URL], AsyncEngine],
    run_jobs: Callable[
        [AsyncEngine, list[int], Callable[[AsyncConnection, int], Awaitable[int]]], Awaitable[list[int]]
    ],
) -> None:
    """05.5: do 200 jobs use five connections all the time, and no job times out?"""
    async with lab() as box:
        await judge_jobs(make_engine, run_jobs, box)
