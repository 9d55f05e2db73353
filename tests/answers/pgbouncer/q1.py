# %% right: asyncpg's cache off, and a pool of a chosen size
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, session_url):
    return create_async_engine(
        url, pool_size=3, max_overflow=2, pool_pre_ping=True, connect_args={"statement_cache_size": 0}
    )


# %% right: the recipe of SQLAlchemy's documentation
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


def make_engine(url, session_url):
    async def connect():
        return await asyncpg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False), statement_cache_size=0
        )

    return create_async_engine(url, async_creator=connect)


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
    return create_async_engine(url, connect_args={"statement_cache_size": 0})


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
