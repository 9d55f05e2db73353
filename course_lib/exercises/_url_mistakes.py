"""What lesson 02's checks of URLs try, and which misunderstanding is behind a wrong one."""

import inspect
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from course_lib.exercises.core import Case, NotYet

_ODD = "@/:#?%+ &=[]é'\"\\ab1"


def odd_passwords(count: int) -> list[str]:
    """Invented passwords full of special characters, the same at each check."""
    dice = random.Random(2)
    return ["example" + "".join(dice.choices(_ODD, k=8)) for _ in range(count)]


def parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def what_it_is(got: Any) -> tuple[str, str]:
    """What an answer gave instead of text or a URL: a misconception, and a sentence that says how to mend it."""
    if inspect.isgenerator(got) or inspect.isasyncgen(got):
        return "yields-instead-of-returning", "`yield` makes a generator of your function. Use `return`."
    if inspect.isawaitable(got):
        return "forgets-to-await", "What your function returned has still to be awaited: write `return await …` in it."
    if isinstance(got, bytes):
        return "returns-no-text", "It returned `bytes`. Take `.encode()` away, or use `.decode()`."
    if got is None:
        return "returns-no-text", "It returned `None`. Does every path through it end with a `return`?"
    return "returns-no-text", f"It returned an object of type `{type(got).__name__}`."


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
        misconception, advice = what_it_is(got)
        raise NotYet(
            f"The function has to return text (`str`). {advice}",
            misconception=misconception,
            case=case("None" if got is None else f"an object of type {type(got).__name__}"),
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
    ("postgresql://app:example-pw@db.internal/shop%3Fold", _PG),
    ("postgresql://app:example-pw@db.internal/shop?command_timeout=5", _PG),
    ("sqlite:///data/app.db?timeout=5", _LITE),
    ("sqlite+pysqlite:///data/app.db", _LITE),
    ("postgresql://app:example-postgresql://pw@db.internal/shop", _PG),
    ("postgres://app%3Ajob%40tenant:example-pw@db.internal/shop", _PG),
    ("postgresql://app:example-pw@/shop?host=db1.internal:5432&host=db2.internal:5433", _PG),
    ("postgresql://app:example-pw@db.internal/shop?sslmode=verify-full", _PG),
    *((f"postgres://app:{quote(each, safe='')}@db.internal/shop", _PG) for each in odd_passwords(5)),
]


def meaning(url: URL) -> tuple[object, ...]:
    """The parts as the driver gets them: an empty database name is none, and SQLite's is a database in memory.

    `sslmode` may have become `ssl` already, as exercise 02.2 asks.
    """
    memory = url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    return (*tuple(url)[:5], None if memory else url.database or None, query)


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
    if "%" in given.partition("@")[0] and (url is None or url.username != right.username):
        return "touches-the-user", (
            "The user became another one. What is percent-encoded in a user's name has to stay so: decoded, a `:` in "
            "it would end the name."
        )
    if url is None:
        return "changes-other-parts", "What you return can't be read as a URL. Change the scheme and nothing else."
    if "sslmode" in right.query and "sslmode" not in url.query and "ssl" not in url.query:
        return "drops-tls", (
            "Without its `sslmode` this URL no longer asks for a verified server, and nobody would notice. Leave it "
            "in; the next exercise finds a word for it that asyncpg knows."
        )
    if meaning(url)[-1] != meaning(right)[-1]:
        repeated = any(isinstance(value, tuple) for value in right.query.values())
        return "drops-the-query", "The parameters after `?` have to stay as they are" + (
            ": here one name stands twice, and both values count." if repeated else "."
        )
    if url.get_backend_name() == "sqlite":
        return "changes-the-path", (
            "The path became another file. Behind `sqlite:` three slashes begin a relative path (or one with a Windows "
            "drive) and four an absolute one; none of them may get lost."
        )
    if url.host is None and right.host is not None:
        return "changes-other-parts", "The host is gone. Everything behind `://` has to stay."
    if (url.password, url.host) != (right.password, right.host):
        return "touches-the-password", (
            "The new URL logs in with another password. What is percent-encoded has to stay so: decoded, an `@` in "
            "it would end the password. An empty password stays too."
        )
    return "changes-other-parts", "Something besides the scheme changed. Everything behind `://` has to stay."


_SPECIAL = frozenset("@:/?#%[] +")
_QUOTED_TWICE = (
    "The password is encoded twice. `URL.create` encodes by itself and wants the plain text; a URL written as text "
    "needs `quote(password, safe='')` once."
)
_PASTED = (
    "The password was put into the text as it is, so a special character in it changed what the URL means. "
    "`URL.create` takes the parts apart from each other and encodes them."
)
_SLASH = (
    "The user is another one: `quote` leaves `/` as it is, unless you call `quote(user, safe='')`. `URL.create` needs "
    "no such care."
)
_FORM = (
    "`quote_plus` writes a space as `+`, as web forms do. In a {} `+` is a plus. Use `quote({}, safe='')` or "
    "`URL.create`."
)


_AS_IT_COMES = "Each part goes into the URL exactly as it comes in: `URL.create` takes it and encodes it."
_DECODED = (
    "A `%` of the password was decoded on its way. In the text of a URL `%41` means `A`, so a password that is put in "
    "as it is becomes another one; `unquote` does the same. `URL.create` wants the plain password."
)


