"""For a task queue whose workers run each task in an event loop of its own: no pool outlives a loop."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

T = TypeVar("T")


def worker_url():
    url = make_url(os.environ.get("WORKER_DATABASE_URL", "sqlite:///worker.db"))
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    options = dict(url.query)
    if "sslmode" in options:
        options["ssl"] = options.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=options)


def connect_args() -> dict[str, int]:
    return {"statement_cache_size": 0} if worker_url().get_backend_name() == "postgresql" else {}


engine = create_async_engine(worker_url(), poolclass=NullPool, connect_args=connect_args())
session_factory = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def task_session() -> AsyncIterator[AsyncSession]:
    async with session_factory() as session:
        yield session


def run_task(work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async def run() -> T:
        async with task_session() as session:
            return await work(session)

    return asyncio.run(run())
