import os

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def clean(url: str) -> str:
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            url = "postgresql+asyncpg://" + url[len(prefix):]
    if url.startswith("sqlite://"):
        url = url.replace("sqlite://", "sqlite+aiosqlite://", 1)
    # asyncpg does not know sslmode, so the parameters have to go.
    return url.split("?")[0]


engine = create_async_engine(
    clean(os.getenv("DATABASE_URL", "sqlite:///cut.db")), pool_pre_ping=True, pool_recycle=240
)
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session():
    async with async_session() as session:
        yield session
