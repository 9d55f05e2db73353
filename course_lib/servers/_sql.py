"""Statements that a server runs as its superuser."""

import contextlib

import asyncpg

from course_lib.servers._errors import ServerError

_TIMEOUT = 30.0  # seconds to connect, and for a statement


async def execute_as_superuser(host: str, port: int, database: str, user: str, password: str, statement: str) -> None:
    """Run one statement as the superuser.

    Each has its own connection: kept open, it would belong to one event loop, and take a slot from a lesson.
    """
    connection = await asyncpg.connect(
        host=host, port=port, user=user, password=password, database=database, ssl=False, timeout=_TIMEOUT
    )
    try:
        await connection.execute(statement, timeout=_TIMEOUT)
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
