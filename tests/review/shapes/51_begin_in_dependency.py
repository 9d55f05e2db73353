import os
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}

url = make_url(os.environ.get("DATABASE_URL", "sqlite:///session.db"))
url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
if "sslmode" in url.query:
    url = url.update_query_dict({"ssl": url.query["sslmode"]}).difference_update_query(["sslmode"])

engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
async_session_maker = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with async_session_maker() as session, session.begin():
        yield session
