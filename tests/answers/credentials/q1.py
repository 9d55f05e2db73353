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


# %% right: a parser of its own and an exception of its own
import os, shlex, pathlib
from pydantic import SecretStr
class Missing(Exception):
    def __init__(self): super().__init__("no DATABASE_URL anywhere")
def read_database_url(env_file):
    if "DATABASE_URL" in os.environ: return SecretStr(os.environ["DATABASE_URL"])
    try: text = pathlib.Path(env_file).read_text()
    except FileNotFoundError: text = ""
    for word in shlex.split(text, comments=True):
        name, _, value = word.partition("=")
        if name == "DATABASE_URL": return SecretStr(value)
    raise Missing


# %% right: an object that can be called
import os, dotenv
from pydantic import SecretStr
class Reader:
    def __call__(self, env_file):
        value = os.getenv("DATABASE_URL") or dotenv.get_key(env_file, "DATABASE_URL")
        assert value, "DATABASE_URL is missing"
        return SecretStr(value)
read_database_url = Reader()


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


# %% wrong: goes-on-without-it | It holds no password
import os
from dotenv import dotenv_values
from pydantic import SecretStr
def read_database_url(env_file):
    return SecretStr({**dotenv_values(env_file), **os.environ}.get("DATABASE_URL", "postgresql://localhost/shop"))


# %% wrong: prints-the-secret | printed or logged
import os
from dotenv import dotenv_values
from pydantic import SecretStr
from sqlalchemy import make_url
def read_database_url(env_file):
    value = {**dotenv_values(env_file), **os.environ}.get("DATABASE_URL")
    if value is None: raise LookupError("DATABASE_URL")
    print(make_url(value).password); return SecretStr(value)


# %% wrong: keeps-the-first | of an earlier call
import os, functools
from dotenv import dotenv_values
from pydantic import SecretStr
@functools.lru_cache
def read_database_url(env_file):
    value = {**dotenv_values(env_file), **os.environ}.get("DATABASE_URL")
    if value is None: raise LookupError("DATABASE_URL")
    return SecretStr(value)


# %% wrong: cuts-the-value | at its first
import os
from pydantic import SecretStr
def read_database_url(env_file):
    if "DATABASE_URL" in os.environ: return SecretStr(os.environ["DATABASE_URL"])
    if os.path.exists(env_file):
        for line in open(env_file):
            if "DATABASE_URL" in line: return SecretStr(line.split("=")[1].strip().strip('"'))
    raise LookupError("DATABASE_URL")


# %% wrong: another-value | something else than the value
from pydantic import SecretStr
def read_database_url(env_file): return ""


# %% wrong: needs-the-file | In production there is no such file
from course_lib.settings import DatabaseSettings
def read_database_url(env_file):
    return DatabaseSettings(env_file=env_file).database_url


# %% error: name 'SecretStr' is not defined
import os


def read_database_url(env_file):
    return SecretStr(os.environ["DATABASE_URL"])


# %% timed out: waits for ever
def read_database_url(env_file):
    while True:
        pass
