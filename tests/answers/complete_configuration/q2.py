# %% right: other names, other spellings, a match
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url, **more):
    parts = make_url(database_url)
    url = URL.create(
        "postgresql+asyncpg", parts.username, parts.password, parts.host, parts.port, parts.database
    )
    return create_async_engine(url)


def managed_engine(url):
    return create_async_engine(
        url, pool_pre_ping=True, pool_recycle=120, pool_size=2, connect_args={"command_timeout": 10}
    )


def engine_for(environ):
    match environ.get("APP_ENV") or "development":
        case "development":
            url = environ.get("DATABASE_URL") or "sqlite+aiosqlite:///./dev.db"
            return create_async_engine(url, echo=True)
        case "test":
            return create_async_engine("sqlite+aiosqlite:///:memory:")
        case "production":
            if not environ.get("DATABASE_URL"):
                raise RuntimeError("set DATABASE_URL")
            return create_async_engine(environ["DATABASE_URL"], pool_pre_ping=True)
        case other:
            raise LookupError(other)


# %% right: async, text with the password in it, a creator of one's own
import asyncpg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


async def shop_engine(database_url):
    rest = database_url.split("://", 1)[1]
    return create_async_engine("postgresql+asyncpg://" + rest)


async def managed_engine(url):
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn),
        pool_pre_ping=True,
        pool_recycle=299,
    )


async def engine_for(environ):
    name = environ.get("APP_ENV", "development")
    urls = {
        "development": environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"),
        "test": "sqlite+aiosqlite://",
        "production": environ["DATABASE_URL"] if name == "production" else "",
    }
    return create_async_engine(urls[name])


# %% right: recycles at five minutes sharp, refuses by a KeyError
from sqlalchemy import StaticPool, make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    url = make_url(database_url).set(drivername="postgresql+asyncpg")
    return create_async_engine(url.render_as_string(hide_password=False), pool_size=1)


def managed_engine(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=300, pool_use_lifo=True)


def engine_for(environ):
    make = {
        "development": lambda: create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db")),
        "test": lambda: create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool),
        "production": lambda: create_async_engine(environ["DATABASE_URL"], pool_size=5),
    }
    return make[environ.get("APP_ENV", "development")]()


# %% wrong: ignores-the-url | another database or role
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine("postgresql+asyncpg://app:example-pw@localhost/shop")


managed_engine = engine_for = None

# %% wrong: names-no-variable | does not say what is missing
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    if environ.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if environ.get("APP_ENV") == "production":
        assert "DATABASE_URL" in environ, "there is no address"
    return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"))


# %% wrong: sends-the-mask | so `str(url)` shows it
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(str(make_url(database_url).set(drivername="postgresql+asyncpg")))


managed_engine = engine_for = None

# %% wrong: still-sync | names no driver or a sync one
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"))


managed_engine = engine_for = None

# %% wrong: decodes-the-password | the host seems to begin there
from urllib.parse import unquote

from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    rest = unquote(database_url).split("://", 1)[1]
    return create_async_engine("postgresql+asyncpg://" + rest)


managed_engine = engine_for = None

# %% wrong: changes-the-password | another one than the URL's
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    url = make_url(database_url)
    return create_async_engine(url.set(drivername="postgresql+asyncpg", password="example"))


managed_engine = engine_for = None

# %% wrong: no-async-engine | an object of type `Engine`
from sqlalchemy import create_engine


def shop_engine(database_url):
    return create_engine("sqlite://")


managed_engine = engine_for = None

# %% wrong: no-pre-ping | said so
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


def engine_for(environ):
    name = environ.get("APP_ENV", "development")
    if name == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if name == "production":
        return create_async_engine(environ["DATABASE_URL"])
    if name == "development":
        return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"))
    raise ValueError(name)


def managed_engine(url):
    return create_async_engine(url, pool_recycle=240)


# %% wrong: no-recycle | A pre-ping waits as long as any other query
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


def engine_for(environ):
    name = environ.get("APP_ENV", "development")
    if name == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if name == "production":
        return create_async_engine(environ["DATABASE_URL"])
    if name == "development":
        return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"))
    raise ValueError(name)


def managed_engine(url):
    return create_async_engine(url, pool_pre_ping=True)


# %% wrong: recycles-too-late | replaces connections too late
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


def engine_for(environ):
    name = environ.get("APP_ENV", "development")
    if name == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if name == "production":
        return create_async_engine(environ["DATABASE_URL"])
    if name == "development":
        return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"))
    raise ValueError(name)


def managed_engine(url):
    return create_async_engine(
        url, pool_pre_ping=True, pool_recycle=1800, connect_args={"command_timeout": 1}
    )


# %% wrong: gives-up-the-pool | pays for a login
from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


def engine_for(environ):
    name = environ.get("APP_ENV", "development")
    if name == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if name == "production":
        return create_async_engine(environ["DATABASE_URL"])
    if name == "development":
        return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"))
    raise ValueError(name)


def managed_engine(url):
    return create_async_engine(url, poolclass=NullPool)


# %% wrong: pool-options-for-every-pool | Give pool options to PostgreSQL only
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    test = environ.get("APP_ENV") == "test"
    url = "sqlite+aiosqlite://" if test else environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db")
    return create_async_engine(url, pool_size=5)


# %% wrong: tests-use-the-real-database | clears its tables
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite://"))


# %% wrong: tests-share-a-database | what one test leaves behind
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    if environ.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite:///test.db")
    return create_async_engine(environ["DATABASE_URL"])


# %% wrong: memory-is-lost | keeps its data with one connection
from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    return create_async_engine("sqlite+aiosqlite://", poolclass=NullPool)


# %% wrong: ignores-the-url | in production, `DATABASE_URL` is set
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    return create_async_engine("sqlite+aiosqlite://")


# %% wrong: echo-in-production | written to the log
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    if environ.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://", echo=True)
    return create_async_engine(environ["DATABASE_URL"], echo=True)


# %% wrong: other-development-database | is the SQLite file `dev.db`
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    if environ.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://")
    return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite://"))


# %% wrong: production-without-url | lost with the next deployment
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    if environ.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://")
    return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"))


# %% wrong: guesses-unknown-environments | a typing mistake decides
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def shop_engine(database_url):
    return create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))


managed_engine = None


def engine_for(environ):
    if environ.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if environ.get("APP_ENV") == "production":
        return create_async_engine(environ["DATABASE_URL"])
    return create_async_engine(environ.get("DATABASE_URL", "sqlite+aiosqlite:///dev.db"))


# %% error: ZeroDivisionError
def shop_engine(database_url):
    return 1 / 0


managed_engine = engine_for = None

# %% timed out: did not finish
import asyncio


async def shop_engine(database_url):
    await asyncio.sleep(3600)


managed_engine = engine_for = None
