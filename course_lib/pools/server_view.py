"""What PostgreSQL itself says about its clients, beside what the pool believes."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg
from sqlalchemy import URL

from course_lib._tables import html_table, text_table
from course_lib.pools._recording import LiveConnection, PoolError
from course_lib.pools.recorder import PoolRecorder
from course_lib.servers import PostgresServer

__all__ = ["Backend", "ServerView", "server_view"]

# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
_QUESTION = """
    select pid, datname, usename, application_name, state,
           extract(epoch from clock_timestamp() - coalesce(state_change, backend_start))::float8 as age,
           wait_event_type, wait_event, query
    from pg_stat_activity
    where backend_type = 'client backend' and application_name <> $2 and ($1::text is null or datname = $1)
    order by backend_start, pid
"""
_OWN_NAME = "course server_view"  # the backend of the last question may still be ending when the next one is asked
_PATIENCE = 5.0
_QUERY_LENGTH = 60
_PASSWORD = re.compile(r"(password\s+)(?:E?'(?:[^']|'')*'?)", re.IGNORECASE)
_HEADINGS = ("PID", "connection", "held by", "state", "age", "waits for", "application", "user", "database", "query")
_OFTEN_ALIKE = ("application", "user", "database")


@dataclass(frozen=True)
class Backend:
    """A client's process on the server: a row of `pg_stat_activity`.

    Args:
        pid: the process ID.
        database: the database that it is connected to.
        user: its role.
        application_name: what the client calls itself.
        state: "active", "idle", "idle in transaction", ...; None: the role may not see it, or it still starts.
        age: seconds since the state began.
        wait_event: what it waits for, e.g. "Client: ClientRead"; None: nothing.
        query: the last query, on one line and shortened, with passwords masked.
        connection: the number of the recorder's connection that ends here; None: unknown to the recorder.
        who: the task that holds that connection.
    """

    pid: int
    database: str | None
    user: str | None
    application_name: str
    state: str | None
    age: float
    wait_event: str | None
    query: str
    connection: int | None = None
    who: str | None = None


class ServerView(list[Backend]):
    """One row per client's backend, shown as a table.

    Args:
        backends: the rows.
        missing: connections of the recorder that have no backend any more, although the pool has not noticed.
        database: the database that was asked about; None: all.
    """

    def __init__(
        self, backends: Iterable[Backend] = (), missing: Iterable[LiveConnection] = (), database: str | None = None
    ) -> None:
        super().__init__(backends)
        self.missing = tuple(missing)
        self.database = database

    def count(self, state: object) -> int:
        """How many backends are in this state, such as ``"idle in transaction"`` (or equal this row)."""
        return sum(1 for each in self if state in (each.state, each))

    def __repr__(self) -> str:
        table = [text_table(*self._columns())] if self else []
        return "\n".join([self._caption(), *table, *self._notes()])

    def _repr_html_(self) -> str:
        notes = " ".join(html.escape(note) for note in self._notes())
        if not self:
            return f"<p><strong>{html.escape(self._caption())}</strong></p>" + (f"<p>{notes}</p>" if notes else "")
        headings, rows = self._columns()
        cells = [[_cell(heading, cell) for heading, cell in zip(headings, row, strict=True)] for row in rows]
        return html_table(self._caption(), headings, cells, notes)

    def _caption(self) -> str:
        where = "on the server" if self.database is None else f"for database {self.database}"
        return f"{len(self) or 'No'} client backend{'' if len(self) == 1 else 's'} {where}"

    def _notes(self) -> list[str]:
        notes = []
        alike = [f"{name} {value}" for name, value in self._alike().items() if name != "database" or not self.database]
        if alike:
            notes.append(f"{'Each has' if len(self) > 1 else 'It has'} {', '.join(alike)}.")
        if self.missing:
            names = ", ".join(f"{each.number} (PID {each.pid})" for each in self.missing)
            notes.append(f"The pool still counts connections that have no backend any more: {names}.")
        return notes

    def _alike(self) -> dict[str, str]:
        """What is the same in every row and need not stand in each: a narrow window shows seven columns."""
        values = {name: {row[_HEADINGS.index(name)] for row in self._cells()} for name in _OFTEN_ALIKE}
        return {name: found.pop() for name, found in values.items() if len(found) == 1 and found != {""}}

    def _columns(self) -> tuple[list[str], list[list[str]]]:
        """The headings and rows, without columns that are empty or the same in every row."""
        rows, alike = self._cells(), self._alike()
        kept = [index for index, name in enumerate(_HEADINGS) if name not in alike and any(row[index] for row in rows)]
        return [_HEADINGS[index] for index in kept], [[row[index] for index in kept] for row in rows]

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                str(each.pid),
                "" if each.connection is None else str(each.connection),
                each.who or "",
                each.state or "",
                f"{each.age:.1f} s",
                each.wait_event or "",
                each.application_name,
                each.user or "",
                each.database or "",
                each.query,
            )
            for each in self
        ]


async def server_view(
    server: PostgresServer | URL, *, recorder: PoolRecorder | None = None, database: str | None = None
) -> ServerView:
    """Ask PostgreSQL which clients are connected and what they do, without counting the connection that asks.

    Args:
        server: a running server, which is asked on a connection reserved for its superuser and so answers even when
            it is full; or the URL of a role that may see the activity of others (`pg_read_all_stats`).
        recorder: joins its connections by the process ID of their backends.
        database: only backends of this database; all by default.
    Returns:
        One row per client's backend, the oldest first.
    Raises:
        PoolError: the server does not answer, or refuses.
        ServerError: the server does not run.
    """
    url = server.admin_url if isinstance(server, PostgresServer) else server
    rows = await _ask(url, database)
    live = {} if recorder is None else {each.pid: each for each in recorder.live() if each.pid is not None}
    backends = []
    for row in rows:
        known = live.pop(row["pid"], None)
        event = f"{row['wait_event_type']}: {row['wait_event']}" if row["wait_event"] else None
        backends.append(
            Backend(
                pid=row["pid"],
                database=row["datname"],
                user=row["usename"],
                application_name=row["application_name"] or "",
                state=row["state"],
                age=max(0.0, row["age"]),
                wait_event=event,
                query=_shortened(row["query"] or ""),
                connection=None if known is None else known.number,
                who=None if known is None else known.who,
            )
        )
    # With `database`, a connection of another one is not missing: it was not asked about.
    return ServerView(backends, () if database is not None else live.values(), database)


async def _ask(url: URL, database: str | None) -> list[asyncpg.Record]:
    if url.get_backend_name() != "postgresql":
        raise PoolError(f"Only PostgreSQL has pg_stat_activity; this URL is for {url.get_backend_name()}.")
    try:
        connection = await asyncpg.connect(
            host=url.host,
            port=url.port or 5432,
            user=url.username,
            password=url.password,
            database=url.database,
            timeout=_PATIENCE,
            server_settings={"application_name": _OWN_NAME},
        )
    except (OSError, asyncpg.PostgresError) as error:
        raise PoolError(
            f"PostgreSQL on {url.host}:{url.port} cannot be asked: {type(error).__name__}: {error}. "
            "Check that it runs and has a free connection."
        ) from error
    try:
        return list(await connection.fetch(_QUESTION, database, _OWN_NAME, timeout=_PATIENCE))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PoolError(f"PostgreSQL stopped answering: {type(error).__name__}: {error}.") from error
    finally:
        connection.terminate()


def _cell(heading: str, cell: str) -> str:
    # A long query may wrap, so that the rest keeps its place beside it; "1.2 s" in two lines is hard to read.
    escaped = html.escape(cell)
    return escaped if heading == "query" else f"<span style='white-space: nowrap'>{escaped}</span>"


def _shortened(query: str) -> str:
    line = _PASSWORD.sub(r"\1'***'", " ".join(query.split()))
    return line if len(line) <= _QUERY_LENGTH else f"{line[: _QUERY_LENGTH - 1]}…"
