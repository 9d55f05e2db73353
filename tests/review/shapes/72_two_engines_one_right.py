import os
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def adapt(name: str):
    url = make_url(os.getenv(name) or os.getenv("DATABASE_URL", "sqlite:///two.db"))
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


engine = create_async_engine(
    adapt("DATABASE_URL"), pool_pre_ping=True, pool_recycle=240, pool_size=5, max_overflow=0
)
reports_engine = create_async_engine(adapt("REPORTS_DATABASE_URL"), echo=True, pool_size=5, max_overflow=5)
Session = async_sessionmaker(engine, expire_on_commit=False)
ReportsSession = async_sessionmaker(reports_engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session


async def get_reports_session() -> AsyncIterator[AsyncSession]:
    async with ReportsSession() as session:
        yield session
