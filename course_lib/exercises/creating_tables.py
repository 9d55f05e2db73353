"""The exercises of lesson 11: create tables, a lifespan, a migration of a full table, four workers at once."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._creating_create import judge_create
from course_lib.exercises._creating_lifespan import judge_lifespan
from course_lib.exercises._creating_migration import judge_migration
from course_lib.exercises._creating_race import judge_race
from course_lib.exercises.core import exercise

__all__ = ["q1", "q2", "q3", "q4"]


@exercise(
    "11.1",
    title="Create what is missing",
    hints=(
        "`create_all` is a function for ordinary connections. Who can run such a function on an async one?",
        "Two things have to be right: a block that commits at its end, and the function itself handed over, uncalled.",
        "`async with engine.begin() as connection:`, and in it `await connection.run_sync(...)` with "
        "`SQLModel.metadata.create_all`.",
    ),
    seconds=15,
)
async def q1(create_db_and_tables: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    """11.1: are the tables there and committed, and do rows survive a second start?"""
    await judge_create(create_db_and_tables)


@exercise(
    "11.2",
    title="A lifespan that always disposes",
    hints=(
        "Which lines run when `prepare` raises? Everything below it does not.",
        "`try` has to stand above `prepare`, so that its end is reached from there too.",
        "`try:` with `await app.state.prepare(engine)` and `yield` in it, then `finally:` with "
        "`await engine.dispose()`. No `except`.",
    ),
    seconds=20,
)
async def q2(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> None:
    """11.2: are all connections gone after a stop, a failed start and a cancelled one?"""
    await judge_lifespan(lifespan)


@exercise(
    "11.3",
    title="A strict column for a full table",
    hints=(
        "Where does the value of the old rows come from? Python's default never reaches them.",
        "A default that the server knows fills the old rows and serves the old version's inserts.",
        '`op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default=...))` with a text '
        'for the value, and `op.drop_column("task", "priority")`.',
    ),
    seconds=20,
)
async def q3(upgrade: Callable[[], None], downgrade: Callable[[], None]) -> None:
    """11.3: does the revision go up, down and up again on a table with rows, under the old version's inserts?"""
    await judge_migration(upgrade, downgrade)


@exercise(
    "11.4",
    title="Four workers, one creation",
    hints=(
        "Looking and creating are two steps. What keeps the others out between them?",
        "PostgreSQL can lock a number that you choose. The lock has to come first, in the same transaction.",
        'In `engine.begin()`: `await connection.execute(text("select pg_advisory_xact_lock(…)"))` with a fixed number, '
        "then `create_all` as before.",
    ),
    seconds=20,
)
async def q4(create_safely: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    """11.4: do four workers and one on another machine all come through?"""
    await judge_race(create_safely)
