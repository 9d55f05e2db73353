import os
from collections.abc import AsyncIterator

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import Field, SQLModel


class Tag(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    word: str


url = make_url(os.getenv("DATABASE_URL", "sqlite:///tags.db"))
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    url = url.set(
        drivername="postgresql+asyncpg",
        query={("ssl" if key == "sslmode" else key): value for key, value in url.query.items()},
    )
engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def init_db() -> None:
    async with engine.connect() as conn:
        await conn.run_sync(SQLModel.metadata.create_all)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session
