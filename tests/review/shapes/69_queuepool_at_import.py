import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool

engine = create_async_engine(
    os.getenv("DATABASE_URL", "sqlite+aiosqlite:///./queue.db"), poolclass=QueuePool, pool_size=5
)
async_session = async_sessionmaker(engine, expire_on_commit=False)
