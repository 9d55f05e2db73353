"""Tests of a small shop, for whichever database DATABASE_URL names.

`Mistakes` tests code that is wrong: a suite that is worth its time fails there. `SoundCode` tests code that is right on
PostgreSQL: what fails there is a false alarm. Run it with `python -m unittest`, or with pytest. Each test gets an event
loop of its own.
"""

import asyncio
import os
from datetime import UTC, datetime
from typing import Any
from unittest import IsolatedAsyncioTestCase

from sqlalchemy import JSON, Column, DateTime, text, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

URL = os.environ.get("DATABASE_URL", "sqlite+aiosqlite://")
app_engine = create_async_engine(URL)  # a program's one engine, made at import


class Base(SQLModel, registry=registry()):
    """A base of its own, so that the suite has no other tables."""


class Customer(Base, table=True):
    """Somebody who buys."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


class Order(Base, table=True):
    """What somebody bought. `shipped` has no time zone, and `placed` has one."""

    __tablename__ = "orders"
    id: int | None = Field(default=None, primary_key=True)
    customer: int | None = Field(default=None, foreign_key="customer.id")
    cents: int = 0
    shipped: datetime | None = Field(default=None, sa_type=DateTime)
    placed: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    data: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON().with_variant(JSONB(), "postgresql")))


async def ping() -> None:
    """Ask the database for something, with the program's own engine."""
    async with app_engine.connect() as connection:
        await connection.execute(text("select 1"))


class ShopTest(IsolatedAsyncioTestCase):
    """Gives each test empty tables, and an engine of its own."""

    async def asyncSetUp(self) -> None:
        self.engine = create_async_engine(URL)
        self.addAsyncCleanup(self.engine.dispose)
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)

    def session(self) -> AsyncSession:
        return AsyncSession(self.engine, expire_on_commit=False)

    async def store(self, *rows: Base) -> None:
        async with self.session() as session:
            session.add_all(rows)
            await session.commit()

    async def count(self, model: type[Base]) -> int:
        async with self.session() as session:
            return (await session.exec(select(func.count()).select_from(model))).one()


class Mistakes(ShopTest):
    """Wrong code. Does the test fail?"""

    @classmethod
    def setUpClass(cls) -> None:
        asyncio.run(ping())  # its event loop ends here

    async def test_same_name_twice(self) -> None:
        await self.store(Customer(name="Ada"), Customer(name="Ada"))

    async def test_id_as_text(self) -> None:
        async with self.session() as session:
            await session.exec(select(Customer).where(col(Customer.id) == "1"))

    async def test_name_too_long(self) -> None:
        await self.store(Customer(name="Augusta Ada King, Countess of Lovelace"))

    async def test_number_too_large(self) -> None:
        await self.store(Order(cents=3_000_000_000))

    async def test_order_of_nobody(self) -> None:
        await self.store(Order(customer=999))

    async def test_time_zone_in_plain_column(self) -> None:
        await self.store(Order(shipped=datetime.now(UTC)))

    async def test_search_in_lower_case(self) -> None:
        await self.store(Customer(name="Ada"))
        async with self.session() as session:
            query = select(Customer).where(col(Customer.name).like("ada%"))
            self.assertTrue((await session.exec(query)).all())

    async def test_column_outside_group_by(self) -> None:
        async with self.engine.connect() as connection:
            query = "select customer, cents from orders group by customer"
            await connection.execute(text(query))

    async def test_next_id_after_fixture(self) -> None:
        await self.store(Customer(id=1, name="from a fixture"))
        await self.store(Customer(name="Ada"))

    async def test_worker_before_commit(self) -> None:
        async with self.session() as session:
            session.add(order := Order(cents=100))
            await session.flush()
            async with self.session() as worker:  # it is started too early
                self.assertTrue(await worker.get(Order, order.id))
            await session.commit()

    async def test_engine_of_another_loop(self) -> None:
        await ping()


class SoundCode(ShopTest):
    """Right code on PostgreSQL. Does the test pass?"""

    async def test_store_and_load(self) -> None:
        await self.store(Order(data={"paid": True}))
        async with self.session() as session:
            self.assertEqual((await session.exec(select(Order.data))).one(), {"paid": True})

    async def test_search_in_jsonb(self) -> None:
        await self.store(Order(data={"paid": True, "by": "card"}))
        async with self.session() as session:
            paid = type_coerce(Order.data, JSONB).contains({"paid": True})
            self.assertEqual(len((await session.exec(select(Order).where(paid))).all()), 1)

    async def test_age_of_an_order(self) -> None:
        await self.store(Order(placed=datetime.now(UTC)))
        async with self.session() as session:
            placed = (await session.exec(select(Order.placed))).one()
            assert placed is not None
            self.assertLess((datetime.now(UTC) - placed).total_seconds(), 60)

    async def test_last_cent_taken_once(self) -> None:
        await self.store(Order(id=1, cents=1))  # one cent is left in the till

        async def take(session: AsyncSession, who: str, till: Order | None) -> None:
            if till and till.cents:
                till.cents -= 1
                session.add(Customer(name=who))
                await session.commit()

        async def second() -> None:
            async with self.session() as session:
                await take(session, "Grace", await session.get(Order, 1, with_for_update=True))

        async with self.session() as session:
            till = await session.get(Order, 1, with_for_update=True)
            other = asyncio.create_task(second())
            await asyncio.wait({other}, timeout=0.3)  # PostgreSQL lets it wait for the lock
            await take(session, "Ada", till)
        await other
        self.assertEqual(await self.count(Customer), 1)

    async def test_log_outlives_rollback(self) -> None:
        async with self.session() as session:
            session.add(Order())
            await session.flush()
            await self.store(Customer(name="in the log"))
            await session.rollback()
        self.assertEqual((await self.count(Order), await self.count(Customer)), (0, 1))

    async def test_pool_of_ten(self) -> None:
        engine = create_async_engine(URL, pool_size=10)
        self.addAsyncCleanup(engine.dispose)
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
