"""Services ask for a unit of work; it commits only when it is told to."""

import os
from types import TracebackType
from typing import Self

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def async_url(raw: str):
    url = make_url(raw)
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    names = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
    return url.set(drivername=names[url.get_backend_name()], query=query)


engine = create_async_engine(
    async_url(os.getenv("DATABASE_URL", "sqlite:///work.db")), pool_pre_ping=True, pool_recycle=240
)
session_factory = async_sessionmaker(engine, expire_on_commit=False)


class UnitOfWork:
    session: AsyncSession

    async def __aenter__(self) -> Self:
        self.session = session_factory()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.rollback()
        await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()


async def get_uow():
    async with UnitOfWork() as uow:
        yield uow
