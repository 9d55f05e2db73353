"""Defaults stand in a file beside this one; the environment has the last word."""

import os
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

CONFIG = tomllib.loads(Path(__file__).with_name("config.toml").read_text(encoding="utf-8"))["database"]
RAW_URL = os.environ.get("DATABASE_URL", CONFIG["url"])


def normalised(raw: str):
    url = make_url(raw)
    driver = {"sqlite": "aiosqlite"}.get(url.get_backend_name(), "asyncpg")
    backend = "sqlite" if driver == "aiosqlite" else "postgresql"
    query = dict(url.query)
    if backend == "postgresql" and "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername=f"{backend}+{driver}", query=query)


engine = create_async_engine(normalised(RAW_URL), **CONFIG["engine"])
sessions = async_sessionmaker(engine, expire_on_commit=CONFIG["session"]["expire_on_commit"])


async def get_db_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session
