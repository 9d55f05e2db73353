"""Are database URLs converted, built and masked without changing what they mean or showing a secret?"""

import asyncio
import logging
import re
import ssl
import struct
import tempfile
import traceback
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from urllib.parse import quote

import asyncpg
import pytest
import pytest_asyncio
import trustme
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.servers import PostgresServer
from course_lib.urls import build_async_url, get_async_database_url, mask

TARGET = "postgresql+asyncpg://u:p%40@h:5433/d"


@pytest.mark.parametrize(
    "scheme",
    [
        *("postgres", "postgresql", "POSTGRESQL", "Postgres", "postgresql+psycopg2", "postgresql+psycopg"),
        *("postgresql+pg8000", "PostgreSQL+Psycopg2", "postgresql+psycopg2cffi", "postgres+asyncpg"),
        *("postgresql+asyncpg", "POSTGRESQL+ASYNCPG", "postgresql+psycopg2-binary"),
    ],
)
def test_every_spelling_of_postgresql_becomes_asyncpg(scheme: str) -> None:
    assert get_async_database_url(f"{scheme}://u:p%40@h:5433/d") == TARGET


@pytest.mark.parametrize(
    "rest",
    [
        *("", "/", "/:memory:", "/app.db", "/./data/app.db", "//data/app.db", "/C:/data/app.db", "/a%20b@c.db"),
        *("/app.db?timeout=5&check_same_thread=false", "/file:app.db?mode=ro&uri=true"),
        *("/file::memory:?cache=shared&uri=true", "/file:/data/x.db?mode=memory&cache=shared&uri=true"),
    ],
)
@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite", "SQLite", "sqlite+aiosqlite"])
def test_every_form_of_sqlite_becomes_aiosqlite(scheme: str, rest: str) -> None:
    assert get_async_database_url(f"{scheme}://{rest}") == f"sqlite+aiosqlite://{rest}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://u:p@h/d?ssl=verify-full&command_timeout=5",
        "postgresql+asyncpg://u:p@h/postgresql://postgres?prepared_statement_cache_size=0",
        "postgresql+asyncpg://u:p@/d?host=a:5432&host=b:5432",
        "postgresql+asyncpg://u:p@h/d?ssl=true&timeout=5&anything=else",
        "postgresql+asyncpg://h/d?user=u&password=a+b",
        "postgresql+asyncpg://u@h/d?",
        "postgresql+asyncpg://",
        "postgresql+psycopg_async://u:p@h/d?sslmode=verify-full&sslrootcert=x",
    ],
)
def test_an_async_url_is_left_alone(url: str) -> None:
    assert get_async_database_url(url) == url


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("u:postgresql://x@h/d", "u:postgresql://x@h/d"),
        ("u:a/b#c%@h/d", "u:a/b#c%@h/d"),
        ("u:@h/d", "u:@h/d"),
        ("u@h", "u@h"),
        (":p@h", ":p@h"),
        ("h:5432/d#e", "h:5432/d#e"),
        ("u:p@[2001:db8::1]:5432/d", "u:p@[2001:db8::1]:5432/d"),
        ("u:p@[fe80::1%eth0]/d", "u:p@[fe80::1%eth0]/d"),
        ("u:p@h:/d", "u:p@h/d"),
        ("/d?host=/run/postgresql", "/d?host=/run/postgresql"),
        ("u:p@/d?host=/cloudsql/a:b:c", "u:p@/d?host=/cloudsql/a:b:c"),
        ("u:p@h/d?dbname=x%20y", "u:p@h/d?database=x%20y"),
        # a plus is itself in libpq, a space in SQLAlchemy
        ("h/d?user=u&password=a+b%2Bc%20d", "h/d?user=u&password=a%2Bb%2Bc%20d"),
        ("h/d?dbname=x+y&pass%77ord=+", "h/d?database=x%2By&pass%77ord=%2B"),
        ("u+u:p+p@h/d+d?krbsrvname=a", "u+u:p+p@h/d+d?krbsrvname=a"),
        # several hosts: SQLAlchemy's forms stay, libpq's become one of them
        ("u:p@/d?host=a:1&host=b:2", "u:p@/d?host=a:1&host=b:2"),
        ("u:p@/d?host=a,b&port=1,2", "u:p@/d?host=a,b&port=1,2"),
        ("u:p@/d?host=a,b&port=1", "u:p@/d?host=a,b&port=1,1"),
        ("u:p@/d?host=a,b", "u:p@/d?host=a,b&port=5432,5432"),
        ("u:p@a:1,b:2/d", "u:p@/d?host=a,b&port=1,2"),
        ("a,[::1]:2,c/d?target_session_attrs=any", "/d?target_session_attrs=any&host=a,::1,c&port=5432,2,5432"),
        # TLS: the same mode in asyncpg's word
        *((f"h/d?sslmode={mode}", f"h/d?ssl={mode}") for mode in ("disable", "allow", "prefer", "require")),
        *((f"h/d?sslmode={mode}", f"h/d?ssl={mode}") for mode in ("verify-ca", "verify-full")),
        ("h?sslmode=require", "h?ssl=require"),
        ("h/d?ssl=true", "h/d?ssl=require"),
        ("h/d?sslmode=require&sslmode=require", "h/d?ssl=require"),
        ("h/d?command_timeout=5&sslmode=require&ssl=require", "h/d?command_timeout=5&ssl=require"),
        ("h/d?sslmode=verify%2Dfull", "h/d?ssl=verify-full"),
        # channel binding goes, TLS stays at require or better
        ("h/d?channel_binding=require", "h/d?ssl=require"),
        ("h/d?channel_binding=require&sslmode=prefer", "h/d?ssl=require"),
        ("h/d?sslmode=allow&channel_binding=require", "h/d?ssl=require"),
        ("h/d?channel_binding=require&sslmode=verify-full", "h/d?ssl=verify-full"),
        ("u@/d?host=::1&channel_binding=require", "u@/d?host=::1&ssl=require"),
        ("a,b:1/d?channel_binding=require", "/d?ssl=require&host=a,b&port=5432,1"),
        ("h/d?channel_binding=prefer", "h/d"),
        ("/d?host=/run/postgresql&channel_binding=prefer", "/d?host=/run/postgresql"),
        ("h/d?sslmode=disable&channel_binding=disable", "h/d?ssl=disable"),
        # what asyncpg does anyway, or what was meant for another client
        ("h/d?gssencmode=disable&sslcompression=0&sslsni=1&sslnegotiation=postgres&client_encoding=utf8", "h/d"),
        ("h/d?gssdelegation=0&min_protocol_version=3.0&max_protocol_version=latest", "h/d"),
        ("h/d?pgbouncer=true&connection_limit=1&pool_timeout=0", "h/d"),
    ],
)
def test_only_what_must_change_changes(rest: str, expected: str) -> None:
    converted = get_async_database_url(f"postgresql://{rest}")
    assert converted == f"postgresql+asyncpg://{expected}"
    assert get_async_database_url(converted) == converted


