"""Checks of lesson 02: convert, build and mask database URLs. Each one runs what the learner wrote."""

import inspect
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.exercises._url_masks import judge_mask
from course_lib.exercises._url_mistakes import (
    CONVERSIONS,
    conversion_mistake,
    meaning,
    odd_passwords,
    parsed,
    part_mistake,
    text_of,
    unreadable_mistake,
    what_it_is,
)
from course_lib.exercises._url_provider import judge_settings
from course_lib.exercises.core import Case, NotYet, ask, exercise, using_answer
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

        got = text_of(await ask(get_async_database_url, given, given=repr(given), made_up=True), case)
        url = parsed(got)
        if url is None or meaning(url) != meaning(make_url(expected)):
            misconception, message = conversion_mistake(given, expected, got)
            raise NotYet(message, misconception=misconception, case=case(repr(got)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "app.db")
        for given in ("sqlite://", f"sqlite:///{path.as_posix()}"):
            url = await ask(get_async_database_url, given, given="the URL of a SQLite file")
            async with using_answer("opening a SQLite database with your URL"):
                engine = create_async_engine(url)
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
    {"password": " example "},
    {"user": "App", "password": "Example-PW", "database": "Shop"},
    {"user": " app "},
    {"user": "ünal", "password": "exämple"},
    {"user": "app@tenant"},
    {"user": "app%41"},
    {"user": "app/x:y z+"},
    {"password": ""},
    {"password": None},
    {"port": None},
    {"port": 6432, "database": "stock"},
    {"host": "2001:db8::1"},
    {"host": "::1", "port": None},
    *({"password": each} for each in odd_passwords(8)),
]


async def _built(build_database_url: Callable[..., Any], parts: dict[str, Any], given: str) -> Any:
    """What the answer builds of the parts, which it gets as keywords."""
    if not callable(build_database_url):
        return await ask(build_database_url, given=given)  # says that this is no function
    try:
        inspect.signature(build_database_url).bind(**parts)
    except TypeError as error:
        raise NotYet(
            f"The check calls it with the keywords {', '.join(f'`{name}`' for name in parts)}: {error}. Keep the "
            "starter's parameters.",
            misconception="takes-other-parameters",
        ) from None
    except ValueError:
        pass  # some callables have no signature to look at
    return await ask(partial(build_database_url, **parts), given=given, made_up=True)


@exercise(
    "02.3",
    title="Build a URL from its parts",
    hints=(
        "Text that is put together has to be encoded part by part. Is there a function that takes the parts instead?",
        "`URL.create(drivername, username=…, password=…, host=…, port=…, database=…)` keeps the parts as they "
        "are, and encodes them where they become text. Give it the parts exactly as they come in.",
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

        got = await _built(build_database_url, parts, f"build_database_url({expected})")
        if not isinstance(got, str | URL):
            misconception, advice = what_it_is(got)
            raise NotYet(
                f"Return a URL, as an object or as text. {advice}",
                misconception="returns-no-url" if misconception == "returns-no-text" else misconception,
                case=case("None" if got is None else f"an object of type {type(got).__name__}"),
            )
        try:
            shown = str(got) if isinstance(got, str) else got.render_as_string(hide_password=False)
            url = make_url(got)
            if not isinstance(url.password, str | None):  # an engine logs in with the text of it
                url = url.set(password=str(url.password))
        except Exception as error:
            if isinstance(got, str):
                misconception, message = unreadable_mistake(parts, shown)
                written = f"{shown!r}, {one_line(error)}"
            else:
                misconception, written = "returns-no-url", one_line(error)
                message = "Your URL object can't be written as text. Give `URL.create` each part as it comes in."
            raise NotYet(message, misconception=misconception, case=case(written)) from error
        if mistake := part_mistake(parts, url):
            raise NotYet(mistake[1], misconception=mistake[0], case=case(repr(shown)))


@exercise(
    "02.4",
    title="Mask a URL for the log",
    hints=(
        "Don't look for the password as a text: it may be written another way, stand twice, or equal the user's name. "
        "Find the place instead.",
        "Without `://` it is no URL: return `***`. Else there are two places: between `://user:` and the last `@`, and "
        "in the query behind a name with `pass` in it, in whatever spelling. A regular expression finds each, and "
        "changes nothing where there is no password.",
        r"In the query, `re.sub` with `([?&][^?&=]*)=([^&]*)` and a function that looks at `unquote(item[1]).lower()`. "
        r"For the other place, remember `://`, a user without `:` and `/`, and a colon in a group; then `.*@` takes "
        r"all up to the last `@`, across line breaks with `flags=re.DOTALL`.",
    ),
)
async def q4(mask_url: Callable[[str], str]) -> None:
    """Invented URLs, masked: what is left of the password, and of everything else."""
    await judge_mask(mask_url)
