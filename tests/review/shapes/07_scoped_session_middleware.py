"""One session for each request, found by a context variable."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar, Token
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine

_context: ContextVar[str] = ContextVar("session_context", default="outside")


def set_session_context(value: str) -> Token[str]:
    return _context.set(value)


def reset_session_context(token: Token[str]) -> None:
    _context.reset(token)


def _url():
    url = make_url(os.getenv("DB_URL", "sqlite:///scoped.db"))
    if url.drivername.startswith("sqlite"):
        return url.set(drivername="sqlite+aiosqlite")
    names = {"sslmode": "ssl"}
    return url.set(
        drivername="postgresql+asyncpg",
        query={names.get(name, name): value for name, value in url.query.items()},
    )


engine = create_async_engine(_url(), pool_pre_ping=True, pool_recycle=290, pool_size=5, max_overflow=10)
factory = async_sessionmaker(engine, expire_on_commit=False)
session: async_scoped_session[AsyncSession] = async_scoped_session(factory, scopefunc=_context.get)


async def session_middleware(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    token = set_session_context(str(uuid4()))
    try:
        return await call_next(request)
    finally:
        await session.remove()
        reset_session_context(token)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


def create_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    app.middleware("http")(session_middleware)
    return app
