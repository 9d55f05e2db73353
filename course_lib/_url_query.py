"""libpq's connection parameters in the words that asyncpg understands through SQLAlchemy.

SQLAlchemy hands every item of a URL's query to `asyncpg.connect()` as a keyword argument. asyncpg knows few of
libpq's names, so each item is kept, translated, left out or refused here. What was measured for each is said in the
tables. Parameters: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS and
https://magicstack.github.io/asyncpg/current/api/index.html#connection
"""

import logging
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote_plus

logger = logging.getLogger("course_lib.urls")

TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PORT = "5432"

_CONTEXT = (
    "take the ssl… parameters out of the URL and hand over a context: "
    'context = ssl.create_default_context(cafile="ca.pem") (no cafile for the system\'s own CAs), then '
    'create_async_engine(url, connect_args={"ssl": context})'
)
_SERVER_SETTING = 'take it out and pass connect_args={"server_settings": {%s}} to create_async_engine'
# Without an interval of its own, Linux sends the second probe after 75 seconds.
_KEEPALIVE = (
    _SERVER_SETTING
    % '"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10"'
    + ": the server then sends the probes; that keeps the path open but doesn't show the client a dead server: "
    'add "command_timeout": seconds to connect_args'
)

# asyncpg takes these from a URL, as text (measured).
_KEPT = frozenset(
    [
        "host",
        "port",
        "user",
        "password",
        "database",
        "target_session_attrs",
        "passfile",
        "krbsrvname",
        "gsslib",
        "command_timeout",
        "prepared_statement_cache_size",
    ]
)

# Values that ask for what asyncpg does anyway. Leaving them out changes nothing.
_ALREADY_SO: dict[str, tuple[str, ...]] = {
    "gssencmode": ("disable", "prefer"),
    "sslcompression": ("0",),
    "sslsni": ("1",),
    "sslnegotiation": ("postgres",),
    "sslcertmode": ("allow",),
    "keepalives": ("0",),
    "load_balance_hosts": ("disable",),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8"),
    "gssdelegation": ("0",),
    "min_protocol_version": ("3.0",),
    "max_protocol_version": ("3.0", "3.2", "latest"),
}

# Written for another client (Prisma, Vercel). libpq refuses them too. Left out, with a line in the log.
_FOREIGN: dict[str, str] = {
    "pgbouncer": "behind a pooler in transaction mode, pass "
    'connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0} to create_async_engine '
    "(asyncpg 0.31 or newer)",
    "connection_limit": "the pool's limit is pool_size= and max_overflow= of create_async_engine",
    "pool_timeout": "it is pool_timeout= of create_async_engine",
    "supa": "it is a mark for another client",
}

# Wishes that asyncpg can't be told in a URL, and how to tell it.
_REFUSED: dict[str, str] = {
    **dict.fromkeys(
        [
            "sslrootcert",
            "sslcert",
            "sslkey",
            "sslpassword",
            "sslcrl",
            "sslcrldir",
            "sslcertmode",
            "sslsni",
            "ssl_min_protocol_version",
            "ssl_max_protocol_version",
        ],
        _CONTEXT,
    ),
    "sslrootcert": f"{_CONTEXT}. Or put the file's path into the environment variable PGSSLROOTCERT "
    "and keep sslmode alone in the URL",
    "sslcompression": "TLS compression is unsafe and no longer offered; take it out",
    "sslnegotiation": 'take it out and pass connect_args={"direct_tls": True} to create_async_engine, with '
    "sslmode=require or stronger in the URL (asyncpg 0.32 or newer; older ones send no ALPN, so PostgreSQL 17 closes "
    'the connection). An SSLContext of your own needs context.set_alpn_protocols(["postgresql"]) too',
    "gssencmode": "asyncpg has no GSSAPI encryption; use TLS (sslmode=verify-full) or another driver",
    "require_auth": "asyncpg can't restrict how it authenticates; sslmode=verify-full keeps impostors "
    "from asking for the password",
    "gssdelegation": "asyncpg doesn't hand GSSAPI credentials on; take it out, or use another driver",
    **dict.fromkeys(
        ["min_protocol_version", "max_protocol_version"],
        "asyncpg speaks version 3.0 of the protocol only; take it out, or use another driver",
    ),
    **dict.fromkeys(
        ["scram_client_key", "scram_server_key"],
        "asyncpg can't log in with a SCRAM key; use the password, or another driver",
    ),
    **dict.fromkeys(
        ["oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"],
        "asyncpg has no OAuth login; use another way to log in, or another driver",
    ),
    "requirepeer": "asyncpg can't check the owner of a socket; use another driver or TLS over TCP",
    "hostaddr": "put the address (or better, the name that the certificate holds) where the host stands",
    "service": "asyncpg can't read a service file on every version; write its settings into the URL",
    "application_name": _SERVER_SETTING % '"application_name": "…"',
    "fallback_application_name": _SERVER_SETTING % '"application_name": "…"',
    "options": _SERVER_SETTING % '"options": "…"',
    "client_encoding": "asyncpg always works in UTF-8 and the server converts; take it out",
    "schema": _SERVER_SETTING % '"search_path": "…"',
    "connect_timeout": 'take it out and pass connect_args={"timeout": seconds} to create_async_engine',
    "timeout": 'as text it fails; take it out and pass connect_args={"timeout": seconds}',
    "statement_cache_size": 'as text it fails; take it out and pass connect_args={"statement_cache_size": 0}',
    **dict.fromkeys(
        ["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"], _KEEPALIVE
    ),
    "load_balance_hosts": "asyncpg tries the hosts in their order; take it out",
    **dict.fromkeys(
        ["pool_size", "max_overflow", "pool_recycle", "pool_pre_ping"],
        "it is an argument of create_async_engine, not of the URL",
    ),
}

