"""Lesson 02's provider: hands out URLs of real servers and connects with what an answer makes of them."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.exercises._url_mistakes import ask, parsed
from course_lib.exercises.core import AnswerError, Case, NotYet
from course_lib.exercises.tracebacks import one_line
from course_lib.servers import PostgresServer

_STATE = (
    "SELECT (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls, "
    "current_setting('application_name') AS name, current_setting('search_path') AS path"
)
_LEFT_IN = {
    "sslmode": ("keeps-sslmode", "asyncpg's word for `sslmode` is `ssl`, with the same modes."),
    "channel_binding": ("leaves-channel-binding", "asyncpg has no channel binding: take it out, and keep TLS."),
    "pgbouncer": ("leaves-pgbouncer", "It was written for Prisma, another client: take it out."),
    "application_name": ("leaves-server-settings", 'It goes into `{"server_settings": {…}}` of the arguments.'),
    "options": ("leaves-server-settings", 'It goes into `{"server_settings": {…}}` of the arguments.'),
}


class Provider:
    """Hands out URLs of a real server, as a provider would, and connects with what the answer makes of them."""

    def __init__(self, answer: Callable[[str], Any], server: URL) -> None:
        self.answer = answer
        self.server = server
        self.handed_over: dict[str, Any] = {}

    def case(self, query: str, expected: str, got: str) -> Case:
        """The case without the server's port and password, which differ at each run."""
        given = repr(f"postgres://owner:example-pw@db.example/shop{query}")
        for ours, shown in (
            (str(self.server.password), "***"),
            (f":{self.server.port}", ":5432"),
            (str(self.server.database), "shop"),
        ):
            got = got.replace(ours, shown)
        return Case(given=given, expected=expected, got=got, made_up=True)

    async def connect(self, query: str, host: str = "localhost") -> Any:
        """The connection's state as the server sees it, or the exception that stopped the connection."""
        plain = self.server.set(drivername="postgres", host=host, query={}).render_as_string(hide_password=False)
        url, arguments = self._checked(query, await ask(self.answer, plain + query))
        try:
            engine = create_async_engine(url, connect_args=arguments)
        except (ArgumentError, InvalidRequestError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise NotYet(
                "`create_async_engine` does not take your URL. It has to begin with `postgresql+asyncpg://`.",
                misconception="forgets-the-driver",
                case=self.case(query, "an engine", one_line(error)),
            ) from error
        except Exception as error:
            raise AnswerError("creating an engine with what you returned") from error

        @event.listens_for(engine.sync_engine, "do_connect")
        def remember(dialect: Any, record: Any, positional: Any, named: dict[str, Any]) -> None:
            self.handed_over = dict(named)

        try:
            async with engine.connect() as connection:
                return (await connection.execute(text(_STATE))).one()
        except TypeError as error:
            for name, (misconception, advice) in _LEFT_IN.items():
                if f"'{name}'" in str(error):
                    raise NotYet(
                        f"`{name}` reached `asyncpg.connect()`, which doesn't have it. {advice}",
                        misconception=misconception,
                        case=self.case(query, "a connection", one_line(error)),
                    ) from error
            return error
        except Exception as error:
            return error
        finally:
            await engine.dispose()

    async def must_connect(self, query: str) -> Any:
        """As `connect`, where any failure is the answer's."""
        state = await self.connect(query)
        if isinstance(state, Exception):
            raise NotYet(
                "Your settings don't connect, and libpq would. The last line says what asyncpg or the server minded.",
                misconception="does-not-connect",
                case=self.case(query, "a connection", one_line(state)),
            ) from state
        return state

    async def must_fail(self, query: str, misconception: str, message: str, host: str = "localhost") -> None:
        """A connection that must not come about."""
        if not isinstance(await self.connect(query, host), Exception):
            case = self.case(query, "the connection is refused", "a connection")
            raise NotYet(message, misconception=misconception, case=case)

    def _checked(self, query: str, got: Any) -> tuple[str | URL, dict[str, Any]]:
        good = isinstance(got, tuple) and len(got) == 2
        shape = f"({', '.join(type(each).__name__ for each in got)})" if isinstance(got, tuple) else type(got).__name__
        if not good or not isinstance(got[0], str | URL) or not isinstance(got[1], Mapping):
            raise NotYet(
                "Return two things, `url, connect_args`: a URL (text or object) and a dict, which may be empty.",
                misconception="returns-no-pair",
                case=self.case(query, "(url, connect_args)", shape),
            )
        url = parsed(got[0]) if isinstance(got[0], str) else got[0]
        if url is not None and url.password == "***":
            raise NotYet(
                "The password became `***`: `str(url)` hides it. Return the URL object, or render it with "
                "`hide_password=False`.",
                misconception="masks-the-password",
                case=self.case(query, "the password of the given URL", "***"),
            )
        return got[0], dict(got[1])


async def judge_settings(answer: Callable[[str], Any], server: PostgresServer, without_tls: URL) -> None:
    """Connect with the answer's settings to `server`, which has TLS, and to `without_tls`, which has none.

    Raises:
        NotYet: a connection fell short of what the URL asks for.
        AnswerError: no engine could be made.
    """
    secure, plain = Provider(answer, server.url), Provider(answer, without_tls)
    await plain.must_connect("")
    dropped = (
        "Your settings also connect without encryption: without `ssl`, asyncpg tries TLS and goes on in plain text if "
        "the server has none. Hand the mode over as `ssl`."
    )
    if not (await secure.must_connect("?sslmode=require")).tls:
        case = secure.case("?sslmode=require", "an encrypted connection", "plain text")
        raise NotYet(dropped, misconception="drops-tls", case=case)
    await plain.must_fail("?sslmode=require", "drops-tls", f"Here the server has no TLS. {dropped}")
    if isinstance(error := await plain.connect("?sslmode=disable"), Exception):
        raise NotYet(
            "The URL says that this server has no TLS, and your settings insist on it. Take the mode from the URL.",
            misconception="forces-tls",
            case=plain.case("?sslmode=disable", "a connection", one_line(error)),
        )
    await secure.must_connect("?sslmode=require&channel_binding=require")
    await secure.must_connect("?channel_binding=require")
    await plain.must_fail(
        "?channel_binding=require",
        "forgets-what-channel-binding-asks",
        "`channel_binding=require` works over TLS only, so it asks for TLS too. Taken out, TLS has to stay required.",
    )
    await plain.must_connect("?pgbouncer=true")
    query = "?application_name=web&options=-csearch_path%3Dstock&command_timeout=5"
    state = await plain.must_connect(query)
    expected = "application_name web, search_path stock, command_timeout 5"
    timeout = plain.handed_over.get("command_timeout")
    got = f"application_name {state.name or 'empty'}, search_path {state.path}, command_timeout {timeout}"
    if (state.name, state.path, float(timeout or 0)) != ("web", "stock", 5.0):
        raise NotYet(
            "Options got lost on the way. Take out only what asyncpg refuses, and hand over what it wants elsewhere.",
            misconception="loses-other-options",
            case=plain.case(query, expected, got),
        )
    await _judge_verification(secure, server)


async def _judge_verification(secure: Provider, server: PostgresServer) -> None:
    query = "?sslmode=verify-full&channel_binding=require"
    await secure.must_fail(
        query,
        "weakens-verify-full",
        "This server's certificate comes from an authority that nobody told you to trust, and your settings connected: "
        "`require` encrypts, and doesn't ask who is at the other end. Hand `verify-full` over as it is.",
    )
    # What asyncpg's own verify-full reads, and what ssl.create_default_context() reads.
    os.environ["PGSSLROOTCERT"] = os.environ["SSL_CERT_FILE"] = str(server.ca_file)
    if isinstance(error := await secure.connect(query), Exception):
        raise NotYet(
            "Here the authority is trusted: `PGSSLROOTCERT` names its file. Your settings refuse it. "
            '`{"ssl": "verify-full"}` reads that variable.',
            misconception="refuses-a-trusted-server",
            case=secure.case(query, "a connection", one_line(error)),
        )
    await secure.must_fail(
        query,
        "skips-the-host-name",
        "The certificate is trusted, but made out for another name than the host in the URL, and your settings "
        "connected. `verify-ca` doesn't compare the name, `verify-full` does.",
        host="127.1",  # loopback too, by a name that is not in the certificate
    )
