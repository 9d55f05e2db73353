import os
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
raw = os.environ["DATABASE_URL"]
url = raw.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)
engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    async with Session() as session:
        yield session
