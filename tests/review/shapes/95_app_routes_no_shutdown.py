import os
from typing import Annotated, AsyncIterator

from fastapi import Depends, FastAPI
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = make_url(os.getenv("DATABASE_URL", "sqlite:///routes.db"))
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    url = url.set(drivername="postgresql+asyncpg", query=query)
engine = create_async_engine(url, pool_pre_ping=True, pool_recycle=240)
Session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session


@app.get("/health")
async def health(session: Annotated[AsyncSession, Depends(get_session)]) -> dict[str, int]:
    return {"database": await session.scalar(text("select 1"))}
