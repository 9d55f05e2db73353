# %% right: settings in a table
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    name, url = environment.get("APP_ENV", ""), environment.get("DATABASE_URL")
    known = {
        "development": (url, {"echo": True}),
        "test": ("sqlite+aiosqlite:///:memory:", {}),
        "production": (url, {"pool_size": 5, "max_overflow": 5, "pool_pre_ping": True, "pool_timeout": 10}),
    }
    if name not in known:
        raise ValueError(f"unknown APP_ENV {name!r}")
    address, options = known[name]
    return create_async_engine(address, **options)


# %% right: async, with an enum
from enum import Enum

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool


class Environment(Enum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


async def create_engine_for(environment):
    chosen = Environment(environment.get("APP_ENV"))
    if chosen is Environment.TEST:
        return create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    url = make_url(environment["DATABASE_URL"])
    if chosen is Environment.DEVELOPMENT:
        engine = create_async_engine(url)
        engine.echo = True
        return engine
    return create_async_engine(
        url, pool_size=5, max_overflow=5, pool_pre_ping=True, pool_recycle=240, hide_parameters=True
    )


# %% wrong: tests-reach-the-real-database | A test must not look at it at all
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    url = environment.get("DATABASE_URL", "sqlite+aiosqlite://")
    match environment.get("APP_ENV"):
        case "development":
            return create_async_engine(url, echo=True)
        case "test":
            return create_async_engine(url)
        case "production":
            return create_async_engine(url, pool_size=5, max_overflow=5, pool_pre_ping=True)
    raise ValueError("APP_ENV")


# %% wrong: pool-arguments | refuses the pool's options
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    options = {"pool_size": 5, "max_overflow": 5, "pool_pre_ping": True}
    name = environment.get("APP_ENV")
    if name == "test":
        return create_async_engine("sqlite+aiosqlite://", **options)
    if name in ("development", "production"):
        return create_async_engine(environment["DATABASE_URL"], echo=name == "development", **options)
    raise ValueError(name)


# %% wrong: database-per-connection | Exercise 10.1 has the reason
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def create_engine_for(environment):
    name = environment.get("APP_ENV")
    if name == "test":
        return create_async_engine("sqlite+aiosqlite://", poolclass=NullPool)
    if name == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if name == "production":
        return create_async_engine(environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True)
    raise ValueError(name)


# %% wrong: one-engine-for-all | Two calls for `test` give the same engine
from sqlalchemy.ext.asyncio import create_async_engine

engines = {}


def create_engine_for(environment):
    name = environment.get("APP_ENV")
    if name not in engines:
        match name:
            case "development":
                engines[name] = create_async_engine(environment["DATABASE_URL"], echo=True)
            case "test":
                engines[name] = create_async_engine("sqlite+aiosqlite://")
            case "production":
                engines[name] = create_async_engine(environment["DATABASE_URL"], pool_size=5, max_overflow=5)
            case _:
                raise ValueError(name)
    return engines[name]


# %% wrong: test-in-a-file | The engine for tests opens a file
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    return create_async_engine("sqlite+aiosqlite:///test.db")


# %% wrong: engines-share-a-database | finds the tables of an earlier one
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool


def create_engine_for(environment):
    url = "sqlite+aiosqlite:///file:shared?mode=memory&cache=shared&uri=true"
    return create_async_engine(url, poolclass=StaticPool)


# %% wrong: reads-os-environ | Read the argument, not `os.environ`
import os

from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match os.environ.get("APP_ENV"):
        case "development":
            return create_async_engine(os.environ["DATABASE_URL"], echo=True)
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "production":
            return create_async_engine(
                os.environ["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
            )
    raise ValueError("APP_ENV")


# %% wrong: reads-os-environ | Read the argument, not `os.environ`
# Only the address comes from the process.
import os

from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV"):
        case "development":
            return create_async_engine(os.environ["DATABASE_URL"], echo=True)
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "production":
            return create_async_engine(
                os.environ["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
            )
    raise ValueError("APP_ENV")


# %% wrong: echo-everywhere | Only `development` does
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    if environment.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://", echo=True)
    return create_async_engine(environment["DATABASE_URL"], echo=True)


# %% wrong: echo-everywhere | APP_ENV 'production'
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    if environment.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if environment.get("APP_ENV") == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if environment.get("APP_ENV") != "production":
        raise ValueError("APP_ENV")
    return create_async_engine(
        environment["DATABASE_URL"], echo=True, pool_size=5, max_overflow=5, pool_pre_ping=True
    )


# %% wrong: no-echo-in-development | logs nothing
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    if environment.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://")
    return create_async_engine(environment["DATABASE_URL"])


# %% wrong: development-in-memory | gone at the next start
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    return create_async_engine("sqlite+aiosqlite://", echo=environment.get("APP_ENV") == "development")


# %% wrong: another-file | another file than the one that `DATABASE_URL` names
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine("sqlite+aiosqlite:///dev.db", echo=True)
    return create_async_engine(environment["DATABASE_URL"])


# %% wrong: pool-not-bounded | opened at once
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine(environment["DATABASE_URL"], echo=True)
    if environment.get("APP_ENV") != "production":
        raise ValueError("APP_ENV")
    return create_async_engine(environment["DATABASE_URL"], pool_size=5, pool_pre_ping=True)


# %% wrong: pool-not-bounded | 5 open
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine(environment["DATABASE_URL"], echo=True)
    if environment.get("APP_ENV") != "production":
        raise ValueError("APP_ENV")
    return create_async_engine(environment["DATABASE_URL"], max_overflow=0, pool_timeout=1)


# %% wrong: pool-not-bounded | 10 kept
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine(environment["DATABASE_URL"], echo=True)
    if environment.get("APP_ENV") != "production":
        raise ValueError("APP_ENV")
    return create_async_engine(environment["DATABASE_URL"], pool_size=10, max_overflow=0, pool_pre_ping=True)


# %% wrong: no-pool-in-production | keeps no connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def create_engine_for(environment):
    match environment.get("APP_ENV"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine(environment["DATABASE_URL"], echo=True)
    if environment.get("APP_ENV") != "production":
        raise ValueError("APP_ENV")
    return create_async_engine(environment["DATABASE_URL"], poolclass=NullPool)


# %% wrong: no-pre-ping | the next request failed
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine(environment["DATABASE_URL"], echo=True)
    if environment.get("APP_ENV") != "production":
        raise ValueError("APP_ENV")
    return create_async_engine(environment["DATABASE_URL"], pool_size=5, max_overflow=5)


# %% wrong: guesses-an-environment | a typing mistake decides
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV", "development"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine(environment["DATABASE_URL"], echo=True)
        case _:
            return create_async_engine(
                environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
            )


# %% wrong: guesses-an-environment | {'DATABASE_URL': 'postgresql+asyncpg://app:example-pw@127.0.0.1:…/shop'}
# Nothing set means development.
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    match environment.get("APP_ENV", "development"):
        case "test":
            return create_async_engine("sqlite+aiosqlite://")
        case "development":
            return create_async_engine(environment["DATABASE_URL"], echo=True)
        case "production":
            return create_async_engine(
                environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
            )
        case other:
            raise ValueError(other)


# %% wrong: raises-another-error | That raises `KeyError`
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    makers = {
        "test": lambda url: create_async_engine("sqlite+aiosqlite://"),
        "development": lambda url: create_async_engine(url, echo=True),
        "production": lambda url: create_async_engine(url, pool_size=5, max_overflow=5, pool_pre_ping=True),
    }
    return makers[environment["APP_ENV"]](environment.get("DATABASE_URL"))


# %% wrong: connects-at-creation | opened a connection
from sqlalchemy.ext.asyncio import create_async_engine


async def create_engine_for(environment):
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.connect():
        return engine


# %% wrong: another-database | another database than the SQLite file
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    if environment.get("APP_ENV") == "test":
        return create_async_engine("sqlite+aiosqlite://")
    return create_async_engine("postgresql+asyncpg://127.0.0.1:1/dev")


# %% wrong: another-database | another database than the server in DATABASE_URL
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    if environment.get("APP_ENV") == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if environment.get("APP_ENV") not in ("test", "production"):
        raise ValueError("APP_ENV")
    return create_async_engine("sqlite+aiosqlite://")


# %% wrong: returns-no-engine | returned `NoneType`
def create_engine_for(environment):
    return None


# %% error: KeyError
def create_engine_for(environment):
    return environment["DATABASE"]


# %% right: options in the URL, a file URI
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(
            "sqlite+aiosqlite:///file:"
            + make_url(environment["DATABASE_URL"]).database
            + "?uri=true",
            echo="debug",
        )
    if app == "production":
        return create_async_engine(
            make_url(environment["DATABASE_URL"]).update_query_dict(
                {"prepared_statement_cache_size": "50"}
            ),
            pool_size=5,
            max_overflow=5,
            pool_pre_ping=True,
        )
    raise ValueError("APP_ENV")


# %% right: settings that are validated
from typing import Literal

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine


class Settings(BaseModel):
    app: Literal["development", "test", "production"]
    url: str | None = None


def create_engine_for(environment):
    settings = Settings(app=environment.get("APP_ENV"), url=environment.get("DATABASE_URL"))
    if settings.app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if settings.app == "development":
        return create_async_engine(settings.url, echo=True)
    return create_async_engine(settings.url, pool_size=5, max_overflow=5, pool_pre_ping=True)


# %% right: asks at each checkout by itself
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine


def production(url):
    engine = create_async_engine(url, pool_size=5, max_overflow=5)

    @event.listens_for(engine.sync_engine, "checkout")
    def ping(connection, record, proxy):
        cursor = connection.cursor()
        try:
            cursor.execute("select 1")
            connection.rollback()
        except Exception:
            raise DisconnectionError() from None

    return engine


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return production(environment["DATABASE_URL"])
    raise ValueError("APP_ENV")


# %% right: levels of the logger
import logging

from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    logging.getLogger("sqlalchemy.engine").setLevel(
        "INFO" if environment.get("APP_ENV") == "development" else "WARNING"
    )
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"])
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: never-reuses | never lends one twice
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_recycle=0
        )
    raise ValueError("APP_ENV")


# %% wrong: guesses-an-environment | ' development '
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = (environment.get("APP_ENV") or "").strip()
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: guesses-an-environment | 'TEST'
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = {"TEST": "test"}.get(environment.get("APP_ENV"), environment.get("APP_ENV"))
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: guesses-an-environment | 'APP_ENV': ' development '
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = next(
        (
            n
            for n in ("test", "development", "production")
            if n in (environment.get("APP_ENV") or "?")
        ),
        None,
    )
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: guesses-an-environment | sqlite+aiosqlite:////srv/app/data.db
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = (
        environment.get("APP_ENV")
        if environment.get("APP_ENV") == "test"
        or not environment["DATABASE_URL"].startswith("sqlite")
        else "development"
    )
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: test-in-a-file | The engine for tests opens a file
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine(
            environment["DATABASE_URL"]
            if environment["DATABASE_URL"].startswith("sqlite")
            else "sqlite+aiosqlite://"
        )
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: tests-need-the-url | raises `KeyError`
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    url = environment["DATABASE_URL"]
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: one-engine-for-all | Two calls for `test` give the same engine
from itertools import cycle

from sqlalchemy.ext.asyncio import create_async_engine

TWO = cycle([create_async_engine("sqlite+aiosqlite://") for _ in range(2)])


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return next(TWO)
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: echo-pool | logs what its pool does
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"],
            pool_size=5,
            max_overflow=5,
            pool_pre_ping=True,
            echo_pool=True,
        )
    raise ValueError("APP_ENV")


# %% wrong: masked-password | `str(url)` hides it
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            str(make_url(environment["DATABASE_URL"])),
            pool_size=5,
            max_overflow=5,
            pool_pre_ping=True,
        )
    raise ValueError("APP_ENV")


# %% error: Invalid argument(s) 'pool_sise'
from sqlalchemy.ext.asyncio import create_async_engine


def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_sise=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")


# %% wrong: is-a-fixture | only pytest can call that
import pytest
from sqlalchemy.ext.asyncio import create_async_engine


@pytest.fixture
def create_engine_for(environment):
    app = environment.get("APP_ENV")
    if app == "test":
        return create_async_engine("sqlite+aiosqlite://")
    if app == "development":
        return create_async_engine(environment["DATABASE_URL"], echo=True)
    if app == "production":
        return create_async_engine(
            environment["DATABASE_URL"], pool_size=5, max_overflow=5, pool_pre_ping=True
        )
    raise ValueError("APP_ENV")
