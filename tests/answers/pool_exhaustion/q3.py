# %% right: one session, a commit before the question
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
        await session.commit()
        status = "paid" if await ask_bank(amount) else "refused"
        await session.scalar(WRITE, {"id": payment, "status": status})
        await session.commit()
        return status


# %% right: a rollback gives it back too
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    session = AsyncSession(engine)
    try:
        amount = await session.scalar(READ, {"id": payment})
        await session.rollback()
        status = ("refused", "paid")[await ask_bank(amount)]
        async with session.begin():
            await session.scalar(WRITE, {"id": payment, "status": status})
        return status
    finally:
        await session.close()


# %% wrong: holds-the-session | open and idle
# A commit, and then another statement.
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
        await session.commit()
        await session.scalar(READ, {"id": payment})
        status = "paid" if await ask_bank(amount) else "refused"
        await session.scalar(WRITE, {"id": payment, "status": status})
        await session.commit()
    return status


# %% wrong: drops-the-commit | not in the table
# The commit moved, and none is left for the write.
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
        await session.commit()
        status = "paid" if await ask_bank(amount) else "refused"
        await session.scalar(WRITE, {"id": payment, "status": status})
    return status


# %% wrong: keeps-the-connection | keeps it until it is closed
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with engine.connect() as connection:
        amount = await connection.scalar(READ, {"id": payment})
        await connection.commit()
        status = "paid" if await ask_bank(amount) else "refused"
        await connection.execute(WRITE, {"id": payment, "status": status})
        await connection.commit()
    return status


# %% wrong: takes-turns-at-the-bank | outside of any lock
import asyncio

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")



turn = asyncio.Semaphore(1)


async def settle(engine, payment, ask_bank):
    async with turn:
        async with AsyncSession(engine) as session:
            amount = await session.scalar(READ, {"id": payment})
        status = "paid" if await ask_bank(amount) else "refused"
        async with AsyncSession(engine) as session:
            await session.scalar(WRITE, {"id": payment, "status": status})
            await session.commit()
    return status


# %% wrong: does-not-ask | asked once for each payment
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
        status = "paid" if amount < 1000 else "refused"
        await session.scalar(WRITE, {"id": payment, "status": status})
        await session.commit()
    return status


# %% wrong: leaves-a-session-open | still checked out
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


kept = []


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
    status = "paid" if await ask_bank(amount) else "refused"
    session = AsyncSession(engine)
    kept.append(session)
    await session.scalar(WRITE, {"id": payment, "status": status})
    await session.commit()
    if amount > 1000:
        await session.scalar(READ, {"id": payment})
    return status


# %% wrong: wrong-answer | returns the new status
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
        await session.commit()
        answer = await ask_bank(amount)
        await session.scalar(WRITE, {"id": payment, "status": "paid" if answer else "refused"})
        await session.commit()
    return answer


# %% error: TypeError
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = session.scalar(READ, {"id": payment})
        if amount > 3:
            return "paid"


# %% wrong: uses-another-engine | does not come from the engine's pool
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    own = create_async_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with own.connect() as connection:
        amount = await connection.scalar(READ, {"id": payment})
        status = "paid" if await ask_bank(amount) else "refused"
        await connection.scalar(WRITE, {"id": payment, "status": status})
    return status


# %% wrong: keeps-the-connection | a session in AUTOCOMMIT
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        amount = await session.scalar(READ, {"id": payment})
        status = "paid" if await ask_bank(amount) else "refused"
        await session.scalar(WRITE, {"id": payment, "status": status})
    return status


# %% right: a callable object on a view in autocommit, a gate for the statements, a time limit for the bank
import asyncio
from functools import partial

from sqlalchemy import text

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning status")


class Settle:
    def __init__(self):
        self.gate = asyncio.Semaphore(2)

    async def ask(self, engine, statement, values):
        async with self.gate, engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            return await connection.scalar(statement, values)

    async def __call__(self, engine, payment, ask_bank, *, limit):
        amount = await self.ask(engine, READ, {"id": payment})
        async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
            answer = group.create_task(ask_bank(amount))
        status = "paid" if answer.result() else "refused"
        return await self.ask(engine, WRITE, {"id": payment, "status": status})


settle = partial(Settle(), limit=30)
