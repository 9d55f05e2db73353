# %% right: a time limit around the checkout only
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0)


async def fetch(engine, statement):
    connection = await asyncio.wait_for(engine.connect(), 0.7)
    try:
        return await connection.scalar(text(statement))
    finally:
        await connection.close()


# %% right: a time limit that is lifted when the connection is there
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0)


async def fetch(engine, statement):
    async with asyncio.timeout(0.8) as limit, engine.connect() as connection:
        limit.reschedule(None)
        return await connection.scalar(text(statement))


# %% right: an error of its own, made of the time-out
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession


class Busy(Exception):
    pass


async def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.9)


async def fetch(engine, statement):
    try:
        async with AsyncSession(engine) as session:
            return await session.scalar(text(statement))
    except PoolTimeout as error:
        raise Busy("try again") from error


# %% wrong: limits-only-the-query | The time limit is around the query only
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await asyncio.wait_for(connection.scalar(text(statement)), 0.5)


# %% wrong: limits-the-query-too | Only the wait for a connection is to be short
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0)


async def fetch(engine, statement):
    async with asyncio.timeout(0.5):
        async with engine.connect() as connection:
            return await connection.scalar(text(statement))


# %% wrong: raises-the-size | A larger pool moves the problem to the server
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=20, max_overflow=0, pool_timeout=0.5)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% wrong: raises-the-size | the limit of two is gone
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, poolclass=NullPool)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% wrong: shrinks-the-pool | gave 1 connection and no more
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.5)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% wrong: swallows-the-error | Let the error through
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def fetch(engine, statement):
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(statement))
    except PoolTimeout:
        return None


# %% wrong: leaves-connections-out | Close each one
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


seen = []


async def fetch(engine, statement):
    connection = await engine.connect()
    value = await connection.scalar(text(statement))
    if value == "PATIENT":
        seen.append(connection)
    else:
        await connection.close()
    return value


# %% wrong: makes-no-engine | Return what `create_async_engine` makes
from sqlalchemy import create_engine, text


def make_engine(url):
    return url


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% error: Invalid argument
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, timeout=0.5)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% right: options of the driver in the URL, an engine with options
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    url = url.update_query_dict({"prepared_statement_cache_size": "0"})
    engine = create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% wrong: fails-healthy-traffic | let it wait for 0.2 s at least
# Too short for the 0.2 s.
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.15)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% wrong: gives-up-too-late | under a second
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=1.2)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% wrong: wrong-answer | Keep that
# It runs the statement and makes text of its value.
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return str(await connection.scalar(text(statement)))


# %% wrong: limits-the-query-too | Only the wait for a connection is to be short
# The server's limit on a statement.
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5, connect_args={"server_settings": {"statement_timeout": "500"}})


async def fetch(engine, statement):
    async with engine.connect() as connection:
        return await connection.scalar(text(statement))


# %% wrong: hides-the-time-out | raise it `from` the one you caught
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def fetch(engine, statement):
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(statement))
    except PoolTimeout:
        pass
    raise RuntimeError("busy")


# %% wrong: still-waits | does not see connections that other code took
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

gate = asyncio.Semaphore(2)


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0)


async def fetch(engine, statement):
    async with asyncio.timeout(0.5):
        await gate.acquire()
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(statement))
    finally:
        gate.release()


# %% wrong: never-ends | a connection was free
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def fetch(engine, statement):
    await asyncio.Event().wait()


# %% error: NameError: name 'PoolTimeout' is not defined
# In the except clause, with the time-out behind it.
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def fetch(engine, statement):
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(statement))
    except PoolTimeout as error:
        raise TimeoutError("busy") from error
