from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(
    "sqlite+aiosqlite:///./broken.db",
    echo=False


async def get_session()
    async with AsyncSession(engine) as session:
        yield session
