"""asyncpg reads libpq's URLs itself, so it may make the connections."""

import os
from collections.abc import AsyncIterator

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import Field, SQLModel


class Page(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str


def _engine(dsn: str) -> AsyncEngine:
    options = {"pool_pre_ping": True, "pool_recycle": 270, "pool_size": 6, "max_overflow": 6}
    scheme, _, rest = dsn.partition("://")
    if scheme.split("+")[0] == "sqlite":
        return create_async_engine(f"sqlite+aiosqlite://{rest}", **options)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(f"postgresql://{rest}", command_timeout=30)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **options)


engine = _engine(os.environ.get("DATABASE_URL", "sqlite:///pages.db"))
new_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    db = new_session()
    try:
        yield db
    finally:
        await db.close()


async def create_db_and_tables() -> None:
    async with engine.begin() as conn:
        await conn.run_sync(SQLModel.metadata.create_all)


async def close_db() -> None:
    await engine.dispose()
