"""The address comes in parts; only the password has no default."""

import os
from collections.abc import AsyncIterator

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = URL.create(
    "postgresql+asyncpg",
    username=os.getenv("POSTGRES_USER", "app"),
    password=os.environ["POSTGRES_PASSWORD"],
    host=os.getenv("POSTGRES_HOST", "127.0.0.1"),
    port=int(os.getenv("POSTGRES_PORT", "5432")),
    database=os.getenv("POSTGRES_DB", "app"),
)
engine = create_async_engine(
    url,
    pool_pre_ping=True,
    pool_recycle=240,
    pool_size=10,
    max_overflow=0,
    connect_args={"command_timeout": 30, "server_settings": {"application_name": "orders"}},
)
async_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with async_session() as session:
        yield session
