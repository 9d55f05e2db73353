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


# %% wrong: shares-the-lock | One with `shared` in its name excludes nobody
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


# %% right: locks on one connection, creates on another
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as guard:
        await guard.execute(text("select pg_advisory_xact_lock(5)"))
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)


# %% right: a lock in a block of the server's language
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("do $$ begin perform pg_advisory_xact_lock(99); end $$"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% right: asks, and waits if it has to
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        got = await connection.scalar(text("select pg_try_advisory_xact_lock(8)"))
        if not got:
            await connection.execute(text("select pg_advisory_xact_lock(8)"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% right: tries again after another one's success only
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel
import asyncio


async def create_safely(engine):
    while True:
        try:
            async with engine.begin() as connection:
                await connection.run_sync(SQLModel.metadata.create_all)
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in ("23505", "42P07", "42710"):
                raise


# %% wrong: a-lock-of-its-own | A process id
import os
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(:n)"), {"n": os.getpid()})
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: a-lock-of-its-own | differ from process to process
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text(f"select pg_advisory_xact_lock({hash('create tables')})"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: locks-in-vain | another lock for each of them
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(pg_backend_pid())"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: lock-of-one-process | or of a file
import asyncio, fcntl, os, tempfile
from sqlmodel import SQLModel

path = os.path.join(tempfile.gettempdir(), f"lock-{os.getpid()}")


async def create_safely(engine):
    with open(path, "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.02)
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: swallows-failures | may create nothing
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlmodel import SQLModel


async def create_safely(engine):
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
    except (IntegrityError, ProgrammingError):
        pass


# %% wrong: races | one alone succeeded
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel


async def create_safely(engine):
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
    except IntegrityError:
        pass


# %% wrong: looks-before-locking | was old by then
from sqlalchemy import inspect, text
from sqlmodel import SQLModel


def missing(sync):
    there = set(inspect(sync).get_table_names())
    return [table for table in SQLModel.metadata.sorted_tables if table.name not in there]


async def create_safely(engine):
    async with engine.begin() as connection:
        tables = await connection.run_sync(missing)
        await connection.execute(text("select pg_advisory_xact_lock(1)"))
        await connection.run_sync(SQLModel.metadata.create_all, tables=tables, checkfirst=False)


# %% wrong: does-not-wait | went on before the tables were there
from sqlmodel import SQLModel

busy = []


async def create_safely(engine):
    if busy:
        return
    busy.append(1)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
    finally:
        busy.clear()


# %% wrong: locks-in-vain | gone before they committed
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("select pg_advisory_xact_lock(1)"))
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: unlocks-before-commit | given back before the tables were committed
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_lock(1)"))
        await connection.run_sync(SQLModel.metadata.create_all)
        await connection.execute(text("select pg_advisory_unlock(1)"))


# %% wrong: no-indexes | makes its indexes as well
from sqlalchemy import text
from sqlalchemy.schema import CreateTable
from sqlmodel import SQLModel


async def create_safely(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(1)"))
        for table in SQLModel.metadata.sorted_tables:
            await connection.execute(CreateTable(table, if_not_exists=True))


# %% wrong: races | Let one look and create
import asyncio
from sqlmodel import SQLModel


async def work(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


async def create_safely(engine):
    async with asyncio.TaskGroup() as group:
        group.create_task(work(engine))


# %% wrong: tries-for-ever | let other exceptions out
import asyncio

from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel


async def create_safely(engine):
    while True:
        try:
            async with engine.begin() as connection:
                await connection.run_sync(SQLModel.metadata.create_all)
            return
        except DBAPIError:
            await asyncio.sleep(0.1)
