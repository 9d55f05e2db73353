"""Database URLs for async engines: convert, build, and mask for logs.

This is the reference that lesson 02 ends with. A URL is taken apart and only what has to change is written anew;
replacing text would also hit a password or a database name.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from sqlalchemy import URL

from course_lib._url_query import TLS_MODES, hosts_as_query, translate_query

__all__ = ["build_async_url", "get_async_database_url", "mask"]

_HIDDEN = "***"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)://")
# SQLAlchemy's reading: the user ends at ":" or "@", the password at the first "@", whatever else it holds.
_REST = re.compile(r"(?:([^:/]*)(?::([^@]*))?@)?([^/?]*)(/[^?]*)?(?:\?(.*))?", re.DOTALL)
_ONE_HOST = re.compile(r"(\[[:.%\w]+\]|[^\[\]:,@%\s]*)(?::([0-9]{0,5}))?")
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d{0,5})?")
# Without "@": hosts that hardly anybody means as the name of a user, so that a port follows and no password.
_CERTAIN_HOST = re.compile(r"(?:localhost|\d+(?:\.\d+){3}|\[[^\]]*\])(?::\d{0,5})?")
_HOST_AND_PATH = re.compile(rf"{_CERTAIN_HOST.pattern}|[\w-]+(?:\.[\w-]+)+(?::\d{{0,5}})?")
_SECRET_NAME = re.compile(r"pass(?!file)|pwd|secret|token|dsn|scram\w*key", re.IGNORECASE)
# Only these names are ever repeated in an error: any other text before "://" could be a part of a secret.
_OTHER_DATABASES = frozenset(
    [
        "mysql",
        "mariadb",
        "mssql",
        "oracle",
        "cockroachdb",
        "redshift",
        "snowflake",
        "duckdb",
        "mongodb",
        "redis",
        "http",
        "https",
        "postgis",
        "psql",
        "pgsql",
        "sqlite3",
        "asyncpg",
        "psycopg",
        "psycopg2",
        "aiosqlite",
        "file",
    ]
)


def get_async_database_url(url: str) -> str:
    """Return `url` for an async engine: asyncpg for PostgreSQL, aiosqlite for SQLite.

    User, password, hosts, ports and path keep their bytes; an async URL that asyncpg accepts is returned as it
    is. libpq's query parameters are translated (see `course_lib._url_query`): TLS is never weaker than asked
    for. asyncpg has no channel binding: `channel_binding=require` becomes at least `ssl=require`, is refused for
    a Unix socket, and a warning is logged unless verify-full keeps impostors out. A `+` in the query stands for
    itself, as in libpq, unless the URL is already async. Calling it twice changes nothing more.

    Args:
        url: a URL for SQLAlchemy or libpq, e.g. from `DATABASE_URL`.

    Returns:
        A URL with `postgresql+asyncpg` or `sqlite+aiosqlite`. `postgresql+psycopg` becomes asyncpg too; whoever
        wants psycopg's async side says so with `postgresql+psycopg_async`, which stays.

    Raises:
        ValueError: for anything else, and for what can't be said in a URL. Says what to do, shows no secret.

    Source: https://docs.sqlalchemy.org/en/21/core/engines.html#database-urls
    """
    scheme, rest = _split_scheme(url)
    dialect, _, driver = scheme.lower().partition("+")
    if dialect == "sqlite":
        return _sqlite(driver, rest)
    if dialect in ("postgres", "postgresql"):
        if driver == "psycopg_async":
            return f"postgresql+psycopg_async://{rest}"
        return _postgresql(rest, already_async=driver == "asyncpg")
    named = f"{dialect!r} is" if dialect in _OTHER_DATABASES else "The text before '://' is"
    raise ValueError(
        f"{named} not a database that this course converts. Begin the URL with postgresql:// or sqlite://."
    )


def build_async_url(
    *,
    host: str | None = None,
    database: str | None = None,
    user: str | None = None,
    password: str | None = None,
    port: int | None = None,
    ssl: str | None = None,
    query: Mapping[str, str] | None = None,
) -> URL:
    """Build a `postgresql+asyncpg` URL from plain parts; nothing may be percent-encoded beforehand.

    Args:
        host: a name, an IPv4 or IPv6 address (brackets optional), or a socket's folder (begins with `/`).
        database: name of the database; the server's default is the user's name.
        user: name of the role.
        password: the secret as it is. An empty one is kept apart from None, which means "no password".
        port: 1 to 65535; the driver's default is 5432.
        ssl: one of disable, allow, prefer, require, verify-ca, verify-full.
        query: further parameters, by libpq's or asyncpg's names.

    Returns:
        The URL object. Give it to `create_async_engine` as it is: `str(url)` holds `***` as the password.

    Raises:
        ValueError: for a part that would be misread. No part is shown.
    """
    for name, value in {"host": host, "database": database, "user": user, "password": password}.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(
                f"{name} must be text or None, got {type(value).__name__}. Open a SecretStr with .get_secret_value()."
            )
    if password is not None and not user:
        raise ValueError("A password needs a user: without one it would be lost. Pass user=…")
    if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536):
        raise ValueError("port must be a whole number from 1 to 65535.")
    if ssl is not None and ssl not in TLS_MODES:
        raise ValueError(f"ssl must be one of {', '.join(TLS_MODES)}.")
    pairs = [*(query or {}).items(), *([("ssl", ssl)] if ssl else [])]
    if host is not None and host.startswith("/"):
        pairs.append(("host", host))
        host = None
    elif host is not None:
        host = _checked_host(host)
    translated = translate_query(urlencode(pairs, quote_via=quote), hosts=host or "")
    options = dict(parse_qsl(translated, keep_blank_values=True))
    return URL.create("postgresql+asyncpg", user, password, host, port, database, options)


def mask(url: object) -> str:
    """Return `url` for a log, with every password in it replaced by `***`.

    A text that can't be taken apart without doubt loses too much rather than too little: the password is
    taken to end at the last "@". Without any "@", what follows the first ":" is hidden to the end, as it may be a
    password whose host was forgotten; a port stays after localhost, an address, or a name with a dot that has a
    path behind it. SQLAlchemy's own `***` ends at the first "@" and shows the tail of a password that holds one
    raw, and it shows passwords in the query.

    Args:
        url: text or a `sqlalchemy.URL`. Anything else, and text without "scheme://", becomes `***`.

    Returns:
        The masked text; for an empty text the empty text. Nothing is ever raised.
    """
    try:
        text = url.render_as_string(hide_password=False) if isinstance(url, URL) else url
    except Exception:  # a URL that can't be rendered must not break a log line, nor show what is in it
        return _HIDDEN
    if not isinstance(text, str):
        return _HIDDEN
    start = re.match(r"[\s\"'<(\[]*(?:jdbc:)?[A-Za-z][\w+.\-]*://", text)
    if start is None:
        return _HIDDEN if text else ""
    spans = [_userinfo_span(text, start.end()), *_query_spans(text, start.end())]
    masked, done = "", 0
    for first, last in sorted(span for span in spans if span):
        if last > done:
            masked += text[done : max(first, done)] + (_HIDDEN if first >= done else "")
            done = last
    return masked + text[done:]


def _userinfo_span(text: str, start: int) -> tuple[int, int] | None:
    """Where the password before the host stands; to the end of the text if no "@" and a readable host close it."""
    if text[start : start + 1] == "/" and "sqlite" in text[:start].lower():
        return None  # a path, which may hold ":" and "@"
    colon, at = text.find(":", start), text.rfind("@")
    if at < start:
        before_query = text[start:].partition("?")[0]
        hosts, slash, _ = before_query.partition("/")
        certain = all((_HOST_AND_PATH if slash else _CERTAIN_HOST).fullmatch(host) for host in hosts.split(","))
        return None if certain or ":" not in before_query else (colon + 1, len(text))
    hosts = re.split(r"[/?#]", text[at + 1 :], maxsplit=1)[0]
    readable = all(_HOST.fullmatch(host) for host in hosts.split(","))
    if colon < 0 or (readable and colon > at):
        return None
    return (colon + 1, at if readable else len(text))


def _query_spans(text: str, start: int) -> list[tuple[int, int]]:
    """Where the values of secret parameters stand (`password`, `sslpassword`, `passwd`, `pwd`, a DSN …)."""
    spans = []
    for found in re.compile(r"[?&;#\s]([^?&;#=]*)=").finditer(text, start):
        if _SECRET_NAME.search(unquote_plus(found[1])):
            # A raw "&" that no name and "=" follow is a part of the value.
            end = re.compile(r"&(?=[\w.%-]+=)").search(text, found.end())
            spans.append((found.end(), end.start() if end else len(text)))
    return spans


def _split_scheme(url: object) -> tuple[str, str]:
    """Scheme and rest of a text that looks like a URL; else a ValueError that says what it is instead."""
    if url is None:
        raise ValueError("There is no database URL (None). Is the environment variable set, e.g. DATABASE_URL?")
    if isinstance(url, URL):
        raise ValueError(
            "Got a URL object. Pass url.render_as_string(hide_password=False); str(url) hides the password."
        )
    if not isinstance(url, str):
        raise ValueError(f"The database URL must be text (str), got {type(url).__name__}.")
    if not url.strip():
        raise ValueError("The database URL is empty. Set it, e.g. in the environment variable DATABASE_URL.")
    if url != url.strip():
        raise ValueError("The database URL begins or ends with a space or a line break. Call .strip() on it first.")
    if {url[0], url[-1]} & set("\"'`"):
        raise ValueError("The database URL begins or ends with a quote, perhaps from .env. Take the quotes away.")
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        raise ValueError("The database URL holds a line break or another control character. Write it on one line.")
    if url.lower().startswith("jdbc:"):
        raise ValueError("This is a JDBC URL. Take 'jdbc:' away and put user:password@ before the host.")
    if url.startswith("psql "):
        raise ValueError("This is a psql command. Keep only the URL, which begins with postgresql://.")
    scheme = _SCHEME.match(url)
    if scheme is None:
        if url == ":memory:" or re.search(r"\.(db|sqlite3?)$", url):
            raise ValueError("This is a file's path, not a URL. Put sqlite:/// before it.")
        raise ValueError("This is not a database URL: it must begin with postgresql:// or sqlite://.")
    return scheme[1], url[scheme.end() :]


def _sqlite(driver: str, rest: str) -> str:
    if driver not in ("", "pysqlite", "aiosqlite"):
        raise ValueError(
            "This SQLite driver can't be replaced by aiosqlite (pysqlcipher's files are encrypted). Use sqlite:///path."
        )
    if rest and rest[0] not in "/?":
        raise ValueError(
            "A SQLite URL has no host: three slashes before a relative path (sqlite:///app.db), "
            "four before an absolute one (sqlite:////data/app.db), sqlite:// alone for memory."
        )
    return f"sqlite+aiosqlite://{rest}"


def _postgresql(rest: str, *, already_async: bool) -> str:
    user, password, hosts, path, query = _split_rest(rest)
    if "@" in hosts or (password is not None and "@" in path):
        raise ValueError(
            'The password holds a raw "@", which would be read as the end of the password. Write it as %40, '
            "or build the URL with build_async_url."
        )
    if re.search(r"\?[^@]*=", f"{user or ''}:{password or ''}"):
        raise ValueError(
            'It is not clear whether a "?" and an "@" belong to the password or to the parameters. '
            "Write ? as %3F and @ as %40 wherever they are plain text."
        )
    each = [_ONE_HOST.fullmatch(host) for host in hosts.split(",")]
    if not all(host and (not host[2] or 0 < int(host[2]) < 65536) and (host[1] or len(each) == 1) for host in each):
        raise ValueError(
            "What stands where host:port belongs can't be read. A port is a number from 1 to 65535, an IPv6 "
            "address stands in [brackets], a socket's folder goes into ?host=/folder, and a password needs "
            '"@" behind it.'
        )
    kept = query
    if query:
        safe = user is not None and "@" not in query and not _SECRET_NAME.search(unquote_plus(query))
        kept = translate_query(query, hosts=hosts, already_async=already_async, names_are_safe=safe)
    if "," in hosts:
        if re.search(r"(^|&)(host|port)=", kept or ""):
            raise ValueError("The URL names hosts before the path and again in the query. Keep one of the two.")
        kept = "&".join(part for part in (kept, hosts_as_query(hosts)) if part)
        hosts = ""
    hosts = hosts.removesuffix(":")
    userinfo = "" if user is None else f"{user}@" if password is None else f"{user}:{password}@"
    question = "?" if kept or kept == query == "" else ""
    return f"postgresql+asyncpg://{userinfo}{hosts}{path}{question}{kept or ''}"


def _split_rest(rest: str) -> tuple[str | None, str | None, str, str, str | None]:
    """User, password, hosts with ports, path with its slash, query; None where there is none."""
    found = _REST.match(rest)
    assert found  # each of its parts may be empty, so it matches every text
    user, password, hosts, path, query = found.groups()
    return user, password, hosts, path or "", query


def _checked_host(host: str) -> str:
    """A host without brackets, refused if it holds more than a host."""
    if "," in host:
        raise ValueError('Pass several hosts as query={"host": "a,b", "port": "5432,5432"} and no host.')
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare:
        try:
            ipaddress.IPv6Address(bare)
        except ValueError:
            raise ValueError("host holds a ':' and is no IPv6 address. Pass the port as port=…") from None
    elif not bare or re.search(r"[\s/@?#\[\]%]", bare):
        raise ValueError("host is empty or holds a character that no host name has. Pass the plain name.")
    return bare
