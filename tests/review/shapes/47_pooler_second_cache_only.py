import os
from uuid import uuid4

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

url = make_url(os.environ.get("SUPABASE_DB_URL", "sqlite:///names.db"))
arguments = {}
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    arguments = {
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__",
    }
    query = dict(url.query)
    if "sslmode" in query:
        arguments["ssl"] = query.pop("sslmode")
    url = url.set(drivername="postgresql+asyncpg", query=query)

engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session():
    async with async_session() as session:
        yield session
