# %% right: try and finally
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock == 0:
            return False
        await session.scalar(TAKE, {"id": item})
        await session.commit()
        return True
    finally:
        await session.close()


# %% right: a transaction in a block
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with engine.begin() as connection:
        stock = await connection.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock:
            await connection.scalar(TAKE, {"id": item})
        return stock > 0


# %% right: one statement, then a look
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session, session.begin():
        take = text("update item set stock = stock - 1 where id = :id and stock > 0 returning stock")
        if await session.scalar(take, {"id": item}) is not None:
            return True
        if await session.scalar(text("select 1 from item where id = :id"), {"id": item}) is None:
            raise KeyError(item)
        return False


# %% wrong: collects-garbage | asks the garbage collector
import gc

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)




async def order(engine, item):
    gc.collect()
    session = AsyncSession(engine)
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    await session.close()
    return True


# %% wrong: raises-the-overflow | puts the end off
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=50, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return  False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    await session.close()
    return True


# %% wrong: raises-the-overflow | The leak is gone
# Repaired, and raised for good measure.
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=20, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock == 0:
            return False
        await session.scalar(TAKE, {"id": item})
        await session.commit()
        return True


# %% wrong: closes-only-on-success | An unknown item leaves the session open
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock > 0:
        await session.scalar(TAKE, {"id": item})
        await session.commit()
    await session.close()
    return stock > 0


# %% wrong: forgets-the-early-return | sold out leaves the session open
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock == 0:
            return False
        await session.scalar(TAKE, {"id": item})
        await session.commit()
    except BaseException:
        await session.close()
        raise
    await session.close()
    return True


# %% right: a cancelled statement gives its connection's place back by itself
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock > 0:
            await session.scalar(TAKE, {"id": item})
            await session.commit()
    except Exception:
        await session.close()
        raise
    await session.close()
    return stock > 0


# %% wrong: shields-the-work | goes on in the background
# Cancelled while its statement is shielded.
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        stock = await asyncio.shield(session.scalar(READ, {"id": item}))
        if stock is None:
            raise LookupError(item)
        if stock > 0:
            await session.scalar(TAKE, {"id": item})
            await session.commit()
    except Exception:
        await session.close()
        raise
    await session.close()
    return stock > 0


# %% wrong: never-closes | in every case
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


kept = []


async def order(engine, item):
    session = AsyncSession(engine)
    kept.append(session)
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.flush()
    return True


# %% wrong: disposes-the-engine | disposes of the engine
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    try:
        return await leaky(engine, item)
    finally:
        await engine.dispose()


async def leaky(engine, item):
    session = AsyncSession(engine)
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    await session.close()
    return True


# %% wrong: swallows-the-error | raises `LookupError`
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session:
        stock = await session.scalar(READ, {"id": item})
        if not stock:
            return False
        await session.scalar(TAKE, {"id": item})
        await session.commit()
        return True


# %% wrong: swallows-the-cancellation | Let `CancelledError` through
import asyncio


from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock == 0:
            return False
        await session.scalar(TAKE, {"id": item})
        await session.commit()
        return True
    except asyncio.CancelledError:
        return False
    finally:
        await session.close()


# %% wrong: loses-the-order | takes one piece and commits
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock == 0:
            return False
        await session.scalar(TAKE, {"id": item})
        return True


# %% wrong: wrong-answer | if the item is sold out
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock == 0:
            return None
        await session.scalar(TAKE, {"id": item})
        await session.commit()
        return True


# %% error: AttributeError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session:
        return await session.fetchval(READ, {"id": item})


# %% wrong: misses-the-cancellation | `CancelledError` is no `Exception`
# One session has looked, and another connection waits for the lock.
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        if await session.scalar(text("select id from item where id = :id"), {"id": item}) is None:
            raise LookupError(item)
        async with engine.begin() as connection:
            stock = await connection.scalar(READ, {"id": item})
            if stock:
                await connection.scalar(TAKE, {"id": item})
    except Exception:
        await session.close()
        raise
    await session.close()
    return stock > 0


# %% wrong: shields-the-work | the shield out
# The whole order.
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def take(session, item):
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    return True


