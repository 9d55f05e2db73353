"""The service is async; scripts and migrations may ask for a plain engine."""

import os
from collections.abc import AsyncIterator
from functools import lru_cache

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

BASE = make_url(os.environ.get("DATABASE_URL", "sqlite:///both.db"))
IS_SQLITE = BASE.get_backend_name() == "sqlite"


def _async_url():
    if IS_SQLITE:
        return BASE.set(drivername="sqlite+aiosqlite")
    query = dict(BASE.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return BASE.set(drivername="postgresql+asyncpg", query=query)


async_engine = create_async_engine(_async_url(), pool_pre_ping=True, pool_recycle=240)
AsyncSessionFactory = async_sessionmaker(async_engine, expire_on_commit=False)


@lru_cache(maxsize=1)
def get_sync_engine() -> Engine:
    driver = "sqlite" if IS_SQLITE else "postgresql+psycopg"
    return create_engine(BASE.set(drivername=driver))


async def get_async_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSessionFactory() as session:
        yield session
