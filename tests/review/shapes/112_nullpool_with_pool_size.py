import os
from sqlalchemy.pool import NullPool
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
engine = create_async_engine(os.getenv("DATABASE_URL", "sqlite+aiosqlite:///x.db"), poolclass=NullPool, pool_size=5)
S = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    async with S() as s:
        yield s
