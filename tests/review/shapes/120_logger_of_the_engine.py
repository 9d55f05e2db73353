import logging, os
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
logging.basicConfig()
logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
u = make_url(os.getenv("DATABASE_URL", "sqlite:///a.db"))
u = u.set(drivername="sqlite+aiosqlite") if u.get_backend_name() == "sqlite" else u.set(drivername="postgresql+asyncpg", query={("ssl" if k == "sslmode" else k): v for k, v in u.query.items()})
engine = create_async_engine(u, pool_pre_ping=True, pool_recycle=240)
S = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    async with S() as s:
        yield s
