import os
from contextlib import asynccontextmanager
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
def read_url():
    u = make_url(os.getenv("DATABASE_URL", "sqlite:///a.db"))
    if u.get_backend_name() == "sqlite":
        return u.set(drivername="sqlite+aiosqlite")
    return u.set(drivername="postgresql+asyncpg", query={("ssl" if k == "sslmode" else k): v for k, v in u.query.items()})
engine = create_async_engine(read_url(), pool_pre_ping=True, pool_recycle=240)
maker = async_sessionmaker(engine, expire_on_commit=False)
@asynccontextmanager
async def create_session():
    s = maker()
    try:
        yield s
    finally:
        await s.close()
