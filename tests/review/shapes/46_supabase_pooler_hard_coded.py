"""The provider's transaction pooler, reached through a tunnel on this machine."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

USER = "postgres.projectref"
PASSWORD = "example-from-dashboard"
HOST = "127.0.0.1"
PORT = 6543

engine = create_async_engine(
    f"postgresql+asyncpg://{USER}:{PASSWORD}@{HOST}:{PORT}/postgres",
    pool_size=5,
    max_overflow=2,
    pool_recycle=300,
    pool_pre_ping=True,
)
AsyncSessionLocal = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_db():
    async with AsyncSessionLocal() as session:
        yield session
