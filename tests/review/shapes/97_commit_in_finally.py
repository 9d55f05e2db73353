import os
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = make_url(os.getenv("DATABASE_URL", "sqlite:///finally.db"))
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    url = url.set(drivername="postgresql+asyncpg", query=query)
engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine)


async def get_session() -> AsyncIterator[AsyncSession]:
    session = Session()
    try:
        yield session
    finally:
        await session.commit()
        await session.close()
