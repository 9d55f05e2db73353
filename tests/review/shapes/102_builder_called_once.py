import os
from enum import StrEnum
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

class Env(StrEnum):
    DEV = "development"
    PROD = "production"

ENV = Env(os.environ.get("ENV", "development"))

def _engine() -> AsyncEngine:
    raw = os.environ.get("DATABASE_URL")
    if raw is None:
        if ENV == "production":
            raise RuntimeError("DATABASE_URL must be set in production")
        raw = "sqlite:///./dev.db"
    url = make_url(raw)
    if url.get_backend_name() == "sqlite":
        return create_async_engine(url.set(drivername="sqlite+aiosqlite"))
    query = dict(url.query)
    sslmode = query.pop("sslmode", "verify-full" if ENV == Env.PROD else None)
    if sslmode:
        query["ssl"] = sslmode
    return create_async_engine(url.set(drivername="postgresql+asyncpg", query=query),
                               pool_pre_ping=True, pool_recycle=240, pool_timeout=5)

engine = _engine()
Session = async_sessionmaker(engine, expire_on_commit=False)

async def session_dependency():
    async with Session() as session:
        yield session