# In a URL written for asyncpg, these show that its query was not. asyncpg's own names are not ours to judge there.
_NOT_FOR_ASYNCPG = frozenset({"sslmode", "channel_binding", "dbname", *_ALREADY_SO, *_FOREIGN, *_REFUSED}) - {
    "timeout",
    "statement_cache_size",
    "service",
}


class _Item(NamedTuple):
    raw: str  # as given, byte for byte
    name: str
    value: str


def translate_query(query: str, *, hosts: str = "", already_async: bool = False, names_are_safe: bool = True) -> str:
    """Return `query` with libpq's parameters put into words that asyncpg accepts.

    Items that asyncpg accepts keep their order and their bytes, but for `+`: libpq reads it as itself,
    SQLAlchemy as a space, so it becomes `%2B`. TLS is never weaker than asked for.

    Args:
        query: what stands after the `?`, percent-encoded.
        hosts: what stands where the URL names its hosts.
        already_async: the URL was written for asyncpg: a `+` is a space there. Leave unknown parameters, and
            leave the whole query as it is unless it holds a name that asyncpg is known to refuse.
        names_are_safe: False where a malformed URL may have put a part of the password here. Names that
            are not in the tables are then not shown.

    Returns:
        The query for `postgresql+asyncpg`; it may be empty.

    Raises:
        ValueError: for what can't be said in a URL, with all reasons at once. No value is shown.
    """
    query = query if already_async else query.replace("+", "%2B")
    items = [_parse(raw) for raw in query.split("&") if raw]
    if already_async and not any(item.name in _NOT_FOR_ASYNCPG for item in items):
        return query
    problems: list[str] = []
    named = [item.value for item in items if item.name == "host"] or [hosts]
    mode = _tls_mode(items, problems, hosts=",".join(named).split(","), already_async=already_async)
    kept: list[str] = []
    for item in items:
        name = item.name
        if name in ("ssl", "sslmode"):
            if mode:
                kept.append(item.raw if item.raw == f"ssl={mode}" else f"ssl={mode}")
            mode = None  # said once
        elif name == "dbname":
            kept.append("database" + item.raw[item.raw.index("=") :] if item.value else "")
        elif name in _KEPT:
            kept.append(item.raw)
        elif name == "channel_binding" or item.value in _ALREADY_SO.get(name, ()):
            continue
        elif name in _FOREIGN:
            logger.warning("left %s out of the database URL: %s", name, _FOREIGN[name])
        elif name in _REFUSED:
            problems.append(f"{name}: {_REFUSED[name]}")
        elif already_async:
            kept.append(item.raw)
        else:
            problems.append(_unknown(items.index(item) + 1, item.name, names_are_safe))
    if mode:  # asked for by channel_binding alone
        kept.append(f"ssl={mode}")
    if problems:
        reasons = "".join(f"\n- {problem}" for problem in dict.fromkeys(problems))
        raise ValueError(f"The database URL's query can't be handed to asyncpg as it is:{reasons}")
    return "&".join(_one_port_per_host(item for item in kept if item))


def _parse(raw: str) -> _Item:
    name, _, value = raw.partition("=")
    return _Item(raw, unquote_plus(name), unquote_plus(value))


