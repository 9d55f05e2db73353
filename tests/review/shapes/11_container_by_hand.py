"""A container of providers, without a library for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

T = TypeVar("T")


class Singleton(Generic[T]):
    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []

    def __call__(self) -> T:
        if not self._made:
            self._made.append(self._make())
        return self._made[0]


def read_config() -> dict[str, str]:
    return {"url": os.environ.get("APP_DATABASE_URL", "sqlite:///container.db")}


def make_engine() -> AsyncEngine:
    url = make_url(Container.config()["url"])
    if url.drivername.startswith("sqlite"):
        url = url.set(drivername="sqlite+aiosqlite")
    else:
        url = url.set(drivername="postgresql+asyncpg")
        url = url.set(query={("ssl" if key == "sslmode" else key): value for key, value in url.query.items()})
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=150, pool_size=3, max_overflow=2)


def make_sessions() -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(Container.engine(), expire_on_commit=False)


class Container:
    config = Singleton(read_config)
    engine = Singleton(make_engine)
    sessions = Singleton(make_sessions)


@asynccontextmanager
async def provide_session() -> AsyncIterator[AsyncSession]:
    async with Container.sessions()() as session:
        yield session