def test_a_half_converted_url_is_finished() -> None:
    """Only the scheme was changed by hand: asyncpg would fail on sslmode, so the query is converted too."""
    converted = get_async_database_url("postgresql+asyncpg://u:p@h/d?sslmode=require&max_cacheable=1")
    assert converted == "postgresql+asyncpg://u:p@h/d?ssl=require&max_cacheable=1"
    converted = get_async_database_url("postgresql+asyncpg://h/d?user=u&password=a+b&sslmode=require")
    assert make_url(converted).query == {"user": "u", "password": "a b", "ssl": "require"}


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("sslmode=verify-full&sslrootcert=/x.pem", r"sslrootcert: .*create_default_context"),
        ("sslmode=require&sslrootcert=/x.pem", "sslrootcert"),
        ("sslrootcert=system", "sslrootcert"),
        ("sslcert=a&sslkey=b", r'(?s)sslcert: .*\{"ssl": context\}.*sslkey'),
        ("sslcrl=a", "sslcrl"),
        ("ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version"),
        ("sslmode=disable&channel_binding=require", "channel_binding: it needs TLS"),
        ("channel_binding=always", "channel_binding: its value must be"),
        ("sslmode=require&sslmode=disable", "different modes"),
        ("ssl=disable&sslmode=verify-full", "different modes"),
        ("sslmode=REQUIRE", "sslmode: its value must be one of disable"),
        ("sslmode=", "sslmode: its value"),
        ("ssl=false", "ssl: its value"),
        ("gssencmode=require", "gssencmode: .*no GSSAPI"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("requirepeer=postgres", "requirepeer"),
        ("sslnegotiation=direct&sslmode=require", r"direct_tls.*asyncpg 0\.32 .*set_alpn_protocols"),
        ("client_encoding=latin1", "client_encoding: asyncpg always works in UTF-8 .*take it out$"),
        ("scram_client_key=qzxvwy", "scram_client_key: .*SCRAM key"),
        ("oauth_issuer=x&oauth_client_secret=qzxvwy", r"(?s)oauth_issuer: .*no OAuth.*oauth_client_secret: "),
        ("min_protocol_version=3.2", "min_protocol_version: .*3.0"),
        ("gssdelegation=1", "gssdelegation: .*credentials"),
        ("application_name=web", r'"server_settings": \{"application_name"'),
        ("options=-csearch_path%3Dx", r'"server_settings": \{"options"'),
        ("connect_timeout=5", r'connect_args=\{"timeout": seconds\}'),
        ("timeout=5", "as text it fails"),
        ("statement_cache_size=0", "as text it fails"),
        ("keepalives_idle=30", "tcp_keepalives_idle.*tcp_keepalives_interval.*a dead server: add .command_timeout"),
        ("pool_size=5", "pool_size: it is an argument of create_async_engine"),
        ("hostaddr=192.0.2.1", "hostaddr"),
        ("service=x", "service"),
        ("host=/run/postgresql&channel_binding=require", "channel_binding: .*Unix socket.*name a host"),
        ("host=a,/run/postgresql&channel_binding=require&sslmode=verify-full", "channel_binding: .*Unix socket"),
        ("SSLMODE=require", "SSLMODE: the course doesn't know it"),
        ("replication=database", "replication: the course doesn't know it.*connect_args if asyncpg has it"),
        ("direct_tls=true", "direct_tls: the course doesn't know it.*connect_args if asyncpg has it"),
        ("novalue", "novalue: the course doesn't know it"),
    ],
)
def test_what_a_url_cannot_say_is_refused_with_the_way_to_say_it(query: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice) as refused:
        get_async_database_url(f"postgresql://u:qzxvwy@h/d?{query}")
    assert "qzxvwy" not in str(refused.value)


