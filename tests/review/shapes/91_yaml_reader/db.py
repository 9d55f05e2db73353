"""One file for each stage; the password stands in it."""

from pathlib import Path

import yaml
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

config = yaml.safe_load(Path(__file__).with_name("config.yaml").read_text(encoding="utf-8"))["database"]
url = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{name}".format(**config)

engine = create_async_engine(url, echo=config["echo"], pool_size=20, max_overflow=20)
async_session = async_sessionmaker(engine, class_=AsyncSession)


async def get_session():
    async with async_session() as session:
        yield session
