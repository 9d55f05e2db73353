"""TLS contexts that mean what libpq's modes mean: `require` encrypts, `verify-full` verifies as well."""

import os
import ssl
from collections.abc import AsyncGenerator
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def tls(mode: str, root: str | None) -> ssl.SSLContext | str:
    if mode in ("disable", "allow", "prefer"):
        return mode
    context = ssl.create_default_context(cafile=root or os.getenv("PGSSLROOTCERT"))
    if mode == "require":
        # Encrypted, as was asked for; verify-full is there for who wants more.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif mode == "verify-ca":
        context.check_hostname = False
    return context


def configure(raw: str) -> tuple[Any, dict[str, Any]]:
    url = make_url(raw)
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite"), {}
    query = dict(url.query)
    mode, root = query.pop("sslmode", None), query.pop("sslrootcert", None)
    query.pop("channel_binding", None)
    arguments = {"ssl": tls(str(mode), root)} if mode else {}  # type: ignore[arg-type]
    return url.set(drivername="postgresql+asyncpg", query=query), {"connect_args": arguments}


_url, _options = configure(os.environ.get("DATABASE_URL") or "sqlite+aiosqlite:///tls.db")
engine = create_async_engine(_url, pool_pre_ping=True, pool_recycle=60 * 4, **_options)
AsyncSessionLocal = async_sessionmaker(bind=engine, class_=AsyncSession, expire_on_commit=False)


async def get_db() -> AsyncGenerator[AsyncSession, None]:
    async with AsyncSessionLocal() as session:
        try:
            yield session
        except Exception:
            await session.rollback()
            raise
        finally:
            await session.close()
