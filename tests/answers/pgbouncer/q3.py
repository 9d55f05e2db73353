# %% right: sessions, a client's limit, a row lock and no table at all
import asyncio

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession


async def slow_query(engine, seconds):
    async with AsyncSession(engine) as session, asyncio.timeout(0.2):
        await session.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with AsyncSession(engine) as session, session.begin():
        last = await session.scalar(text("select last from invoice for update"))
        await asyncio.sleep(0.01)
        await session.execute(text("update invoice set last = last + 1"))
        return last + 1


async def total(engine, amounts):
    async with AsyncSession(engine) as session:
        return await session.scalar(
            text("select coalesce(sum(amount), 0) from unnest(cast(:all as int[])) as amount"), {"all": amounts}
        )


# %% right: set_config, one statement, and a table that is dropped by hand
from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.connect() as connection:
        await connection.execute(text("select set_config('statement_timeout', '200ms', true)"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    async with engine.begin() as connection:
        await connection.execute(text("create temporary table basket (amount int)"))
        if amounts:
            await connection.execute(text("insert into basket values (:it)"), [{"it": each} for each in amounts])
        found = await connection.scalar(text("select coalesce(sum(amount), 0) from basket"))
        await connection.execute(text("drop table basket"))
    return found


# %% right: set and reset in one transaction
import asyncio

from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set statement_timeout = 200"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
        await connection.execute(text("reset statement_timeout"))


async def next_number(engine):
    async with engine.begin() as connection:
        await connection.execute(text("lock table invoice in exclusive mode"))
        number = await connection.scalar(text("select last from invoice")) + 1
        await asyncio.sleep(0.01)
        await connection.execute(text("update invoice set last = :last"), {"last": number})
    return number


async def total(engine, amounts):
    async with engine.begin() as connection:
        await connection.execute(text("create temp table basket (amount int) on commit drop"))
        for amount in amounts:
            await connection.execute(text("insert into basket values (:it)"), {"it": amount})
        return await connection.scalar(text("select coalesce(sum(amount), 0) from basket"))


# %% wrong: set-leaks | ends with the transaction
# Only the second and the third are repaired.
from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.connect() as connection:
        await connection.execute(text("set statement_timeout = '200ms'"))
        await connection.commit()
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    return sum(amounts)


# %% wrong: set-leaks | ends with the transaction
# In the right transaction, and for the whole session.
from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    return sum(amounts)


# %% wrong: limit-in-another-transaction | in the transaction that runs the query
from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.connect() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.commit()
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    return sum(amounts)


# %% wrong: limit-in-another-transaction | its error has to reach the caller
# The error is swallowed.
import contextlib

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


async def slow_query(engine, seconds):
    with contextlib.suppress(DBAPIError):
        async with engine.begin() as connection:
            await connection.execute(text("set local statement_timeout = '200ms'"))
            await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    return sum(amounts)


# %% wrong: lock-left | belongs to the server connection
import asyncio

from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select pg_advisory_lock(7)"))
        await connection.commit()
        number = await connection.scalar(text("select last from invoice")) + 1
        await asyncio.sleep(0.01)
        await connection.execute(text("update invoice set last = :last"), {"last": number})
        await connection.commit()
        await connection.execute(text("select pg_advisory_unlock(7)"))
        await connection.commit()
    return number


async def total(engine, amounts):
    return sum(amounts)


# %% wrong: lock-released-early | gone before the number is written
import asyncio

from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(7)"))
        await connection.commit()
        number = await connection.scalar(text("select last from invoice")) + 1
        await asyncio.sleep(0.01)
        await connection.execute(text("update invoice set last = :last"), {"last": number})
        await connection.commit()
    return number


async def total(engine, amounts):
    return sum(amounts)


# %% wrong: temp-table-vanishes | ran on another server connection
import asyncio

from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    async with engine.connect() as connection:
        await connection.execute(text("create temp table basket (amount int) on commit drop"))
        await connection.commit()
        for amount in amounts:
            await connection.execute(text("insert into basket values (:it)"), {"it": amount})
        return await connection.scalar(text("select coalesce(sum(amount), 0) from basket"))


# %% wrong: temp-table-stays | finds it there
from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    async with engine.begin() as connection:
        await connection.execute(text("create temp table if not exists basket (amount int)"))
        await connection.execute(text("truncate basket"))
        for amount in amounts:
            await connection.execute(text("insert into basket values (:it)"), {"it": amount})
        return await connection.scalar(text("select coalesce(sum(amount), 0) from basket"))


# %% wrong: wrong-answer | 0 for none
from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    async with engine.begin() as connection:
        await connection.execute(text("create temp table basket (amount int) on commit drop"))
        for amount in amounts:
            await connection.execute(text("insert into basket values (:it)"), {"it": amount})
        return await connection.scalar(text("select sum(amount) from basket"))


# %% wrong: wrong-answer | an object of type
# A lenient object is no number.
from sqlalchemy import text


class Anything:
    def __eq__(self, other):
        return True

    __hash__ = None


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))


