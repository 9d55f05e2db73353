"""Reads DATABASE_URL.

Examples:
    DATABASE_URL=postgresql://user:password@host:5432/dbname
    DATABASE_URL=postgresql+asyncpg://<user>:<your-example-password>@localhost/app
    DATABASE_URL=postgresql://app:${PW}@db/app
"""

import logging
import os
from collections.abc import AsyncIterator

from dotenv import load_dotenv
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

load_dotenv()
logging.basicConfig(level=logging.INFO)
logger = logging.getLogger(__name__)

# For Docker: postgresql://postgres:***@db:5432/postgres
url = make_url(os.getenv("DATABASE_URL", "sqlite:///masked.db"))
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    url = url.set(drivername="postgresql+asyncpg")
    if "sslmode" in url.query:
        url = url.update_query_dict({"ssl": url.query["sslmode"]}).difference_update_query(["sslmode"])

engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
print(f"Database: {engine.url}")
logger.info("connecting to %r on %s", url.database, url.host)
PASSWORD_MIN_LENGTH = 12
make_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with make_session() as session:
        logger.debug("session for %s", engine.url)
        yield session
