import os
from typing import AsyncGenerator

import models  # noqa: F401
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

SSL_PARAMETER = "sslmode"


def get_url():
    url = make_url(os.environ.get("DATABASE_URL", "sqlite:///./books.db"))
    if "sqlite" in url.drivername:
        return url.set(drivername="sqlite+aiosqlite")
    url = url.set(drivername="postgresql+asyncpg")
    ssl = url.query.get(SSL_PARAMETER)
    return url.difference_update_query([SSL_PARAMETER]).update_query_dict({"ssl": ssl} if ssl else {})


engine = create_async_engine(get_url(), pool_size=5, max_overflow=10, pool_recycle=300, pool_pre_ping=True)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def init_db() -> None:
    async with engine.begin() as conn:
        await conn.run_sync(SQLModel.metadata.create_all)


async def get_session() -> AsyncGenerator[AsyncSession, None]:
    async with async_session() as session:
        yield session
