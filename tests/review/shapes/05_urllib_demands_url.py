"""No default: whoever forgets the variable is told so."""

import os
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

SCHEMES = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


def to_async(raw: str) -> str:
    scheme, separator, rest = raw.strip().partition("://")
    if not separator or scheme not in SCHEMES:
        raise RuntimeError("DATABASE_URL has to start with postgresql:// or sqlite://")
    if scheme.startswith("sqlite"):
        return f"{SCHEMES[scheme]}://{rest}"
    parts = urlsplit(f"postgresql://{rest}")
    query = [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(parts.query)]
    query = [pair for pair in query if pair[0] != "channel_binding"]
    plain = urlunsplit(parts._replace(query=urlencode(query)))
    return plain.replace("postgresql://", "postgresql+asyncpg://", 1)


if not os.getenv("DATABASE_URL"):
    raise RuntimeError("Set DATABASE_URL before starting, for instance to sqlite:///dev.db")

engine = create_async_engine(to_async(os.environ["DATABASE_URL"]), pool_pre_ping=True, pool_recycle=120)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
