"""`review`: start the servers, plan the runs, run them side by side, and have the facts judged."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
from sqlalchemy import URL

from course_lib.review import judging
from course_lib.review.report import Report
from course_lib.review.runs import Plan, Run, makes_only_sync_engines, run_plans
from course_lib.review.source import SourceFile, UnreviewableError, read_source, takes_something
from course_lib.sandbox import SandboxError
from course_lib.servers import PostgresServer
from course_lib.servers.certificates import ANYONE, Authority, ServerTLS
from course_lib.servers.interceptor import Interceptor

_PLAIN_ROLE = "without_tls"
FORMS = ("plain", "sslmode", "postgres", "sqlite")  # runs that only a URL from outside needs
_MAIN = (
    "answers",
    "asked",
    "echo",
    "pool",
    "recycles",
    "dependency",
    "sessions",
    "after_commit",
    "one_engine",
    "tables",
    "lifespan",
    "tls",
    "impostor",
    "restart",
)


@dataclass(frozen=True)
class Lab:
    """The servers of a review.

    Args:
        main: restarted on demand.
        other: for the runs beside the main one.
        authority: the certificate authority (PEM) of both.
        main_impostor: stands between clients and `main`, with a certificate of another authority.
        other_impostor: the same for `other`.
        misnamed: stands before `other` with a certificate of the genuine authority that names another host.
    """

    main: PostgresServer
    other: PostgresServer
    authority: bytes
    main_impostor: Interceptor
    other_impostor: Interceptor
    misnamed: Interceptor

    @property
    def ports(self) -> set[int]:
        """All ports that a reviewed file may connect to."""
        ports = {self.main.port, self.other.port}
        return ports | {int(one.url.port or 0) for one in (self.main_impostor, self.other_impostor, self.misnamed)}

    @property
    def secrets(self) -> list[str]:
        """All passwords that a reviewed file is given."""
        urls = [url for server in (self.main, self.other) for url in (server.url, _plain(server))]
        return [url.password for url in urls if url.password]

    async def empty(self) -> None:
        """Drop all that a file has made or set in the databases, so that the next one finds nothing of it."""
        await asyncio.gather(*map(_emptied, (self.main, self.other)))


@asynccontextmanager
async def review_lab() -> AsyncIterator[Lab]:
    """Start the servers of a review. One after another, several reviews can share them.

    Raises:
        ServerError: no PostgreSQL could be started.
    """
    authority, stranger = Authority(), Authority()

    def server() -> PostgresServer:
        access = (
            f"hostnossl all {_PLAIN_ROLE} 127.0.0.1/32 scram-sha-256",
            f"host all {_PLAIN_ROLE} all reject",
            *ANYONE,
        )
        tls = ServerTLS(certificate=authority.server_certificate(), access=access)
        return PostgresServer(tls=tls, roles={_PLAIN_ROLE: None}, max_connections=100)

    async with AsyncExitStack() as stack:
        first, second = server(), server()
        main, other = await asyncio.gather(stack.enter_async_context(first), stack.enter_async_context(second))
        false = stranger.server_certificate()
        elsewhere = authority.server_certificate(["db.example"])
        between = [Interceptor(main.url, false), Interceptor(other.url, false), Interceptor(other.url, elsewhere)]
        yield Lab(main, other, authority.pem, *[await stack.enter_async_context(each) for each in between])


async def review(
    file: str | Path,
    *,
    search_path: str | Path | None = None,
    budget: int = 20,
    seconds: float = 10.0,
    lab: Lab | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Run a file that configures a database, in a process of its own, and say what it is missing.

    Args:
        file: a file, or with `search_path` a module's dotted name.
        search_path: the folder that holds the file's package.
        budget: how many connections a process may open.
        seconds: the time limit of each run of the file; several run side by side.
        lab: servers that are there already, from `review_lab`; by default its own.
        progress: is told in a few words what happens next.
    Returns:
        The report; a file that can't be run is a report too (`ran` is False).
    Raises:
        ServerError: no PostgreSQL could be started.
        ValueError: the budget or the time is not positive.
    """
    if budget < 1 or seconds <= 0:
        raise ValueError("The budget and the seconds have to be above zero.")
    tell = progress or (lambda _: None)
    name = str(file)
    try:
        source = read_source(file, Path(search_path) if search_path is not None else None)
        async with AsyncExitStack() as stack:
            if lab is None:
                tell("starting servers")
                lab = await stack.enter_async_context(review_lab())
            else:
                await lab.empty()
            tell("running the file")
            runs = await _run_all(source, lab, budget, seconds, tell)
            secrets = lab.secrets
    except (UnreviewableError, SandboxError) as error:
        return Report(name, False, str(error), (), budget)
    return judging.report(name, source, runs, budget, secrets)