def _unknown(number: int, name: str, names_are_safe: bool) -> str:
    shown = name if names_are_safe and re.fullmatch(r"[A-Za-z_]{1,40}", name) else f"parameter number {number}"
    way_out = "correct its spelling, take it out, or pass it in connect_args if asyncpg has it"
    return f"{shown}: the course doesn't know it; {way_out}"


def _tls_mode(items: list[_Item], problems: list[str], *, hosts: list[str], already_async: bool) -> str | None:
    """The one TLS mode that the query asks for, None if it asks for none; problems are appended."""
    modes: set[str] = set()
    for item in items:
        if item.name not in ("ssl", "sslmode"):
            continue
        # libpq reads ssl=true as sslmode=require; asyncpg's own ssl=True verifies, so there it stays an error.
        mode = "require" if item.name == "ssl" and item.value == "true" and not already_async else item.value
        if mode in TLS_MODES:
            modes.add(mode)
        else:
            problems.append(f"{item.name}: its value must be one of {', '.join(TLS_MODES)}")
    if len(modes) > 1:
        problems.append("ssl, sslmode: the URL asks for different modes; keep the strongest one that you mean")
    mode_asked = modes.pop() if len(modes) == 1 else None
    return _without_channel_binding(items, mode_asked, problems, hosts)


def _without_channel_binding(items: list[_Item], mode: str | None, problems: list[str], hosts: list[str]) -> str | None:
    """The TLS mode that has to stand when channel_binding is left out, which asyncpg doesn't have.

    `channel_binding=require` makes libpq fail (1) without TLS, (2) when someone in the middle ends the TLS
    connection with their own certificate, and (3) when the server asks for any login but SCRAM bound to that
    certificate. `ssl=require` keeps 1 over TCP; through a Unix socket asyncpg has no TLS, so that is refused. With
    verify-full an impostor is noticed before the login, which covers 2. Nothing gives 3 back: asyncpg answers a
    server that asks for the password in clear text. With verify-full only a server with a trusted certificate
    gets that far; below it an impostor does, and the log says so.
    """
    values = {item.value for item in items if item.name == "channel_binding"}
    if not values <= {"disable", "prefer", "require"}:
        problems.append("channel_binding: its value must be one of disable, prefer, require")
    if "require" not in values:
        return mode
    if mode == "disable":
        problems.append("channel_binding: it needs TLS, but the URL turns TLS off; say sslmode=verify-full")
        return mode
    if any(host.startswith("/") or re.fullmatch(r"(:\d*)?", host) for host in hosts):
        problems.append(
            "channel_binding: it needs TLS, which a Unix socket doesn't have, and without a host a socket is tried "
            "first; name a host to be reached over TCP, or take channel_binding out"
        )
        return mode
    if mode != "verify-full":
        logger.warning(
            "left channel_binding=require out of the database URL: asyncpg doesn't have it. TLS stays required, but "
            "%s is no longer noticed and could ask for the password itself; sslmode=verify-full prevents that",
            "an impostor with a certificate from the same authority" if mode == "verify-ca" else "an impostor",
        )
    return mode if mode in ("require", "verify-ca", "verify-full") else "require"


def _one_port_per_host(kept: Iterable[str]) -> list[str]:
    """libpq's `host=a,b` with one port or none; SQLAlchemy wants a port for each."""
    raws = list(kept)
    items = [_parse(raw) for raw in raws]
    hosts = [item.value.split(",") for item in items if item.name == "host"]
    ports = [item.value.split(",") for item in items if item.name == "port"]
    if len(hosts) == 1 and len(hosts[0]) > 1 and len(ports) <= 1 and len(ports and ports[0]) <= 1:
        port = ports[0][0] if ports else _PORT
        raws = [raw for raw, item in zip(raws, items, strict=True) if item.name != "port"]
        raws.append("port=" + ",".join([port or _PORT] * len(hosts[0])))
    return raws


def hosts_as_query(hosts: str) -> str:
    """libpq's `a:1,[::1]:2` as SQLAlchemy's `host=a,::1&port=1,2`. `hosts` must have been checked."""
    pairs = [re.fullmatch(r"\[?(.*?)\]?(?::(\d*))?", host) for host in hosts.split(",")]
    found = [pair.groups() for pair in pairs if pair]
    names = ",".join(quote(name, safe=":") for name, _ in found)
    return f"host={names}&port=" + ",".join(port or _PORT for _, port in found)
