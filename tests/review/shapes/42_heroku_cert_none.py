import os
import ssl

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

ctx = ssl.create_default_context()
ctx.check_hostname = False
ctx.verify_mode = ssl.CERT_NONE

uri = os.environ["DATABASE_URL"]
if uri.startswith("postgres://"):
    uri = uri.replace("postgres://", "postgresql+asyncpg://", 1)

engine = create_async_engine(uri, connect_args={"ssl": ctx}, pool_pre_ping=True, pool_recycle=280)
async_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db():
    async with async_session() as session:
        yield session
