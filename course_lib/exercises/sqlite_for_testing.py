"""The exercises of lesson 10: engines for tests, types for two databases, foreign keys, one function for all."""

from collections.abc import Callable, Mapping

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from course_lib.exercises._sqlite_environments import judge_environments
from course_lib.exercises._sqlite_foreign_keys import judge_foreign_keys
from course_lib.exercises._sqlite_json import judge_payload
from course_lib.exercises._sqlite_memory import judge_memory_engines
from course_lib.exercises.core import exercise

__all__ = ["q1", "q2", "q3", "q4"]


@exercise(
    "10.1",
    title="A database for each test",
    hints=(
        "Which URL names a database in memory, and which pool does SQLAlchemy choose for it by itself?",
        "The pool that shares one connection is right, and it is the default. What happens if you name another pool, "
        "or give it a size?",
        'One call is enough: `create_async_engine("sqlite+aiosqlite://")`, made anew inside the function.',
    ),
    seconds=15,
)
async def q1(engine_for_tests: Callable[[], AsyncEngine]) -> None:
    """10.1: does each call give a database of its own, that all connections of its engine share?"""
    await judge_memory_engines(engine_for_tests)


@exercise(
    "10.2",
    title="JSONB here, JSON there",
    hints=(
        "`JSON` is the type that both know. What has to be different on PostgreSQL?",
        '`with_variant(another_type, "postgresql")` on a type gives a type that changes on that dialect alone.',
        '`Field(sa_type=JSON().with_variant(…, "postgresql"))`, with `JSON` from `sqlalchemy` and `JSONB` from '
        "`sqlalchemy.dialects.postgresql`.",
    ),
    seconds=15,
)
async def q2(Event: type[SQLModel]) -> None:
    """10.2: is the column `jsonb` on PostgreSQL and JSON on SQLite, and does it keep a dictionary on both?"""
    await judge_payload(Event)


@exercise(
    "10.3",
    title="Foreign keys on every connection",
    hints=(
        "The setting belongs to a connection, and the pool opens connections when it likes. What does SQLAlchemy call "
        "each time it has opened one?",
        'The event is `"connect"`, and its target is `engine.sync_engine`. The function gets the new connection and '
        "a record of the pool.",
        "Inside the listener, which is a plain `def`: `cursor = connection.cursor()`, then "
        '`cursor.execute("PRAGMA foreign_keys = ON")`, then `cursor.close()`.',
    ),
    seconds=15,
)
async def q3(enforce_foreign_keys: Callable[[AsyncEngine], None]) -> None:
    """10.3: does every connection of this engine refuse orphans, and no other engine change?"""
    await judge_foreign_keys(enforce_foreign_keys)


@exercise(
    "10.4",
    title="One function, three environments",
    hints=(
        "Three cases and a last one that raises. Which arguments does each kind of pool take?",
        "A test must not look at `DATABASE_URL` at all. Only the production engine takes pool options.",
        'Production: `create_async_engine(environment["DATABASE_URL"], pool_size=5, max_overflow=5, '
        "pool_pre_ping=True)`. A `match` with `case _: raise ValueError(…)` closes the function.",
    ),
    seconds=20,
)
async def q4(create_engine_for: Callable[[Mapping[str, str]], AsyncEngine]) -> None:
    """10.4: does each environment get its engine, and nothing else the wrong one?"""
    await judge_environments(create_engine_for)
