"""Exercise 07.3 looks at one call alone: is a lock held when no transaction runs?"""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._pgbouncer_watch import locked_between_transactions
from course_lib.exercises.lab import lab


async def _session_lock(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select pg_advisory_lock(7)"))
        await connection.commit()
        await connection.execute(text("select 1"))
        await connection.execute(text("select pg_advisory_unlock(7)"))
        await connection.commit()


async def _autocommit(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("select pg_advisory_lock(7)"))
        await connection.execute(text("select pg_advisory_unlock(7)"))


async def _transaction_lock(engine: AsyncEngine) -> None:
    for _ in range(2):
        async with engine.begin() as connection:
            await connection.execute(text("select pg_advisory_xact_lock(7)"))
            await connection.execute(text("select 1"))


async def _fails(engine: AsyncEngine) -> None:
    raise LookupError


@pytest.mark.parametrize(
    ("call", "found"), [(_session_lock, True), (_autocommit, True), (_transaction_lock, False), (_fails, False)]
)
async def test_a_lock_that_outlives_its_transaction_is_seen(call: Any, found: bool) -> None:
    """Each time, and not only where an unlock goes astray."""
    async with lab() as box:
        engine = create_async_engine(box.url)
        try:
            for _ in range(3):
                assert await locked_between_transactions(call(engine), engine, box.url) is found
        finally:
            await engine.dispose()
