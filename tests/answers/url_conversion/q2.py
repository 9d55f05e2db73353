# %% right: everything in the URL that can be, a URL object
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = {name: value for name, value in url.query.items() if name not in ("channel_binding", "pgbouncer")}
    settings = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    if url.query.get("channel_binding") == "require" and query.get("ssl") not in ("require", "verify-ca", "verify-full"):
        query["ssl"] = "require"
    return url.set(query=query), {"server_settings": settings}


# %% right: TLS contexts, rendered text
import ssl

from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None) == "require"
    query.pop("pgbouncer", None)
    args = {"statement_cache_size": 0, "server_settings": {}}
    for name in ("application_name", "options"):
        if name in query:
            args["server_settings"][name] = query.pop(name)
    if mode in ("verify-full", "verify-ca"):
        args["ssl"] = ssl.create_default_context()
        args["ssl"].check_hostname = mode == "verify-full"
    elif mode == "require" or bound:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        args["ssl"] = context
    elif mode == "disable":
        args["ssl"] = False
    return url.set(query=query).render_as_string(hide_password=False), args


# %% right: by hand, with urllib's help, and async
from urllib.parse import parse_qsl, urlencode


async def connection_settings(provider_url):
    address, _, query = provider_url.partition("?")
    items = dict(parse_qsl(query))
    args = {"server_settings": {"jit": "off"}}
    if items.pop("channel_binding", "") == "require":
        if items.get("sslmode") == "disable":
            raise ValueError("channel_binding needs TLS, and sslmode turns it off")
        if not items.get("sslmode", "").startswith(("require", "verify")):
            items["sslmode"] = "require"
    if "sslmode" in items:
        args["ssl"] = items.pop("sslmode")
    items.pop("pgbouncer", None)
    if "application_name" in items:
        args["server_settings"]["application_name"] = items.pop("application_name")
    for setting in items.pop("options", "").replace("-c", " ").split():
        name, _, value = setting.partition("=")
        args["server_settings"][name] = value
    rest = address.partition("://")[2]
    return f"postgresql+asyncpg://{rest}" + ("?" + urlencode(items) if items else ""), args


# %% wrong: keeps-sslmode | asyncpg's word for `sslmode` is `ssl`
def connection_settings(provider_url):
    return provider_url.replace("postgres://", "postgresql+asyncpg://", 1), {}


# %% wrong: drops-tls | the server has no TLS
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    for name in ("sslmode", "channel_binding", "pgbouncer"):
        query.pop(name, None)
    settings = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), {"server_settings": settings}


# %% wrong: turns-tls-off | only `sslmode=disable` says so
from sqlalchemy import make_url


def connection_settings(provider_url):
    return make_url(provider_url).set(drivername="postgresql+asyncpg", query={}), {"ssl": False}


# %% wrong: weakens-verify-full | nobody told you to trust
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = "require" if mode.startswith("verify") else mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: skips-the-host-name | made out for another name
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    if query.pop("channel_binding", None) == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = mode.replace("full", "ca")
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: refuses-a-trusted-server | names its file
import ssl

from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    if query.pop("channel_binding", None) == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if mode == "verify-full" else mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: loses-other-options | Options got lost
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url)
    mode = url.query.get("sslmode")
    if url.query.get("channel_binding") == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    return url.set(drivername="postgresql+asyncpg", query={}), {"ssl": mode} if mode else {}


# %% wrong: loses-other-options | command_timeout None
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url)
    mode = url.query.get("sslmode")
    if url.query.get("channel_binding") == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    settings = {name: url.query[name] for name in ("application_name", "options") if name in url.query}
    args = {"ssl": mode} if mode else {}
    return url.set(drivername="postgresql+asyncpg", query={}), {**args, "server_settings": settings}


# %% wrong: leaves-server-settings | server_settings
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode = query.pop("sslmode", None)
    if query.pop("channel_binding", None) == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    query.pop("pgbouncer", None)
    return url.set(query=query), {"ssl": mode} if mode else {}


# %% wrong: leaves-channel-binding | asyncpg has no channel binding
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode = query.pop("sslmode", None)
    return url.set(query=query), {"ssl": mode} if mode else {}


# %% wrong: forgets-what-channel-binding-asks | asks for TLS too
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode = query.pop("sslmode", None)
    query.pop("channel_binding", None)
    return url.set(query=query), {"ssl": mode} if mode else {}


# %% wrong: leaves-pgbouncer | Prisma
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode = query.pop("sslmode", None)
    if query.pop("channel_binding", None) == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    return url.set(query=query), {"ssl": mode} if mode else {}


# %% wrong: forces-tls | Take the mode from
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url)
    return url.set(drivername="postgresql+asyncpg", query={}), {"ssl": "require"} if url.query else {}


# %% wrong: masks-the-password | `str(url)` hides it
from sqlalchemy import make_url


def connection_settings(provider_url):
    return str(make_url(provider_url).set(drivername="postgresql+asyncpg", query={})), {}


# %% wrong: forgets-the-driver | has to begin with
def connection_settings(provider_url):
    return provider_url.partition("?")[0], {"ssl": "require"}


# %% wrong: returns-no-pair | url, connect_args
def connection_settings(provider_url):
    return provider_url.replace("postgres://", "postgresql+asyncpg://", 1).replace("sslmode=", "ssl=")


# %% wrong: does-not-connect | unrecognized configuration parameter
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg", query={})
    return url, {"server_settings": {"pgbouncer": "true"}}


# %% error: your cell
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url)
    return url.set(drivername="postgresql+asyncpg"), {"ssl": url.query["sslmode"]}


# %% right: a list of two, and everything else as arguments
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return [url.set(query={}), args | query]


