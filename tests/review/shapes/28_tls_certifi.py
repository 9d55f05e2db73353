"""Whoever asks for TLS gets it verified, against the authorities that come with certifi."""

import os
import ssl
from collections.abc import AsyncIterator

import certifi
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = make_url(os.getenv("DATABASE_URL", "sqlite:///certifi.db"))
arguments = {}
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    query = dict(url.query)
    if query.pop("sslmode", "disable") != "disable":
        arguments["ssl"] = ssl.create_default_context(cafile=certifi.where())
    url = url.set(drivername="postgresql+asyncpg", query=query)

engine = create_async_engine(url, connect_args=arguments, pool_pre_ping=True, pool_recycle=240)
sessions = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session
