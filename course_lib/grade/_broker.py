"""The trusted side of servers: it starts and restarts them for checks that run in a sandbox, and keeps them clean.

A check in a sandbox can start no process. It asks for what it needs with one of the few requests below, each with plain
values that are looked at here. A server that serves several submissions is looked at after each exercise: it must be
as it was, or it goes.
"""

import asyncio
import base64
import pickle
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg

from course_lib.servers import PgBouncer, PostgresServer, ServerError
from course_lib.servers._template import DATABASE, LEARNER, SUPERUSER
from course_lib.servers.certificates import Certificate, ServerTLS

_MOST = 8  # servers that one exercise may start
_RULE = re.compile(r"host(ssl|nossl)? (all|[a-z_]+) (all|[a-z_]+) 127\.0\.0\.1/32 [a-z0-9 =-]+")
# What can be left behind on a server: databases, roles, settings, objects in the common database, another password.
_LEFT = """
select (select count(*) from pg_database
        where datname not in ($1, 'template1') or not datallowconn or datconnlimit <> -1)
     + (select count(*) from pg_roles where rolname !~ '^pg_' and rolname not in ($2, $3))
     + (select count(*) from pg_roles
        where rolname = $2 and (rolsuper or rolcreaterole or rolcreatedb or rolconnlimit <> -1))
     + (select count(*) from pg_db_role_setting)
     + (select count(*) from pg_class where oid >= 16384 and relnamespace <> 'pg_toast'::regnamespace)
     + (select count(*) from pg_proc where oid >= 16384) + (select count(*) from pg_namespace where oid >= 16384)
     + (select count(*) from pg_event_trigger) + (select count(*) from pg_largeobject_metadata)
     + (select count(*) from pg_file_settings where sourcefile like '%auto.conf')
     + (select count(*) from pg_authid where rolname = $2 and rolpassword is distinct from $4)
     + (select count(*) from pg_prepared_xacts)
"""
_END_ALL = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename <> $1"
_VERIFIER = "select rolpassword from pg_authid where rolname = $1"
_PATIENCE = 10.0  # seconds for the look at a server


def pack(data: bytes) -> str:
    """Bytes as text, for a message."""
    return base64.b64encode(data).decode()


