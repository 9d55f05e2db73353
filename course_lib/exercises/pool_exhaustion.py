"""The exercises of lesson 05: a pool that fails soon, and handlers that do not exhaust it."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from course_lib.exercises._pool_exhaustion import disposed
from course_lib.exercises._pool_jobs import judge_jobs
from course_lib.exercises._pool_leaks import judge_orders
from course_lib.exercises._pool_library import Author, Book, add_authors, library, list_titles
from course_lib.exercises._pool_patience import judge_patience
from course_lib.exercises._pool_payments import Bank, judge_payments
from course_lib.exercises.core import Case, NotYet, exercise
from course_lib.exercises.lab import lab

__all__ = ["Author", "Book", "q1", "q2", "q3", "q4", "q5"]


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
    async with lab() as box:
        await judge_patience(make_engine, fetch, box)


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
    seconds=15,
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
    seconds=8,
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
    seconds=8,
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
    seconds=20,
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