async def _emptied(server: PostgresServer) -> None:
    address = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    try:
        # A transaction that a stopped process has left open would hold its tables.
        await connection.execute(
            "select pg_terminate_backend(pid, 2000) from pg_stat_activity "
            "where usename = current_user and pid <> pg_backend_pid()"
        )
        own = await connection.fetch(
            "select quote_ident(nspname) from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
        )
        database = await connection.fetchval("select quote_ident(current_database())")
        await connection.execute(
            "".join(f"drop schema {name} cascade; " for (name,) in own)
            + f"create schema public; alter database {database} reset all; alter role current_user reset all"
        )
    finally:
        await connection.close()


def _plain(server: PostgresServer) -> URL:
    return server.url_for(user=_PLAIN_ROLE)


async def _run_all(
    source: SourceFile, lab: Lab, budget: int, seconds: float, tell: Callable[[str], None]
) -> dict[str, Run]:
    plans = [plan for plan in _plans(source, lab) if plan.name not in FORMS or takes_something(source)]
    fixed: dict[str, str] = {}

    async def run(*wanted: Plan) -> dict[str, Run]:
        settings: dict[str, object] = {"budget": budget, "seconds": seconds, "ports": lab.ports, "fixed": fixed}
        settings["authority"] = lab.authority
        return await run_plans(wanted, source, on_restart=lab.main.restart, **settings)  # type: ignore[arg-type]

    runs = await run(*plans)
    # What it demands from outside is known now: once more with values.
    for _ in range(3):
        missing = judging.demanded(runs["main"], fixed)
        if not missing:
            break
        fixed.update(missing)
        tell("running it again, with the settings that it demands")
        runs = await run(*plans)
    if judging.unusable(runs["main"]):
        # The file wants another form of URL.
        for form in ("plain", "sslmode", "postgres"):
            if form in runs and runs[form].value("answers"):
                tell("running it again, with the form of URL that it wants")
                url = lab.main.url.set(drivername="postgres" if form == "postgres" else "postgresql")
                text = url.render_as_string(hide_password=False) + ("?sslmode=require" if form == "sslmode" else "")
                runs["async"] = runs["main"]
                runs |= await run(replace(plans[0], form=text))
                break
    return runs


def _plans(source: SourceFile, lab: Lab) -> list[Plan]:
    main, other = lab.main.url, lab.other.url

    def extra(server: PostgresServer, interceptor: Interceptor) -> dict[str, object]:
        plain = _plain(server)
        return {
            "without_tls": {"user": plain.username, "password": plain.password},
            "impostor": {"port": interceptor.url.port},
        }

    here = extra(lab.other, lab.other_impostor)
    here["misnamed"] = {"port": lab.misnamed.url.port}
    full = other.set(drivername="postgresql").render_as_string(hide_password=False)

    def form(name: str, text: str, *probes: str, **more: object) -> Plan:
        return Plan(name, ("answers", *probes), other, text, other, extra=here, **more)  # type: ignore[arg-type]

    return [
        Plan("main", _MAIN, main, None, main, substitute=True, extra=extra(lab.main, lab.main_impostor)),
        form("sslmode", f"{full}?sslmode=require", "tls"),
        form("plain", full),
        form("postgres", full.replace("postgresql://", "postgres://", 1)),
        form("verify", f"{full}?sslmode=verify-full", "impostor", names_ca=True),
        form("sqlite", "sqlite:///file.db"),
        Plan("default", ("answers", "echo"), None, None, other, substitute=makes_only_sync_engines(source), extra=here),
    ]
