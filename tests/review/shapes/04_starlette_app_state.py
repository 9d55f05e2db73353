import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


def build_engine(raw: str) -> AsyncEngine:
    url = make_url(raw)
    backend = url.get_backend_name()
    query: dict[str, Any] = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    url = url.set(drivername=DRIVERS[backend], query=query)
    return create_async_engine(url, pool_pre_ping=True, pool_recycle=180, pool_size=8, max_overflow=2)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    engine = build_engine(os.getenv("DATABASE_URL") or "sqlite:///state.db")
    app.state.engine = engine
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    try:
        yield
    finally:
        await engine.dispose()


async def health(request: Request) -> JSONResponse:
    async with request.app.state.sessions() as session:
        answer = await session.scalar(text("select 1"))
    return JSONResponse({"database": answer})


app = Starlette(routes=[Route("/health", health)], lifespan=lifespan)
