# %% right: both caches off, and a pool of a chosen size
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    caches = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return create_async_engine(url, pool_size=3, max_overflow=2, pool_pre_ping=True, connect_args=caches)


# %% right: asyncpg's cache off, and no pool whose connections could remember types
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def make_engine(url, session_url):
    return create_async_engine(url, poolclass=NullPool, connect_args={"statement_cache_size": 0})


# %% wrong: remembers-types | Set `prepared_statement_cache_size`
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"statement_cache_size": 0})


# %% wrong: remembers-types | With `async_creator` it can't be told
import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    async def connect():
        return await asyncpg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False), statement_cache_size=0
        )

    return create_async_engine(url, pool_pre_ping=True, async_creator=connect)


# %% right: unique names, both caches off and NullPool
from uuid import uuid4

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def make_engine(url, session_url):
    return create_async_engine(
        url,
        poolclass=NullPool,
        connect_args={
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__",
        },
    )


# %% right: an async function, and both caches off
from sqlalchemy.ext.asyncio import create_async_engine


async def make_engine(pooler, other):
    return create_async_engine(
        pooler.update_query_dict({"prepared_statement_cache_size": "0"}), connect_args={"statement_cache_size": 0}
    )


# %% right: a connection function of its own
import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def make_engine(url, session_url):
    async def connect():
        return await asyncpg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False), statement_cache_size=0
        )

    return create_async_engine(url, async_creator=connect, poolclass=NullPool)


# %% right: both caches off and empty names
from sqlalchemy.ext.asyncio import create_async_engine

OFF = {"statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": str}


def make_engine(url, session_url):
    return create_async_engine(url, connect_args=OFF)


# %% right: an engine that is made once
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0})


# %% wrong: nullpool-only | The pool is not the cause
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def make_engine(url, session_url):
    return create_async_engine(url, poolclass=NullPool)


# %% wrong: sqlalchemy-cache-only | asyncpg has another one
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"prepared_statement_cache_size": 0})


# %% wrong: sqlalchemy-cache-only | asyncpg has another one
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def make_engine(url, session_url):
    return create_async_engine(
        url.update_query_dict({"prepared_statement_cache_size": "0"}), poolclass=NullPool, pool_pre_ping=True
    )


# %% wrong: names-only | What remembers prepared statements
from uuid import uuid4

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"prepared_statement_name_func": lambda: f"stmt_{uuid4().hex}"})


# %% wrong: names-only | What remembers prepared statements
# With NullPool it would be well for one transaction; a job has two.
from uuid import uuid4

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def make_engine(url, session_url):
    return create_async_engine(
        url, poolclass=NullPool, connect_args={"prepared_statement_name_func": lambda: f"stmt_{uuid4().hex}"}
    )


# %% wrong: empty-names | gets the rows of another
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"prepared_statement_name_func": lambda: ""})


# %% wrong: autocommit-with-names | Named statements under AUTOCOMMIT
from uuid import uuid4

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"stmt_{uuid4().hex}",
        },
    )


# %% wrong: session-mode-instead | the third client waits
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(session_url, pool_size=1, max_overflow=0)


# %% wrong: changes-nothing | still prepares statements with names
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url, pool_size=10, pool_pre_ping=True, pool_recycle=60)


# %% wrong: changes-nothing | still prepares statements with names
# A typical slip: the compiled cache of SQLAlchemy has nothing to do with it.
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url, query_cache_size=0)


# %% wrong: another-address | another address
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url.set(port=5432), connect_args={"statement_cache_size": 0})


# %% wrong: makes-no-engine | Return what `create_async_engine` makes
def make_engine(url, session_url):
    return str(url)


# %% error: running a query with your engine
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"statement_cache": 0})


# %% error: NameError
def make_engine(url, session_url):
    return create_engine_for_pgbouncer(url)


# %% timed out: did not finish
import asyncio


async def make_engine(url, session_url):
    await asyncio.sleep(3600)


# %% right: a hook hands the size over
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
def make_engine(url, session_url):
    engine = create_async_engine(url)
    @event.listens_for(engine.sync_engine, "do_connect")
    def f(dialect, rec, args, params):
        params["statement_cache_size"] = params["prepared_statement_cache_size"] = 0
    return engine


# %% right: a connection function, and a URL without a host
import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
def make_engine(url, session_url):
    async def connect():
        return await asyncpg.connect(host=url.host, port=url.port, user=url.username, password=url.password, database=url.database, statement_cache_size=0)
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


# %% right: names of its own, and SQLAlchemy's cache off
import itertools, os
from sqlalchemy.ext.asyncio import create_async_engine
c = itertools.count()
def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: f"s{os.getpid()}_{next(c)}"})


# %% wrong: size-as-text | as a text, and wants a number
from sqlalchemy.ext.asyncio import create_async_engine
def make_engine(url, session_url):
    return create_async_engine(url.update_query_dict({"prepared_statement_cache_size": "0", "statement_cache_size": "0"}))


# %% wrong: session-mode-instead | the third client waits
import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
def make_engine(url, session_url):
    async def connect():
        return await asyncpg.connect(host=url.host, port=session_url.port, user=url.username, password=url.password, database=url.database, statement_cache_size=0)
    return create_async_engine(url, async_creator=connect)


# %% wrong: session-mode-instead | the third client waits
from sqlalchemy.ext.asyncio import create_async_engine
def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"port": session_url.port})


# %% wrong: goes-around-the-pooler | did not go through
from sqlalchemy import event
import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
def make_engine(url, session_url):
    port = None
    async def connect():
        nonlocal port
        c = await asyncpg.connect(host=url.host, port=url.port, user=url.username, password=url.password, database=url.database, statement_cache_size=0)
        port = int(await c.fetchval("select inet_server_port()"))
        await c.close()
        return await asyncpg.connect(host=url.host, port=port, user=url.username, password=url.password, database=url.database)
    return create_async_engine(url, async_creator=connect)


# %% wrong: tries-again | failed on the way
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine


class Trying(AsyncConnection):
    async def scalar(self, *arguments, **options):
        try:
            await self.exec_driver_sql("execute from_before")
        except DBAPIError:
            await self.rollback()
        return await super().scalar(*arguments, **options)


class TryingEngine(AsyncEngine):
    def connect(self):
        return Trying(self)


def make_engine(url, session_url):
    engine = create_async_engine(url, connect_args={"statement_cache_size": 0})
    return TryingEngine(engine.sync_engine)


# %% wrong: fails-otherwise | another operation is in progress
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool
def make_engine(url, session_url):
    return create_async_engine(url, poolclass=StaticPool, connect_args={"statement_cache_size": 0})


# %% wrong: names-repeat | come again
from sqlalchemy.ext.asyncio import create_async_engine
def make_engine(url, session_url):
    return create_async_engine(url, connect_args={"prepared_statement_name_func": lambda: 7})


# %% wrong: fails-elsewhere | In a process of its own
import os
from sqlalchemy.ext.asyncio import create_async_engine
P = os.getpid()
def make_engine(url, session_url):
    if os.getpid() != P:
        raise SystemExit
    return create_async_engine(url, connect_args={"statement_cache_size": 0})
