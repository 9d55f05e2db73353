"""Checks of lesson 02: convert, build and mask database URLs. Each one runs what the learner wrote."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.exercises._url_mistakes import (
    CONVERSIONS,
    ask,
    conversion_mistake,
    meaning,
    odd_passwords,
    parsed,
    part_mistake,
    text_of,
)
from course_lib.exercises._url_provider import judge_settings
from course_lib.exercises.core import Case, NotYet, exercise, using_answer
from course_lib.exercises.lab import lab
from course_lib.exercises.tracebacks import one_line
from course_lib.servers import PostgresServer


@exercise(
    "02.1",
    title="Convert a URL for an async engine",
    hints=(
        "Only the scheme changes, the part before the first `://`. Separate it from the rest, then look at it alone.",
        "`scheme, _, rest = url.partition('://')` leaves the password, the path and the query untouched in `rest`. "
        "`scheme.partition('+')` separates the dialect from the driver.",
        "Map the dialect to the new scheme: `postgres` and `postgresql` to `postgresql+asyncpg`, `sqlite` to "
        "`sqlite+aiosqlite`. Then put it in front of `://` and the rest. Async URLs come out unchanged by themselves.",
    ),
    seconds=5,
)
async def q1(get_async_database_url: Callable[[str], str]) -> None:
    """Each form of URL by meaning, then SQLite for real."""
    for given, scheme in CONVERSIONS:
        expected = scheme + given.partition("://")[2]

        def case(got: str, given: str = given, expected: str = expected) -> Case:
            return Case(given=repr(given), expected=repr(expected), got=got, made_up=True)

        got = text_of(await ask(get_async_database_url, given), case)
        url = parsed(got)
        if url is None or meaning(url) != meaning(make_url(expected)):
            misconception, message = conversion_mistake(given, expected, got)
            raise NotYet(message, misconception=misconception, case=case(repr(got)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "app.db")
        for given in ("sqlite://", f"sqlite:///{path.as_posix()}"):
            async with using_answer("opening a SQLite database with your URL"):
                engine = create_async_engine(await ask(get_async_database_url, given))
                try:
                    async with engine.begin() as connection:
                        await connection.execute(text("CREATE TABLE task (id INTEGER)"))
                finally:
                    await engine.dispose()


@exercise(
    "02.2",
    title="Connect with a provider's URL",
    hints=(
        "`make_url` gives you `url.query`, a mapping that can't be changed. Copy it with `dict(url.query)`, take out "
        "what asyncpg doesn't have with `.pop(name, None)`, and put the rest back with `url.set(query=…)`.",
        "The value of `sslmode` is a mode that asyncpg knows too: hand it over as it is, as `ssl` in the arguments. "
        "Don't decide on a mode yourself, except where `channel_binding=require` asks for TLS and `sslmode` doesn't.",
        'Settings of the server travel as `{"server_settings": {"application_name": …, "options": …}}`. For '
        "`channel_binding=require`, the mode is kept if it is `require` or one that begins with `verify`; else it is "
        "`require`.",
    ),
    seconds=40,
)
async def q2(connection_settings: Callable[[str], tuple[str | URL, dict[str, Any]]]) -> None:
    """Connect to a server with TLS and to one without, with a trusted certificate and with an unknown one."""
    async with PostgresServer(tls=True) as server, lab() as box:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, patch.dict(os.environ, HOME=home):
            # asyncpg reads these and the home folder; the learner's own must not decide the verdict.
            for name in ("PGSSLROOTCERT", "PGSSLMODE", "PGSSLCERT", "PGSSLKEY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
                os.environ.pop(name, None)
            await judge_settings(connection_settings, server, box.url)


# --- 02.3 --------------------------------------------------------------------------------------------------------

_PLAIN: dict[str, Any] = {"user": "app", "password": "example-pw", "host": "db.internal", "port": 5432}
_PARTS: list[dict[str, Any]] = [
    {},
    {"password": "example@pw/#?:[1]"},
    {"password": "example%41pw"},
    {"password": "example pw+1"},
    {"user": "app@tenant"},
    {"user": "app%41"},
    {"password": ""},
    {"password": None},
    {"port": None},
    {"host": "2001:db8::1"},
    {"host": "::1", "port": None},
    *({"password": each} for each in odd_passwords(8)),
]


@exercise(
    "02.3",
    title="Build a URL from its parts",
    hints=(
        "Text that is put together has to be encoded part by part. Is there a function that takes the parts instead?",
        "`URL.create(drivername, username=…, password=…, host=…, port=…, database=…)` encodes nothing beforehand and "
        "loses nothing. Give it the parts exactly as they come in.",
        "Return the URL object itself: an engine takes it. If you make text of it, use `render_as_string` with "
        "`hide_password=False`.",
    ),
)
async def q3(build_database_url: Callable[..., str | URL]) -> None:
    """Each set of parts, as SQLAlchemy reads them out of the URL again."""
    for changes in _PARTS:
        parts = {**_PLAIN, "database": "shop", **changes}
        expected = ", ".join(f"{name}={value!r}" for name, value in parts.items())

        def case(got: str, expected: str = expected) -> Case:
            return Case(given=f"build_database_url({expected})", expected=expected, got=got, made_up=True)

        got = await ask(build_database_url, **parts)
        if not isinstance(got, str | URL):
            raise NotYet(
                f"Return a URL, as an object or as text. It was `{type(got).__name__}`.",
                misconception="returns-no-url",
                case=case(type(got).__name__),
            )
        shown = got if isinstance(got, str) else got.render_as_string(hide_password=False)
        try:
            url = make_url(got)
        except (ArgumentError, ValueError) as error:
            plain_host = ":" not in parts["host"]
            raise NotYet(
                "What you return can't be read as a URL: "
                + (
                    "some character in a part has a meaning of its own in a URL. `URL.create` encodes it for you."
                    if plain_host
                    else "an IPv6 address holds colons, so in text it stands in [brackets]. `URL.create` adds them."
                ),
                misconception="pastes-the-password-in" if plain_host else "breaks-ipv6",
                case=case(f"{shown!r}, {one_line(error)}"),
            ) from error
        if mistake := part_mistake(parts, url):
            raise NotYet(mistake[1], misconception=mistake[0], case=case(repr(shown)))


# --- 02.4 --------------------------------------------------------------------------------------------------------

_BASE = "postgresql+asyncpg://app:example-pw@db.internal:5432/shop"
_LEAKS = "A log with this line holds the password, or a part of it. "
# A URL, what must not be readable afterwards, and which misunderstanding it finds.
_LEAKING = [
    (_BASE, ["example-pw"], "leaks-the-password", "Replace what stands between the user's colon and the `@`."),
    (
        "postgresql://app:example%40pw%2Fx@db.internal/shop",
        ["example%40pw", "example@pw"],
        "leaks-the-encoded-password",
        "`url.password` is decoded, and the text holds the encoded form: looking for one in the other finds nothing.",
    ),
    (
        "postgresql://db.internal/shop?user=app&password=example-pw&application_name=web",
        ["example-pw"],
        "leaks-the-query-password",
        "The password may stand in the query as well, as `password=…`.",
    ),
    (
        f"{_BASE}?password=example-pw&application_name=web",
        ["example-pw"],
        "leaks-the-query-password",
        "The password stands in the query as well, as `password=…`.",
    ),
    (
        "postgresql://app:example@pw-tail@db.internal/shop",
        ["example", "pw-tail"],
        "leaks-behind-a-raw-at",
        "Someone wrote an `@` into the password without encoding it. SQLAlchemy ends the password at the first `@`, so "
        "its `***` does too. For a log, let the password end at the last one.",
    ),
    (
        "postgresql://app:example-pw@db1.internal:5432,db2.internal:5432/shop",
        ["example-pw"],
        "leaks-the-password",
        "`make_url` can't read a list of hosts, but the password in it is a password.",
    ),
    *(
        (f"postgresql://app:{quote(each, safe='')}@db.internal/shop", [quote(each, safe="")], "leaks-the-password", "")
        for each in odd_passwords(5)
    ),
]
_WITHOUT = ["postgresql+asyncpg://app@db.internal/shop", "postgresql://db.internal:5432/shop", "sqlite:////srv/app.db"]


@exercise(
    "02.4",
    title="Mask a URL for the log",
    hints=(
        "Don't look for the password as a text: it may be written another way, stand twice, or equal the user's name. "
        "Find the place instead.",
        "Two places: between `://user:` and the last `@`, and behind `?password=` or `&password=`. A regular "
        "expression finds each, and changes nothing where there is no password.",
        r"`re.sub(r'([?&]password=)[^&]*', r'\1***', url)` treats the query. For the other place, remember "
        r"`://`, a user without colon, and a colon in a group; then `.*@` takes all up to the last `@`.",
    ),
)
async def q4(mask_url: Callable[[str], str]) -> None:
    """Is no secret left, is all else still there, and does nothing stop the log?"""
    await _masked(mask_url, _BASE)  # an exception here is an error in the code, not a misunderstanding
    for given in (*_WITHOUT, *(each[0] for each in _LEAKING)):
        try:
            await _masked(mask_url, given)
        except NotYet:
            raise
        except Exception as error:
            without = given in _WITHOUT
            raise NotYet(
                "There is no password in this URL, and your function raised. A URL without one is logged as it is."
                if without
                else "Your function raised, and a log line must not stop a program. Mask what you can't read.",
                misconception="breaks-without-a-password" if without else "breaks-on-an-unreadable-url",
                case=Case(repr(given), "text", one_line(error), made_up=True),
            ) from error
    for given, secrets, misconception, advice in _LEAKING:
        got = await _masked(mask_url, given)
        if any(secret in got for secret in secrets):
            case = Case(repr(given), "no part of the password", repr(got), made_up=True)
            raise NotYet(_LEAKS + advice, misconception=misconception, case=case)
    await _judge_what_stays(mask_url)


async def _masked(mask_url: Callable[[str], str], given: str) -> str:
    return text_of(await ask(mask_url, given), lambda got: Case(repr(given), "text", got, made_up=True))


async def _judge_what_stays(mask_url: Callable[[str], str]) -> None:
    """A mask is for reading: everything but the password is still there."""
    given = "postgresql://example:example@db.internal/shop"
    got = await _masked(mask_url, given)
    if ":example@" in got:
        raise NotYet(
            "User and password are the same word here, and the user was masked in the password's place. Find the place "
            "of the password, not its text.",
            misconception="masks-only-the-first",
            case=Case(repr(given), "'postgresql://example:***@db.internal/shop'", repr(got), made_up=True),
        )
    kept = [(given, ["postgresql://example:", "@db.internal/shop"])]
    kept += [
        (f"{_BASE}?password=example-pw&application_name=web", ["+asyncpg://app:", "@db.internal:5432/shop", "=web"])
    ]
    kept += [(each, [each]) for each in _WITHOUT]
    for given, pieces in kept:
        got = await _masked(mask_url, given)
        if missing := [piece for piece in pieces if piece not in got]:
            raise NotYet(
                "More than the password is gone. Whoever reads the log wants to see which user, host and database it "
                "was.",
                misconception="hides-other-parts",
                case=Case(repr(given), f"a text with {' and '.join(map(repr, missing))}", repr(got), made_up=True),
            )
