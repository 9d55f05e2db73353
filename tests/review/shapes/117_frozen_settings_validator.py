from functools import cache
from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
class DbSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_DB_", frozen=True, hide_input_in_errors=True)
    url: SecretStr = SecretStr("sqlite+aiosqlite:///app.db")
    @field_validator("url")
    @classmethod
    def _async(cls, v: SecretStr) -> SecretStr:
        u = make_url(v.get_secret_value())
        b = u.get_backend_name().replace("postgresql", "postgres")
        if b not in ("postgres", "sqlite"):
            raise ValueError("only PostgreSQL and SQLite")
        q = dict(u.query)
        if b == "postgres" and "sslmode" in q:
            q["ssl"] = q.pop("sslmode")
        u = u.set(drivername={"postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}[b], query=q)
        return SecretStr(u.render_as_string(False))
@cache
def settings() -> DbSettings:
    return DbSettings()
@cache
def engine():
    return create_async_engine(settings().url.get_secret_value(), pool_pre_ping=True, pool_recycle=240)
@cache
def maker():
    return async_sessionmaker(engine(), expire_on_commit=False)
async def get_session():
    async with maker()() as session:
        yield session
