import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

POOL = {"pool_pre_ping": True, "pool_recycle": 240, "pool_size": 5, "max_overflow": 5}
PRIMARY = os.environ.get("DATABASE_URL", "sqlite:///primary.db")
REPLICA = os.environ.get("DATABASE_REPLICA_URL", PRIMARY)


def adapt(raw):
    url = make_url(raw)
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    url = url.set(drivername="postgresql+asyncpg")
    if "sslmode" in url.query:
        mode = url.query["sslmode"]
        url = url.difference_update_query(["sslmode"]).update_query_pairs([("ssl", mode)])
    return url


writer_engine = create_async_engine(adapt(PRIMARY), **POOL)
reader_engine = create_async_engine(adapt(REPLICA), **POOL)
WriteSession = async_sessionmaker(writer_engine, expire_on_commit=False)
ReadSession = async_sessionmaker(reader_engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with WriteSession() as session:
        yield session


async def get_read_session() -> AsyncIterator[AsyncSession]:
    async with ReadSession() as session:
        yield session


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await writer_engine.dispose()
        await reader_engine.dispose()
