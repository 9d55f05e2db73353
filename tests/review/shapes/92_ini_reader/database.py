import configparser
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import sessionmaker
from sqlmodel.ext.asyncio.session import AsyncSession

parser = configparser.ConfigParser()
parser.read(Path(__file__).with_name("settings.ini"))
section = parser["postgresql"]

DATABASE_URL = URL.create(
    drivername="postgresql+asyncpg",
    username=section.get("user"),
    password=section.get("password", fallback=None),
    host=section.get("host"),
    port=section.getint("port"),
    database=section.get("database"),
)
engine = create_async_engine(DATABASE_URL, pool_recycle=1800, pool_pre_ping=True)


async def get_session():
    factory = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    async with factory() as session:
        yield session
