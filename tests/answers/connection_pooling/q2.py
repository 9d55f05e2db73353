# %% right: a session, and a pause between the attempts
import asyncio

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy import text


async def fetch_value(engine, question):
    attempt = 0
    while True:
        attempt += 1
        try:
            async with AsyncSession(engine) as session:
                return await session.scalar(text(question))
        except DBAPIError as error:
            if attempt == 3 or not error.connection_invalidated:
                raise
            await asyncio.sleep(0.05 * 2**attempt)


# %% right: one retry, which empties the pool first; autocommit
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def read(engine, question):
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        return await connection.scalar(text(question))


async def fetch_value(engine, question):
    try:
        return await read(engine, question)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    await engine.dispose()
    return await read(engine, question)


# %% right: also while the server starts again
import asyncio

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def fetch_value(engine, question):
    for pause in (0.1, 0.5, None):
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        except (DBAPIError, OSError) as error:
            lost = isinstance(error, OSError) or error.connection_invalidated
            if not lost or pause is None:
                raise
            await asyncio.sleep(pause)


# %% right: the same connection object, which reconnects after a rollback
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def fetch_value(engine, question):
    async with engine.connect() as connection:
        for left in (2, 1, 0):
            try:
                return await connection.scalar(text(question))
            except DBAPIError as error:
                if not error.connection_invalidated or not left:
                    raise
                await connection.rollback()


# %% wrong: gives-up | catch this error and try once more
from sqlalchemy import text


async def fetch_value(engine, question):
    async with engine.connect() as connection:
        return await connection.scalar(text(question))


# %% wrong: retries-everything | Try again only after a lost connection
from sqlalchemy import text


async def fetch_value(engine, question):
    for left in (2, 1, 0):
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        except Exception:
            if not left:
                raise


# %% wrong: hides-errors | nobody hears of it
from sqlalchemy import text


async def fetch_value(engine, question):
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(question))
    except Exception:
        return None


# %% wrong: hides-the-outage | as if all were well
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def fetch_value(engine, question):
    for _ in range(3):
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        except OSError:
            pass


# %% wrong: disposes-each-query | pays for a connect every time
from sqlalchemy import text


async def fetch_value(engine, question):
    await engine.dispose()
    async with engine.connect() as connection:
        return await connection.scalar(text(question))


# %% wrong: another-engine | ran on another engine
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine


async def fetch_value(engine, question):
    fresh = create_async_engine(engine.url, poolclass=NullPool)
    async with fresh.connect() as connection:
        return await connection.scalar(text(question))


# %% wrong: misses-lost-in-query | Ask the error itself
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError


async def fetch_value(engine, question):
    for left in (2, 1, 0):
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        except InterfaceError:
            if not left:
                raise


# %% wrong: misses-lost-in-query | A test beforehand can't see that
# A ping of its own.
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def fetch_value(engine, question):
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
    except DBAPIError:
        pass
    async with engine.connect() as connection:
        return await connection.scalar(text(question))


# %% wrong: keeps-the-connection | was not given back
from sqlalchemy import text


async def fetch_value(engine, question):
    connection = await engine.connect()
    kept.append(connection)
    return await connection.scalar(text(question))


kept = []


# %% wrong: wrong-value | Return the single value
from sqlalchemy import text


async def fetch_value(engine, question):
    async with engine.connect() as connection:
        return (await connection.execute(text(question))).all()


# %% wrong: takes-other-parameters | Keep the starter's parameters
async def fetch_value(engine):
    return 1


# %% wrong: keeps-the-connection | after a query that failed
# The natural beginning: connect, ask, close.
from sqlalchemy import text


async def fetch_value(engine, question):
    connection = await engine.connect()
    value = await connection.scalar(text(question))
    await connection.close()
    return value


# %% wrong: keeps-the-connection | after a connection was lost
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

kept = []


async def fetch_value(engine, question):
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(question))
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    kept.append(await engine.connect())
    return await kept[-1].scalar(text(question))


# %% wrong: another-engine | has not opened a connection for them
import asyncpg


async def fetch_value(engine, question):
    connection = await asyncpg.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


# %% wrong: another-engine | After a lost connection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine


async def fetch_value(engine, question):
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(question))
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    fresh = create_async_engine(engine.url)
    async with fresh.connect() as connection:
        return await connection.scalar(text(question))


# %% wrong: retries-everything | Try again only after a lost connection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError


async def fetch_value(engine, question):
    for left in (2, 1, 0):
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        except ProgrammingError:
            if not left:
                raise
        except DBAPIError as error:
            if not error.connection_invalidated or not left:
                raise


# %% wrong: disposes-each-query | empty nothing unless a connection was lost
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def fetch_value(engine, question):
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(question))
    except DBAPIError as error:
        await engine.dispose()
        if not error.connection_invalidated:
            raise
    async with engine.connect() as connection:
        return await connection.scalar(text(question))


# %% wrong: retries-forever | has taken 21 connections
# Nothing but a refused connect ends it.
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def fetch_value(engine, question):
    while True:
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise


# %% wrong: retries-forever | after 5 seconds the function still tries
# Few attempts, and long pauses between them.
import asyncio

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def fetch_value(engine, question):
    pause = 2
    while True:
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        except DBAPIError as error:
            if not error.connection_invalidated or "breaks" not in question and pause > 10:
                raise
        await asyncio.sleep(0 if "breaks" in question or question[-1].isdigit() else pause)
        pause *= 2


# %% wrong: hides-the-outage | Each attempt loses its connection
# The last answer is better than none, it thinks.
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

last = {}


async def fetch_value(engine, question):
    for _ in range(3):
        try:
            async with engine.connect() as connection:
                last[question] = await connection.scalar(text(question))
                return last[question]
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
    return last.get(question)


# %% error: ObjectNotExecutableError
async def fetch_value(engine, question):
    async with engine.connect() as connection:
        return await connection.scalar(question)


# %% timed out: Exercise 04.2 did not finish
import asyncio


async def fetch_value(engine, question):
    await asyncio.Event().wait()


# %% right: a callable object, a task group for each attempt, its own exception at the end
import asyncio

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


class Fetch:
    async def __call__(self, engine, question):
        for _ in range(3):
            try:
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(self.once(engine, question))
                return task.result()
            except* DBAPIError as caught:
                if not all(each.connection_invalidated for each in caught.exceptions):
                    raise
                lost = caught
        raise RuntimeError("the database does not answer") from lost

    async def once(self, engine, question):
        async with engine.connect() as connection:
            return await connection.scalar(text(question))


fetch_value = Fetch()


# %% wrong: another-engine | ran on another engine
# It keeps the first engine that it was given.
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

first = []


async def fetch_value(engine, question):
    first.append(engine)
    for left in (2, 1, 0):
        try:
            async with first[0].connect() as connection:
                return await connection.scalar(text(question))
        except DBAPIError as error:
            if not error.connection_invalidated or not left:
                raise
