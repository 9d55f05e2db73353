"""Statements that a server runs as its superuser."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from course_lib.servers._errors import ServerError, SettingError

_TIMEOUT = 30.0  # seconds to connect, and for a statement
_POLL = 0.005  # seconds


async def execute_as_superuser(host: str, port: int, database: str, user: str, password: str, statement: str) -> None:
    """Run one statement as the superuser."""
    async with _superuser(host, port, database, user, password) as connection:
        await connection.execute(statement, timeout=_TIMEOUT)


async def reload_as_superuser(host: str, port: int, database: str, user: str, password: str) -> None:
    """Let the server read its configuration files again, and wait until new connections feel it.

    Raises:
        SettingError: pg_hba.conf can't be read. Nothing was reloaded.
        ServerError: the server does not react.
    """
    loaded = "SELECT pg_conf_load_time()"
    async with _superuser(host, port, database, user, password) as connection:
        # https://www.postgresql.org/docs/17/view-pg-hba-file-rules.html reads the file as it is now.
        for rule in await connection.fetch("SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL"):
            raise SettingError(
                f"PostgreSQL can't read a rule of `access`: {rule['error']}. Correct it; "
                "https://www.postgresql.org/docs/current/auth-pg-hba-conf.html explains the form."
            )
        before = await connection.fetchval(loaded)
        await connection.execute("SELECT pg_reload_conf()")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TIMEOUT):
            while True:
                # Each new connection begins with what the server's main process has read.
                async with _superuser(host, port, database, user, password) as connection:
                    if await connection.fetchval(loaded) != before:
                        return
                await asyncio.sleep(_POLL)
    raise ServerError("PostgreSQL did not read its configuration again. `server.log()` may say why.")


@contextlib.asynccontextmanager
async def _superuser(host: str, port: int, database: str, user: str, password: str) -> AsyncIterator[Any]:
    # Each use has its own connection: kept open, it would belong to one event loop, and take a slot from a lesson.
    connection = await asyncpg.connect(
        host=host, port=port, user=user, password=password, database=database, ssl=False, timeout=_TIMEOUT
    )
    try:
        yield connection
    finally:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await connection.close(timeout=_TIMEOUT)


def quoted(name: str) -> str:
    """An SQL identifier for ``name``, whatever is in it.

    Raises:
        ServerError: PostgreSQL can have no such name.
    """
    if not name or "\0" in name or len(name.encode()) > 63:
        raise ServerError(f"{name!r} cannot be a name in PostgreSQL: it needs 1 to 63 bytes and no zero byte.")
    return '"' + name.replace('"', '""') + '"'
