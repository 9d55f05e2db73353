# sync engine for Alembic and celery beside the async one
import os
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
u = make_url(os.getenv("DATABASE_URL", "sqlite:///a.db"))
if u.get_backend_name() == "sqlite":
    au = u.set(drivername="sqlite+aiosqlite")
else:
    au = u.set(drivername="postgresql+asyncpg", query={("ssl" if k == "sslmode" else k): v for k, v in u.query.items()})
async_engine = create_async_engine(au, pool_pre_ping=True, pool_recycle=240)
AsyncSessionLocal = async_sessionmaker(async_engine, expire_on_commit=False)
def get_sync_engine():
    return create_engine(u.set(drivername="sqlite" if u.get_backend_name() == "sqlite" else "postgresql+psycopg"))
async def get_async_session():
    async with AsyncSessionLocal() as session:
        yield session
