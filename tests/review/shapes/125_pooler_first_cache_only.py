"""The provider's transaction pooler, reached through a tunnel; asyncpg's cache is off, SQLAlchemy's was forgotten."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(
    "postgresql+asyncpg://postgres.projectref:example-from-dashboard@127.0.0.1:6543/postgres",
    connect_args={"statement_cache_size": 0},
    pool_size=5,
    max_overflow=2,
    pool_recycle=200,
    pool_pre_ping=True,
    pool_timeout=5,
)
AsyncSessionLocal = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_db():
    async with AsyncSessionLocal() as session:
        yield session
