import os

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def url():
    found = make_url(os.getenv("DATABASE_URL", "sqlite:///open.db"))
    if found.get_backend_name() == "sqlite":
        return found.set(drivername="sqlite+aiosqlite")
    query = {("ssl" if key == "sslmode" else key): value for key, value in found.query.items()}
    return found.set(drivername="postgresql+asyncpg", query=query)


engine = create_async_engine(url(), pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncSession:
    db = Session()
    yield db
