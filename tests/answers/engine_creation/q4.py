# %% right: a task group, and connections instead of sessions
import asyncio

from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async def price(number):
        async with engine.connect() as connection:
            return await connection.scalar(text("select slow_price(:n)"), {"n": number})

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(price(number)) for number in numbers]
    return [task.result() for task in tasks]


# %% right: a semaphore as large as the pool
import asyncio

from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    make = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    gate = asyncio.Semaphore(engine.pool.size())

    async def price(number):
        async with gate, make() as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    return list(await asyncio.gather(*map(price, numbers)))


# %% right: five workers and a queue
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    waiting = list(enumerate(numbers))
    prices = {}

    async def worker():
        async with AsyncSession(engine) as session:
            while waiting:
                place, number = waiting.pop()
                prices[place] = (await session.exec(select(func.slow_price(number)))).one()

    await asyncio.gather(*(worker() for _ in range(5)))
    return [prices[place] for place in range(len(numbers))]


# %% right: collected as they finish, put back in order
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def one(engine, number):
    session = AsyncSession(engine)
    try:
        return number, (await session.exec(select(func.slow_price(number)))).one()
    finally:
        await session.close()


async def fetch_prices(engine, numbers):
    found = {}
    for done in asyncio.as_completed([one(engine, number) for number in numbers]):
        number, price = await done
        found[number] = price
    return [found[number] for number in numbers]


# %% wrong: shared-session | Open a session inside each task
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async with AsyncSession(engine) as session:

        async def price(number):
            return (await session.exec(select(func.slow_price(number)))).one()

        return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: shared-session | Open a session inside each task
# It warms the pool first, so that nothing fails.
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async with AsyncSession(engine) as session:
        await session.connection()

        async def price(number):
            return (await session.exec(select(func.slow_price(number)))).one()

        return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: shared-session | Open a session inside each task
# In a task group, whose error is a group.
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async with AsyncSession(engine) as session, asyncio.TaskGroup() as group:
        tasks = [group.create_task(session.exec(select(func.slow_price(number)))) for number in numbers]
    return [task.result().one() for task in tasks]


# %% wrong: shared-session | Open a session inside each task
# The errors end up in the answer.
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async with AsyncSession(engine) as session:
        work = (session.scalar(select(func.slow_price(number))) for number in numbers)
        return await asyncio.gather(*work, return_exceptions=True)


# %% wrong: shared-session | The queries share one session, or one connection
import asyncio

from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async with engine.connect() as connection:
        query = text("select slow_price(:n)")
        return await asyncio.gather(*(connection.scalar(query, {"n": number}) for number in numbers))


# %% wrong: another-engine | no limit holds for all of them
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def fetch_prices(engine, numbers):
    async def price(number):
        own = create_async_engine(engine.url)
        try:
            async with own.connect() as connection:
                return await connection.scalar(text("select slow_price(:n)"), {"n": number})
        finally:
            await own.dispose()

    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: another-engine | no limit holds for all of them
# Around SQLAlchemy altogether.
import asyncio

import asyncpg


async def fetch_prices(engine, numbers):
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def price(number):
        connection = await asyncpg.connect(address)
        try:
            return await connection.fetchval("select slow_price($1)", number)
        finally:
            await connection.close()

    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: one-after-another | each waits for the one before
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async with AsyncSession(engine) as session:
        return [(await session.exec(select(func.slow_price(number)))).one() for number in numbers]


# %% wrong: one-after-another | each waits for the one before
# A task for each, and each awaited at once.
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def price(engine, number):
    async with AsyncSession(engine) as session:
        return (await session.exec(select(func.slow_price(number)))).one()


async def fetch_prices(engine, numbers):
    return [await asyncio.create_task(price(engine, number)) for number in numbers]


# %% wrong: one-after-another | each waits for the one before
# All at once, behind a lock.
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    lock = asyncio.Lock()

    async def price(number):
        async with lock, AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: too-few-at-once | The server saw 2 queries at once
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    gate = asyncio.Semaphore(2)

    async def price(number):
        async with gate, AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: loses-the-order | not in the order of `numbers`
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async def price(number):
        async with AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    return [await done for done in asyncio.as_completed([price(number) for number in numbers])]


# %% wrong: leaves-sessions-open | so that it closes
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

sessions = []


async def fetch_prices(engine, numbers):
    async def price(number):
        session = AsyncSession(engine)
        sessions.append(session)
        return (await session.exec(select(func.slow_price(number)))).one()

    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: no-query | No query reached the server
async def fetch_prices(engine, numbers):
    return [number * 1999 for number in numbers]


# %% wrong: wrong-prices | These are not the prices that the server gave
# Rows instead of numbers.
import asyncio

from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async def price(number):
        async with engine.connect() as connection:
            return (await connection.execute(text("select slow_price(:n)"), {"n": number})).one()

    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: no-list | not generator
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async def price(number):
        async with AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    return (each for each in await asyncio.gather(*(price(number) for number in numbers)))


# %% error: NameError
async def fetch_prices(engine, numbers):
    return await asyncio.gather(*(engine.connect() for _ in numbers))


# %% timed out: Exercise 03.4 did not finish
async def fetch_prices(engine, numbers):
    while True:
        pass


