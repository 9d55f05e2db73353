"""PgBouncer: a real connection pooler in front of a `PostgresServer`, which lives as long as the kernel does."""

import asyncio
from types import TracebackType
from typing import Literal, Self

import asyncpg
from sqlalchemy import URL

from course_lib._fixes import how_to_get
from course_lib.servers._diagnosis import tail
from course_lib.servers._errors import MissingBinaryError, ServerCrashedError, ServerError, SettingError
from course_lib.servers._guarded import HOST
from course_lib.servers._pgbouncer_admin import ConnectionRow, PoolRow, StatsRow, ask_console
from course_lib.servers._pgbouncer_instance import CONSOLE_USER, PgBouncerInstance, Setting, check_settings, find_place
from course_lib.servers._scram import new_password, scram_verifier
from course_lib.servers.binaries import PgBouncerBinary, find_pgbouncer
from course_lib.servers.postgres import PostgresServer

Mode = Literal["session", "transaction", "statement"]
_MODES = ("session", "transaction", "statement")
# Superusers are left out: nothing in the course needs one through the pooler.
_SECRETS = r"select rolname, rolpassword from pg_authid where not rolsuper and rolpassword like 'SCRAM-SHA-256$%'"


class PgBouncer:
    """A throw-away PgBouncer on loopback, in front of a server of the course, for all of its databases and roles.

    Use it as ``async with PgBouncer(server) as bouncer`` or ``bouncer = await PgBouncer.start(server)``. When it is
    stopped, no longer referenced, or its process has ended in whatever way, nothing of it is left.

    Clients log in with SCRAM, and so does PgBouncer to the server. It knows no password of theirs: its file of users
    holds the SCRAM secrets that the server itself stores, and it proves itself to the server with the key that a
    client's own login reveals to it. (That is how PgBouncer does it where both secrets are identical:
    https://www.pgbouncer.org/config.html#authentication-file-format.) The secrets are read when it starts, so a role
    that is created later, or changes its password, is unknown to it until the next start.

    Args:
        server: the running server behind it. It is kept alive as long as this object is.
        mode: when a server connection goes back to the pool: after a "session", a "transaction" or a "statement".
        default_pool_size: server connections for each pair of user and database; PgBouncer's default is 20.
        max_client_conn: how many clients may be connected; PgBouncer's default is 100.
        max_prepared_statements: named statements that it follows for each server connection; 0: none. From 1.21 on.
        port: the TCP port; a free one by default.
        settings: any other setting of the section `[pgbouncer]`, e.g. ``query_wait_timeout=2``.
    Raises:
        SettingError: a setting is malformed, chosen by the course itself, or unknown to this version.
        MissingBinaryError: there is no PgBouncer on this machine; the message says how to get it.
    """

    def __init__(
        self,
        server: PostgresServer,
        mode: Mode = "transaction",
        *,
        default_pool_size: int | None = None,
        max_client_conn: int | None = None,
        max_prepared_statements: int | None = None,
        port: int | None = None,
        **settings: Setting,
    ) -> None:
        if mode not in _MODES:
            raise SettingError(f"The mode {mode!r} is none of {', '.join(map(repr, _MODES))}.")
        if port is not None and not 0 < port < 65536:
            raise SettingError(f"The port {port} is not between 1 and 65535. Leave it out to get a free one.")
        self._binary = _require_pgbouncer()
        named: dict[str, Setting | None] = {
            "default_pool_size": default_pool_size,
            "max_client_conn": max_client_conn,
            "max_prepared_statements": max_prepared_statements,
        }
        given = {name: value for name, value in named.items() if value is not None}
        self._settings = {"pool_mode": mode, **check_settings({**given, **settings}, self._binary)}
        self._server = server
        self._wanted_port = port
        self._password = ""
        self._instance: PgBouncerInstance | None = None
        self._last_log = ""
        self.mode: Mode = mode

    @classmethod
    async def start(
        cls,
        server: PostgresServer,
        mode: Mode = "transaction",
        *,
        default_pool_size: int | None = None,
        max_client_conn: int | None = None,
        max_prepared_statements: int | None = None,
        port: int | None = None,
        **settings: Setting,
    ) -> Self:
        """Make a PgBouncer and start it. Arguments as for the class.

        Raises:
            ServerError: it could not be started; the subclasses say why.
        """
        bouncer = cls(
            server,
            mode,
            default_pool_size=default_pool_size,
            max_client_conn=max_client_conn,
            max_prepared_statements=max_prepared_statements,
            port=port,
            **settings,
        )
        return await bouncer.__aenter__()

    async def __aenter__(self) -> Self:
        if self._instance is not None:
            raise ServerError("This PgBouncer is started already. Stop it first, or make another one.")
        try:
            await self._begin()
        except asyncio.CancelledError:
            self._abandon()
            raise
        except Exception:
            await self.stop()
            raise
        except BaseException:
            self._abandon()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        if self._instance is None:
            return "<PgBouncer, not running>"
        state = "running" if self._instance.is_alive else "crashed"
        return f"<PgBouncer {self.version}, {self.mode} mode, on {HOST}:{self._instance.port}, {state}>"

    @property
    def version(self) -> str:
        """The version of PgBouncer, e.g. "1.18.0"."""
        return self._binary.version

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1. It stays the same over a restart."""
        return self._require_running().port

    @property
    def url(self) -> URL:
        """The URL for the learner's role: that of the server, but for the port."""
        return self.url_for(self._server.url)

    def url_for(self, url: URL) -> URL:
        """The way through PgBouncer for a URL of the server behind it, whatever its database and role.

        Args:
            url: such as what `server.create_database` or `server.create_role` gave.
        """
        return url.set(port=self._require_running().port)

    @property
    def process_id(self) -> int:
        """The id of PgBouncer's process."""
        return int(self._require_running().process.pid)

    def log(self) -> str:
        """The text of PgBouncer's log so far; it holds no passwords. It can be read after a stop too."""
        if self._instance is not None:
            self._last_log = self._instance.log() or self._last_log
        return self._last_log

    async def console(self, command: str) -> list[dict[str, str]]:
        """Run a command on the admin console, such as "SHOW CONFIG", "PAUSE" or "RELOAD".

        Args:
            command: what https://www.pgbouncer.org/usage.html#admin-console lists.
        Returns:
            The rows of a SHOW command, as text by column; of another command none.
        Raises:
            ServerError: PgBouncer does not run, or refuses the command.
        """
        return await asyncio.to_thread(ask_console, self._require_running().port, self._password, command)

    async def pools(self) -> list[PoolRow]:
        """`SHOW POOLS`, without the console's own."""
        return [PoolRow.read(row) for row in await self._show("POOLS")]

    async def stats(self) -> list[StatsRow]:
        """`SHOW STATS`, without the console's own."""
        return [StatsRow.read(row) for row in await self._show("STATS")]

    async def clients(self) -> list[ConnectionRow]:
        """`SHOW CLIENTS`: connections from clients, without the console's own."""
        return [ConnectionRow.read(row) for row in await self._show("CLIENTS")]

    async def servers(self) -> list[ConnectionRow]:
        """`SHOW SERVERS`: connections to PostgreSQL."""
        return [ConnectionRow.read(row) for row in await self._show("SERVERS")]

    async def restart(self) -> None:
        """Start it again on the same port: it cuts all connections. It also revives one that has crashed.

        Raises:
            ServerError: it was stopped, or it does not start again.
        """
        instance = self._require_started()
        await instance.end_process("immediate")
        await instance.relaunch()

    async def stop(self) -> None:
        """Stop it and remove its files. A second call does nothing."""
        instance = self._instance
        if instance is None:
            return
        self.log()
        self._abandon()
        await instance.remove()

    async def _begin(self) -> None:
        self._password = new_password()
        secrets = await _stored_secrets(self._server)
        secrets[CONSOLE_USER] = scram_verifier(self._password)
        port = self._server.port
        place = await asyncio.to_thread(find_place, self._binary)
        # In no thread: what one makes after a cancellation would be in nobody's hands.
        self._instance = PgBouncerInstance(place, self._binary, self._settings, port, secrets)
        await self._instance.event()
        await self._instance.launch(self._wanted_port)

    async def _show(self, what: str) -> list[dict[str, str]]:
        return [row for row in await self.console(f"SHOW {what}") if row["database"] != "pgbouncer"]

    def _abandon(self) -> None:
        # Closing the supervisor's pipe is enough to leave nothing behind.
        if self._instance is not None:
            self._instance.abandon()
            self._instance = None

    def _require_started(self) -> PgBouncerInstance:
        if self._instance is None:
            raise ServerError(
                "This PgBouncer is not running. Start one with `bouncer = await PgBouncer.start(server)`."
            )
        return self._instance

    def _require_running(self) -> PgBouncerInstance:
        instance = self._require_started()
        if not instance.is_alive:
            raise ServerCrashedError(
                "PgBouncer ended without being asked to. `await bouncer.restart()` starts it again. "
                f"The end of its log:\n{tail(self.log())}"
            )
        return instance


async def _stored_secrets(server: PostgresServer) -> dict[str, str]:
    """The SCRAM secret of each role of the server, as the server stores it."""
    url = server.admin_url
    connection = await asyncpg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database, ssl=False
    )
    try:
        rows = await connection.fetch(_SECRETS)
    finally:
        await connection.close()
    return {row["rolname"]: row["rolpassword"] for row in rows}


def _require_pgbouncer() -> PgBouncerBinary:
    binary = find_pgbouncer()
    if binary is None:
        raise MissingBinaryError(
            f"No PgBouncer was found on this machine. Get it: {how_to_get('pgbouncer')}. "
            "COURSE_PGBOUNCER_BIN can name the program, where it lies in an unusual place."
        )
    return binary
