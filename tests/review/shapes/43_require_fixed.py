import os
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = make_url(os.getenv("DATABASE_URL", "sqlite:///fixed.db"))
options: dict = {"pool_pre_ping": True, "pool_recycle": 240}
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    url = url.set(drivername="postgresql+asyncpg", query={})
    options["connect_args"] = {"ssl": "require"}

engine = create_async_engine(url, **options)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session
