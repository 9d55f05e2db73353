"""The check of exercise 11.1: does `create_db_and_tables` create what is missing, commit it, and keep what is there?"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
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
_PATIENCE = 3.0  # seconds that it gets to see that a database refuses
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
            await judge_refusals(create, engine, box)


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
    """Call it again, with a row in a table and a new model: it must not fail, keep the row, and make the new table."""
    async with asking(box.url) as connection:
        try:
            await connection.execute(f"insert into \"{table}\" (word) values ('kept')")
        except asyncpg.PostgresError as error:
            raise NotYet(
                "The tables are there, with other columns than those of `SQLModel.metadata`. Let "
                "`SQLModel.metadata.create_all` make them.",
                misconception="other-columns",
            ) from error
    given = "the same engine again, with a row in a table and one model more"
    with extra_table() as later:
        await _call_again(create, engine, given)
        await _judge_again(table, later.name, box)


async def judge_indexes(table: str, box: Lab) -> None:
    """Is the index of this table there?"""
    async with asking(box.url) as connection:
        found = await connection.fetchval("select count(*) from pg_indexes where tablename = $1", table)
    if found < 2:  # the primary key's own is the other one
        raise NotYet(
            "The tables are there, and an index of theirs is not. `CreateTable` makes a table alone; "
            "`create_all` makes its indexes as well.",
            misconception="no-indexes",
        )


async def judge_refusals(create: Any, engine: AsyncEngine, box: Lab) -> None:
    """A database that refuses, for two reasons: that must not pass for success."""
    settings = {"default_transaction_read_only": "on"}
    read_only = create_async_engine(box.url, connect_args={"server_settings": settings})
    with extra_table():  # so that there is something to create
        await _judge_refusal(create, read_only, "a database that is read-only")
        async with asking(box.url) as connection:
            await connection.execute("revoke create on schema public from pg_database_owner, public")
        await _judge_refusal(create, engine, "a database in which your role may create nothing")


async def _judge_refusal(create: Any, engine: AsyncEngine, given: str) -> None:
    task = asyncio.create_task(call(create, engine, given))
    _, waiting = await asyncio.wait({task}, timeout=_PATIENCE)
    if waiting:
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        raise NotYet(
            f"The function got {given}, and came to no end. Trying again helps where another worker was "
            "quicker, and nowhere else: let other exceptions out.",
            misconception="tries-for-ever",
        )
    if isinstance(error := task.exception(), NotYet):
        raise error
    if error is None:
        raise NotYet(
            f"The function got {given}. No table could be made, and it said nothing: the application would "
            "start without tables. Catch only what another worker's success looks like, or nothing at all.",
            misconception="swallows-failures",
        )


async def _call_again(create: Any, engine: AsyncEngine, given: str) -> None:
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


async def _judge_again(table: str, later: str, box: Lab) -> None:
    found = await tables_in(box.url)
    rows = 0
    if table in found:
        async with asking(box.url) as connection:
            rows = await connection.fetchval(f'select count(*) from "{table}"')
    if not rows:
        raise NotYet(
            "The second call lost the row that was in the table. Dropping first empties the database at each start of "
            "the application. Leave `drop_all` out.",
            misconception="drops-first",
        )
    if later not in found:
        raise NotYet(
            "A model had come since the first call, and the second call did not make its table. Don't skip the work "
            "because it ran before, or because some table is there: `create_all` looks for each table.",
            misconception="creates-only-once",
        )


async def _judge_tables(extra: str, box: Lab, record: Record) -> None:
    found = await tables_in(box.url)
    wanted = {extra} | ({"task"} & set(SQLModel.metadata.tables))
    if wanted <= found:
        if not record.steps:
            raise made_by_another_engine()
        await judge_indexes(extra, box)
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
        if isinstance(each, RuntimeError) and ("different loop" in words or "loop is closed" in words):
            return NotYet(
                "A connection met another event loop than the one that opened it: `asyncio.run` makes a new loop at "
                "each call, in a thread as well. Make the function `async def` and `await` in it.",
                misconception="another-loop",
            )
    return None


def _called() -> NotYet:
    return NotYet(
        "`create_all` was called on the spot. `run_sync` wants the function itself, without brackets after it: it "
        "calls it with the connection that it needs.",
        misconception="calls-instead-of-passes",
    )
