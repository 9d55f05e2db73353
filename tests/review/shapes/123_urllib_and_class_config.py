from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
import os
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
def _asyncify(url):
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        return "sqlite+aiosqlite" + url[url.index(":"):]
    qs = [("ssl" if k == "sslmode" else k, v) for k, v in parse_qsl(parts.query)]
    return urlunsplit(("postgresql+asyncpg", parts.netloc, parts.path, urlencode(qs), ""))
class Config:
    SQLALCHEMY_DATABASE_URL = os.environ.get("SQLALCHEMY_DATABASE_URL", "sqlite:///./sql_app.db")
    POOL = {"pool_size": 5, "max_overflow": 10, "pool_timeout": 30, "pool_recycle": 300, "pool_pre_ping": True}
engine = create_async_engine(_asyncify(Config.SQLALCHEMY_DATABASE_URL), **Config.POOL)
AsyncSessionFactory = async_sessionmaker(engine, autoflush=False, expire_on_commit=False)
async def get_db():
    db = AsyncSessionFactory()
    try:
        yield db
    finally:
        await db.close()
