import os
from typing import AsyncIterator, Self
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
class SessionDependency:
    def __init__(self, maker: async_sessionmaker[AsyncSession]) -> None:
        self.maker = maker
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        async with self.maker() as session:
            yield session
def read_url():
    u = make_url(os.getenv("DATABASE_URL", "sqlite:///a.db"))
    if u.get_backend_name() == "sqlite":
        return u.set(drivername="sqlite+aiosqlite")
    return u.set(drivername="postgresql+asyncpg", query={("ssl" if k == "sslmode" else k): v for k, v in u.query.items()})
engine = create_async_engine(read_url(), pool_pre_ping=True, pool_recycle=240)
get_session = SessionDependency(async_sessionmaker(engine, expire_on_commit=False))
