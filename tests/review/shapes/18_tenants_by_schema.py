"""One database, a schema for each tenant."""

import os
from collections.abc import AsyncIterator
from contextvars import ContextVar

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "invoice"

    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


def make_engine(raw: str) -> AsyncEngine:
    url = make_url(raw)
    if url.get_backend_name() == "sqlite":
        return create_async_engine(url.set(drivername="sqlite+aiosqlite"))
    query = dict(url.query)
    if mode := query.pop("sslmode", None):
        query["ssl"] = mode
    url = url.set(drivername="postgresql+asyncpg", query=query)
    return create_async_engine(url, pool_size=10, max_overflow=5, pool_recycle=240, pool_pre_ping=True)


engine = make_engine(os.getenv("DATABASE_URL", "sqlite:///tenants.db"))


async def get_session() -> AsyncIterator[AsyncSession]:
    bound = engine.execution_options(schema_translate_map={None: tenant.get()})
    async with AsyncSession(bound, expire_on_commit=False) as session:
        yield session


async def create_tables() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