class Broker:
    """The servers of one worker."""

    def __init__(self, scratch: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._scratch = scratch
        self._idle: dict[bool, list[PostgresServer]] = {False: [], True: []}
        self._verifiers: dict[int, str] = {}
        self._used: dict[int, Any] = {}
        self._shared: dict[int, bool] = {}
        self._next = 0

    def run(self, work: Awaitable[Any]) -> Any:
        """Run something on this side's own event loop."""

        async def wait() -> Any:
            return await work

        return self._loop.run_until_complete(wait())

    def warm_up(self) -> None:
        """Start the server that most checks use."""
        self._idle[False].append(self.run(self._fresh(None, {})))

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request of a sandboxed check."""
        actions: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "postgres": self._postgres,
            "bouncer": self._bouncer,
            "state": self._state,
            "restart": self._restart,
            "end": self._end,
            "tls": self._change_tls,
            "stop": self._stop,
            "review": self._review,
            "console": self._console,
        }
        try:
            return {"value": self.run(actions[str(request.get("do"))](request))}
        except (ServerError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": f"the request could not be served ({type(error).__name__})"}

    def settle(self, *, keep: bool) -> None:
        """After an exercise: clean servers are kept for the next one, the others go.

        Args:
            keep: whether servers may be kept at all; not after an answer that was refused.
        """
        used, shared = self._used, self._shared
        self._used, self._shared = {}, {}
        for number, server in used.items():
            if number in shared and keep and self.run(self._is_clean(server)):
                self._idle[shared[number]].append(server)
            else:
                self._verifiers.pop(id(server), None)
                server._abandon()

    def close(self) -> None:
        """End all servers."""
        self.settle(keep=False)
        for server in (*self._idle[False], *self._idle[True]):
            server._abandon()
        self._idle = {False: [], True: []}

    async def _fresh(self, tls: ServerTLS | None, options: dict[str, Any]) -> PostgresServer:
        server: PostgresServer = await PostgresServer.start(tls=tls or False, **options)
        admin = await _admin(server)
        try:
            self._verifiers[id(server)] = str(await admin.fetchval(_VERIFIER, LEARNER))
        finally:
            await admin.close()
        return server

    async def _postgres(self, request: dict[str, Any]) -> dict[str, Any]:
        if len(self._used) >= _MOST:
            raise ServerError(f"One exercise may start {_MOST} servers.")
        tls = _tls(request["tls"]) if request.get("tls") else None
        settings = {str(name): value for name, value in dict(request["settings"]).items() if _is_plain(value)}
        roles = {str(name): value if isinstance(value, int) else None for name, value in dict(request["roles"]).items()}
        databases = [str(name) for name in request["databases"]]
        is_common = not (settings or roles or databases)
        idle = self._idle[tls is not None]
        if is_common and idle:
            server = idle.pop()
            if tls is not None:
                await server.change_tls(tls)
        else:
            options: dict[str, Any] = {"roles": roles, "databases": databases, **settings}
            server = await self._fresh(tls, options if not is_common else {})
        number = self._add(server)
        if is_common:
            self._shared[number] = tls is not None
        return {"number": number, "port": server.port, "passwords": server._passwords}

    def _add(self, server: Any) -> int:
        self._next += 1
        self._used[self._next] = server
        return self._next

    async def _bouncer(self, request: dict[str, Any]) -> dict[str, Any]:
        if len(self._used) >= _MOST:
            raise ServerError(f"One exercise may start {_MOST} servers.")
        server = self._used[int(request["server"])]
        settings = {str(name): value for name, value in dict(request["settings"]).items() if _is_plain(value)}
        mode = settings.pop("pool_mode")
        bouncer = await PgBouncer.start(server, mode, **settings)
        number = self._add(bouncer)
        return {"number": number, "port": bouncer.port, "password": bouncer._password, "pid": bouncer.process_id}

    def _instance(self, request: dict[str, Any]) -> Any:
        return self._used[int(request["number"])]._require_started()

    async def _state(self, request: dict[str, Any]) -> dict[str, Any]:
        instance = self._used[int(request["number"])]._instance
        alive = instance is not None and instance.is_alive
        return {"alive": alive, "log": instance.log() if request.get("log") and instance is not None else ""}

    async def _restart(self, request: dict[str, Any]) -> None:
        self._shared.pop(int(request["number"]), None)
        await self._instance(request).relaunch()

    async def _end(self, request: dict[str, Any]) -> None:
        self._shared.pop(int(request["number"]), None)
        await self._instance(request).end_process("fast" if request.get("mode") == "fast" else "immediate")

    async def _change_tls(self, request: dict[str, Any]) -> None:
        self._instance(request).rewrite(_tls(request["tls"]))

    async def _stop(self, request: dict[str, Any]) -> None:
        """A shared server is only put aside; `settle` decides about it."""
        if int(request["number"]) not in self._shared:
            await self._used[int(request["number"])].stop()

    async def _console(self, request: dict[str, Any]) -> list[dict[str, str]]:
        bouncers = (each for each in self._used.values() if isinstance(each, PgBouncer))
        bouncer = next(each for each in bouncers if each.port == request["port"])
        return await bouncer.console(str(request["command"]))

    async def _review(self, request: dict[str, Any]) -> str:
        from course_lib.review import review

        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="review-") as folder:
            path = Path(folder) / "database.py"
            path.write_text(str(request["text"]), encoding="utf-8")
            return pack(pickle.dumps(await review(path)))

    async def _is_clean(self, server: PostgresServer) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                admin = await _admin(server)
                try:
                    await admin.fetchval(_END_ALL, SUPERUSER)
                    password = self._verifiers[id(server)]
                    return not await admin.fetchval(_LEFT, DATABASE, LEARNER, SUPERUSER, password)
                finally:
                    admin.terminate()
        except Exception:
            return False


async def _admin(server: PostgresServer) -> Any:
    url = server.admin_url
    return await asyncpg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database, ssl=False
    )


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _tls(given: dict[str, Any]) -> ServerTLS:
    files = {name: base64.b64decode(given["files"][name]) for name in ("ca.pem", "server.pem", "server.key")}
    client = given["files"].get("client_ca.pem")
    access = tuple(str(rule) for rule in given["access"])
    if not all(_RULE.fullmatch(rule) for rule in access):
        raise ServerError("A rule of access has an unknown form.")
    certificate = Certificate(ca=files["ca.pem"], chain=files["server.pem"], key=files["server.key"])
    return ServerTLS(certificate, access, base64.b64decode(client) if client else None)
