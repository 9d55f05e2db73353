"""The database layer of an async service: settings, URL, engine, tables, sessions, disposal.

Copy this file into your service. All that it takes from the course is the models: import yours.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib import models  # noqa: F401  tables are made of the models that were imported

DRIVERS = {"sqlite": "sqlite+aiosqlite"}
DRIVERS["postgres"] = DRIVERS["postgresql"] = "postgresql+asyncpg"
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
POOL_OPTIONS = {"pool_size", "max_overflow", "pool_timeout", "pool_recycle"}
TABLES_LOCK = 7_200_301  # any number, the same in all workers


class Settings(BaseSettings):
    """Read from the environment, then from `.env`: DATABASE_URL, DATABASE_ECHO, and so on."""

    model_config = SettingsConfigDict(
        env_prefix="DATABASE_", env_file=".env", extra="ignore", hide_input_in_errors=True
    )

    url: SecretStr = SecretStr("sqlite:///app.db")  # for development
    echo: bool = False
    pool_size: int = Field(default=5, ge=1)
    max_overflow: int = Field(default=5, ge=0)  # at most pool_size + max_overflow are open
    pool_timeout: float = Field(default=10, gt=0)  # seconds to wait for a connection
    pool_recycle: int = Field(default=240, gt=0)  # seconds; some hosts close at 300 idle ones
    command_timeout: float = Field(default=5, gt=0)  # seconds; below what users wait
    pgbouncer: bool = False  # whether a pooler in transaction mode stands in front


def get_async_database_url(url: str) -> str:
    """Return a provider's URL for an async driver; ValueError for an unknown kind or mode."""
    parsed = make_url(url)
    if (backend := parsed.get_backend_name()) not in DRIVERS:
        raise ValueError("DATABASE_URL has to begin with postgresql:// or sqlite://")
    query = dict(parsed.query)
    if backend != "sqlite":
        mode = query.pop("sslmode", query.get("ssl", ""))
        if query.pop("channel_binding", "") == "require" and mode not in TLS_MODES[3:]:
            mode = "require"  # asyncpg binds no channels, but TLS has to be there
        if mode and mode not in TLS_MODES:
            raise ValueError(f"sslmode in DATABASE_URL has to be one of {', '.join(TLS_MODES)}")
        query |= {"ssl": mode} if mode else {}
    parsed = parsed.set(drivername=DRIVERS[backend], query=query)
    return parsed.render_as_string(hide_password=False)


def make_engine(settings: Settings) -> AsyncEngine:
    """Return an engine with the pool that fits its database. It connects at its first use."""
    url = make_url(get_async_database_url(settings.url.get_secret_value()))
    options: dict[str, Any] = {"echo": settings.echo, "hide_parameters": not settings.echo}
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, **options)
        event.listen(engine.sync_engine, "connect", check_foreign_keys)
        return engine
    connect: dict[str, Any] = {"timeout": 10, "command_timeout": settings.command_timeout}
    query = dict(url.query)
    if query.pop("pgbouncer", "") == "true" or settings.pgbouncer:
        # A pooler's next transaction may run elsewhere. SQLAlchemy's cache goes with asyncpg's.
        connect |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    cafile: Any = query.pop("sslrootcert", None)
    mode = query.get("ssl")
    system = cafile == "system"  # what this machine trusts; then the host counts too
    if system or mode in TLS_MODES[4:] or (cafile and mode == "require"):
        query.pop("ssl", None)
        connect["ssl"] = ssl.create_default_context(cafile=None if system else cafile)
        connect["ssl"].check_hostname = system or mode == "verify-full"
    options |= settings.model_dump(include=POOL_OPTIONS) | {"pool_pre_ping": True}
    return create_async_engine(url.set(query=query), connect_args=connect, **options)


def check_foreign_keys(connection: Any, _: object) -> None:
    """SQLite checks foreign keys on the connections that ask for it."""
    connection.execute("PRAGMA foreign_keys = ON")


engine = make_engine(Settings())


async def create_db_and_tables() -> None:
    """Create the tables that are missing. Several workers may do so at the same time."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text(f"select pg_advisory_xact_lock({TABLES_LOCK})"))
        await connection.run_sync(SQLModel.metadata.create_all)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Hand out a session for one request. What was not committed is rolled back."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


async def dispose() -> None:
    """Close the pool's connections."""
    await engine.dispose()


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """For FastAPI(lifespan=lifespan): dispose at the end, also when the start fails."""
    try:
        await create_db_and_tables()
        yield
    finally:
        await dispose()
