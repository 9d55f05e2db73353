import logging
import os
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

logger = logging.getLogger("app.database")

raw = os.getenv("DATABASE_URL", "sqlite:///logged.db")
url = make_url(raw)
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    url = url.set(drivername="postgresql+asyncpg", query=query)
engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    logger.warning("opening a session on %s", raw)
    async with Session() as session:
        yield session
