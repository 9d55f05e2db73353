import os

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = os.getenv("DATABASE_URL", "sqlite:///neon.db")
url = url.replace("postgres://", "postgresql://")
if not url.startswith("postgresql+asyncpg://"):
    url = url.replace("postgresql://", "postgresql+asyncpg://").replace("sqlite://", "sqlite+aiosqlite://")
url = url.replace("sslmode=require", "ssl=require").replace("&channel_binding=require", "")

engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session():
    async with async_session() as session:
        yield session