@pytest.mark.parametrize("rest", ["/d?", "u@/d?", ":5432/d?", "h/d?host=/tmp&", "h/d?host=%2Ftmp&ssl=require&"])
@pytest.mark.parametrize("scheme", ["postgres", "postgresql+asyncpg"])
def test_channel_binding_is_refused_where_a_socket_would_be_used(scheme: str, rest: str) -> None:
    """libpq fails there; asyncpg would connect without TLS. Without a host, both try a socket first."""
    with pytest.raises(ValueError, match="Unix socket"):
        get_async_database_url(f"{scheme}://{rest}channel_binding=require")


def test_all_reasons_are_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)sslcert: .*application_name: ") as refused:
        get_async_database_url("postgresql://u:p@h/d?sslcert=a&target_session_attrs=any&application_name=b")
    assert "target_session_attrs" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (None, "environment variable"),
        (b"postgresql://h/d", "bytes"),
        (make_url("postgresql://u:p@h/d"), "render_as_string"),
        ("", "empty"),
        (" \n", "empty"),
        (" postgresql://h/d", "space"),
        ("postgresql://h/d\n", "line break"),
        ("postgresql://h/\nd", "one line"),
        ('"postgresql://h/d"', "quote"),
        ("'postgresql://h/d'", "quote"),
        ("jdbc:postgresql://h/d", "JDBC"),
        ("psql 'postgresql://h/d", "psql command"),
        ("app.db", "sqlite:///"),
        ("/data/app.sqlite3", "sqlite:///"),
        (":memory:", "sqlite:///"),
        ("u:p@h/d", "not a database URL"),
        ("postgresql:/h/d", "not a database URL"),
        ("host=h user=u", "not a database URL"),
        ("mysql+pymysql://u:p@h/d", "'mysql' is not"),
        ("mssql+pyodbc://h", "'mssql' is not"),
        ("whatever://h", "not a database that"),
        ("sqlite://app.db", "three slashes"),
        ("sqlite://:memory:", "three slashes"),
        ("sqlite+aiosqlite://app.db", "three slashes"),
        ("sqlite+pysqlcipher://:x@/app.db", "encrypted"),
        ("postgresql://u:a@b@h/d", "%40"),
        ("postgresql://u:a@b:c@h/d", "%40"),
        ("postgresql://u:a@b/c@h/d", "%40"),
        ("postgresql://h:5432/d?application_name=a@b", "not clear"),
        ("postgresql://u:p@h:http/d", "port"),
        ("postgresql://u:p@h:65536/d", "port"),
        ("postgresql://u:p@h:0/d", "port"),
        ("postgresql://u:p@h:٣/d", "port"),
        ("postgresql://u:p@%2Frun%2Fpostgresql/d", "socket"),
        ("postgresql://u:p@[::1]x/d", "brackets"),
        ("postgresql://u:p@a,,b/d", "port"),
        ("postgresql://u:p@a,b/d?host=c", "Keep one"),
        ("postgresql://u:secret", "password needs"),
    ],
)
def test_what_is_no_url_is_named(url: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        get_async_database_url(url)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "sslmode=require&channel_binding=require",
            "TLS stays required, but an impostor is no longer noticed and could ask for the password itself; "
            "sslmode=verify-full prevents that",
        ),
        ("channel_binding=require", "an impostor is no longer noticed"),
        ("sslmode=verify-ca&channel_binding=require", "an impostor with a certificate from the same authority is no"),
        ("sslmode=verify-full&channel_binding=require", None),
        ("sslmode=prefer&channel_binding=prefer", None),
        ("pgbouncer=true", "statement_cache_size"),
        ("sslmode=require", None),
    ],
)
def test_what_is_left_out_is_said_in_the_log(query: str, said: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        get_async_database_url(f"postgresql://u:p@h/d?{query}")
    assert (said in caplog.text) if said else caplog.text == ""


# --- properties -------------------------------------------------------------------------------------------------

PLAIN = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
ITEMS = st.permutations(
    [("sslmode=verify-ca", "ssl=verify-ca"), ("target_session_attrs=any",) * 2, ("krbsrvname=a%26b%3D%2B%20c",) * 2]
)


@given(
    st.sampled_from(["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"]),
    PLAIN,
    st.none() | st.just("") | PLAIN,
    HOSTS,
    st.none() | st.integers(1, 65535),
    st.none() | PLAIN,
    ITEMS,
)
def test_all_parts_survive(
    scheme: str,
    user: str,
    password: str | None,
    host: str,
    port: int | None,
    database: str | None,
    items: list[tuple[str, str]],
) -> None:
    secret = "" if password is None else f":{quote(password, safe='')}"
    path = "" if database is None else f"/{quote(database, safe='')}"
    rest = f"{quote(user, safe='')}{secret}@{host}{f':{port}' if port else ''}{path}"
    converted = get_async_database_url(f"{scheme}://{rest}?{'&'.join(item[0] for item in items)}")
    assert converted == f"postgresql+asyncpg://{rest}?{'&'.join(item[1] for item in items)}"
    assert get_async_database_url(converted) == converted
    parsed = make_url(converted)
    assert parsed[:4] == ("postgresql+asyncpg", user, password, host.strip("[]"))
    assert (parsed.port, parsed.database) == (port, make_url(f"postgresql://{rest}").database)
    assert parsed.query == {"ssl": "verify-ca", "target_session_attrs": "any", "krbsrvname": "a&b=+ c"}


WORDS = st.lists(st.sampled_from(["qzxvw", "KjWpQx", "zzyyqq", "wvxkjq"]), min_size=1, max_size=4)
JOINTS = st.sampled_from(
    ["@", "/", "?", "#", ":", "=", "%", "%40", " ", "[", "]", ",", "'", "\\", "://", "&", "?a=", "\n"]
)
MALFORMED = [
    *("u:{}@h/d", "postgres:/u:{}@h/d", "postgresql//u:{}@h/d", "://u:{}@h/d", "u:{}", "{}", "{}@h"),
    *("postgresql://u:{}", "postgresql://u:{}@", "postgresql://u:{}@h:x/d", "postgresql://u:{}@h,h:1,/d"),
    *("postgresql://u:{}/d", "postgresql://u:{}@[::1/d", "postgresql://:{}@h/d", '"postgresql://u:{}@h/d"'),
    *(" postgresql://u:{}@h/d", "postgresql://u:{}@h/d\n", "mysql://u:{}@h/d", "what://u:{}@h/d", "{}://h/d"),
    *("jdbc:postgresql://u:{}@h/d", "sqlite://u:{}@h/d", "sqlite+pysqlcipher://:{}@/d", "postgresql:///u:{}@h/d"),
    *("postgresql://u:{}@h/d?sslmode=never&sslrootcert=x&foo=1", "postgresql://u@h/d?password={}&foo=1"),
    *("postgresql://h:5432/d?user=u&password={}", "postgresql://u@h/d?Password={}&foo=1", "postgresql://ap/p:{}"),
    *("postgresql://u@h/d?pass%77ord={}", "postgresql://u@h/d?x=1&sslpassword={}", "postgresql:////ap/p:{}@h/d"),
    *("postgresql://u@h/d?PGPASSWORD={}", "postgresql://h/d?scram_client_key={}", "postgresql://h/d password={}"),
]


@st.composite
def passwords(draw: st.DrawFn) -> tuple[list[str], str]:
    words = draw(WORDS)
    return words, words[0] + "".join(draw(JOINTS) + word for word in words[1:])


@given(st.sampled_from([*MALFORMED, "postgresql://u:{}@h/d", "postgresql+asyncpg://u:{}@h/d?sslmode=x"]), passwords())
@example("postgresql://u@h/d?Password={}&foo=1", (["qzxvw", "zzyyqq"], "qzxvw&zzyyqq"))
@example("postgresql://u@h/d?pass%77ord={}", (["qzxvw", "zzyyqq"], "qzxvw&zzyyqq"))
def test_no_error_and_no_log_shows_a_part_of_the_password(shape: str, password: tuple[list[str], str]) -> None:
    words, raw = password
    try:
        get_async_database_url(shape.format(raw))
    except ValueError as error:
        shown = "".join(traceback.format_exception(error)).lower()
        assert not [word for word in words if word.lower() in shown]


MASKED = {*MALFORMED, "postgresql://u:{}@h/d", "sqlite+aiosqlite:///file:x?password={}"} - {"{}://h/d"}


@given(st.sampled_from(sorted(MASKED)), passwords())
@example("postgresql://h/d?password={}&foo=1", (["qzxvw", "zzyyqq"], "qzxvw@zzyyqq"))
@example("postgresql://u:{}@h/d", (["qzxvw", "zzyyqq"], "qzxvw&password=zzyyqq"))
def test_mask_shows_no_part_of_a_raw_password(shape: str, password: tuple[list[str], str]) -> None:
    words, raw = password
    # Nobody can tell where a password ends if no "@" follows it and it holds one, or if it begins like a URL.
    assume("{}@" in shape or "={}" in shape or "@" not in raw)
    assume(not shape.startswith("{}") or "://" not in raw)
    # In a query a raw "&" with a name and "=" behind it ends the value by definition.
    assume("{}@" in shape or not re.search(r"&[\w.%-]+=", raw))
    masked = mask(shape.format(raw))
    assert not [word for word in words if word in masked]
    assert mask(masked) == masked


@given(PLAIN, st.text(min_size=4, max_size=20), HOSTS, st.booleans())
def test_mask_never_shows_the_password(user: str, password: str, host: str, as_object: bool) -> None:
    url = build_async_url(user=user, password=password, host=host, port=5432, database="d", ssl="require")
    rendered = url.render_as_string(hide_password=False)
    quoted = rendered[rendered.index(":", len("postgresql+asyncpg:")) + 1 : rendered.rindex("@")]
    masked = mask(url if as_object else rendered)
    assert masked == rendered.replace(f":{quoted}@", ":***@", 1)
    rest = rendered.replace(f":{quoted}@", ":***@", 1)
    assert (password in rest) or password not in masked


@given(st.text() | st.binary() | st.none() | st.integers() | st.text().map("postgresql://".__add__))
def test_mask_never_raises_and_convert_raises_only_value_errors(anything: object) -> None:
    assert isinstance(mask(anything), str)
    with suppress(ValueError):
        converted = get_async_database_url(anything)  # type: ignore[arg-type]
        assert get_async_database_url(converted) == converted


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u:a@b/c#d:e@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@[::1]:5432/d?ssl=require", "postgresql://u:***@[::1]:5432/d?ssl=require"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("postgresql://u@a:1,[::1]:2/d", "postgresql://u@a:1,[::1]:2/d"),
        ("postgresql://localhost:5432/d?ssl=require", "postgresql://localhost:5432/d?ssl=require"),
        ("postgresql://127.0.0.1:1,[::1]:2/d", "postgresql://127.0.0.1:1,[::1]:2/d"),
        ("postgresql:///d?host=/cloudsql/a:b:c", "postgresql:///d?host=/cloudsql/a:b:c"),
        ("postgresql://db.internal:5432/d", "postgresql://db.internal:5432/d"),
        ("postgresql://a.b:1,[::1]:2/d", "postgresql://a.b:1,[::1]:2/d"),
        # nobody can tell a port from a password whose host was forgotten
        ("postgresql://app:secret", "postgresql://app:***"),
        ("postgresql://app:12345", "postgresql://app:***"),
        ("postgresql://app:12345/6?x=7", "postgresql://app:***"),
        ("postgresql://first.last:12345", "postgresql://first.last:***"),
        ("postgresql://first.last:1234x/d", "postgresql://first.last:***"),
        ("postgresql://db.internal:5432,app:1/d", "postgresql://db.internal:***"),
        ("postgresql://me@example.com:secret", "postgresql://me@example.com:***"),
        ("postgresql://localhost:secret/d", "postgresql://localhost:***"),
        ("postgresql://ap/p:secret@h/d", "postgresql://ap/p:***@h/d"),
        ("//ap/p:secret@h", "***"),
        ("postgresql://u:a\nb\r\n@c@h/d", "postgresql://u:***@h/d"),
        ("postgresql://h/d?password=a\nb&x=1", "postgresql://h/d?password=***&x=1"),
        ("postgresql://h/d?Password=a&b&x=1", "postgresql://h/d?Password=***&x=1"),
        ("postgresql://h/d?pass%77ord=a?b#c", "postgresql://h/d?pass%77ord=***"),
        (
            "postgresql://h/d?oauth_client_secret=a&scram_server_key=b",
            "postgresql://h/d?oauth_client_secret=***&scram_server_key=***",
        ),
        ("postgresql://h/d#password=a", "postgresql://h/d#password=***"),
        ("postgresql://u:@h/d", "postgresql://u:***@h/d"),
        ("postgresql://h/d?user=u&password=p&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("postgresql://h/d?sslpassword=p&passfile=/f&PWD=p", "postgresql://h/d?sslpassword=***&passfile=/f&PWD=***"),
        ("postgresql://h/d?p%61ssword=x", "postgresql://h/d?p%61ssword=***"),
        ("jdbc:postgresql://u:p@h/d", "jdbc:postgresql://u:***@h/d"),
        ('"mysql://u:p@h/d"', '"mysql://u:***@h/d"'),
        ("sqlite:///C:/a@b.db", "sqlite:///C:/a@b.db"),
        ("sqlite://", "sqlite://"),
        ("", ""),
        ("hunter2", "***"),
        (None, "***"),
        (URL.create("postgresql", "u", "p@q", "h", query={"password": "x"}), "postgresql://u:***@h?password=***"),
        (make_url("postgresql://u:a@secret@h/d"), "postgresql://u:***@h/d"),
    ],
)
def test_mask(url: object, expected: str) -> None:
    assert mask(url) == expected


