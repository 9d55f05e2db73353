from pydantic import BaseModel, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


class DatabaseConfig(BaseModel):
    url: str = "sqlite+aiosqlite:///./nested.db"
    echo: bool = False
    pool_size: int = 50
    max_overflow: int = 100
    pool_recycle: int = 3600

    @model_validator(mode="after")
    def use_asyncpg(self) -> "DatabaseConfig":
        if self.url.startswith("postgresql://"):
            self.url = self.url.replace("postgresql://", "postgresql+asyncpg://", 1)
        return self


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_nested_delimiter="__", env_prefix="APP_", case_sensitive=False)

    database: DatabaseConfig = DatabaseConfig()


settings = Settings()
engine = create_async_engine(
    settings.database.url,
    echo=settings.database.echo,
    pool_size=settings.database.pool_size,
    max_overflow=settings.database.max_overflow,
    pool_recycle=settings.database.pool_recycle,
    pool_pre_ping=True,
)
session_factory = async_sessionmaker(engine, autoflush=False, expire_on_commit=False)


async def session_getter():
    async with session_factory() as session:
        yield session
