"""The check of exercise 11.1: does `create_db_and_tables` create what is missing, commit it, and keep what is there?"""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from course_lib.exercises._creating_watch import (
    THERE_ALREADY,
    Record,
    asking,
    chain,
    extra_table,
    made_by_another_engine,
    sqlstate,
    tables_in,
    words_of,
)
from course_lib.exercises.core import NotYet, ask
from course_lib.exercises.lab import Lab, lab

Create = Callable[[AsyncEngine], Awaitable[None]]
_GIVEN = "an engine for an empty PostgreSQL database"


async def judge_create(create: Create) -> None:
    """Judge the learner's `create_db_and_tables`.

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with lab() as box:
        with extra_table() as extra:
            engine = create_async_engine(box.url)
            record = Record(engine)
            pool = engine.pool
            await call(create, engine, _GIVEN)
            await _judge_tables(extra.name, box, record)
            if engine.pool is not pool or record.disposed:
                raise NotYet(
                    "The tables are there, but the engine was disposed of: the application goes on with it. Leave it "
                    "open; whoever made it disposes of it at the end.",
                    misconception="disposes-the-engine",
                )
            if engine.pool.checkedout():  # type: ignore[attr-defined]
                raise NotYet(
                    "The tables are there, but the connection did not go back to the pool. Take it with `async with`.",
                    misconception="keeps-a-connection",
                )
            await judge_second_call(create, engine, extra.name, box)


async def call(create: Any, engine: AsyncEngine, given: str) -> None:
    """Call the learner's function with an engine; a known mistake in it becomes a verdict.

    Raises:
        NotYet: it raised what a known misunderstanding raises.
        Exception: whatever else it raised.
    """
    try:
        await ask(create, engine, given=given)
    except NotYet:
        raise
    except Exception as error:
        if (known := _known_mistake(error)) is not None:
            raise known from error
        raise


async def judge_second_call(create: Any, engine: AsyncEngine, table: str, box: Lab) -> None:
    """Call it again, with a row in a table: it must neither fail nor lose them."""
    async with asking(box.url) as connection:
        await connection.execute(f"insert into \"{table}\" (word) values ('kept')")
    given = "the same engine again, with a row in the table"
    try:
        await call(create, engine, given)
    except Exception as error:
        if sqlstate(error) in THERE_ALREADY:
            raise NotYet(
                "The second call failed, since the tables are there already. The application starts more than once: "
                "create what is missing only. `create_all` looks first, unless it is told `checkfirst=False`.",
                misconception="fails-when-tables-exist",
            ) from error
        raise
    rows = 0
    if table in await tables_in(box.url):
        async with asking(box.url) as connection:
            rows = await connection.fetchval(f'select count(*) from "{table}"')
    if not rows:
        raise NotYet(
            "The second call lost the row that was in the table. Dropping first empties the database at each start of "
            "the application. Leave `drop_all` out.",
            misconception="drops-first",
        )


async def _judge_tables(extra: str, box: Lab, record: Record) -> None:
    found = await tables_in(box.url)
    wanted = {extra} | ({"task"} & set(SQLModel.metadata.tables))
    if wanted <= found:
        if not record.steps:
            raise made_by_another_engine()
        return
    if record.creates(extra):
        raise NotYet(
            "`CREATE TABLE` was sent, and then the transaction was rolled back: no table stayed. "
            "`engine.connect()` commits nothing by itself. Use `engine.begin()`, or commit at the end.",
            misconception="no-commit",
        )
    if found:
        raise NotYet(
            "Some tables are missing. `SQLModel.metadata` had more than those that were made: the check had "
            "added one of its own. Hand over the whole `SQLModel.metadata.create_all`, not a list of tables.",
            misconception="only-some-tables",
        )
    raise NotYet(
        "It ended without an error, and the database is still empty. Is each `await` there? And are the tables those "
        "of `SQLModel.metadata`? Another base, such as the ones of this lesson's demos, has tables of its own.",
        misconception="creates-nothing",
    )


def _known_mistake(error: Exception) -> NotYet | None:
    for each in chain(error):
        words = words_of(each)
        if isinstance(each, AttributeError) and "_run_ddl_visitor" in words:
            if "AsyncEngine" in words:
                return NotYet(
                    "`create_all` was called with the async engine, and it is not async: it needs a connection that it "
                    "can use in the ordinary way. Let an async connection run it: `await connection.run_sync(...)`.",
                    misconception="sync-call-on-async-engine",
                )
            return _called()
        if isinstance(each, TypeError) and "'bind'" in words and "create_all" in words:
            return _called()
        if isinstance(each, MissingGreenlet):
            return NotYet(
                "`create_all` reached the async driver without `run_sync`: `engine.sync_engine` is no way around it. "
                "Open an async connection and let it run the function: `await connection.run_sync(...)`.",
                misconception="sync-engine",
            )
        if isinstance(each, RuntimeError) and "asyncio.run()" in words:
            return NotYet(
                "An event loop is running already, in a notebook as in an application that starts. Make the function "
                "`async def` and `await` in it.",
                misconception="asyncio-run",
            )
    return None


def _called() -> NotYet:
    return NotYet(
        "`create_all` was called on the spot. `run_sync` wants the function itself, without brackets after it: it "
        "calls it with the connection that it needs.",
        misconception="calls-instead-of-passes",
    )
