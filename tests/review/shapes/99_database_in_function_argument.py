"""A factory: the application gives the URL, this module makes what belongs to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine


@dataclass(frozen=True)
class Resources:
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Resources]:
    engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
    try:
        yield Resources(engine, async_sessionmaker(engine, expire_on_commit=False))
    finally:
        await engine.dispose()
