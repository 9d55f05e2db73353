# %% right: a session's lock, given back
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select pg_advisory_lock(:key)"), {"key": 815})
        try:
            await connection.run_sync(SQLModel.metadata.create_all)
            await connection.commit()
        finally:
            await connection.rollback()
            await connection.execute(text("select pg_advisory_unlock(:key)"), {"key": 815})
            await connection.commit()


# %% right: two numbers, in run_sync
from sqlalchemy import func, select
from sqlmodel import SQLModel


def work(connection):
    connection.execute(select(func.pg_advisory_xact_lock(1, 2)))
    SQLModel.metadata.create_all(connection)


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.run_sync(work)


# %% right: asks again until it gets the lock
import asyncio

from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    while True:
        async with engine.begin() as connection:
            if await connection.scalar(text("select pg_try_advisory_xact_lock(99)")):
                await connection.run_sync(SQLModel.metadata.create_all)
                return
        await asyncio.sleep(0.05)


# %% right: tries again when another one was quicker
import asyncio

from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlmodel import SQLModel


async def create_safely(engine):
    for attempt in range(5):
        try:
            async with engine.begin() as connection:
                await connection.run_sync(SQLModel.metadata.create_all)
            return
        except (IntegrityError, ProgrammingError):
            if attempt == 4:
                raise
            await asyncio.sleep(0.05)


# %% right: a lock on a table of the catalogue's kind that everybody has
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(hashtext('create tables'))"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: races | Four workers looked
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: if-not-exists | also looks first and creates then
from sqlalchemy.schema import CreateTable
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        for table in SQLModel.metadata.sorted_tables:
            await connection.execute(CreateTable(table, if_not_exists=True))


# %% wrong: races | take a lock on the server
import asyncio
import random

from sqlmodel import SQLModel


async def create_safely(engine):
    await asyncio.sleep(random.random() / 20)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: locks-after-creating | It has to come before
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
        await connection.execute(text("select pg_advisory_xact_lock(1)"))


# %% wrong: lock-ends-too-early | its transaction had ended
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(1)"))
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: a-lock-of-its-own | All have to use the same number
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text(f"select pg_advisory_xact_lock({id(engine)})"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: shares-the-lock | one with `shared` in its name does not
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock_shared(1)"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: keeps-the-lock | it belongs to the session
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_lock(1)"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: does-not-wait | only asks
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        if await connection.scalar(text("select pg_try_advisory_xact_lock(1)")):
            await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: lock-of-one-process | is not seen there
import asyncio

from sqlmodel import SQLModel

lock = asyncio.Lock()


async def create_safely(engine):
    async with lock, engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: swallows-failures | would start without tables
from sqlmodel import SQLModel


async def create_safely(engine):
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
    except Exception:
        print("another worker was quicker")


# %% wrong: drops-first | empties the database
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(1)"))
        await connection.run_sync(SQLModel.metadata.drop_all)
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: new-engine | the one that was handed in sent nothing
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel


async def create_safely(engine):
    own = create_async_engine(engine.url)
    async with own.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(1)"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: creates-nothing | With one worker alone
from sqlalchemy import text


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(1)"))


# %% wrong: sync-call-on-async-engine | Let an async connection run it
from sqlmodel import SQLModel


async def create_safely(engine):
    SQLModel.metadata.create_all(engine)


# %% error: function pg_advisory_lock_xact
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_lock_xact(1)"))
        await connection.run_sync(SQLModel.metadata.create_all)
