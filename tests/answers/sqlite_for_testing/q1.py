# %% right: StaticPool said aloud
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite:///:memory:", poolclass=StaticPool, connect_args={"check_same_thread": False})


# %% right: async, with a pool option that is allowed
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine


async def engine_for_tests():
    return create_async_engine(URL.create("sqlite+aiosqlite"), pool_pre_ping=True)


# %% right: a shared cache under a name that is new each time
import uuid

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


def engine_for_tests():
    name = f"file:{uuid.uuid4().hex}?mode=memory&cache=shared&uri=true"
    return create_async_engine(f"sqlite+aiosqlite:///{name}", poolclass=AsyncAdaptedQueuePool)


# %% right: a lambda
from sqlalchemy.ext.asyncio import create_async_engine

engine_for_tests = lambda: create_async_engine("sqlite+aiosqlite://", echo=False)


# %% wrong: database-per-connection | a new connection to `:memory:` gets another, empty one
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://", poolclass=NullPool)


# %% wrong: database-per-connection | the table, no table, no table
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=5)


# %% wrong: database-per-connection | ends with its connections
# A shared cache, and nobody who keeps it open.
import uuid

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def engine_for_tests():
    name = f"file:{uuid.uuid4().hex}?mode=memory&cache=shared&uri=true"
    return create_async_engine(f"sqlite+aiosqlite:///{name}", poolclass=NullPool)


# %% wrong: one-engine-for-all | Make a new engine at each call
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("sqlite+aiosqlite://")


def engine_for_tests():
    return engine


# %% wrong: one-engine-for-all | Make a new engine at each call
from functools import cache

from sqlalchemy.ext.asyncio import create_async_engine


@cache
def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://")


# %% wrong: engines-share-a-database | two names for one database
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool


def engine_for_tests():
    url = "sqlite+aiosqlite:///file:tests?mode=memory&cache=shared&uri=true"
    return create_async_engine(url, poolclass=StaticPool)


# %% wrong: second-call-clears-first | an earlier engine has lost its rows
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool


def drop_everything(connection):
    found = MetaData()
    found.reflect(connection)
    found.drop_all(connection)


async def engine_for_tests():
    url = "sqlite+aiosqlite:///file:emptied?mode=memory&cache=shared&uri=true"
    engine = create_async_engine(url, poolclass=StaticPool)
    async with engine.begin() as connection:
        await connection.run_sync(drop_everything)
    return engine


# %% wrong: pool-arguments | refuses the pool's options
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://", pool_size=5, max_overflow=10)


# %% wrong: pool-arguments | refuses the pool's options
# A library's function, with no line of the learner's in the traceback.
from functools import partial

from sqlalchemy.ext.asyncio import create_async_engine

engine_for_tests = partial(create_async_engine, "sqlite+aiosqlite:///:memory:", pool_timeout=3)


# %% wrong: leaves-a-file | This database is a file
import tempfile

from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine(f"sqlite+aiosqlite:///{tempfile.mkdtemp()}/test.db")


# %% wrong: leaves-a-file | This database is a file
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite:///test.db")


# %% wrong: leaves-a-file | This database is a file
# The driver is called by the answer itself.
import os
import tempfile

import aiosqlite
from sqlalchemy.ext.asyncio import create_async_engine


async def connect():
    return await aiosqlite.connect(os.path.join(tempfile.mkdtemp(), "test.db"))


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://", async_creator=connect)


# %% wrong: too-few-connections | the next one has to wait
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


def engine_for_tests():
    return create_async_engine(
        "sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, pool_timeout=1
    )


# %% wrong: not-empty | has tables already: 'user'
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def engine_for_tests():
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.execute(text("create table user (id integer)"))
    return engine


# %% wrong: sync-driver | a synchronous driver
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("sqlite://")


# %% wrong: sync-engine | a synchronous `Engine`
from sqlalchemy import create_engine


def engine_for_tests():
    return create_engine("sqlite://")


# %% wrong: sync-pool | for synchronous engines
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import SingletonThreadPool


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://", poolclass=SingletonThreadPool)


# %% wrong: yields-the-engine | makes a fixture
from sqlalchemy.ext.asyncio import create_async_engine


