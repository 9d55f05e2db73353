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


# %% right: two connections, one after the other
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with engine.connect() as connection:
        amount = (await connection.execute(READ, {"id": payment})).scalar_one()
    paid = await ask_bank(amount)
    async with engine.begin() as connection:
        await connection.execute(WRITE, {"id": payment, "status": "paid" if paid else "refused"})
    return "paid" if paid else "refused"


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


# %% right: the slow work in a task of its own
import asyncio

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")




async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
    asking = asyncio.create_task(ask_bank(amount))
    status = "paid" if await asking else "refused"
    async with AsyncSession(engine) as session, session.begin():
        await session.scalar(WRITE, {"id": payment, "status": status})
    return status


# %% wrong: holds-the-session | open and idle
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
        await session.flush()
        answer = await ask_bank(amount)
        status = "paid" if answer else "refused"
        await session.scalar(WRITE, {"id": payment, "status": status})
        await session.commit()
    return status


# %% wrong: holds-the-session | open and idle
# Two sessions, and the question inside the first.
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as reading:
        amount = await reading.scalar(READ, {"id": payment})
        status = "paid" if await ask_bank(amount) else "refused"
    async with AsyncSession(engine) as writing:
        await writing.scalar(WRITE, {"id": payment, "status": status})
        await writing.commit()
    return status


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


# %% wrong: drops-the-commit | a transaction of its own, and a commit
# No commit, no transaction, it hopes; the session is held all the same.
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with AsyncSession(engine) as session:
        amount = await session.scalar(READ, {"id": payment})
        status = "paid" if await ask_bank(amount) else "refused"
        await session.scalar(WRITE, {"id": payment, "status": status})
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


# %% wrong: keeps-the-connection | still checked out
# AUTOCOMMIT: no transaction, and the connection is out.
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

READ = text("select amount from payment where id = :id")
WRITE = text("update payment set status = :status where id = :id returning id")


async def settle(engine, payment, ask_bank):
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        amount = await connection.scalar(READ, {"id": payment})
        status = "paid" if await ask_bank(amount) else "refused"
        await connection.execute(WRITE, {"id": payment, "status": status})
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
