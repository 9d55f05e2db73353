# %% right: looks at the scheme and joins the rest
SCHEMES = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}


def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"{SCHEMES[scheme.split('+')[0]]}://{rest}"


# %% right: parses and renders
from sqlalchemy import make_url


def get_async_database_url(url: str) -> str:
    parsed = make_url(url)
    if parsed.drivername.startswith("postgres"):
        parsed = parsed.set(drivername="postgresql+asyncpg")
    elif parsed.drivername.startswith("sqlite"):
        parsed = parsed.set(drivername="sqlite+aiosqlite")
    return parsed.render_as_string(hide_password=False)


# %% right: a regular expression tied to the beginning
import re


def get_async_database_url(url: str) -> str:
    url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+asyncpg://", url)
    return re.sub(r"^sqlite(\+\w+)?://", "sqlite+aiosqlite://", url)


# %% right: the course's own, and async
from course_lib.urls import get_async_database_url as convert


async def get_async_database_url(url: str) -> str:
    return convert(url)


# %% right: replaces one occurrence at the front
def get_async_database_url(url: str) -> str:
    for old in ("postgres://", "postgresql://", "postgresql+psycopg2://", "postgresql+psycopg://"):
        if url.startswith(old):
            return url.replace(old, "postgresql+asyncpg://", 1)
    for old in ("sqlite://", "sqlite+pysqlite://"):
        if url.startswith(old):
            return "sqlite+aiosqlite://" + url.removeprefix(old)
    return url


# %% wrong: replaces-every-occurrence | behind the scheme
def get_async_database_url(url: str) -> str:
    if url.startswith("sqlite"):
        return "sqlite+aiosqlite" + url[url.index("://") :]
    url = url.replace("postgresql+psycopg2://", "postgresql://").replace("postgresql+psycopg://", "postgresql://")
    return url.replace("postgres://", "postgresql://").replace("postgresql://", "postgresql+asyncpg://")


# %% wrong: double-converts | sqlite+aiosqlite+aiosqlite:///data/app.db
def get_async_database_url(url: str) -> str:
    url = url.replace("postgres://", "postgresql://").replace("postgresql://", "postgresql+asyncpg://")
    return url.replace("sqlite://", "sqlite+aiosqlite://")


# %% wrong: replaces-every-occurrence | sqlite+aiosqlite:////srv/sqlite+aiosqlite/data.db
def get_async_database_url(url: str) -> str:
    if "+a" in url:
        return url
    if url.startswith("sqlite"):
        return url.replace("sqlite", "sqlite+aiosqlite")
    scheme, rest = url.split("://", 1)
    return f"postgresql+asyncpg://{rest}"


# %% wrong: misses-postgres | `postgres://` came back as it was
def get_async_database_url(url: str) -> str:
    if url.startswith("postgresql://"):
        return url.replace("postgresql://", "postgresql+asyncpg://", 1)
    if url.startswith("sqlite://"):
        return url.replace("sqlite://", "sqlite+aiosqlite://", 1)
    return url


# %% wrong: misses-sqlite | `sqlite://` came back as it was
def get_async_database_url(url: str) -> str:
    for old in ("postgres://", "postgresql://"):
        if url.startswith(old):
            return "postgresql+asyncpg://" + url[len(old) :]
    return url


# %% wrong: misses-the-driver | `postgresql+psycopg2://` came back as it was
def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    known = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    return f"{known.get(scheme, scheme)}://{rest}"


# %% wrong: double-converts | a second time
def get_async_database_url(url: str) -> str:
    if url.startswith("postgres://"):
        url = url.replace("postgres://", "postgresql://", 1)
    if url.startswith("sqlite"):
        return url.replace("sqlite", "sqlite+aiosqlite", 1)
    return url.replace("postgresql", "postgresql+asyncpg", 1)


# %% wrong: writes-an-unknown-scheme | Yours is `postgresql+asyncpgql`
def get_async_database_url(url: str) -> str:
    return url.replace("postgres", "postgresql+asyncpg", 1)


# %% wrong: drops-the-query | parameters after `?`
def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    known = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    return f"{known[scheme.split('+')[0]]}://{rest.split('?')[0]}"


# %% wrong: touches-the-password | percent-encoded has to stay
from urllib.parse import unquote


def get_async_database_url(url: str) -> str:
    scheme, rest = unquote(url).split("://", 1)
    known = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    return f"{known[scheme.split('+')[0]]}://{rest}"


# %% wrong: touches-the-password | another password
from sqlalchemy import make_url


def get_async_database_url(url: str) -> str:
    u = make_url(url)
    if u.drivername.startswith("sqlite"):
        return f"sqlite+aiosqlite:///{u.database or ''}"
    login = f"{u.username}:{u.password}@" if u.password else f"{u.username}@"
    host = f"[{u.host}]" if ":" in u.host else u.host
    port = f":{u.port}" if u.port else ""
    return f"postgresql+asyncpg://{login}{host}{port}/{u.database}"


