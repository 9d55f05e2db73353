from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DATABASE_", env_file=".env", extra="ignore")

    url: SecretStr = SecretStr("sqlite+aiosqlite:///./package.db")
    echo: bool = False
    pool_size: int = 5
    max_overflow: int = 5
    pool_recycle: int = 240


settings = DatabaseSettings()
