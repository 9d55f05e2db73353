import os
import re
from contextlib import asynccontextmanager
from sqlalchemy.ext.asyncio import create_async_engine, async_sessionmaker, AsyncSession

class Database:
    def __init__(self, url: str | None = None):
        url = url or os.environ.get("DATABASE_URL", "sqlite:///local.db")
        url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+asyncpg://", url)
        url = re.sub(r"^sqlite://", "sqlite+aiosqlite://", url)
        self.url = re.sub(r"([?&])sslmode=", r"\1ssl=", url)
        self.engine = None
        self.sessions = None

    async def connect(self):
        self.engine = create_async_engine(self.url, pool_pre_ping=True, pool_recycle=280, pool_size=5, max_overflow=5)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    async def disconnect(self):
        if self.engine is not None:
            await self.engine.dispose()
            self.engine = None

    @asynccontextmanager
    async def session(self):
        async with self.sessions() as session:
            yield session

db = Database()