async def engine_for_tests():
    engine = create_async_engine("sqlite+aiosqlite://")
    yield engine
    await engine.dispose()


# %% wrong: returns-no-engine | returned `NoneType`
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    create_async_engine("sqlite+aiosqlite://")


# %% wrong: another-database | The engine is for `postgresql`
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("postgresql+asyncpg://127.0.0.1:1/test")


# %% error: no such vfs
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite:///file:x?mode=memory&vfs=nothing&uri=true")


# %% timed out: 10.1 did not finish
import asyncio


async def engine_for_tests():
    await asyncio.Event().wait()


# %% right: an engine from a configuration
from sqlalchemy.ext.asyncio import async_engine_from_config


def engine_for_tests():
    return async_engine_from_config({"sqlalchemy.url": "sqlite+aiosqlite://"})


# %% right: AsyncEngine around a synchronous one
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine


def engine_for_tests():
    return AsyncEngine(create_engine("sqlite+aiosqlite:///:memory:"))


# %% right: with execution options
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://").execution_options(
        isolation_level="AUTOCOMMIT"
    )


# %% right: memdb, which has a name and no file
import uuid

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


def engine_for_tests():
    name = f"file:/{uuid.uuid4().hex}?vfs=memdb&uri=true"
    return create_async_engine(f"sqlite+aiosqlite:///{name}", poolclass=AsyncAdaptedQueuePool)


# %% right: calls the driver itself
import aiosqlite
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine(
        "sqlite+aiosqlite://", async_creator=lambda: aiosqlite.connect(":memory:")
    )


# %% wrong: one-engine-for-all | Make a new engine at each call
from itertools import cycle

from sqlalchemy.ext.asyncio import create_async_engine

made = cycle([create_async_engine("sqlite+aiosqlite://") for _ in range(2)])


def engine_for_tests():
    return next(made)


# %% wrong: one-engine-for-all | Make a new engine at each call
from sqlalchemy.ext.asyncio import create_async_engine

local = {}


def engine_for_tests():
    engine = local.get("e") or create_async_engine("sqlite+aiosqlite://")
    local["e"] = engine
    return engine.execution_options(fresh=True)


# %% wrong: engines-share-a-database | two names for one database
from itertools import cycle

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

names = cycle("ab")


def engine_for_tests():
    return create_async_engine(
        f"sqlite+aiosqlite:///file:two{next(names)}?mode=memory&cache=shared&uri=true",
        poolclass=StaticPool,
    )


# %% wrong: engines-share-a-database | two names for one database
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite:///file::memory:?cache=shared&uri=true")


# %% wrong: not-empty | has tables already: 'user'
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def engine_for_tests():
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.execute(text("create temporary table user (id integer)"))
    return engine


# %% wrong: is-a-fixture | only pytest can call that
import pytest
from sqlalchemy.ext.asyncio import create_async_engine


@pytest.fixture
def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://")


# %% wrong: returns-no-engine | returned `_AsyncGeneratorContextManager`
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import create_async_engine


@asynccontextmanager
async def engine_for_tests():
    engine = create_async_engine("sqlite+aiosqlite://")
    yield engine
    await engine.dispose()


# %% wrong: leaves-a-file | temporary file
# SQLite's private database, and a connection function hides its name
import aiosqlite
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool


def engine_for_tests():
    async def connect():
        return await aiosqlite.connect("")

    return create_async_engine("sqlite+aiosqlite://", async_creator=connect, poolclass=StaticPool)


# %% right: a memory database without a journal
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    engine = create_async_engine("sqlite+aiosqlite://")

    @event.listens_for(engine.sync_engine, "connect")
    def faster(connection, _):
        connection.execute("pragma journal_mode = off")

    return engine


# %% error: Invalid argument(s) 'ehco'
from sqlalchemy.ext.asyncio import create_async_engine


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://", ehco=True)


# %% error: SQLiteDialect_aiosqlite/NullPool/Engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def engine_for_tests():
    return create_async_engine("sqlite+aiosqlite://", poolclass=NullPool, pool_size=3)


# %% error: looking at your engine
# a bare AsyncEngine
from sqlalchemy.ext.asyncio import AsyncEngine


def engine_for_tests():
    return AsyncEngine.__new__(AsyncEngine)
