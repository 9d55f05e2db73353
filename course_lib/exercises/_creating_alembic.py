"""Alembic for the check of exercise 11.3: two revisions, ours and the learner's, and what a database looks like."""

import contextlib
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, Column, Integer, MetaData, String, Table
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._creating_watch import asking
from course_lib.servers.scratch import ScratchFolder

WANTED = MetaData()
Table(
    "task",
    WANTED,
    Column("id", Integer, primary_key=True),
    Column("title", String(200), nullable=False),
    Column("priority", Integer, nullable=False),
)
# All that is in the schema besides rows: a line for each column, constraint, index, trigger, table and the like.
_SHAPE = """
select concat_ws(' ', 'column', table_name || '.' || column_name, data_type, character_maximum_length, is_nullable,
                 column_default)
  from information_schema.columns where table_schema = 'public'
union all select concat_ws(' ', 'constraint', conrelid::regclass, pg_get_constraintdef(oid))
  from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'
union all select concat_ws(' ', 'index', indexdef) from pg_indexes where schemaname = 'public'
union all select concat_ws(' ', 'trigger', pg_get_triggerdef(oid)) from pg_trigger where not tgisinternal
union all select concat_ws(' ', 'relation', relkind, relname) from pg_class where relnamespace = 'public'::regnamespace
union all select concat_ws(' ', 'function', proname) from pg_proc where pronamespace = 'public'::regnamespace
"""
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


class Runner:
    """Alembic with two revisions: ours, which makes the table, and the learner's."""

    def __init__(self, engine: AsyncEngine, upgrade: Any, downgrade: Any) -> None:
        from alembic.config import Config

        self.engine = engine
        self._folder = ScratchFolder("course-alembic-")
        folder = Path(self._folder.name)
        (folder / "versions").mkdir()
        for name, content in {"env.py": _ENV, "versions/one.py": _FIRST, "versions/two.py": _SECOND}.items():
            (folder / name).write_text(content, encoding="utf-8")
        self.config = Config()
        self.config.set_main_option("script_location", str(folder).replace("%", "%%"))
        self.config.attributes.update(metadata=WANTED, upgrade=upgrade, downgrade=downgrade)

    async def run(self, command: str, revision: str) -> None:
        """Run ``alembic upgrade`` or ``downgrade`` on a connection of its own."""
        from alembic import command as commands

        def work(connection: Connection) -> None:
            self.config.attributes["connection"] = connection
            getattr(commands, command)(self.config, revision)

        async with self.engine.connect() as connection:
            await connection.run_sync(work)

    async def version(self) -> Any:
        """The revision that Alembic has noted."""
        async with asking(self.engine.url) as connection:
            with contextlib.suppress(asyncpg.PostgresError):
                return await connection.fetchval("select version_num from alembic_version")
            return None

    def is_ours(self, filename: str) -> bool:
        """Whether this is one of the check's own files."""
        return filename.startswith(self._folder.name)

    async def differences(self) -> list[Any]:
        """What Alembic's autogenerate would still change to make the database as the model is."""
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        def compare(connection: Connection) -> list[Any]:
            return list(compare_metadata(MigrationContext.configure(connection), WANTED))

        async with self.engine.connect() as connection:
            return await connection.run_sync(compare)


async def shape(url: URL) -> list[str]:
    """What the schema of a database has besides rows, a line each."""
    async with asking(url) as connection:
        return sorted(str(row[0]) for row in await connection.fetch(_SHAPE))
