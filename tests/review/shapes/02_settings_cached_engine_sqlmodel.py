from collections.abc import AsyncGenerator
from functools import lru_cache

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import Field as Column
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    database_url: SecretStr = SecretStr("sqlite+aiosqlite:///./local.db")
    database_echo: bool = False
    pool_size: int = Field(default=10, ge=1)
    max_overflow: int = Field(default=5, ge=0)

    @field_validator("database_url")
    @classmethod
    def use_async_driver(cls, value: SecretStr) -> SecretStr:
        url = make_url(value.get_secret_value())
        match url.get_backend_name():
            case "postgresql" | "postgres":
                query = {("ssl" if key == "sslmode" else key): item for key, item in url.query.items()}
                url = url.set(drivername="postgresql+asyncpg", query=query)
            case "sqlite":
                url = url.set(drivername="sqlite+aiosqlite")
            case other:
                raise ValueError(f"no driver for {other}")
        return SecretStr(url.render_as_string(hide_password=False))


@lru_cache
def get_settings() -> Settings:
    return Settings()


@lru_cache
def get_engine() -> AsyncEngine:
    settings = get_settings()
    return create_async_engine(
        settings.database_url.get_secret_value(),
        echo=settings.database_echo,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_recycle=300,
        pool_pre_ping=True,
    )


class Hero(SQLModel, table=True):
    id: int | None = Column(default=None, primary_key=True)
    name: str = Column(index=True)


async def init_db() -> None:
    async with get_engine().begin() as conn:
        await conn.run_sync(SQLModel.metadata.create_all)


async def get_session() -> AsyncGenerator[AsyncSession, None]:
    async with AsyncSession(get_engine(), expire_on_commit=False) as session:
        yield session