def is_special(value: str | None) -> bool:
    """Whether a user or a password holds a character that means something else in a URL."""
    return bool(_SPECIAL & set(value or ""))


def unreadable_mistake(parts: dict[str, Any], shown: str) -> tuple[str, str]:
    """Why `shown`, made of `parts`, can't be read as a URL."""
    if "://" not in shown:
        return "forgets-the-driver", "The URL has to begin with `postgresql+asyncpg://`."
    if ":" in parts["host"]:
        return "breaks-ipv6", (
            "What you return can't be read as a URL: an IPv6 address holds colons, so in text it stands in [brackets]. "
            "`URL.create` adds them."
        )
    if parts["port"] is None:
        return "loses-a-part", "What you return can't be read as a URL: without a port there is no colon and no `None`."
    if "/" in parts["user"]:
        return "leaves-a-slash", _SLASH
    if is_special(parts["user"]):
        return "quotes-only-the-password", "A user name may hold an `@` or a `%` as well. It needs the same care."
    if is_special(parts["password"]):
        return "pastes-the-password-in", f"What you return can't be read as a URL. {_PASTED}"
    return (
        "mixes-up-parts",
        "What you return can't be read as a URL. Its form is `dialect://user:password@host:port/database`.",
    )


def part_mistake(parts: dict[str, Any], url: URL) -> tuple[str, str] | None:
    """Which part of `url` is not the one that was asked for, or None if all are right."""
    user, password = parts["user"], parts["password"]
    if url.drivername != "postgresql+asyncpg":
        return "forgets-the-driver", "The URL has to begin with `postgresql+asyncpg://`."
    if url.username == user.replace(" ", "+") != user:
        return "quotes-for-a-form", _FORM.format("name", "user")
    if url.username != user and "/" in user:
        return "leaves-a-slash", _SLASH
    if url.password != password or url.host != parts["host"]:
        return _login_mistake(parts, url)
    if url.username != user:
        if is_special(user.strip()):
            return "quotes-only-the-password", "A user name may hold an `@` or a `%` as well. It needs the same care."
        return "changes-a-part", (
            f"The user is `{url.username}`, which is not the one that was asked for. {_AS_IT_COMES}"
        )
    if (url.port, url.database) != (parts["port"], parts["database"]):
        return "loses-a-part", (
            "The port or the database is not the one that was asked for; without a port there is none."
        )
    if url.query:
        return "adds-parameters", (
            "The URL got parameters that nobody asked for. Build it from the five parts alone; TLS is the caller's "
            "decision."
        )
    return None


def _login_mistake(parts: dict[str, Any], url: URL) -> tuple[str, str]:
    """Why the password or the host of `url` is not the one in `parts`."""
    password = parts["password"]
    if url.password == "***":
        return "masks-the-password", (
            "`str(url)` writes `***` in the password's place, and the engine would log in with three stars. Return "
            "the URL object, or `url.render_as_string(hide_password=False)`."
        )
    if url.password and password and set(url.password) == {"*"}:
        return "masks-the-password", (
            "The password became a row of stars, as an object that hides itself is shown, and the engine would log in "
            "with them. Give `URL.create` the plain text; of a `SecretStr`, `get_secret_value()` gives it."
        )
    if password == "" and url.password is None:
        return "loses-an-empty-password", (
            "An empty password became no password. `if password:` is false for both; `is None` tells them apart."
        )
    if password is None:
        return "writes-none", "Without a password the URL has to have none: no colon, no `None` and no empty text."
    if url.password == password.strip() != password:
        return "strips-the-password", "Spaces at the ends of a password belong to it. Don't strip them."
    if url.password == password.replace(" ", "+") != password:
        return "quotes-for-a-form", _FORM.format("password", "password")
    if url.password != password and url.password in (quote(password), quote(password, safe=""), quote_plus(password)):
        return "quotes-twice", _QUOTED_TWICE
    if url.password == password and ":" in parts["host"]:
        return "breaks-ipv6", (
            "An IPv6 address holds colons, so in text it stands in [brackets], and only there: `URL.create` adds "
            "them by itself and wants the plain address."
        )
    if url.password != password and url.password == unquote(password):
        return "decodes-the-password", _DECODED
    if is_special(password) and _login(url) == _login(parsed(_pasted(parts))):
        return "pastes-the-password-in", _PASTED
    if is_special(parts["user"]):
        return "quotes-only-the-password", "A user name may hold an `@` or a `%` as well. It needs the same care."
    asked = (parts["user"], password, parts["host"])
    if any(got == other for got, own in zip(_login(url), asked, strict=True) for other in asked if got != own):
        return "mixes-up-parts", (
            "A part stands in another one's place: compare user, password and host with what was asked for."
        )
    return "changes-a-part", f"The password or the host is not the one that was asked for. {_AS_IT_COMES}"


def _login(url: URL | None) -> tuple[str | None, ...]:
    return (None, None, None) if url is None else (url.username, str(url.password), url.host)


def _pasted(parts: dict[str, Any]) -> str:
    """The URL that an f-string makes of these parts."""
    return f"postgresql+asyncpg://{quote(parts['user'], safe='')}:{parts['password']}@{parts['host']}/shop"
