"""A manager that is given its URL at start-up and closed at shut-down."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)


class NotInitialised(RuntimeError):
    pass


class DatabaseSessionManager:
    def __init__(self) -> None:
        self._engine: AsyncEngine | None = None
        self._sessionmaker: async_sessionmaker[AsyncSession] | None = None

    def init(self, raw_url: str, **engine_options: Any) -> None:
        url = make_url(raw_url)
        arguments: dict[str, Any] = {}
        if url.get_backend_name() == "sqlite":
            url = url.set(drivername="sqlite+aiosqlite")
        else:
            mode = url.query.get("sslmode") or url.query.get("ssl")
            url = url.set(drivername="postgresql+asyncpg").difference_update_query(["sslmode", "ssl"])
            if mode:
                arguments["ssl"] = mode
            arguments["command_timeout"] = 30
        self._engine = create_async_engine(url, connect_args=arguments, **engine_options)
        self._sessionmaker = async_sessionmaker(bind=self._engine, expire_on_commit=False, autoflush=False)

    async def close(self) -> None:
        if self._engine is None:
            raise NotInitialised("DatabaseSessionManager is not initialised: call init() first")
        await self._engine.dispose()
        self._engine = None
        self._sessionmaker = None

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        if self._engine is None:
            raise NotInitialised("DatabaseSessionManager is not initialised: call init() first")
        async with self._engine.begin() as connection:
            try:
                yield connection
            except Exception:
                await connection.rollback()
                raise

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        if self._sessionmaker is None:
            raise NotInitialised("DatabaseSessionManager is not initialised: call init() first")
        session = self._sessionmaker()
        try:
            yield session
        except Exception:
            await session.rollback()
            raise
        finally:
            await session.close()


sessionmanager = DatabaseSessionManager()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with sessionmanager.session() as session:
        yield session


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    sessionmanager.init(
        os.environ.get("DATABASE_URL", "sqlite:///manager.db"),
        pool_pre_ping=True,
        pool_recycle=280,
        pool_size=4,
        max_overflow=4,
    )
    try:
        async with sessionmanager.connect() as connection:
            await connection.execute(text("select 1"))
        yield
    finally:
        await sessionmanager.close()


app = FastAPI(lifespan=lifespan)
