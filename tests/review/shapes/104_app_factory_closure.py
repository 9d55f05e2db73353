import os
from contextlib import asynccontextmanager
from fastapi import FastAPI, Depends
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
def create_app(database_url: str | None = None) -> FastAPI:
    u = make_url(database_url or os.environ.get("DATABASE_URL", "sqlite:///a.db"))
    if u.get_backend_name() == "sqlite":
        u = u.set(drivername="sqlite+aiosqlite")
    else:
        u = u.set(drivername="postgresql+asyncpg", query={("ssl" if k == "sslmode" else k): v for k, v in u.query.items()})
    engine = create_async_engine(u, pool_pre_ping=True, pool_recycle=240)
    maker = async_sessionmaker(engine, expire_on_commit=False)
    @asynccontextmanager
    async def lifespan(app: FastAPI):
        yield
        await engine.dispose()
    app = FastAPI(lifespan=lifespan)
    async def get_session():
        async with maker() as s:
            yield s
    @app.get("/")
    async def root(s: AsyncSession = Depends(get_session)):
        return await s.scalar(text("select 1"))
    return app
