"""What lesson 02's checks try, and which misunderstanding is behind a wrong URL."""

import inspect
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from course_lib.exercises.core import Case, NotYet

_ODD = "@/:#?%+ &=[]é'\"\\ab1"


def odd_passwords(count: int) -> list[str]:
    """Invented passwords full of special characters, the same at each check."""
    dice = random.Random(2)
    return ["example" + "".join(dice.choices(_ODD, k=8)) for _ in range(count)]


async def ask(answer: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What the learner's function returns, be it async or not; a verdict if it can't be called like this."""
    if not callable(answer):
        raise NotYet(
            f"The check wants the function itself, and got `{type(answer).__name__}`. Give it the name alone, without "
            "calling it.",
            misconception="passes-no-function",
        )
    try:
        inspect.signature(answer).bind(*arguments, **named)
    except TypeError as error:
        names = f"the keywords {', '.join(f'`{name}`' for name in named)}" if named else "one URL"
        raise NotYet(f"The function has to take {names}: {error}.", misconception="takes-other-parameters") from None
    except ValueError:
        pass  # some callables have no signature to look at
    result = answer(*arguments, **named)
    return await result if inspect.isawaitable(result) else result


def parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def text_of(got: Any, case: Callable[[str], Case]) -> str:
    """The answer, if it is text; else a verdict that says what it is instead."""
    if isinstance(got, URL):
        raise NotYet(
            "You returned a URL object, and the task asks for text. `url.render_as_string(hide_password=False)` gives "
            "it; `str(url)` would put `***` in the password's place.",
            misconception="returns-a-url-object",
            case=case("a URL object"),
        )
    if not isinstance(got, str):
        raise NotYet(
            f"The function has to return text (`str`). It returned `{type(got).__name__}`: does every path through it "
            "end with a `return`?",
            misconception="returns-no-text",
            case=case(type(got).__name__),
        )
    return str(got)


_PG, _LITE = "postgresql+asyncpg://", "sqlite+aiosqlite://"
CONVERSIONS = [
    ("postgresql://app:example-pw@db.internal:5432/shop", _PG),
    ("postgres://app:example-pw@db.internal:5432/shop", _PG),
    ("sqlite:///data/app.db", _LITE),
    ("sqlite:////srv/app/data.db", _LITE),
    ("sqlite:///:memory:", _LITE),
    ("sqlite://", _LITE),
    ("sqlite:///C:/data/app.db", _LITE),
    ("postgresql+asyncpg://app:example-pw@db.internal/shop", _PG),
    ("sqlite+aiosqlite:///data/app.db", _LITE),
    ("postgresql+psycopg2://app:example-pw@db.internal/shop", _PG),
    ("postgresql+psycopg://app:example-pw@db.internal/shop", _PG),
    ("postgres://postgres:example-pw@db.internal/postgres", _PG),
    ("sqlite:////srv/sqlite/data.db", _LITE),
    ("postgresql://app:example%40pw%2F%25@db.internal/shop", _PG),
    ("postgresql://app:example+pw@db.internal/shop", _PG),
    ("postgresql://app:@db.internal/shop", _PG),
    ("postgresql://app@db.internal/shop", _PG),
    ("postgresql://app:example-pw@[2001:db8::1]:5433/shop", _PG),
    ("postgresql://app:example-pw@db.internal/shop?command_timeout=5", _PG),
    ("sqlite:///data/app.db?timeout=5", _LITE),
    ("sqlite+pysqlite:///data/app.db", _LITE),
    ("postgresql://app:example-postgresql://pw@db.internal/shop", _PG),
    *((f"postgres://app:{quote(each, safe='')}@db.internal/shop", _PG) for each in odd_passwords(5)),
]


def meaning(url: URL) -> tuple[object, ...]:
    """The parts as the driver gets them: an empty database name is none, and SQLite's is a database in memory."""
    memory = url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
    return (*tuple(url)[:5], None if memory else url.database or None, url.query)


def conversion_mistake(given: str, expected: str, got: str) -> tuple[str, str]:
    """Which misunderstanding made `got` of `given`, and what to say about it."""
    scheme, separator, rest = got.partition("://")
    before, target = given.partition("://")[0], expected.partition("://")[0]
    url, right = parsed(got), make_url(expected)
    if url is not None and url.password == "***":
        return "masks-the-password", (
            "The password is gone: `str(url)` writes `***`, and the engine would log in with those three stars. "
            "`url.render_as_string(hide_password=False)` keeps it."
        )
    if not separator:
        return "changes-other-parts", "What you return has no `://`. Put it back between the scheme and the rest."
    if scheme in (f"{target}+asyncpg", f"{target}+aiosqlite"):
        return "double-converts", (
            "This URL was async already and got its driver a second time. Look at the scheme before you change it, so "
            "that calling the function twice does no harm."
        )
    if "+asyncpg" in rest or "+aiosqlite" in rest:
        return "replaces-every-occurrence", (
            "`str.replace` changed text behind the scheme too: a name, a path or a password may hold the same word. "
            "Change only what stands before the first `://`."
        )
    if scheme == before and scheme != target:
        name = {"postgres": "misses-postgres", "sqlite": "misses-sqlite"}.get(scheme, "misses-the-driver")
        return name, f"`{scheme}://` came back as it was. It has to become `{target}://`."
    if scheme != target:
        return "writes-an-unknown-scheme", (
            f"The scheme has to become `{target}`. Yours is `{scheme[:40]}`. Take the old scheme away as a whole, up "
            "to `://`, with whatever driver it names."
        )
    if url is None:
        return "changes-other-parts", "What you return can't be read as a URL. Change the scheme and nothing else."
    if url.query != right.query:
        return "drops-the-query", "The parameters after `?` have to stay as they are."
    if url.get_backend_name() == "sqlite":
        return "changes-the-path", (
            "The path became another file. Behind `sqlite:` three slashes begin a relative path and four an absolute "
            "one; none of them may get lost."
        )
    if url.host is None and right.host is not None:
        return "changes-other-parts", "The host is gone. Everything behind `://` has to stay."
    if (url.password, url.host) != (right.password, right.host):
        return "touches-the-password", (
            "The new URL logs in with another password. What is percent-encoded has to stay so: decoded, an `@` in "
            "it would end the password. An empty password stays too."
        )
    return "changes-other-parts", "Something besides the scheme changed. Everything behind `://` has to stay."


_QUOTED_TWICE = (
    "The password is encoded twice. `URL.create` encodes by itself and wants the plain text; a URL written as text "
    "needs `quote(password, safe='')` once."
)


def part_mistake(parts: dict[str, Any], url: URL) -> tuple[str, str] | None:
    """Which part of `url` is not the one that was asked for, or None if all are right."""
    user, password = parts["user"], parts["password"]
    if url.drivername != "postgresql+asyncpg":
        return "forgets-the-driver", "The URL has to begin with `postgresql+asyncpg://`."
    if url.password != password or url.host != parts["host"]:
        if url.password == "***":
            return "masks-the-password", (
                "`str(url)` writes `***` in the password's place, and the engine would log in with three stars. Return "
                "the URL object, or `url.render_as_string(hide_password=False)`."
            )
        if password == "" and url.password is None:
            return "loses-an-empty-password", (
                "An empty password became no password. `if password:` is false for both; `is None` tells them apart."
            )
        if password is None:
            return "writes-none", "Without a password the URL has to have none: no colon, no `None` and no empty text."
        if url.password == password.replace(" ", "+") != password:
            return "quotes-for-a-form", (
                "`quote_plus` writes a space as `+`, as web forms do. In a password `+` is a plus. Use "
                "`quote(password, safe='')` or `URL.create`."
            )
        if url.password != password and url.password in (
            quote(password),
            quote(password, safe=""),
            quote_plus(password),
        ):
            return "quotes-twice", _QUOTED_TWICE
        if url.password == password:
            return "breaks-ipv6", (
                "An IPv6 address holds colons, so in text it stands in [brackets], and only there: `URL.create` adds "
                "them by itself and wants the plain address."
            )
        return "pastes-the-password-in", (
            "The password was put into the text as it is, so `@` or `%41` in it changed what the URL means. "
            "`URL.create` takes the parts apart from each other and encodes them."
        )
    if url.username != user:
        return "quotes-only-the-password", "A user name may hold an `@` or a `%` as well. It needs the same care."
    if (url.port, url.database) != (parts["port"], parts["database"]):
        return (
            "loses-a-part",
            "The port or the database is not the one that was asked for; without a port there is none.",
        )
    return None