# %% wrong: forgets-what-channel-binding-asks | whatever `sslmode` says
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode is None:
        mode = "require"
    if mode:
        args["ssl"] = mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: forgets-what-channel-binding-asks | sslmode=disable&channel_binding=require
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode in (None, "allow", "prefer"):
        mode = "require"
    if mode:
        args["ssl"] = mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: forces-tls | channel_binding=prefer
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: weakens-verify-ca | Hand `verify-ca` over
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = "require" if mode == "verify-ca" else mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: turns-tls-off | names no mode
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    args["ssl"] = mode or "disable"
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: turns-tls-off | sslmode=prefer
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = mode if mode in ("require", "verify-ca", "verify-full") else "disable"
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: turns-tls-off | ssl='disable'
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = "disable" if mode == "allow" else mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: forces-tls | sslmode=prefer
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = "require" if mode == "prefer" else mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: forces-tls | shop?sslmode=disable
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = "require" if mode == "disable" else mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: verifies-unasked | Hand over the mode itself
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode and mode != "disable":
        args["ssl"] = True
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: forces-tls | your settings do
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    args["ssl"] = True
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: verifies-unasked | `require` encrypts
import ssl

from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode in ("require", "verify-ca", "verify-full"):
        args["ssl"] = ssl.create_default_context()
    elif mode:
        args["ssl"] = mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query=query), args


# %% wrong: loses-other-options | target_session_attrs None
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    args = {}
    mode = query.pop("sslmode", None)
    bound = query.pop("channel_binding", None)
    if bound == "require" and mode not in ("require", "verify-ca", "verify-full"):
        mode = "require"
    if mode:
        args["ssl"] = mode
    query.pop("pgbouncer", None)
    args["server_settings"] = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    return url.set(query={"command_timeout": query["command_timeout"]} if "command_timeout" in query else {}), args


# %% wrong: yields-instead-of-returning | `yield` makes a generator
def connection_settings(provider_url):
    yield provider_url
    yield {}


# %% wrong: returns-no-pair | Return two things
from sqlalchemy import make_url


def connection_settings(provider_url):
    return make_url(provider_url)


# %% error: postgres://owner:example-pw@db.example/shop
def connection_settings(provider_url):
    raise RuntimeError("not here")


# %% wrong: weakens-verify-full | sslmode=verify-full'
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode, binding = query.pop("sslmode", None), query.pop("channel_binding", None)
    query.pop("pgbouncer", None)
    if mode == "verify-full" and not binding:
        mode = "require"
    if binding == "require" and mode in (None, "disable", "allow", "prefer"):
        mode = "require"
    settings = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    arguments = {"server_settings": settings, **({"ssl": mode} if mode else {})}
    return url.set(query=query), arguments



# %% wrong: weakens-verify-ca | sslmode=verify-ca&channel_binding=require'
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode, binding = query.pop("sslmode", None), query.pop("channel_binding", None)
    query.pop("pgbouncer", None)
    if mode == "verify-ca" and binding:
        mode = "require"
    if binding == "require" and mode in (None, "disable", "allow", "prefer"):
        mode = "require"
    settings = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    arguments = {"server_settings": settings, **({"ssl": mode} if mode else {})}
    return url.set(query=query), arguments



# %% wrong: leaves-channel-binding | channel_binding=disable'
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode, binding = query.pop("sslmode", None), query.pop("channel_binding", None)
    query.pop("pgbouncer", None)
    if binding == "disable":
        query["channel_binding"] = binding
    if binding == "require" and mode in (None, "disable", "allow", "prefer"):
        mode = "require"
    settings = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    arguments = {"server_settings": settings, **({"ssl": mode} if mode else {})}
    return url.set(query=query), arguments



# %% wrong: forgets-what-channel-binding-asks | sslmode=allow&channel_binding=require'
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode, binding = query.pop("sslmode", None), query.pop("channel_binding", None)
    query.pop("pgbouncer", None)
    if binding == "require" and mode in (None, "disable", "prefer"):
        mode = "require"
    settings = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    arguments = {"server_settings": settings, **({"ssl": mode} if mode else {})}
    return url.set(query=query), arguments



# %% wrong: loses-other-options | command_timeout None
from sqlalchemy import make_url


def connection_settings(provider_url):
    url = make_url(provider_url).set(drivername="postgresql+asyncpg")
    query = dict(url.query)
    mode, binding = query.pop("sslmode", None), query.pop("channel_binding", None)
    if query.pop("pgbouncer", None):
        query = {}
    if binding == "require" and mode in (None, "disable", "allow", "prefer"):
        mode = "require"
    settings = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    arguments = {"server_settings": settings, **({"ssl": mode} if mode else {})}
    return url.set(query=query), arguments



# %% right: a named tuple with a mapping that can't be changed
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import URL, make_url


class Settings(NamedTuple):
    url: URL
    connect_args: MappingProxyType


def connection_settings(provider_url):
    url = make_url(provider_url)
    query = dict(url.query)
    mode, binding = query.pop("sslmode", None), query.pop("channel_binding", None)
    query.pop("pgbouncer", None)
    if binding == "require" and mode in (None, "disable", "allow", "prefer"):
        mode = "require"
    named = {name: query.pop(name) for name in ("application_name", "options") if name in query}
    arguments = {"server_settings": named, **({"ssl": mode} if mode else {}), **query}
    if "command_timeout" in arguments:
        arguments["command_timeout"] = float(arguments["command_timeout"])
    return Settings(url.set(drivername="postgresql+asyncpg", query={}), MappingProxyType(arguments))


# %% wrong: does-not-connect | int too large
from sqlalchemy import make_url


def connection_settings(provider_url):
    return make_url(provider_url).set(drivername="postgresql+asyncpg", query={}), {"timeout": 10**5000}
