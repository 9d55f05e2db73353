"""The check of exercise 11.3: Alembic runs the learner's revision up, down and up again, on a table with rows."""

import contextlib
import inspect
import secrets
from collections.abc import Callable
from typing import Any

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.exercises._creating_alembic import Runner, shape
from course_lib.exercises._creating_watch import NOT_NULL, asking, sqlstate, tables_in
from course_lib.exercises.core import AnswerError, Case, NotYet, calling, using_answer
from course_lib.exercises.lab import lab
from course_lib.exercises.tracebacks import has_learner_frame

_ABORTED = "25P02"
_OLD_ROWS = 3  # the priority of what is there already, as the task says


async def judge_migration(upgrade: Callable[[], None], downgrade: Callable[[], None]) -> None:
    """Judge the learner's `upgrade` and `downgrade`.

    Raises:
        NotYet: one of them is wrong, with the reason.
    """
    for answer in (upgrade, downgrade):
        if not callable(answer):
            raise NotYet(
                f"Alembic calls two functions, and the check got an object of type `{type(answer).__name__}`.",
                misconception="passes-no-function",
            )
        if inspect.iscoroutinefunction(answer):
            raise NotYet(
                "Alembic calls `upgrade` and `downgrade` without awaiting them, so an `async def` does nothing. Write "
                "plain functions; the async part is in `env.py`.",
                misconception="async-migration",
            )
    many = 5 + secrets.randbelow(6)
    titles = {number: f"task {secrets.token_hex(4)}" for number in range(1, many + 1)}
    async with lab() as box:
        runner = Runner(create_async_engine(box.url), upgrade, downgrade)
        await runner.run("upgrade", "0001")
        async with asking(box.url) as connection:
            await connection.executemany("insert into task (title) values ($1)", [(each,) for each in titles.values()])
            gap = 1 + secrets.randbelow(many)
            await connection.execute("delete from task where id = $1", gap)
            del titles[gap]
        before = await shape(box.url)
        await _up(runner, "upgrade of a table with rows")
        await _judge_upgraded(runner, box.url, titles, before)
        await _down(runner)
        await _judge_downgraded(box.url, titles, before)
        try:
            await _up(runner, "upgrade, downgrade, and the upgrade again")
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                "Up and down worked, and then the second `upgrade` failed: `downgrade` left something behind. It has "
                "to take back all that `upgrade` made.",
                misconception="no-second-upgrade",
                case=Case("upgrade, downgrade, upgrade", "no error", f"sqlstate {sqlstate(error)}"),
            ) from error
        await _judge_upgraded(runner, box.url, titles, before)


async def _up(runner: Runner, given: str) -> None:
    calling(given)
    try:
        await runner.run("upgrade", "head")
    except Exception as error:
        if sqlstate(error) == NOT_NULL:
            raise NotYet(
                "PostgreSQL refused: the rows that are there have no value for a column that may not be NULL. Alembic "
                "rolled all of it back. Give the column a value for them on the server, with `server_default`; "
                "`default` is Python's, for new rows that SQLAlchemy inserts.",
                misconception="no-server-default",
            ) from error
        if sqlstate(error) == _ABORTED:
            raise NotYet(
                "A statement of `upgrade` failed, and your function caught the exception. In PostgreSQL a failed "
                "statement spoils its whole transaction, so nothing after it could run. Leave `try` out.",
                misconception="swallows-the-error",
            ) from error
        _raise_as_theirs(runner, error, "running your `upgrade`")
    if await runner.version() != "0002":
        raise NotYet(
            "`upgrade` ran, and Alembic could not note the new version: your function ended the transaction itself. "
            "Leave `commit` and `rollback` to Alembic.",
            misconception="ends-the-transaction",
        )


async def _down(runner: Runner) -> None:
    calling("downgrade of a table with rows")
    try:
        await runner.run("downgrade", "0001")
    except Exception as error:
        _raise_as_theirs(runner, error, "running your `downgrade`")


def _raise_as_theirs(runner: Runner, error: Exception, doing: str) -> None:
    # Alembic loads the check's own files between ours and the learner's lines: those are no line of a cell.
    theirs = step = error.__traceback__
    while step is not None:
        if runner.is_ours(step.tb_frame.f_code.co_filename):
            theirs = step.tb_next
        step = step.tb_next
    error = error.with_traceback(theirs)
    if has_learner_frame(error):
        raise error
    raise AnswerError(doing) from error


