"""For functions that live as long as one request: the provider's pooler keeps the connections."""

import os
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator

from sqlalchemy import NullPool, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

_engine: AsyncEngine | None = None


def _make() -> AsyncEngine:
    url = make_url(os.environ.get("DATABASE_URL", "sqlite:///function.db"))
    if url.get_backend_name() == "sqlite":
        return create_async_engine(url.set(drivername="sqlite+aiosqlite"), poolclass=NullPool)
    arguments: dict[str, Any] = {"statement_cache_size": 0, "timeout": 10}
    query = dict(url.query)
    query.pop("pgbouncer", None)
    query.pop("channel_binding", None)
    mode = query.pop("sslmode", None)
    if mode is not None:
        arguments["ssl"] = mode
    url = url.set(drivername="postgresql+asyncpg", query=query)
    return create_async_engine(url, poolclass=NullPool, connect_args=arguments)


def get_engine() -> AsyncEngine:
    global _engine
    if _engine is None:
        _engine = _make()
    return _engine


@asynccontextmanager
async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(get_engine(), expire_on_commit=False) as session:
        yield session


async def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    async with get_session() as session:
        return {"statusCode": 200, "body": str(await session.scalar(text("select 1")))}