async def order(engine, item):
    async def work():
        async with AsyncSession(engine) as session:
            return await take(session, item)

    return await asyncio.shield(work())


# %% wrong: uses-another-engine | A leak on another engine is still a leak
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def take(session, item):
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    return True


engines = {}
kept = []


async def order(engine, item):
    own = engines.setdefault(engine.url, create_async_engine(engine.url, pool_size=100))
    session = AsyncSession(own)
    kept.append(session)
    result = await take(session, item)
    await session.close()
    return result


# %% wrong: never-ends | the second may wait for a row that the first has locked
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        if stock == 0:
            return False
        async with AsyncSession(engine) as second:
            await second.scalar(TAKE, {"id": item})
            await second.commit()
        return True


# %% wrong: swallows-the-cancellation | A cancelled order raised `RuntimeError`
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def take(session, item):
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    return True


async def order(engine, item):
    async with AsyncSession(engine) as session:
        try:
            return await take(session, item)
        except asyncio.CancelledError:
            raise RuntimeError("cancelled")


# %% wrong: swallows-the-cancellation | A cancelled order goes on
# A new session for each try.
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def take(session, item):
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    return True


async def order(engine, item):
    while True:
        try:
            async with AsyncSession(engine) as session:
                return await take(session, item)
        except asyncio.CancelledError:
            pass


# %% wrong: skips-the-lock | yours did not wait for it
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update nowait")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def take(session, item):
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    return True


async def order(engine, item):
    async with AsyncSession(engine) as session:
        return await take(session, item)


# %% wrong: raises-the-timeout | Put `pool_timeout=0.5` back
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=None)


async def take(session, item):
    stock = await session.scalar(READ, {"id": item})
    if stock is None:
        raise LookupError(item)
    if stock == 0:
        return False
    await session.scalar(TAKE, {"id": item})
    await session.commit()
    return True


async def order(engine, item):
    async with AsyncSession(engine) as session:
        return await take(session, item)


# %% wrong: raises-another-error | The caller expects `LookupError`
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    async with AsyncSession(engine) as session:
        stock = (await session.scalars(READ, {"id": item})).one()
        if stock == 0:
            return False
        await session.scalar(TAKE, {"id": item})
        await session.commit()
        return True


# %% right: a callable object, a context manager of its own, a task group, a listener
import asyncio
import gc
from contextlib import asynccontextmanager

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id")
out = []


def make_engine(url):
    engine = create_async_engine(url, pool_size=1, max_overflow=1, pool_timeout=0.5, pool_pre_ping=True)
    event.listen(engine.sync_engine, "checkout", lambda *_: out.append(1))
    event.listen(engine.sync_engine, "checkin", lambda *_: out.append(-1))
    return engine


@asynccontextmanager
async def unit_of_work(engine):
    session = async_sessionmaker(engine)()
    try:
        yield session
        await session.commit()
    finally:
        await asyncio.shield(session.close())


class Order:
    async def __call__(self, engine, item):
        gc.collect()  # asked for, and not needed
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.take(engine, item))
        if task.result() is None:
            raise LookupError(f"there is no item {item}")
        return task.result() > 0

    async def take(self, engine, item):
        async with unit_of_work(engine) as session:
            stock = await session.scalar(READ, {"id": item})
            if stock:
                await session.execute(TAKE, {"id": item})
            return stock


order = Order()


# %% wrong: misses-the-cancellation | cancelled in the middle
# It sleeps between two statements, and nobody closes the session when it is cancelled there.
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        await asyncio.sleep(0.01)
        if stock > 0:
            await session.scalar(TAKE, {"id": item})
            await session.commit()
    except Exception:
        await session.close()
        raise
    await session.close()
    return stock > 0


# %% right: the same sleep, and a close on every way out
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select stock from item where id = :id for update")
TAKE = text("update item set stock = stock - 1 where id = :id returning stock")


def make_engine(url):
    return create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.5)


async def order(engine, item):
    session = AsyncSession(engine)
    try:
        stock = await session.scalar(READ, {"id": item})
        if stock is None:
            raise LookupError(item)
        await asyncio.sleep(0.01)
        if stock > 0:
            await session.scalar(TAKE, {"id": item})
            await session.commit()
    finally:
        await session.close()
    return stock > 0
