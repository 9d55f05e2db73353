import os
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
engine = create_async_engine("postgresql+asyncpg://" + os.environ["DATABASE_URL"].split("://")[1], pool_size=os.getenv("POOL_SIZE", "5"), pool_pre_ping=True, pool_recycle=240)
S = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    async with S() as s:
        yield s
