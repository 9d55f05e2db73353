# %% right: connect and commit
from course_lib.models import Task


async def create_db_and_tables(engine):
    async with engine.connect() as connection:
        await connection.run_sync(Task.metadata.create_all)
        await connection.commit()


# %% right: a function for run_sync, with the default said aloud
from sqlmodel import SQLModel


def create(connection):
    SQLModel.metadata.create_all(connection, checkfirst=True)


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(create)


# %% right: through a session
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_db_and_tables(engine):
    async with AsyncSession(engine) as session:
        connection = await session.connection()
        await connection.run_sync(SQLModel.metadata.create_all)
        await session.commit()


# %% right: table by table, with a lock
from sqlalchemy import text
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(1)"))
        for table in SQLModel.metadata.sorted_tables:
            await connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                await connection.execute(CreateIndex(index, if_not_exists=True))


# %% right: an ordinary function that returns something to await
from sqlmodel import SQLModel


def create_db_and_tables(engine):
    async def work():
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)

    return work()


# %% wrong: sync-call-on-async-engine | needs a connection that it can use in the ordinary way
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    SQLModel.metadata.create_all(engine)


# %% wrong: sync-call-on-async-engine | Let an async connection run it
from sqlmodel import SQLModel


def create_db_and_tables(engine):
    SQLModel.metadata.create_all(bind=engine)


# %% wrong: sync-engine | is no way around it
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    SQLModel.metadata.create_all(engine.sync_engine)


# %% wrong: calls-instead-of-passes | without brackets after it
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all())


# %% wrong: calls-instead-of-passes | it calls it with the connection
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all(connection))


# %% wrong: no-commit | commits nothing by itself
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.connect() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: drops-first | empties the database at each start
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.drop_all)
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: fails-when-tables-exist | create what is missing only
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, checkfirst=False)


# %% wrong: only-some-tables | not a list of tables
from course_lib.models import Task


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: Task.metadata.create_all(sync, tables=[Task.__table__]))


# %% wrong: creates-nothing | Another base
from sqlalchemy.orm import registry
from sqlmodel import SQLModel


class Base(SQLModel, registry=registry()):
    pass


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


# %% wrong: creates-nothing | Is each `await` there
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: new-engine | the one that was handed in sent nothing
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    own = create_async_engine(engine.url)
    async with own.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    await own.dispose()


# %% wrong: disposes-the-engine | the application goes on with it
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    await engine.dispose()


# %% wrong: keeps-a-connection | did not go back to the pool
from sqlmodel import SQLModel

kept = []


async def create_db_and_tables(engine):
    connection = await engine.connect()
    kept.append(connection)
    await connection.run_sync(SQLModel.metadata.create_all)
    await connection.commit()


# %% wrong: asyncio-run | An event loop is running already
import asyncio

from sqlmodel import SQLModel


def create_db_and_tables(engine):
    async def work():
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)

    work_now = work()
    try:
        asyncio.run(work_now)
    finally:
        work_now.close()


# %% wrong: passes-no-function | The check calls a function
create_db_and_tables = None

# %% error: NameError
async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(Model.metadata.create_all)


# %% timed out: did not finish within
import asyncio


async def create_db_and_tables(engine):
    while True:
        await asyncio.sleep(0.1)


# %% right: greenlet_spawn
from sqlalchemy.util import greenlet_spawn
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    await greenlet_spawn(SQLModel.metadata.create_all, engine.sync_engine)


# %% right: a copy of the engine that commits by itself
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    auto = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with auto.connect() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


# %% right: only the missing ones, by hand
from sqlalchemy import inspect
from sqlmodel import SQLModel


def work(sync):
    there = set(inspect(sync).get_table_names())
    for table in SQLModel.metadata.sorted_tables:
        if table.name not in there:
            table.create(sync)


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(work)


# %% right: an object that can be called
from sqlmodel import SQLModel


class Creator:
    async def __call__(self, engine):
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)


create_db_and_tables = Creator()


# %% wrong: creates-only-once | because it ran before
from sqlmodel import SQLModel

done = []


async def create_db_and_tables(engine):
    if done:
        return
    done.append(1)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


# %% wrong: creates-only-once | looks for each table
from sqlalchemy import inspect
from sqlmodel import SQLModel


def work(sync):
    if not inspect(sync).get_table_names():
        SQLModel.metadata.create_all(sync)


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(work)


# %% wrong: creates-only-once | did not make its table
from sqlalchemy.exc import ProgrammingError
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all, checkfirst=False)
    except ProgrammingError:
        pass


# %% wrong: swallows-failures | would start without tables
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
    except Exception as error:
        print(error)


# %% wrong: no-indexes | makes a table alone
from sqlalchemy.schema import CreateTable
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        for table in SQLModel.metadata.sorted_tables:
            await connection.execute(CreateTable(table, if_not_exists=True))


# %% wrong: no-commit | was rolled back
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
        await connection.rollback()


# %% wrong: another-loop | a new loop at each call
import asyncio
from sqlmodel import SQLModel


async def work(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


async def create_db_and_tables(engine):
    await asyncio.to_thread(asyncio.run, work(engine))


# %% wrong: drops-first | lost the row
from sqlmodel import SQLModel
from sqlalchemy import text


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
        for name in SQLModel.metadata.tables:
            await connection.execute(text(f'truncate "{name}"'))


# %% wrong: other-columns | with other columns than those
from sqlalchemy import text
from sqlmodel import SQLModel


async def create_db_and_tables(engine):
    async with engine.begin() as connection:
        for name in SQLModel.metadata.tables:
            await connection.execute(text(f'create table if not exists "{name}" (id serial primary key)'))
            await connection.execute(text(f'create index if not exists "ix_{name}" on "{name}" (id)'))


# %% error: in a group
import asyncio


async def create_db_and_tables(engine):
    async with asyncio.TaskGroup() as group:
        async def work():
            raise LookupError("in a group")
        group.create_task(work())
