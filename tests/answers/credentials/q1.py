# %% right: the environment by hand, the file by python-dotenv
import os

from dotenv import dotenv_values
from pydantic import SecretStr


def read_database_url(env_file):
    value = os.environ.get("DATABASE_URL") or dotenv_values(env_file).get("DATABASE_URL")
    if not value:
        raise RuntimeError("Set DATABASE_URL")
    return SecretStr(value)


# %% right: a settings class, and pydantic's own error
from pydantic import SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, extra="ignore", hide_input_in_errors=True):
    database_url: SecretStr


def read_database_url(env_file):
    return Settings(_env_file=env_file).database_url


# %% right: async, with an alias, and a KeyError that has the name
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Config(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore")
    url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")


async def read_database_url(env_file):
    found = Config(_env_file=env_file).url
    if found is None:
        raise KeyError("DATABASE_URL")
    return found


# %% right: both as one mapping
import os
from collections import ChainMap

from dotenv import dotenv_values
from pydantic import SecretStr


def read_database_url(env_file):
    return SecretStr(ChainMap(os.environ, dotenv_values(env_file))["DATABASE_URL"])


# %% wrong: still-in-the-code | still in the code
from pydantic import SecretStr


def read_database_url(env_file):
    url = "postgresql://app:example-other@db.internal/shop"
    return SecretStr(url)


# %% wrong: default-holds-the-secret | Have no default
from pydantic import SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, extra="ignore"):
    database_url: SecretStr = SecretStr("postgresql://app:example-Qz7@db.internal/shop")


def read_database_url(env_file):
    return Settings(_env_file=env_file).database_url


# %% wrong: default-holds-the-secret | a URL from the code comes back
# The same with plain text: what matters more is said first.
import os

from dotenv import dotenv_values


def read_database_url(env_file):
    default = "postgresql://app:example-Qz7@db.internal/shop"
    return os.environ.get("DATABASE_URL", dotenv_values(env_file).get("DATABASE_URL", default))


# %% wrong: prints-the-secret | printed or logged
import os

from dotenv import dotenv_values
from pydantic import SecretStr


def read_database_url(env_file):
    value = os.environ.get("DATABASE_URL") or dotenv_values(env_file)["DATABASE_URL"]
    print("using", value)
    return SecretStr(value)


# %% wrong: prints-the-secret | printed or logged
import logging

from pydantic import SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, extra="ignore"):
    database_url: SecretStr


def read_database_url(env_file):
    settings = Settings(_env_file=env_file)
    logging.warning("settings: %s", settings.database_url.get_secret_value())
    return settings.database_url


# %% wrong: returns-plain-text | plain text
import os

from dotenv import dotenv_values


def read_database_url(env_file):
    return {**dotenv_values(env_file), **os.environ}["DATABASE_URL"]


# %% wrong: wrong-precedence | ask the environment first
import os

from dotenv import dotenv_values
from pydantic import SecretStr


def read_database_url(env_file):
    return SecretStr({**os.environ, **dotenv_values(env_file)}["DATABASE_URL"])


# %% wrong: wrong-precedence | ask the environment first
import os

from dotenv import load_dotenv
from pydantic import SecretStr


def read_database_url(env_file):
    load_dotenv(env_file, override=True)
    return SecretStr(os.environ["DATABASE_URL"])


# %% wrong: fills-the-environment | copied the file into the environment
import os

from dotenv import load_dotenv
from pydantic import SecretStr


def read_database_url(env_file):
    load_dotenv(env_file)
    return SecretStr(os.environ["DATABASE_URL"])


# %% wrong: does-not-read-the-file | stands in the file
import os

from pydantic import SecretStr


def read_database_url(env_file):
    return SecretStr(os.environ["DATABASE_URL"])


# %% wrong: does-not-read-the-file | stands in the file
# Looks for .env in the current folder, not for the file that is passed.
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", extra="ignore")
    database_url: SecretStr


def read_database_url(env_file):
    return Settings().database_url


# %% wrong: needs-the-file | Without a `.env` file the function fails
import os
from pathlib import Path

from pydantic import SecretStr


def read_database_url(env_file):
    lines = Path(env_file).read_text().splitlines()
    pairs = dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
    return SecretStr(os.environ.get("DATABASE_URL") or pairs["DATABASE_URL"].strip('"'))


# %% wrong: keeps-the-quotes | the quotes came along
import os
from pathlib import Path

from pydantic import SecretStr


def read_database_url(env_file):
    if "DATABASE_URL" in os.environ:
        return SecretStr(os.environ["DATABASE_URL"])
    for line in Path(env_file).read_text().splitlines():
        if line.startswith("export DATABASE_URL="):
            return SecretStr(line.partition("=")[2])
    raise LookupError("DATABASE_URL")


# %% wrong: refuses-other-variables | extra="ignore"
from pydantic import SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    database_url: SecretStr


def read_database_url(env_file):
    return Settings(_env_file=env_file).database_url


# %% wrong: keeps-the-first | of an earlier call
from functools import cache

from pydantic import SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, extra="ignore"):
    database_url: SecretStr


@cache
def settings(name):
    return Settings(_env_file=name)


def read_database_url(env_file):
    return settings("x" if not env_file else env_file[-4:]).database_url


# %% wrong: goes-on-without-it | returned all the same
from pydantic import SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, extra="ignore"):
    database_url: SecretStr | None = None


def read_database_url(env_file):
    return Settings(_env_file=env_file).database_url


# %% wrong: error-without-the-name | does not say what is missing
import os

from dotenv import dotenv_values
from pydantic import SecretStr


def read_database_url(env_file):
    value = os.environ.get("DATABASE_URL") or dotenv_values(env_file).get("DATABASE_URL")
    assert value
    return SecretStr(value)


# %% wrong: error-shows-values | repeats the value of another variable
import os

from dotenv import dotenv_values
from pydantic import SecretStr


def read_database_url(env_file):
    found = {**dotenv_values(env_file), **os.environ}
    if "DATABASE_URL" not in found:
        raise LookupError(f"DATABASE_URL is missing in {dotenv_values(env_file)}")
    return SecretStr(found["DATABASE_URL"])


# %% wrong: returns-stars | gave stars
from pydantic import SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings, extra="ignore"):
    database_url: SecretStr


def read_database_url(env_file):
    return str(Settings(_env_file=env_file).database_url)


# %% wrong: another-value | something else than the value
from pydantic_settings import BaseSettings


class Settings(BaseSettings, extra="ignore"):
    database_url: str


def read_database_url(env_file):
    return Settings(_env_file=env_file)


# %% error: name 'SecretStr' is not defined
import os


def read_database_url(env_file):
    return SecretStr(os.environ["DATABASE_URL"])


# %% timed out: waits for ever
def read_database_url(env_file):
    while True:
        pass
