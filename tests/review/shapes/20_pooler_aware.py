"""Notices a pooler in transaction mode by its port or by its parameter."""

import os
from collections.abc import AsyncIterator

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

POOLER_PORTS = {6432, 6543}


def create_engine_from(raw: str):
    url = make_url(raw)
    if url.get_backend_name() == "sqlite":
        return create_async_engine(url.set(drivername="sqlite+aiosqlite"), pool_pre_ping=True)
    query = dict(url.query)
    pooler = query.pop("pgbouncer", "") == "true" or url.port in POOLER_PORTS or "pooler" in (url.host or "")
    arguments = {"statement_cache_size": 0, "prepared_statement_cache_size": 0} if pooler else {}
    if "sslmode" in query:
        arguments["ssl"] = query.pop("sslmode")
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg", query=query),
        connect_args=arguments,
        pool_size=5,
        max_overflow=0,
        pool_pre_ping=True,
        pool_recycle=60,
    )


engine = create_engine_from(os.environ.get("DATABASE_URL", "sqlite:///pooler.db"))
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session
