import os

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

url = make_url(os.environ.get("DATABASE_URL", "sqlite:///pooled.db"))
names = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
url = url.set(drivername=names[url.get_backend_name()], query=query)

# PgBouncer pools for us
engine = create_async_engine(url, poolclass=NullPool)


async def get_session():
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
