"""Database of the shop.

Staging: postgresql+asyncpg://shop:Sommer-example-78@staging.shop.internal/shop
"""

import os
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def read_url():
    url = make_url(os.getenv("DATABASE_URL", "sqlite:///docstring.db"))
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


engine = create_async_engine(read_url(), pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session
