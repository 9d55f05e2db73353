"""A class-based manager with the usual gaps."""

import os

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(primary_key=True)


class DatabaseHelper:
    def __init__(self, url: str, echo: bool = False, pool_size: int = 20, max_overflow: int = 10) -> None:
        self.engine = create_async_engine(url=url, echo=echo, pool_size=pool_size, max_overflow=max_overflow)
        self.session_factory = async_sessionmaker(
            bind=self.engine, autoflush=False, autocommit=False, expire_on_commit=False
        )

    async def dispose(self) -> None:
        await self.engine.dispose()

    async def create_all(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def session_getter(self):
        session = self.session_factory()
        try:
            yield session
            await session.commit()
        finally:
            await session.close()


db_helper = DatabaseHelper(url=os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///./tickets.db"))
get_session = db_helper.session_getter