# --- building ---------------------------------------------------------------------------------------------------


@given(PLAIN, st.none() | st.just("") | PLAIN, HOSTS, st.none() | st.integers(1, 65535), st.none() | PLAIN)
def test_built_urls_hold_the_parts_as_given(
    user: str, password: str | None, host: str, port: int | None, database: str | None
) -> None:
    url = build_async_url(user=user, password=password, host=host, port=port, database=database)
    assert tuple(url) == ("postgresql+asyncpg", user, password, host.strip("[]"), port, database, {})
    # As text: SQLAlchemy writes a database's name as it is, and without a password reads up to an "@" in it as one.
    if password is not None or "@" not in (database or ""):
        assert make_url(url.render_as_string(hide_password=False))[:5] == tuple(url)[:5]


def test_built_urls_take_tls_sockets_and_libpqs_names() -> None:
    assert build_async_url(host="h", ssl="verify-full").query == {"ssl": "verify-full"}
    assert build_async_url(host="h", query={"sslmode": "require", "dbname": "a&b"}).query == {
        "ssl": "require",
        "database": "a&b",
    }
    assert build_async_url(host="h", query={"password": "a+b c"}).query == {"password": "a+b c"}
    assert build_async_url(host="::1", query={"channel_binding": "require"}).query == {"ssl": "require"}
    assert build_async_url(host="/run/postgresql", database="d").query == {"host": "/run/postgresql"}
    assert build_async_url(query={"host": "a,b", "port": "5432"}).query["port"] == "5432,5432"


