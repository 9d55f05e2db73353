"""Lesson 02's provider: hands out URLs of real servers and connects with what an answer makes of them."""

import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.exercises._url_mistakes import parsed, what_it_is
from course_lib.exercises.core import AnswerError, Case, NotYet, ask
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
        given = self.case(query, "", "").given
        url, arguments = self._checked(query, await ask(self.answer, plain + query, given=given, made_up=True))
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
        if not isinstance(state, Exception):
            return state
        if isinstance(state, ssl.SSLCertVerificationError):
            misconception = "verifies-unasked"
            message = (
                "This URL doesn't ask for a verified certificate: `require` encrypts and doesn't verify, while "
                '`ssl=True` or a default context does. Hand over the mode itself: `{"ssl": "require"}`.'
            )
        elif "rejected SSL upgrade" in str(state):
            misconception = "forces-tls"
            message = (
                "This server has no TLS and the URL doesn't insist on it, but your settings do. Take the mode from the "
                "URL. Only `channel_binding=require` asks for TLS as well; its other values don't."
            )
        else:
            misconception = "does-not-connect"
            message = (
                "Your settings don't connect, although the server grants all that this URL asks for. The last line "
                "says what asyncpg or the server complained about."
            )
        raise NotYet(message, misconception=misconception, case=self.case(query, "a connection", one_line(state)))

    async def must_encrypt(self, query: str, misconception: str, message: str) -> None:
        """A connection that must come about, and with TLS."""
        if not (await self.must_connect(query)).tls:
            case = self.case(query, "an encrypted connection", "plain text")
            raise NotYet(message, misconception=misconception, case=case)

    async def must_fail_or_raise(self, query: str, misconception: str, message: str) -> None:
        """As `must_fail`, but the answer may also refuse the URL itself, by a ValueError."""
        try:
            await self.must_fail(query, misconception, message)
        except (ValueError, AnswerError) as error:
            if not isinstance(error, ValueError) and not isinstance(error.__cause__, ValueError):
                raise

    async def must_fail(self, query: str, misconception: str, message: str, host: str = "localhost") -> None:
        """A connection that must not come about."""
        if not isinstance(await self.connect(query, host), Exception):
            case = self.case(query, "the connection is refused", "a connection")
            raise NotYet(message, misconception=misconception, case=case)

    def _checked(self, query: str, got: Any) -> tuple[str | URL, dict[str, Any]]:
        pair = isinstance(got, tuple | list) and not isinstance(got, URL)  # a URL is a tuple as well
        shape = f"({', '.join(type(each).__name__ for each in got)})" if pair else type(got).__name__
        if not pair or len(got) != 2 or not isinstance(got[0], str | URL) or not isinstance(got[1], Mapping):
            misconception, advice = what_it_is(got)
            named = misconception != "returns-no-text"
            raise NotYet(
                "Return two things, `url, connect_args`: a URL (text or object) and a dict, which may be empty."
                + (f" {advice}" if named else ""),
                misconception=misconception if named else "returns-no-pair",
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
    await _judge_modes(secure, plain)
    await _judge_channel_binding(secure, plain)
    await plain.must_connect("?pgbouncer=true")
    query = (
        "?pgbouncer=true&application_name=web&options=-csearch_path%3Dstock&command_timeout=5"
        "&target_session_attrs=read-write"
    )
    state = await plain.must_connect(query)
    expected = "application_name web, search_path stock, command_timeout 5, target_session_attrs read-write"
    timeout = plain.handed_over.get("command_timeout")
    session = plain.handed_over.get("target_session_attrs")
    if (state.name, state.path, float(timeout or 0), session) != ("web", "stock", 5.0, "read-write"):
        got = (
            f"application_name {state.name or 'empty'}, search_path {state.path}, command_timeout {timeout}, "
            f"target_session_attrs {session}"
        )
        raise NotYet(
            "Options got lost on the way. Take out only what asyncpg refuses, hand over what it wants elsewhere, and "
            "leave the rest in the URL.",
            misconception="loses-other-options",
            case=plain.case(query, expected, got),
        )
    await _judge_verification(secure, server)


_DROPPED = (
    "Your settings also connect without encryption: without `ssl`, asyncpg tries TLS and goes on in plain text if "
    "the server has none. Hand the mode over as `ssl`."
)
_TURNED_OFF = (
    "This URL doesn't turn TLS off, and your settings do: only `sslmode=disable` says so. Where a URL names no mode, "
    "hand none over; `prefer` and `allow` are modes that asyncpg knows."
)
_BINDING = (
    "`channel_binding=require` works over TLS only, so it asks for TLS too, whatever `sslmode` says. Taken out, TLS "
    "has to stay required."
)


async def _judge_modes(secure: Provider, plain: Provider) -> None:
    await plain.must_connect("")
    await secure.must_encrypt("", "turns-tls-off", _TURNED_OFF)
    await secure.must_encrypt("?sslmode=require", "drops-tls", _DROPPED)
    await plain.must_fail("?sslmode=require", "drops-tls", f"Here the server has no TLS. {_DROPPED}")
    for mode in ("disable", "allow", "prefer"):
        await plain.must_connect(f"?sslmode={mode}")
    await secure.must_encrypt("?sslmode=prefer", "turns-tls-off", _TURNED_OFF)
    # This server takes plain text as well, so `allow` gets that: what was handed over tells it from `disable`.
    await secure.must_connect("?sslmode=allow")
    if (handed := secure.handed_over.get("ssl")) in ("disable", False):
        case = secure.case("?sslmode=allow", "TLS is allowed", f"ssl={handed!r}")
        raise NotYet(_TURNED_OFF, misconception="turns-tls-off", case=case)


async def _judge_channel_binding(secure: Provider, plain: Provider) -> None:
    await secure.must_encrypt("?sslmode=require&channel_binding=require", "drops-tls", _DROPPED)
    await secure.must_encrypt("?channel_binding=require", "forgets-what-channel-binding-asks", _BINDING)
    name = "forgets-what-channel-binding-asks"
    await plain.must_fail("?channel_binding=require", name, _BINDING)
    for mode in ("prefer", "allow", "disable"):
        await plain.must_fail_or_raise(f"?sslmode={mode}&channel_binding=require", name, _BINDING)
    for value in ("prefer", "disable"):
        await plain.must_connect(f"?channel_binding={value}")


async def _judge_verification(secure: Provider, server: PostgresServer) -> None:
    query = "?sslmode=verify-full&channel_binding=require"
    unknown = (
        "This server's certificate comes from an authority that nobody told you to trust, and your settings connected: "
        "`require` encrypts, and doesn't ask who is at the other end. Hand `{}` over as it is."
    )
    for mode in ("verify-full", "verify-ca"):
        for rest in ("", "&channel_binding=require"):
            await secure.must_fail(f"?sslmode={mode}{rest}", f"weakens-{mode}", unknown.format(mode))
    # What asyncpg's own verify-full reads, and what ssl.create_default_context() reads.
    os.environ["PGSSLROOTCERT"] = os.environ["SSL_CERT_FILE"] = str(server.ca_file)
    for each in (query, "?sslmode=verify-ca"):
        if isinstance(error := await secure.connect(each), Exception):
            raise NotYet(
                "Here the authority is trusted: `PGSSLROOTCERT` names its file. Your settings refuse it. "
                '`{"ssl": "verify-full"}` reads that variable.',
                misconception="refuses-a-trusted-server",
                case=secure.case(each, "a connection", one_line(error)),
            )
    await secure.must_fail(
        query,
        "skips-the-host-name",
        "The certificate is trusted, but made out for another name than the host in the URL, and your settings "
        "connected. `verify-ca` doesn't compare the name, `verify-full` does.",
        host="127.1",  # loopback too, by a name that is not in the certificate
    )