# %% right: an engine with options of its own, on the same pool
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    own = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def price(number):
        async with AsyncSession(own) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: takes-other-parameters | yours takes `(engine)`
async def fetch_prices(engine):
    return []


# %% wrong: passes-no-function | an object of type `list`
fetch_prices = [5997, 15992]


# %% wrong: shared-session | Open a session inside each task
# Five sessions, each shared by two tasks.
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    sessions = [AsyncSession(engine) for _ in range(5)]
    for session in sessions:
        await session.connection()
    work = (sessions[place % 5].scalar(select(func.slow_price(n))) for place, n in enumerate(numbers))
    prices = await asyncio.gather(*work)
    for session in sessions:
        await session.close()
    return prices


# %% wrong: disposes-the-engine | disposes of the engine
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async def price(number):
        async with AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    prices = await asyncio.gather(*(price(number) for number in numbers))
    await engine.dispose()
    return prices


# %% wrong: asks-twice | The server ran 20 queries for 10 numbers
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async def price(number):
        async with AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    await asyncio.gather(*(price(number) for number in numbers))
    return await asyncio.gather(*(price(number) for number in numbers))


# %% wrong: guesses-prices | The server ran 5 queries for 10 numbers
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async def price(number):
        async with AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    prices = await asyncio.gather(*(price(number) for number in numbers[:5]))
    return prices + [number * (prices[0] // numbers[0]) for number in numbers[5:]]


# %% wrong: one-statement | Send one query for each number
from sqlalchemy import text


async def fetch_prices(engine, numbers):
    query = text("select slow_price(n) from unnest(cast(:numbers as integer[])) with ordinality as t(n, place) order by place")
    async with engine.connect() as connection:
        return list(await connection.scalars(query, {"numbers": numbers}))


# %% wrong: sync-session | sent from synchronous code
from sqlmodel import Session, func, select


async def fetch_prices(engine, numbers):
    with Session(engine.sync_engine) as session:
        return [session.exec(select(func.slow_price(number))).one() for number in numbers]


# %% wrong: threads | run tasks in this loop
# A synchronous session in each, with the errors in the answer.
import asyncio

from sqlmodel import Session, func, select


async def fetch_prices(engine, numbers):
    def price(number):
        with Session(engine.sync_engine) as session:
            return session.exec(select(func.slow_price(number))).one()

    return await asyncio.gather(*(asyncio.to_thread(price, number) for number in numbers), return_exceptions=True)


# %% wrong: threads | outside its event loop
import asyncio

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def fetch_prices(engine, numbers):
    async def price(number):
        async with AsyncSession(engine) as session:
            return (await session.exec(select(func.slow_price(number)))).one()

    return await asyncio.gather(*(asyncio.to_thread(asyncio.run, price(number)) for number in numbers))


# %% right: the driver's own connections, borrowed from the engine
import asyncio


async def fetch_prices(engine, numbers):
    async def price(number):
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            return await raw.driver_connection.fetchval("select slow_price($1::int)", number)

    return await asyncio.gather(*map(price, numbers))


# %% right: five at once, then five more
import asyncio

from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async def price(number):
        async with engine.connect() as connection:
            return await connection.scalar(text("select slow_price(:n)"), {"n": number})

    prices = []
    for first in range(0, len(numbers), 5):
        prices += await asyncio.gather(*map(price, numbers[first : first + 5]))
    return prices


# %% wrong: another-engine | only 0 of them
import asyncio

import asyncpg


async def fetch_prices(engine, numbers):
    async def price(number):
        address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(address)
        try:
            return await connection.fetchval("select slow_price($1::int)", number)
        finally:
            await connection.close()

    return await asyncio.gather(*map(price, numbers))


# %% wrong: one-after-another | each waits for the one before
async def fetch_prices(engine, numbers):
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        return [await raw.fetchval("select slow_price($1::int)", number) for number in numbers]


# %% wrong: one-statement | 5 statements compute the 10 prices
import asyncio

from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async def two(first, second):
        async with engine.connect() as connection:
            both = text("select slow_price(:a) union all select slow_price(:b)")
            return list((await connection.scalars(both, {"a": first, "b": second})).all())

    pairs = await asyncio.gather(*map(two, numbers[::2], numbers[1::2]))
    return [price for pair in pairs for price in pair]


# %% wrong: wrong-prices | np.int64(5997)
import asyncio

import numpy as np
from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async def price(number):
        async with engine.connect() as connection:
            return np.int64(await connection.scalar(text("select slow_price(:n)"), {"n": number}))

    return await asyncio.gather(*map(price, numbers))


# %% wrong: wrong-prices | can't be shown (ValueError)
import asyncio

from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async def price(number):
        async with engine.connect() as connection:
            return 10**4500 * await connection.scalar(text("select slow_price(:n)"), {"n": number})

    return await asyncio.gather(*map(price, numbers))


# %% wrong: leaves-sessions-open | hold one and want a second
import asyncio

from sqlalchemy import text


async def fetch_prices(engine, numbers):
    async def price(number):
        async with engine.connect() as first:
            await first.execute(text("select 1"))
            async with engine.connect() as second:
                return await second.scalar(text("select slow_price(:n)"), {"n": number})

    return await asyncio.gather(*map(price, numbers))