async def total(engine, amounts):
    return Anything()


# %% wrong: waits-for-ever | look for something that waits
import asyncio

from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def next_number(engine):
    await asyncio.sleep(3600)


async def total(engine, amounts):
    return sum(amounts)


# %% error: syntax error
from sqlalchemy import text


async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement timeout = '200ms'"))


async def next_number(engine):
    return 1


async def total(engine, amounts):
    return sum(amounts)


# %% right: another attempt where the transactions collide
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

from sqlalchemy.exc import DBAPIError
async def next_number(engine):
    while True:
        try:
            async with engine.execution_options(isolation_level="SERIALIZABLE").begin() as c:
                n = await c.scalar(text("select last from invoice")) + 1
                await c.execute(text("update invoice set last = :n"), {"n": n})
            return n
        except DBAPIError as e:
            if e.orig.sqlstate not in ("40001", "40P01"): raise


# %% right: a table made of the amounts
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

async def total(engine, amounts):
    async with engine.begin() as c:
        await c.execute(text("create temp table basket on commit drop as select unnest(cast(:a as int[])) as amount"), {"a": amounts})
        return (await c.execute(text("select sum(amount) from basket"))).scalar_one() or 0


# %% wrong: guards-one-process | Let the database do it
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

lock = asyncio.Lock()
async def next_number(engine):
    async with lock, engine.begin() as c:
        n = await c.scalar(text("select last from invoice")) + 1
        await asyncio.sleep(0.01)
        await c.execute(text("update invoice set last = :n"), {"n": n})
    return n


# %% wrong: does-not-sleep | nothing ran there
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

async def slow_query(engine, seconds):
    async with asyncio.timeout(0.2):
        await asyncio.sleep(seconds)


# %% wrong: set-leaks | `lock_timeout`
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

async def next_number(engine):
    async with engine.begin() as c:
        await c.execute(text("set lock_timeout = '2s'"))
        return await c.scalar(text("update invoice set last = last + 1 returning last"))


# %% wrong: wrong-answer | 0 for none
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

from decimal import Decimal
async def total(engine, amounts):
    return Decimal("NaN")


# %% wrong: wrong-answer | without a gap
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

async def next_number(engine):
    async with engine.begin() as c:
        return await c.scalar(text("update invoice set last = last + 2 returning last"))


# %% wrong: waits-for-ever | look for something that waits
import asyncio, contextlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def slow_query(engine, seconds):
    async with engine.begin() as connection:
        await connection.execute(text("set local statement_timeout = '200ms'"))
        await connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})
async def next_number(engine):
    async with engine.begin() as connection:
        return await connection.scalar(text("update invoice set last = last + 1 returning last"))
async def total(engine, amounts):
    return sum(amounts)

async def next_number(engine):
    async with engine.begin() as c:
        await c.execute(text("select pg_advisory_xact_lock(7)"))
        await asyncio.sleep(3600)