async def _judge_upgraded(runner: Runner, url: URL, titles: dict[int, str], before: list[str]) -> None:
    await _judge_titles(url, titles, "upgrade")
    async with asking(url) as connection:
        found = await connection.fetchrow(
            "select data_type, is_nullable from information_schema.columns "
            "where table_schema = 'public' and table_name = 'task' and column_name = 'priority'"
        )
        if found is None:
            raise NotYet(
                "`upgrade` ran, and the table `task` still has no column `priority`. `create_all` and `create_table` "
                "alter nothing that exists: use `op.add_column`.",
                misconception="adds-no-column",
            )
        if found["data_type"] != "integer":
            raise NotYet(
                f"The column `priority` is of type {found['data_type']}, and the model says `Integer`: `alembic check` "
                "would find a difference for ever.",
                misconception="wrong-type",
            )
        values = [row[0] for row in await connection.fetch("select priority from task order by id")]
        if values != [_OLD_ROWS] * len(values):
            raise NotYet(
                f"The rows that were there have another priority than {_OLD_ROWS}. Every old row needs one.",
                misconception="old-rows-differ",
                case=Case(f"{len(values)} rows", repr([_OLD_ROWS] * len(values)), repr(values)),
            )
        if found["is_nullable"] != "NO":
            raise NotYet(
                "The column still accepts NULL. Once all rows have a value, it can be made strict: "
                "`nullable=False`, here or with `op.alter_column`.",
                misconception="stays-nullable",
            )
        titles |= await _judge_inserts(connection)
    after = [line for line in await shape(url) if not line.startswith("column task.priority ")]
    # A trigger and its function are another way to give old inserts a value.
    if more := sorted(set(after) ^ set(before)):
        more = [line for line in more if not line.startswith(("trigger ", "function "))]
    if more:
        raise NotYet(
            "The column is there, and something else in the database has changed. Change what the task asks for, "
            "and nothing besides.",
            misconception="changes-more",
            case=Case("what `upgrade` changed", "the column priority", more[0][:300]),
        )
    async with using_answer("comparing the database with the model after your `upgrade`"):
        differences = await runner.differences()
    if differences:
        raise NotYet(
            "The column is there, and the database differs from the model in something else: Alembic's autogenerate "
            "still has something to do. Change what the task asks for, and nothing besides.",
            misconception="changes-more",
            case=Case("alembic check", "no differences", f"{len(differences)}, the first: {differences[0]!r}"[:300]),
        )


async def _judge_inserts(connection: Any) -> dict[int, str]:
    """The version before this one is still running: it inserts without a priority. Returns the rows that are new."""
    statement = "insert into task (title) values ('from the old version') returning priority, id"
    value = old = None
    try:
        if (row := await connection.fetchrow(statement)) is not None:
            value, old = row
    except asyncpg.PostgresError as error:
        raise NotYet(
            "The old version of the application is still running while you migrate, and its insert without a "
            "`priority` fails now. Leave the default with the column: `server_default`.",
            misconception="old-code-fails",
        ) from error
    if value != _OLD_ROWS:
        raise NotYet(
            f"An insert without a priority gives {value}. The task asks for {_OLD_ROWS}.",
            misconception="other-default",
        )
    priority = 1000 + secrets.randbelow(1_000_000)
    try:
        statement = "insert into task (title, priority) values ('from the new version', $1) returning id, priority"
        new = await connection.fetchrow(statement, priority)
    except asyncpg.PostgresError as error:
        raise NotYet(
            f"The new version inserts a task with the priority {priority}, and the database refuses it. The task asks "
            "for a column, not for another limit.",
            misconception="changes-more",
        ) from error
    if new is None or new["priority"] != priority:
        raise NotYet(
            f"The new version inserts a task with the priority {priority}, and the database stores another one. The "
            "3 is for inserts that name none.",
            misconception="changes-more",
        )
    return {old: "from the old version", new["id"]: "from the new version"}


async def _judge_downgraded(url: URL, titles: dict[int, str], before: list[str]) -> None:
    await _judge_titles(url, titles, "downgrade")
    async with asking(url) as connection:
        columns = await connection.fetch(
            "select column_name from information_schema.columns where table_schema = 'public' and table_name = 'task'"
        )
    names = sorted(row["column_name"] for row in columns)
    if "priority" in names:
        raise NotYet(
            "After `downgrade` the column is still there, so a second `upgrade` can't add it. Take back what `upgrade` "
            "did: `op.drop_column`.",
            misconception="downgrade-does-nothing",
        )
    if names != ["id", "title"]:
        raise NotYet(
            "After `downgrade` the table is not as it was before `upgrade`.",
            misconception="downgrade-changes-more",
            case=Case("the columns", "['id', 'title']", repr(names)),
        )
    if more := sorted(set(await shape(url)) ^ set(before)):
        raise NotYet(
            "After `downgrade` the database is not as it was before `upgrade`. Take back what `upgrade` did, and no "
            "more than that.",
            misconception="downgrade-changes-more",
            case=Case("what differs", "nothing", more[0][:300]),
        )


async def _judge_titles(url: URL, titles: dict[int, str], after: str) -> None:
    kept: dict[int, str] = {}
    if "task" in await tables_in(url):
        async with asking(url) as connection:
            with contextlib.suppress(asyncpg.PostgresError):  # the columns may be others now
                kept = dict(await connection.fetch("select id, title from task"))
    if kept != titles:
        raise NotYet(
            f"After `{after}` the rows are not those that were there before. A migration changes the table in place: "
            "don't drop it and create it anew.",
            misconception="loses-rows",
            case=Case(f"{len(titles)} rows", "all kept", f"{len(kept)} left"),
        )
