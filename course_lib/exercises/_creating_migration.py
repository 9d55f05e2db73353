"""The check of exercise 11.3: Alembic runs the learner's revision up, down and up again, on a table with rows."""

import contextlib
import inspect
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, Column, Integer, MetaData, String, Table
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._creating_watch import NOT_NULL, asking, sqlstate, tables_in
from course_lib.exercises.core import AnswerError, Case, NotYet, calling
from course_lib.exercises.lab import lab
from course_lib.exercises.tracebacks import has_learner_frame

_OLD_ROWS = 3  # the priority of what is there already, as the task says
_WANTED = MetaData()
Table(
    "task",
    _WANTED,
    Column("id", Integer, primary_key=True),
    Column("title", String(200), nullable=False),
    Column("priority", Integer, nullable=False),
)
_ENV = """\
from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], target_metadata=attributes["metadata"])
with context.begin_transaction():
    context.run_migrations()
"""
_FIRST = """\
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table(
        "task", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.String(200), nullable=False)
    )


def downgrade():
    op.drop_table("task")
"""
_SECOND = """\
from alembic import context

revision, down_revision = "0002", "0001"


def upgrade():
    context.config.attributes["upgrade"]()


def downgrade():
    context.config.attributes["downgrade"]()
"""


class _Runner:
    """Alembic with two revisions: ours, which makes the table, and the learner's."""

    def __init__(self, engine: AsyncEngine, upgrade: Any, downgrade: Any) -> None:
        from alembic.config import Config

        self.engine = engine
        self._folder = tempfile.TemporaryDirectory(prefix="course-alembic-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        (folder / "versions").mkdir()
        for name, content in {"env.py": _ENV, "versions/one.py": _FIRST, "versions/two.py": _SECOND}.items():
            (folder / name).write_text(content, encoding="utf-8")
        self.config = Config()
        self.config.set_main_option("script_location", str(folder).replace("%", "%%"))
        self.config.attributes.update(metadata=_WANTED, upgrade=upgrade, downgrade=downgrade)

    async def run(self, command: str, revision: str) -> None:
        """Run ``alembic upgrade`` or ``downgrade`` on a connection of its own."""
        from alembic import command as commands

        def work(connection: Connection) -> None:
            self.config.attributes["connection"] = connection
            getattr(commands, command)(self.config, revision)

        async with self.engine.connect() as connection:
            await connection.run_sync(work)

    async def differences(self) -> list[Any]:
        """What Alembic's autogenerate would still change to make the database as the model is."""
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        def compare(connection: Connection) -> list[Any]:
            return list(compare_metadata(MigrationContext.configure(connection), _WANTED))

        async with self.engine.connect() as connection:
            return await connection.run_sync(compare)


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
    titles = {number: f"task {secrets.token_hex(4)}" for number in range(1, 5)}
    async with lab() as box:
        runner = _Runner(create_async_engine(box.url), upgrade, downgrade)
        await runner.run("upgrade", "0001")
        async with asking(box.url) as connection:
            await connection.executemany("insert into task (title) values ($1)", [(each,) for each in titles.values()])
        await _up(runner, "upgrade of a table with rows")
        await _judge_upgraded(runner, box.url, titles)
        await _down(runner)
        await _judge_downgraded(box.url, titles)
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
        await _judge_upgraded(runner, box.url, titles)


async def _up(runner: _Runner, given: str) -> None:
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
        _raise_as_theirs(error, "running your `upgrade`")


async def _down(runner: _Runner) -> None:
    calling("downgrade of a table with rows")
    try:
        await runner.run("downgrade", "0001")
    except Exception as error:
        _raise_as_theirs(error, "running your `downgrade`")


def _raise_as_theirs(error: Exception, doing: str) -> None:
    if has_learner_frame(error):
        raise error
    raise AnswerError(doing) from error


async def _judge_upgraded(runner: _Runner, url: URL, titles: dict[int, str]) -> None:
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
        await _judge_old_code(connection)
        await connection.execute("delete from task where id > $1", max(titles))
    if differences := await runner.differences():
        raise NotYet(
            "The column is there, and the database differs from the model in something else: Alembic's autogenerate "
            "still has something to do. Change what the task asks for, and nothing besides.",
            misconception="changes-more",
            case=Case("alembic check", "no differences", f"{len(differences)}, the first: {differences[0]!r}"[:300]),
        )


async def _judge_old_code(connection: Any) -> None:
    """The version before this one is still running: it inserts without a priority."""
    statement = "insert into task (title) values ('from the old version') returning priority"
    try:
        value = await connection.fetchval(statement)
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
    try:
        await connection.execute("insert into task (title, priority) values ('from the new version', 1)")
    except asyncpg.PostgresError as error:
        raise NotYet(
            "The new version inserts a task with the priority 1, and the database refuses it. The task asks for a "
            "column, not for another limit.",
            misconception="changes-more",
        ) from error


async def _judge_downgraded(url: URL, titles: dict[int, str]) -> None:
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


async def _judge_titles(url: URL, titles: dict[int, str], after: str) -> None:
    kept: dict[int, str] = {}
    if "task" in await tables_in(url):
        async with asking(url) as connection:
            with contextlib.suppress(asyncpg.PostgresError):  # the columns may be others now
                kept = dict(await connection.fetch("select id, title from task where id <= $1", max(titles)))
    if kept != titles:
        raise NotYet(
            f"After `{after}` the rows are not those that were there before. A migration changes the table in place: "
            "don't drop it and create it anew.",
            misconception="loses-rows",
            case=Case(f"{len(titles)} rows", "all kept", f"{len(kept)} left"),
        )
