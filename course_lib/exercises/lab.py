"""A real, empty PostgreSQL database for one check."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import URL

from course_lib.exercises.limits import clock_stopped
from course_lib.servers import PostgresServer, ServerError
from course_lib.servers._diagnosis import disk_full_error, tail

_server: PostgresServer | None = None
# Where the servers of this process have their folders, once there was one.
_servers: Path | None = None


@dataclass(frozen=True)
class Lab:
    """An empty database on a server that only checks use.

    Args:
        url: the database's URL, for the learner's ordinary role.
        server: the server it is on; other checks use it too, so it is not stopped here.
    """

    url: URL
    server: PostgresServer

    async def connections(self, state: str | None = None) -> int:
        """How many client connections to this database the server sees, without the one that asks.

        Args:
            state: count only those in this state of pg_stat_activity, such as ``"idle in transaction"``.

        Returns:
            A number of connections.
        """
        admin = await asyncpg.connect(_plain(self.server.admin_url))
        try:
            count = await admin.fetchval(
                "select count(*) from pg_stat_activity where datname = $1 and ($2::text is null or state = $2) "
                "and backend_type = 'client backend'",  # autovacuum comes to see every database
                self.url.database,
                state,
            )
        finally:
            await admin.close()
        return int(count)


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    """An empty database for a check, on a server that is started at the first use in this process.

    Yields:
        The `Lab`. Its database is dropped afterwards, with whatever connections are left on it.

    Raises:
        ServerError: no PostgreSQL could be started; the message says what to do.
    """
    with clock_stopped():  # on a slow machine a server takes seconds, and they are not the learner's
        server = await _shared_server()
        name = f"check_{secrets.token_hex(6)}"
        url = await server.create_database(name)
    try:
        yield Lab(url, server)
    finally:
        await server.drop_database(name)


def full_disk() -> ServerError | None:
    """The error for a disk that filled up under the running server, whose own words a check does not see; or None."""
    if _servers is None:
        return None
    # A server that ends for want of room gives back its own, so its last words count too.
    return disk_full_error(tail(_server.log()) if _server is not None else "", None, _servers)


async def _shared_server() -> PostgresServer:
    global _server, _servers
    if _server is not None:
        try:
            _ = _server.port
        except ServerError:  # it crashed: its message was for whoever used it then
            _server = None
    if _server is None:
        _server = await PostgresServer.start()
        _servers = _server.data_folder.parent
    return _server


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
