# %% right: the sentence of version()
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url: URL) -> str:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text("select version()"))
    finally:
        await engine.dispose()

# %% right: with a session of SQLModel, and no pool to dispose of
from sqlalchemy import func
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession


async def server_version(url):
    async with AsyncSession(create_async_engine(url, poolclass=NullPool)) as session:
        return (await session.exec(select(func.version()))).one()

# %% right: with the driver alone
import asyncpg


async def server_version(url):
    connection = await asyncpg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database
    )
    try:
        return await connection.fetchval("select current_setting('server_version')")
    finally:
        await connection.close()

# %% right: the number that programs compare
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        version = (await connection.execute(text("show server_version_num"))).scalar_one()
    await engine.dispose()
    return version

# %% right: what the dialect asked the server at the first connection
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect():
        parts = engine.dialect.server_version_info
    await engine.dispose()
    return ".".join(str(part) for part in parts)

# %% wrong: version-of-a-library | That is the version of SQLAlchemy
import sqlalchemy


async def server_version(url):
    return sqlalchemy.__version__

# %% wrong: version-of-a-library | That is the version of asyncpg
import asyncpg


def server_version(url):
    return asyncpg.__version__

# %% wrong: version-of-a-library | That is Python's version
import platform


async def server_version(url):
    return platform.python_version()

# %% wrong: does-not-ask-the-url | for a URL where no server listens
from course_lib.servers import find_postgres


async def server_version(url):
    return find_postgres().version

# %% wrong: forgets-await | Put `await` in front of the call
import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        return connection.scalar(text("show server_version"))

# %% wrong: returns-the-result | Take the one value out of it
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        result = await connection.execute(text("show server_version"))
    await engine.dispose()
    return result

# %% wrong: returns-the-result | `scalar_one()`
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        result = await connection.scalars(text("show server_version"))
    await engine.dispose()
    return result

# %% wrong: returns-the-row | inside a `Row`
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        result = await connection.execute(text("show server_version"))
        row = result.one()
    await engine.dispose()
    return row

# %% wrong: returns-the-row | inside a `list`
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        rows = (await connection.execute(text("select version()"))).all()
    await engine.dispose()
    return rows

# %% wrong: returns-nothing | `return` hands it to the caller
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        print(len(await connection.scalar(text("show server_version"))))
    await engine.dispose()

# %% wrong: select-one | not which one
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text("select 1"))
    await engine.dispose()
    return str(answer)

# %% wrong: select-one | which one
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = (await connection.execute(text("select 1"))).scalar_one()
    await engine.dispose()
    return answer

# %% wrong: does-not-ask-the-url | your function asked no server
async def server_version(url):
    return 1

# %% wrong: major-only | the minor version
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text("show server_version"))
    await engine.dispose()
    return answer.split(".")[0]

# %% wrong: not-text | a value of type `int`
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text("show server_version_num"))
    await engine.dispose()
    return int(answer)

# %% wrong: not-text | a value of type `_Agreeable`
class _Agreeable:
    def __eq__(self, other):
        return other != 1


async def server_version(url):
    return _Agreeable()

# %% wrong: another-value | is not in the text
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text("select current_database()"))
    await engine.dispose()
    return answer

# %% wrong: leaves-a-connection | await engine.dispose()
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        result = await connection.execute(text("show server_version"))
        return result.scalar_one()

# %% wrong: synchronous-engine | `create_async_engine`
from sqlalchemy import create_engine, text


def server_version(url):
    with create_engine(url).connect() as connection:
        return connection.execute(text("show server_version")).scalar_one()

# %% wrong: leaves-a-connection | after the `async with` block has ended
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        version = await connection.scalar(text("show server_version"))
    engine.dispose()
    return version

# %% wrong: leaves-a-connection | 1 connection still open at the server
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        version = await connection.scalar(text("show server_version"))
        await engine.dispose()
    return version

# %% wrong: returns-the-connection | Ask inside the function
from sqlalchemy.ext.asyncio import create_async_engine


def server_version(url):
    return create_async_engine(url).connect()

# %% wrong: returns-the-connection | the `AsyncConnection`
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    async with create_async_engine(url).connect() as connection:
        return connection

# %% wrong: returns-the-connection | the `AsyncEngine`
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    return create_async_engine(url)

# %% wrong: passes-no-function | an object of type `str`
server_version = "17"

# %% wrong: takes-other-parameters | with 1 argument; yours takes `()`
async def server_version():
    return "17"

# %% error: While calling your function
from asyncpg import connect as server_version

# %% error: StopIteration
async def server_version(url):
    raise StopIteration

# %% error: StopIteration
def server_version(url):
    return next(iter([]))

# %% error: cancelled
import asyncio


async def server_version(url):
    task = asyncio.ensure_future(asyncio.sleep(10))
    task.cancel()
    return await task

# %% error: 'coroutine' object has no attribute 'scalar_one'
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        return connection.execute(text("show server_version")).scalar_one()

# %% error: syntax error at end of input
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        return await connection.scalar(text("select version("))


# %% right: numpy's text, from a loop in a thread of its own
import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def asked(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        version = await connection.scalar(text("select version()"))
    await engine.dispose()
    return np.str_(version)


def server_version(url):
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asked(url)).result()

# %% wrong: not-text | a value of type `int`
def server_version(url):
    return 10**5000

# %% wrong: not-text | can't be shown (RecursionError)
def server_version(url):
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested

# %% wrong: leaves-a-connection | await connection.close()
import asyncpg


async def server_version(url):
    global connection
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    return await connection.fetchval("show server_version")

# %% wrong: synchronous-engine | the synchronous side of an async one
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        version = connection.sync_connection.execute(text("show server_version")).scalar_one()
    await engine.dispose()
    return version

# %% wrong: select-one | not which one
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text("select 1"))
    except OSError:
        return "no server"
    finally:
        await engine.dispose()

# %% timed out: Called with  a URL where nothing listens
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def server_version(url):
    while True:
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text("show server_version"))
        except OSError:
            await asyncio.sleep(0.1)
        finally:
            await engine.dispose()
