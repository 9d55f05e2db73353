from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


class Settings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore")

    database_url: str = "sqlite+aiosqlite:///:memory:"
    db_pool_size: int = 5
    db_max_overflow: int = 10


settings = Settings()
url = make_url(settings.database_url)
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    url = url.set(drivername="postgresql+asyncpg", query=query)

engine = create_async_engine(
    url,
    pool_size=settings.db_pool_size,
    max_overflow=settings.db_max_overflow,
    pool_recycle=240,
    pool_pre_ping=True,
)
async_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session():
    async with async_session() as session:
        yield session
