# -*- coding: utf-8 -*-
"""
Async database module
=====================

Provides:
    * URL handling for PostgreSQL and SQLite
    * a configured engine
    * a session dependency
    * table creation
    * application lifespan
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import asynccontextmanager
from typing import Annotated, Any, AsyncGenerator, Final, Optional

from fastapi import Depends, FastAPI
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

logger = logging.getLogger(__name__)

# ---------------------------------------------------------------------------
# Configuration
# ---------------------------------------------------------------------------

DEFAULT_URL: Final[str] = "sqlite+aiosqlite:///./assistant.db"
POOL_SIZE: Final[int] = int(os.getenv("DB_POOL_SIZE", "5"))
MAX_OVERFLOW: Final[int] = int(os.getenv("DB_MAX_OVERFLOW", "10"))
ECHO: Final[bool] = os.getenv("DB_ECHO", "false").strip().lower() in {"1", "true", "yes"}


def get_async_database_url(url: Optional[str] = None) -> str:
    """Convert any supported URL to its async form."""
    url = url or os.getenv("DATABASE_URL") or DEFAULT_URL
    url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+asyncpg://", url)
    url = re.sub(r"^sqlite(\+\w+)?://", "sqlite+aiosqlite://", url)
    return re.sub(r"(?<=[?&])sslmode=", "ssl=", url)


# ---------------------------------------------------------------------------
# Engine
# ---------------------------------------------------------------------------


def build_engine(url: str) -> AsyncEngine:
    """Create the engine with options that suit its backend."""
    kwargs: dict[str, Any] = {"echo": ECHO, "future": True}
    if not url.startswith("sqlite"):
        kwargs.update(
            pool_size=POOL_SIZE,
            max_overflow=MAX_OVERFLOW,
            pool_timeout=30,
            pool_recycle=240,
            pool_pre_ping=True,
        )
    return create_async_engine(url, **kwargs)


engine: AsyncEngine = build_engine(get_async_database_url())


# ---------------------------------------------------------------------------
# Models
# ---------------------------------------------------------------------------


class Todo(SQLModel, table=True):
    """A thing to do."""

    id: Optional[int] = Field(default=None, primary_key=True)
    title: str = Field(max_length=200)
    done: bool = Field(default=False)


# ---------------------------------------------------------------------------
# Sessions
# ---------------------------------------------------------------------------


async def get_session() -> AsyncGenerator[AsyncSession, None]:
    """Yield a session and make sure that it is closed."""
    session = AsyncSession(engine, expire_on_commit=False)
    try:
        yield session
    except SQLAlchemyError:
        logger.exception("database error, rolling back")
        await session.rollback()
        raise
    except Exception:
        await session.rollback()
        raise
    finally:
        await session.close()


SessionDep = Annotated[AsyncSession, Depends(get_session)]


# ---------------------------------------------------------------------------
# Lifecycle
# ---------------------------------------------------------------------------


async def create_db_and_tables() -> None:
    """Create all tables."""
    async with engine.begin() as conn:
        await conn.run_sync(SQLModel.metadata.create_all)


async def close_database() -> None:
    """Dispose of the engine."""
    await engine.dispose()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Create tables at start-up, dispose at shut-down."""
    logger.info("starting")
    await create_db_and_tables()
    try:
        yield
    finally:
        await close_database()
        logger.info("stopped")
