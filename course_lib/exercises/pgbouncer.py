"""The exercises of lesson 07: an engine behind a pooler, where to put one, and code without session state."""

from collections.abc import Awaitable, Callable

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._pgbouncer_choice import SIX, Deployment, judge_choice
from course_lib.exercises._pgbouncer_engine import judge_engine
from course_lib.exercises._pgbouncer_session import judge_session_state
from course_lib.exercises.core import exercise

__all__ = ["SIX", "Deployment", "q1", "q2", "q3"]


@exercise(
    "07.1",
    title="120 jobs through transaction mode",
    hints=(
        "Who remembers prepared statements? There are two caches between your code and the server.",
        "A pool class or a name function changes where or how statements are named. What makes asyncpg prepare them "
        "without any name?",
        '`connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0}`. The first is the cache of '
        "asyncpg and decides about names; the second is SQLAlchemy's and remembers the types of columns.",
    ),
    seconds=20,
)
async def q1(make_engine: Callable[[URL, URL], AsyncEngine]) -> None:
    """07.1: do 120 jobs of three processes get their rows through two server connections?"""
    await judge_engine(make_engine)


@exercise(
    "07.2",
    title="Direct, pool or pooler",
    hints=(
        "Three questions, in this order: does it need one session? How long does a process live? Do all pools together "
        "fit the budget?",
        "All pools together open up to `processes * pool_limit` connections.",
        'Begin with `if deployment.keeps_session: return "direct"`, then `lifetime < 60`, then compare the product '
        "with `budget`.",
    ),
    seconds=10,
)
async def q2(choose: Callable[[Deployment], str]) -> None:
    """07.2: where does each deployment connect to?"""
    await judge_choice(choose)


@exercise(
    "07.3",
    title="Code without session state",
    hints=(
        "Which of the three statements outlives its transaction, and who gets the server connection after it?",
        "PostgreSQL has a form of each that ends with the transaction: `SET LOCAL`, `pg_advisory_xact_lock`, and "
        "`ON COMMIT DROP`. The work has to be in the same transaction.",
        "In each function: `async with engine.begin() as connection:` around everything, no `commit` in between.",
    ),
    seconds=20,
)
async def q3(
    slow_query: Callable[[AsyncEngine, float], Awaitable[None]],
    next_number: Callable[[AsyncEngine], Awaitable[int]],
    total: Callable[[AsyncEngine, list[int]], Awaitable[int]],
) -> None:
    """07.3: does code behind a pooler work, and leave nothing to whoever comes next?"""
    await judge_session_state(slow_query, next_number, total)
