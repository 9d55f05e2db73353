"""Sessions are async, but the tables are made by a second, plain engine while the file is imported."""

import os

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

ASYNC_URL = os.environ.get("ASYNC_DATABASE_URL", "sqlite+aiosqlite:///./beside.db")


class Part(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)


SQLModel.metadata.create_all(create_engine("sqlite:///./beside.db"))
engine = create_async_engine(ASYNC_URL, pool_pre_ping=True, pool_recycle=240)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session():
    async with async_session() as session:
        yield session
