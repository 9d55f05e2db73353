# %% right: a session maker
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    make = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    async with make() as session:
        yield session


# %% right: try and finally
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    session = AsyncSession(bind=engine, expire_on_commit=False)
    try:
        yield session
    finally:
        await session.close()


# %% right: an explicit rollback, and the exception raised again
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            yield session
        except BaseException:
            await session.rollback()
            raise


# %% right: closed by an exit stack, a session class of its own
from contextlib import AsyncExitStack

from sqlmodel.ext.asyncio.session import AsyncSession


class Session(AsyncSession):
    pass


async def get_session(engine):
    session = Session(engine, expire_on_commit=False)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        yield session


# %% wrong: returns-instead-of-yields | `get_session` returns where it should `yield`
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        return session


# %% wrong: returns-instead-of-yields | `get_session` returns where it should `yield`
# Without async as well.
from sqlmodel.ext.asyncio.session import AsyncSession


def get_session(engine):
    return AsyncSession(engine, expire_on_commit=False)


# %% wrong: no-close-on-exception | the lines below it are skipped
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    session = AsyncSession(engine, expire_on_commit=False)
    yield session
    await session.close()


# %% wrong: no-close-on-cancel | `except Exception` does
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    session = AsyncSession(engine, expire_on_commit=False)
    try:
        yield session
    except Exception:
        await session.close()
        raise
    await session.close()


# %% wrong: never-closes | still holds its connection
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    yield AsyncSession(engine, expire_on_commit=False)


# %% wrong: new-engine-per-call | a new pool for each request
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    own = create_async_engine(engine.url)
    async with AsyncSession(own, expire_on_commit=False) as session:
        yield session
    await own.dispose()


# %% wrong: swallows-the-exception | swallowed it
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            yield session
        except Exception as error:
            print("rolled back:", type(error).__name__)
            await session.rollback()


# %% wrong: replaces-the-exception | which became `RuntimeError`
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            yield session
        except Exception as error:
            raise RuntimeError("database error") from error


# %% wrong: commits-on-error | failed halfway
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            yield session
        finally:
            await session.commit()


# %% wrong: commits-by-itself | The endpoint decides when to commit
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
        await session.commit()


# %% wrong: commits-by-itself | The endpoint decides when to commit
# Through a transaction block.
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        yield session


# %% wrong: expires-on-commit | `expire_on_commit=False`
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine) as session:
        yield session


# %% wrong: no-exec | SQLAlchemy's own
from sqlalchemy.ext.asyncio import async_sessionmaker


async def get_session(engine):
    async with async_sessionmaker(engine, expire_on_commit=False)() as session:
        yield session


# %% wrong: wraps-it-twice | leave out
from contextlib import asynccontextmanager

from sqlmodel.ext.asyncio.session import AsyncSession


@asynccontextmanager
async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


# %% wrong: sync-generator | cannot `await` the session's close
from sqlmodel.ext.asyncio.session import AsyncSession


def get_session(engine):
    yield AsyncSession(engine, expire_on_commit=False)


# %% wrong: one-session-for-all | A session belongs to one task
from sqlmodel.ext.asyncio.session import AsyncSession

sessions = {}


async def get_session(engine):
    if not sessions:
        sessions["only"] = AsyncSession(engine, expire_on_commit=False)
    yield sessions["only"]


# %% wrong: disposes-the-engine | disposes of the engine
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
    await engine.dispose()


# %% wrong: swallows-cancellation | let the `CancelledError` through
import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            yield session
        except asyncio.CancelledError:
            pass


# %% wrong: loses-the-commit | do not wrap them in another transaction
# What a test fixture does, in the application.
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with engine.connect() as connection, connection.begin() as transaction:
        async with AsyncSession(connection, expire_on_commit=False, join_transaction_mode="rollback_only") as session:
            yield session
        await transaction.rollback()


# %% wrong: leaves-a-transaction | `idle in transaction` after the requests
import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

connections = []


async def get_session(engine):
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connections.append(await asyncpg.connect(address))
    await connections[-1].execute("begin")
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


# %% wrong: yields-no-session | yields AsyncConnection
async def get_session(engine):
    async with engine.connect() as connection:
        yield connection


# %% wrong: yields-nothing | gave NoneType
def get_session(engine):
    engine.connect


# %% error: NameError
async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


# %% error: generator didn't stop
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    while True:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session


# %% timed out: Exercise 03.2 did not finish
import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
        await asyncio.Event().wait()


# %% right: an engine with options of its own, on the same pool
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    own = engine.execution_options(isolation_level="REPEATABLE READ")
    async with AsyncSession(own, expire_on_commit=False) as session:
        yield session


# %% wrong: takes-other-parameters | yours takes `()`
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

engine = create_async_engine("postgresql+asyncpg://db.internal/shop")


async def get_session():
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


# %% wrong: passes-no-function | an object of type `async_generator`
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession


async def generator(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


get_session = generator(create_async_engine("postgresql+asyncpg://db.internal/shop"))


# %% wrong: returns-instead-of-yields | `get_session` returns where it should `yield`
# The class itself.
from sqlmodel.ext.asyncio.session import AsyncSession

get_session = AsyncSession


# %% wrong: returns-instead-of-yields | `get_session` returns where it should `yield`
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        await session.connection()


# %% wrong: swallows-the-exception | raised `IntegrityError` and `get_session` swallowed it
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            yield session
        except SQLAlchemyError:
            await session.rollback()


# %% wrong: swallows-the-exception | raised `ValueError` and `get_session` swallowed it
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            yield session
        except ValueError:
            await session.rollback()


# %% wrong: commits-by-itself | The endpoint decides when to commit
# Only what was not flushed yet.
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
        if session.new or session.dirty:
            await session.commit()


# %% wrong: rolls-back-without-closing | the session is not closed
from sqlmodel.ext.asyncio.session import AsyncSession


async def get_session(engine):
    session = AsyncSession(engine, expire_on_commit=False)
    try:
        yield session
    finally:
        await session.rollback()


# %% wrong: sync-session | yields a synchronous `Session`
from sqlmodel import Session


async def get_session(engine):
    with Session(engine.sync_engine, expire_on_commit=False) as session:
        yield session
