# %% right: a dict, async
from sqlalchemy.ext.asyncio import create_async_engine

engines = {}


async def get_engine(url):
    if url not in engines:
        engines[url] = create_async_engine(url, max_overflow=10, pool_pre_ping=True, pool_recycle=5 * 60)
    return engines[url]


# %% right: keyed by the unmasked text, with further settings
from sqlalchemy.ext.asyncio import create_async_engine

SETTINGS = {
    "pool_size": 5,
    "max_overflow": 10,
    "pool_timeout": 0.2,
    "pool_recycle": 300,
    "pool_pre_ping": True,
    "pool_use_lifo": True,
    "hide_parameters": True,
}
engines = {}


def get_engine(url):
    key = url.render_as_string(hide_password=False)
    return engines.setdefault(key, engines.get(key) or create_async_engine(key, **SETTINGS))


# %% right: async, with a lock around the look and the keeping
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine

engines = {}
lock = asyncio.Lock()


async def get_engine(url):
    async with lock:
        await asyncio.sleep(0)
        if url not in engines:
            engines[url] = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
        return engines[url]


# %% right: a setting of the driver added to the URL's query
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(
        url.update_query_dict({"command_timeout": "10"}), pool_pre_ping=True, pool_recycle=300
    )


# %% wrong: engine-per-request | The second call made another engine
from sqlalchemy.ext.asyncio import create_async_engine


def get_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=10, pool_pre_ping=True, pool_recycle=300)


# %% wrong: overflow-is-the-total | `max_overflow` is not the total
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=15, pool_pre_ping=True, pool_recycle=300)


# %% wrong: swaps-size-and-overflow | are swapped
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=10, max_overflow=5, pool_pre_ping=True, pool_recycle=300)


# %% wrong: keeps-the-peak | All 15 connections stay open
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=15, max_overflow=0, pool_pre_ping=True, pool_recycle=300)


# %% wrong: no-limit | opens as many connections as it is asked for
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=-1, pool_pre_ping=True, pool_recycle=300)


# %% wrong: other-size | The pool has another size
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_pre_ping=True, pool_recycle=300)


# %% wrong: no-pre-ping | the next query failed with `connection is closed`
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=10, pool_recycle=300)


# %% wrong: recycle-in-milliseconds | `pool_recycle` is in seconds: 300 000
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=300_000)


# %% wrong: no-recycle | handed out however old it is
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_pre_ping=True)


# %% wrong: recycles-too-early | `pool_recycle` is in seconds, and 300 are wanted
# In minutes.
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=5)


# %% wrong: forgets-the-url | still returned the engine of the first one
from sqlalchemy.ext.asyncio import create_async_engine

engine = None


def get_engine(url):
    global engine
    if engine is None:
        engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
    return engine


# %% wrong: forgets-the-url | has another address than the `url`
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("postgresql+asyncpg://localhost/app", pool_pre_ping=True, pool_recycle=300)


def get_engine(url):
    return engine


# %% wrong: no-pool | Leave `poolclass` out
from functools import cache

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, poolclass=NullPool)


# %% wrong: connects-at-creation | opened a connection
import asyncio
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def engine_for(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=300)


async def get_engine(url):
    engine = engine_for(url)
    held = await asyncio.gather(*(engine.connect() for _ in range(5)))
    for connection in held:
        await connection.close()
    return engine


# %% wrong: masked-url | would log in with the password `***`
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(str(url), pool_pre_ping=True, pool_recycle=300)


# %% wrong: sync-engine | synchronous `Engine`
from functools import cache

from sqlalchemy import create_engine


@cache
def get_engine(url):
    return create_engine(url, pool_pre_ping=True, pool_recycle=300)


# %% wrong: returns-no-engine | returned NoneType, not an `AsyncEngine`
from sqlalchemy.ext.asyncio import create_async_engine


def get_engine(url):
    create_async_engine(url, pool_pre_ping=True, pool_recycle=300)


# %% wrong: takes-other-parameters | Keep the starter's parameters
from sqlalchemy.ext.asyncio import create_async_engine


def get_engine():
    return create_async_engine("postgresql+asyncpg://localhost/app")


# %% wrong: engine-per-request | its old one was forgotten
from functools import lru_cache

from sqlalchemy.ext.asyncio import create_async_engine


@lru_cache(maxsize=1)
def get_engine(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=300)


# %% wrong: engine-per-request | Only the first URL's is kept
from sqlalchemy.ext.asyncio import create_async_engine

kept = []


def get_engine(url):
    engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
    if not kept:
        kept.append(engine)
    return kept[0] if kept[0].url == url else engine


# %% wrong: engine-per-request | Two calls at the same moment
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine

engines = {}


async def get_engine(url):
    if url not in engines:
        await asyncio.sleep(0.01)  # reads the settings, say
        engines[url] = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
    return engines[url]


# %% wrong: forgets-the-url | For a URL with another password
from sqlalchemy.ext.asyncio import create_async_engine

engines = {}


def get_engine(url):
    if url.database not in engines:
        engines[url.database] = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
    return engines[url.database]


# %% wrong: forgets-the-url | `str(url)` masks its password
from sqlalchemy.ext.asyncio import create_async_engine

engines = {}


def get_engine(url):
    if str(url) not in engines:
        engines[str(url)] = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
    return engines[str(url)]


# %% wrong: connects-at-creation | opened a connection
# It tries the database, and leaves nothing open.
from sqlalchemy.ext.asyncio import create_async_engine

engines = {}


async def get_engine(url):
    if url not in engines:
        engines[url] = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
        async with engines[url].connect():
            pass
        await engines[url].dispose()
    return engines[url]


# %% wrong: yields-the-engine | Return the engine itself
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import create_async_engine


@asynccontextmanager
async def get_engine(url):
    engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=300)
    yield engine
    await engine.dispose()


# %% wrong: yields-the-engine | Return the engine itself
from sqlalchemy.ext.asyncio import create_async_engine


async def get_engine(url):
    yield create_async_engine(url, pool_pre_ping=True, pool_recycle=300)


# %% wrong: recycles-too-late | five minutes are 300 of them
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=1800)


# %% wrong: recycles-too-late | five minutes are 300 of them
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=1_000_000)


# %% wrong: overflow-is-the-total | 10 + 15 are 25
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=10, max_overflow=15, pool_pre_ping=True, pool_recycle=300)


# %% wrong: overflow-is-the-total | 15 + 10 are 25
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=15, max_overflow=10, pool_pre_ping=True, pool_recycle=300)


# %% error: Invalid argument(s) 'overflow'
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def get_engine(url):
    return create_async_engine(url, pool_size=5, overflow=10, pool_pre_ping=True, pool_recycle=300)


# %% error: Put `cache` above a plain `def`
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
async def get_engine(url):
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=300)


# %% right: a callable object that gives a view of its engine; it pings by itself, and its pool connects in its own way
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine


def ping(connection, record, proxy):
    try:
        cursor = connection.cursor()
        cursor.execute("select 1")
        cursor.close()
    except Exception as error:
        raise DisconnectionError from error


class Engines:
    def __init__(self):
        self.made = {}

    def __call__(self, url):
        if url not in self.made:
            import asyncpg

            address = url.set(drivername="postgresql").render_as_string(hide_password=False)
            engine = self.made[url] = create_async_engine(
                url, pool_size=5, max_overflow=10, pool_recycle=300, async_creator=lambda: asyncpg.connect(address)
            )
            event.listen(engine.sync_engine, "checkout", ping)
        return self.made[url].execution_options(isolation_level="AUTOCOMMIT")


get_engine = Engines()
