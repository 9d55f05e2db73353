"""For a provider that demands TLS: always on, always verified by the machine's authorities."""

import os
import ssl

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://").split("?")[0]
engine = create_async_engine(
    url,
    connect_args={"ssl": ssl.create_default_context()},
    pool_pre_ping=True,
    pool_recycle=240,
)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session():
    async with async_session() as session:
        yield session
