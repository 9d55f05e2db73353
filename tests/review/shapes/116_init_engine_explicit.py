import os
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
engine: AsyncEngine | None = None
SessionLocal: async_sessionmaker[AsyncSession] | None = None
def init_engine() -> None:
    global engine, SessionLocal
    u = make_url(os.environ.get("DATABASE_URL", "sqlite:///a.db"))
    if u.get_backend_name() == "sqlite":
        u = u.set(drivername="sqlite+aiosqlite")
    else:
        u = u.set(drivername="postgresql+asyncpg", query={("ssl" if k == "sslmode" else k): v for k, v in u.query.items()})
    engine = create_async_engine(u, pool_pre_ping=True, pool_recycle=240)
    SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    if SessionLocal is None:
        raise RuntimeError("call init_engine() first")
    async with SessionLocal() as session:
        yield session
async def dispose_engine():
    global engine
    if engine is not None:
        await engine.dispose()
        engine = None