# %% wrong: masks-the-password | three stars
from sqlalchemy import make_url


def get_async_database_url(url: str) -> str:
    parsed = make_url(url)
    dialect = "sqlite+aiosqlite" if parsed.drivername.startswith("sqlite") else "postgresql+asyncpg"
    return str(parsed.set(drivername=dialect))


# %% wrong: changes-the-path | four an absolute
def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    if scheme.startswith("sqlite"):
        return "sqlite+aiosqlite:///" + rest.lstrip("/")
    return f"postgresql+asyncpg://{rest}"


# %% wrong: returns-a-url-object | render_as_string
from sqlalchemy import make_url


def get_async_database_url(url: str):
    return make_url(url).set(drivername="postgresql+asyncpg")


# %% wrong: returns-no-text | every path
def get_async_database_url(url: str):
    if url.startswith("postgresql+asyncpg"):
        return url


# %% wrong: changes-other-parts | Everything behind
def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    if scheme.startswith("sqlite"):
        return f"sqlite+aiosqlite://{rest}"
    return f"postgresql+asyncpg://{rest.replace(':5432', '')}"


# %% error: your cell
def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    return {"postgresql": "postgresql+asyncpg"}[scheme] + "://" + rest


# %% wrong: changes-other-parts | has no `://`
def get_async_database_url(url: str) -> str:
    return "postgresql+asyncpg" + url.split("://", 1)[1]


# %% timed out: 02.1
def get_async_database_url(url: str) -> str:
    while "asyncpg" not in url:
        url = url.strip()
    return url


# %% right: renames sslmode on the way, as 02.2 will
from sqlalchemy import make_url


def get_async_database_url(url: str) -> str:
    parsed = make_url(url)
    query = dict(parsed.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    driver = "sqlite+aiosqlite" if parsed.get_backend_name() == "sqlite" else "postgresql+asyncpg"
    return parsed.set(drivername=driver, query=query).render_as_string(hide_password=False)


# %% wrong: drops-tls | no longer asks for a verified server
import re


def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    rest = re.sub(r"\?sslmode=[^&]*", "", rest)
    return ("sqlite+aiosqlite://" if scheme.startswith("sqlite") else "postgresql+asyncpg://") + rest


# %% wrong: touches-the-user | would end the name
from urllib.parse import unquote


def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    user, colon, others = rest.partition(":")
    if colon and not scheme.startswith("sqlite"):
        rest = f"{unquote(user)}:{others}"
    return ("sqlite+aiosqlite://" if scheme.startswith("sqlite") else "postgresql+asyncpg://") + rest


# %% wrong: drops-the-query | one name stands twice
from urllib.parse import parse_qsl, urlencode


def get_async_database_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    address, question, query = rest.partition("?")
    if question:
        rest = f"{address}?{urlencode(dict(parse_qsl(query)))}"
    return ("sqlite+aiosqlite://" if scheme.startswith("sqlite") else "postgresql+asyncpg://") + rest


# %% wrong: yields-instead-of-returning | Use `return`
def get_async_database_url(url: str):
    yield "postgresql+asyncpg://" + url.split("://", 1)[1]


# %% wrong: yields-instead-of-returning | makes a generator
async def get_async_database_url(url: str):
    yield "postgresql+asyncpg://" + url.split("://", 1)[1]


# %% wrong: forgets-to-await | return await
async def convert(url: str) -> str:
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


async def get_async_database_url(url: str):
    return convert(url)


# %% wrong: returns-no-text | `bytes`
def get_async_database_url(url: str):
    return ("postgresql+asyncpg://" + url.split("://", 1)[1]).encode()


# %% error: Called with  'postgresql://app:example-pw@db.internal:5432/shop'
def get_async_database_url(url: str) -> str:
    return url.removeprefix("postgresql")[99]


# %% wrong: changes-other-parts | shop%3Fold
from urllib.parse import unquote

SCHEMES = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


def get_async_database_url(url):
    scheme, _, rest = url.partition("://")
    scheme = SCHEMES[scheme.partition("+")[0]]
    if scheme.startswith("sqlite") or "?" in rest:
        return f"{scheme}://{rest}"
    login, _, database = rest.rpartition("/")
    return f"{scheme}://{login}/{unquote(database)}"


# %% right: numpy's text, from a table of every scheme
import numpy as np

SCHEMES = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+psycopg2": "postgresql+asyncpg",
    "postgresql+psycopg": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+pysqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


def get_async_database_url(url):
    scheme, _, rest = url.partition("://")
    return np.str_(f"{SCHEMES[scheme]}://{rest}")


# %% wrong: returns-no-text | an object of type `int`
def get_async_database_url(url):
    return 10**5000


# %% wrong: changes-other-parts | can't be read as a URL
def get_async_database_url(url):
    return "postgresql+asyncpg://app:example-pw@db.internal:" + "9" * 5000 + "/shop"
