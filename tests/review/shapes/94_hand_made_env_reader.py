"""Reads .env by hand."""

import os
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def config(name: str, default: str | None = None) -> str:
    if name in os.environ:
        return os.environ[name]
    file = Path(".env")
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == name:
                return value.strip().strip('"')
    if default is None:
        raise RuntimeError(f"{name} is neither in the environment nor in .env")
    return default


DB_USER = config("DB_USER", "postgres")
DB_PASS = config("DB_PASS", "example")
DB_HOST = config("DB_HOST", "localhost")
DB_PORT = config("DB_PORT", "5432")
DB_NAME = config("DB_NAME", "postgres")

engine = create_async_engine(
    f"postgresql+asyncpg://{DB_USER}:{DB_PASS}@{DB_HOST}:{DB_PORT}/{DB_NAME}", pool_size=10, max_overflow=20
)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_async_session():
    async with async_session() as session:
        yield session