class Opened:
    """Stands for a SecretStr: text only on request."""

    def __str__(self) -> str:
        return "**********"


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"user": "u", "password": Opened()}, "get_secret_value"),
        ({"password": "qzxvwy"}, "needs a user"),
        ({"host": "h:5432"}, "port="),
        ({"host": "qzxvwy@h"}, "character"),
        ({"host": "u/d"}, "character"),
        ({"host": ""}, "empty"),
        ({"host": "a,b"}, "several hosts"),
        ({"port": "5432"}, "whole number"),
        ({"port": True}, "whole number"),
        ({"port": 65536}, "whole number"),
        ({"ssl": "true"}, "one of disable"),
        ({"ssl": "require", "query": {"sslmode": "disable"}}, "different modes"),
        ({"query": {"sslrootcert": "x"}}, "create_default_context"),
        ({"host": "/run/postgresql", "query": {"channel_binding": "require"}}, "Unix socket"),
    ],
)
def test_parts_that_would_be_misread_are_refused(parts: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        build_async_url(**parts)  # type: ignore[arg-type]
    assert "qzxvwy" not in str(refused.value)


# --- against a real server --------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[PostgresServer]:
    async with PostgresServer(tls=True) as started:
        yield started


@pytest.mark.parametrize(
    ("query", "encrypted"),
    [
        ("", True),
        ("?sslmode=disable", False),
        ("?sslmode=allow", False),
        ("?sslmode=prefer", True),
        ("?sslmode=require", True),
        ("?sslmode=verify-ca", True),
        ("?sslmode=verify-full", True),
        ("?sslmode=require&channel_binding=require", True),
        ("?channel_binding=require", True),
        ("?ssl=true", True),
        ("?pgbouncer=true&connection_limit=1&sslmode=require", True),
        ("?gssencmode=disable&client_encoding=utf8&keepalives=0", True),
        ("?target_session_attrs=read-write&krbsrvname=postgres&gsslib=gssapi&passfile=none", True),
        ("?command_timeout=30&prepared_statement_cache_size=0", True),
        ("?dbname={database}&sslmode=require", True),
        ("?host=localhost,127.0.0.1&port={port}&sslmode=require", True),
        ("?host=localhost:{port}&host=127.0.0.1:{port}", True),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_engine_connects_with_what_is_accepted(
    server: PostgresServer, query: str, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(server.ca_file))
    url = server.url.set(drivername="postgres", host="localhost", query={}).render_as_string(hide_password=False)
    converted = get_async_database_url(url + query.format(port=server.url.port, database=server.url.database))
    assert await _is_encrypted(converted) is encrypted


@pytest.mark.asyncio(loop_scope="module")
async def test_an_engine_connects_to_libpqs_list_of_hosts_and_to_built_urls(server: PostgresServer) -> None:
    url = server.url
    assert url.username and url.password
    secret = f"{quote(url.username, safe='')}:{quote(url.password, safe='')}"
    listed = f"postgres://{secret}@localhost:{url.port},127.0.0.1:{url.port}/{url.database}?sslmode=require"
    assert await _is_encrypted(get_async_database_url(listed)) is True
    parts = {"user": url.username, "password": url.password, "host": "127.0.0.1", "database": url.database}
    assert await _is_encrypted(build_async_url(**parts, port=url.port, ssl="require")) is True  # type: ignore[arg-type]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_plus_in_the_querys_password_reaches_the_server_as_in_libpq(server: PostgresServer) -> None:
    await server.create_role("plus", password="a+b c")
    given = f"postgresql://localhost:{server.port}/{server.url.database}?user=plus&password=a+b%20c&sslmode=require"
    assert await _ask(get_async_database_url(given), "SELECT current_user") == "plus"
    built = build_async_url(host="localhost", port=server.port, query={"user": "plus", "password": "a+b c"})
    assert await _ask(built.set(database=server.url.database), "SELECT current_user") == "plus"


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_said_about_direct_tls_is_true(server: PostgresServer) -> None:
    """The driver sends ALPN by itself from 0.32 on; a context of one's own has to name it in every version."""
    has_it = int(server.version.split(".")[0]) >= 17
    sends_alpn = tuple(map(int, asyncpg.__version__.split(".")[:2])) >= (0, 32)
    bare = ssl.create_default_context(cafile=str(server.ca_file))
    named = ssl.create_default_context(cafile=str(server.ca_file))
    named.set_alpn_protocols(["postgresql"])
    url = server.url.set(host="localhost")
    for target, arguments, works in [
        (url.set(query={"ssl": "require"}), {}, has_it and sends_alpn),
        (url, {"ssl": bare}, False),
        (url, {"ssl": named}, has_it),
    ]:
        with nullcontext() if works else pytest.raises((SQLAlchemyError, asyncpg.PostgresError, OSError)):
            assert await _is_encrypted(target, direct_tls=True, **arguments) is True


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_said_about_client_encoding_is_true(server: PostgresServer) -> None:
    latin = {"client_encoding": "LATIN1"}
    assert await _ask(server.url, "SELECT octet_length('é')") == 2
    assert await _ask(server.url, "SELECT octet_length('é')", server_settings=latin) == 4


@pytest.mark.asyncio(loop_scope="module")
async def test_what_the_log_says_about_an_impostor_is_true() -> None:
    """Someone with any certificate asks for the password in clear text. Who hands it over?"""
    heard: list[bytes] = []
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.issue_cert("localhost").configure_cert(context)

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readexactly(8)  # the wish for TLS
            writer.write(b"S")
            await writer.start_tls(context)
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            await reader.readexactly(length - 4)
            writer.write(b"R" + struct.pack("!II", 8, 3))  # AuthenticationCleartextPassword
            _, length = struct.unpack("!cI", await reader.readexactly(5))
            heard.append(await reader.readexactly(length - 4))
        writer.close()

    listener = await asyncio.start_server(impostor, "127.0.0.1", 0)
    given = f"postgresql://u:made-up@localhost:{listener.sockets[0].getsockname()[1]}/d?channel_binding=require"
    async with listener:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", folder)  # no root.crt of the person who runs this
            patch.delenv("PGSSLROOTCERT", raising=False)
            with pytest.raises((SQLAlchemyError, asyncpg.PostgresError, OSError)):
                await _is_encrypted(get_async_database_url(given))
            assert heard == [b"made-up\0"]
            authority.cert_pem.write_to_path(f"{folder}/ca.pem")
            patch.setenv("PGSSLROOTCERT", f"{folder}/ca.pem")
            with pytest.raises(ssl.SSLCertVerificationError):
                await _is_encrypted(get_async_database_url(f"{given}&sslmode=verify-full"))
    assert len(heard) == 1


async def _is_encrypted(url: str | URL, **arguments: object) -> bool:
    return bool(await _ask(url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", **arguments))


async def _ask(url: str | URL, query: str, **arguments: object) -> object:
    engine = create_async_engine(url, connect_args=arguments)
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(query))
    finally:
        await engine.dispose()
