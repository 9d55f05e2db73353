import os
from contextlib import asynccontextmanager
from typing import AsyncGenerator
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

def database_url():
    url = make_url(os.environ.get("DATABASE_URL", "sqlite:///./test.db"))
    name = url.get_backend_name()
    if name == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    query = {**url.query}
    sslmode = query.pop("sslmode", None)
    return url.set(drivername="postgresql+asyncpg", query={**query, **({"ssl": "require"} if sslmode else {})})

engine = create_async_engine(database_url(), pool_pre_ping=True, pool_recycle=290, pool_use_lifo=True)
_maker = async_sessionmaker(engine, expire_on_commit=False)

@asynccontextmanager
async def session_scope() -> AsyncGenerator[AsyncSession, None]:
    session = _maker()
    try:
        yield session
    except BaseException:
        await session.rollback()
        raise
    finally:
        await session.close()

async def get_session() -> AsyncGenerator[AsyncSession, None]:
    """FastAPI dependency."""
    async with session_scope() as session:
        yield session
