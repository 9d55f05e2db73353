"""Application factory: `uvicorn --factory app:create_app`."""
import os
from contextlib import asynccontextmanager
from typing import AsyncIterator, TypedDict
from fastapi import Depends, FastAPI, Request
from sqlalchemy import String, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))

class State(TypedDict):
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

def build_engine(raw: str) -> AsyncEngine:
    url = make_url(raw)
    if url.get_backend_name() == "sqlite":
        return create_async_engine(url.set(drivername="sqlite+aiosqlite"))
    query = dict(url.query)
    if mode := query.pop("sslmode", ""):
        query["ssl"] = mode
    return create_async_engine(url.set(drivername="postgresql+asyncpg", query=query),
                               pool_pre_ping=True, pool_recycle=270)

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    engine = build_engine(os.environ.get("DATABASE_URL", "sqlite:///items.db"))
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    try:
        yield {"engine": engine, "sessions": async_sessionmaker(engine, expire_on_commit=False)}
    finally:
        await engine.dispose()

async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.state.sessions() as session:
        yield session

def create_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.get("/items")
    async def items(session: AsyncSession = Depends(get_session)):
        return [i.name for i in (await session.scalars(select(Item))).all()]

    return app

app = create_app()
