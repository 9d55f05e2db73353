"""Lesson 09's servers: one whose certificate changes, one without TLS, and authorities that nothing else knows."""

import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
from sqlalchemy import URL

from course_lib._url_query import TLS_MODES
from course_lib.exercises.limits import clock_stopped
from course_lib.servers import PostgresServer, ServerError
from course_lib.servers.certificates import ANYONE, Authority, Certificate, ServerTLS

PLAIN, TLS, REFUSED = "plain text", "TLS", "refused"
GOOD, OTHER_HOST, OTHER_CA, NO_TLS, HOSTSSL = (
    "a good certificate",
    "a certificate for another host",
    "a certificate of another authority",
    "no TLS",
    "`hostssl`, which refuses plain text",
)
_ONLY_TLS = ("hostssl all all 127.0.0.1/32 scram-sha-256",)
_SECONDS = 5.0  # for one connection on loopback
_servers: dict[bool, PostgresServer] = {}
STATE = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@dataclass(frozen=True)
class TLSLab:
    """What a check of lesson 09 tries answers on.

    Args:
        server: offers TLS.
        plain: the URL of a server without TLS.
        folder: for files of this check alone.
        public: an authority that this machine trusts as long as the check runs.
    """

    server: PostgresServer
    plain: URL
    folder: Path
    public: Authority

    def file_of(self, authority: Authority, name: str) -> str:
        """Write the authority's certificate to a file and return its path."""
        path = self.folder / name
        path.write_bytes(authority.pem)
        return str(path)

    async def present(self, certificate: Certificate, *, insists: bool = False) -> None:
        """Let the server show this certificate, and refuse plain text if it insists on TLS."""
        with clock_stopped():
            await self.server.change_tls(ServerTLS(certificate, access=_ONLY_TLS if insists else ANYONE))

    async def outcome(self, argument: Any, *, without_tls: bool = False) -> tuple[str, Exception | None]:
        """What comes of connecting with this value as asyncpg's `ssl`, and the exception of a refusal."""
        try:
            connection = await connect(self.plain if without_tls else self.server.url, argument)
        except Exception as error:
            return REFUSED, error
        try:
            return (TLS if await connection.fetchval(STATE) else PLAIN), None
        except Exception as error:
            return REFUSED, error
        finally:
            connection.terminate()


async def connect(url: URL, argument: Any) -> Any:
    """Open a connection with this value as asyncpg's `ssl`, as an engine does, at a fraction of its cost."""
    return await asyncpg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.database,
        ssl=argument,
        timeout=_SECONDS,
    )


def tls_variables() -> dict[str, str]:
    """What the environment says about TLS to asyncpg and to OpenSSL."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PG", "SSL_CERT"))}


def trusts_others(argument: Any, ca_file: str) -> bool:
    """Whether a context has loaded an authority that is not in this file."""
    if not isinstance(argument, ssl.SSLContext):
        return False
    loaded = set(ssl.SSLContext.get_ca_certs(argument, binary_form=True))
    return bool(loaded - set(ssl.create_default_context(cafile=ca_file).get_ca_certs(binary_form=True)))


@contextmanager
def folders_of_authorities() -> Iterator[list[Any]]:
    """Notes the folders that contexts are told to trust: OpenSSL looks into them later, so no list has them yet."""
    found: list[Any] = []
    original = ssl.SSLContext.load_verify_locations

    def load(context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        found.extend([capath] if capath is not None else [])
        original(context, cafile, capath, cadata)

    with patch.object(ssl.SSLContext, "load_verify_locations", load):
        yield found


@asynccontextmanager
async def tls_lab() -> AsyncIterator[TLSLab]:
    """Start the servers, and hide what the learner's machine says about TLS for as long as the check runs.

    Raises:
        ServerError: no PostgreSQL could be started, or it has no TLS; the message says what to do.
    """
    public = Authority()
    with clock_stopped():  # on a slow machine a server takes seconds, and they are not the learner's
        server, plain = await _shared_server(tls=True), await _shared_server(tls=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]
        folder = Path(home)
        (folder / "no-certificates").mkdir()
        tested = TLSLab(server, plain.url, folder, public)
        # OpenSSL reads these when a context loads the authorities of this machine.
        os.environ["SSL_CERT_FILE"] = tested.file_of(public, "public.pem")
        os.environ["SSL_CERT_DIR"] = str(folder / "no-certificates")
        os.environ["HOME"] = os.environ["USERPROFILE"] = home
        yield tested


async def _shared_server(*, tls: bool) -> PostgresServer:
    """A server that is started at the first use in this process, and ends with it."""
    server = _servers.get(tls)
    if server is not None:
        try:
            _ = server.port
        except ServerError:  # it crashed: its message was for whoever used it then
            server = None
    if server is None:
        server = _servers[tls] = await PostgresServer.start(tls=tls)
    return server


def what_it_is(argument: Any, ca_file: str | None = None) -> tuple[str, str] | None:
    """The misconception and the advice for a value that is no `ssl` argument at all; None for one that may be."""
    if argument is None:
        return "returns-nothing", (
            "It returns `None`. To asyncpg that means nothing was said: without a PGSSLMODE it takes `prefer`. "
            "Return a value."
        )
    if isinstance(argument, dict):
        return "returns-a-dict", "Return the value itself; the caller puts it into `connect_args={'ssl': …}`."
    if isinstance(argument, str | os.PathLike) and ca_file and os.fspath(argument) == ca_file:
        return "returns-the-path", (
            "That is the path of the file. asyncpg takes a text as the name of a mode; load the file into an "
            "`ssl.SSLContext`."
        )
    if isinstance(argument, str) and argument.replace("_", "-") not in TLS_MODES:
        return "returns-an-unknown-word", f"asyncpg does not know this word. It knows {', '.join(TLS_MODES)}."
    # asyncpg takes the members of its own SSLMode as well, which has no public name.
    if isinstance(argument, str | bool | ssl.SSLContext) or type(argument).__name__ == "SSLMode":
        return None
    return "returns-no-ssl-argument", (
        f"Got an object of type `{type(argument).__name__}`. asyncpg takes an `ssl.SSLContext`, `True`, `False`, or "
        "the name of a mode."
    )
