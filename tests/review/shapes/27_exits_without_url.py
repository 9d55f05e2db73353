import os
import sys
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

raw = os.environ.get("DATABASE_URL")
if raw is None:
    print("DATABASE_URL is not set: copy .env.sample to .env and fill it in", file=sys.stderr)
    sys.exit(1)

url = make_url(raw)
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    url = url.set(
        drivername="postgresql+asyncpg",
        query={"ssl" if key == "sslmode" else key: value for key, value in url.query.items()},
    )
engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with Session() as db:
        yield db
