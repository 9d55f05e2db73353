import os
from dataclasses import dataclass
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

@dataclass(slots=True)
class Settings:
    database_url: str
    echo: bool = False

def load_settings() -> Settings:
    return Settings(os.environ.get("DATABASE_URL", "sqlite:///app.db"), os.environ.get("SQL_ECHO") == "1")

def to_async(raw: str):
    u = make_url(raw)
    match u.get_backend_name():
        case "postgresql" | "postgres":
            q = dict(u.query)
            if "sslmode" in q:
                q["ssl"] = q.pop("sslmode")
            return u.set(drivername="postgresql+asyncpg", query=q)
        case "sqlite":
            return u.set(drivername="sqlite+aiosqlite")
        case other:
            raise ValueError(f"Unsupported database: {other}")

_engine = None
_factory = None

def get_engine():
    global _engine
    if _engine is None:
        s = load_settings()
        _engine = create_async_engine(to_async(s.database_url), echo=s.echo, pool_pre_ping=True, pool_recycle=240)
    return _engine

def get_session_factory():
    global _factory
    if _factory is None:
        _factory = async_sessionmaker(get_engine(), expire_on_commit=False)
    return _factory

async def get_session():
    async with get_session_factory()() as session:
        yield session

async def close_engine():
    global _engine, _factory
    if _engine is not None:
        await _engine.dispose()
    _engine = _factory = None
