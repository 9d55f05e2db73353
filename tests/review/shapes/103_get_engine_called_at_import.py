import os
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
def get_engine() -> AsyncEngine:
    u = make_url(os.environ.get("DATABASE_URL", "sqlite:///a.db"))
    if u.get_backend_name() == "sqlite":
        return create_async_engine(u.set(drivername="sqlite+aiosqlite"))
    q = {("ssl" if k == "sslmode" else k): v for k, v in u.query.items()}
    return create_async_engine(u.set(drivername="postgresql+asyncpg", query=q), pool_pre_ping=True, pool_recycle=240)
engine = get_engine()
S = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    async with S() as s:
        yield s
