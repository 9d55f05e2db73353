"""For a chat bot: handlers find their session in the data that a middleware fills."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Handler = Callable[[Any, dict[str, Any]], Awaitable[Any]]


class Base(DeclarativeBase):
    pass


class Chat(Base):
    __tablename__ = "chat"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    language: Mapped[str | None]


@dataclass
class Database:
    url: str = field(default_factory=lambda: os.getenv("DATABASE_URL", "sqlite:///bot.db"), repr=False)
    pool_size: int = 5

    @cached_property
    def engine(self) -> AsyncEngine:
        url = make_url(self.url)
        if url.get_backend_name() == "sqlite":
            return create_async_engine(url.set(drivername="sqlite+aiosqlite"))
        query = dict(url.query)
        arguments = {"ssl": query.pop("sslmode")} if "sslmode" in query else {}
        return create_async_engine(
            url.set(drivername="postgresql+asyncpg", query=query),
            connect_args=arguments,
            pool_size=self.pool_size,
            max_overflow=self.pool_size,
            pool_recycle=200,
            pool_pre_ping=True,
        )

    @cached_property
    def sessions(self) -> async_sessionmaker[AsyncSession]:
        return async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        async with self.sessions() as session:
            yield session

    async def create_all(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def dispose(self) -> None:
        await self.engine.dispose()


db = Database()


class DatabaseMiddleware:
    async def __call__(self, handler: Handler, event: Any, data: dict[str, Any]) -> Any:
        async with db.session() as session:
            data["session"] = session
            return await handler(event, data)
