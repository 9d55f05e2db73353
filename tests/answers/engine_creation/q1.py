# %% right: a match on the text
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    match environment.get("DEBUG", "off").strip().casefold():
        case "1" | "true" | "yes" | "on":
            return create_async_engine(url, echo=True)
        case _:
            return create_async_engine(url)


# %% right: async, and echo set afterwards
from sqlalchemy.ext.asyncio import create_async_engine


async def make_engine(url, environment):
    engine = create_async_engine(url, pool_pre_ping=True)
    engine.echo = environment.get("DEBUG", "").upper() in ("1", "TRUE", "YES", "ON")
    return engine


# %% right: the URL as unmasked text, a regular expression
import re

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    on = re.fullmatch("1|true|yes|on", environment["DEBUG"] if "DEBUG" in environment else "", re.IGNORECASE)
    return create_async_engine(url.render_as_string(hide_password=False), echo=on is not None)


# %% wrong: misses-a-spelling | {'DEBUG': 'y'}
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    try:
        debug = TypeAdapter(bool).validate_python(environment.get("DEBUG"))
    except ValidationError:
        debug = False
    return create_async_engine(url, echo=debug, hide_parameters=True)


# %% wrong: always-on | logs its statements whatever DEBUG says
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=True)


# %% wrong: never-on | holds nothing, whatever DEBUG says
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url)


# %% wrong: bool-of-text | `bool()` of text is False only when the text is empty
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=bool(environment.get("DEBUG", False)))


# %% wrong: connects-at-creation | opened a connection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def make_engine(url, environment):
    engine = create_async_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    return engine


# %% wrong: connects-at-creation | opened a connection
# It leaves nothing open, and still needs the database.
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def make_engine(url, environment):
    engine = create_async_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    await engine.dispose()
    return engine


# %% wrong: reads-os-environ | follows the DEBUG of this process
import os

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})


# %% wrong: reads-os-environ | follows the DEBUG of this process
# Falls back to it where the argument says nothing.
import os

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    debug = environment.get("DEBUG", os.environ.get("DEBUG", ""))
    return create_async_engine(url, echo=debug.lower() in {"1", "true", "yes", "on"})


# %% wrong: never-on | holds nothing, whatever DEBUG says
# Read once, when the cell ran.
import os

from sqlalchemy.ext.asyncio import create_async_engine

DEBUG = os.environ.get("COURSE_NO_SUCH_DEBUG", "").lower() in {"1", "true", "yes", "on"}


def make_engine(url, environment):
    return create_async_engine(url, echo=DEBUG)


# %% wrong: echo-gets-text | `echo` is at fault
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG"))


# %% wrong: debug-required | read it with `.get`
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=environment["DEBUG"].lower() in {"1", "true", "yes", "on"})


# %% wrong: misses-a-spelling | {'DEBUG': 'TRUE'}
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG") in {"1", "true", "yes", "on"})


# %% wrong: misses-a-spelling | {'DEBUG': '1'}
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG", "").lower() == "true")


# %% wrong: misses-a-spelling | environment without DEBUG
# On unless it is switched off.
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG", "true").lower() not in {"", "0", "false", "no", "off"})


# %% wrong: logs-rows | logs the rows that come back
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    on = environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
    return create_async_engine(url, echo="debug" if on else False)


# %% wrong: logs-every-engine | a logger's level counts for all of
import logging

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    if environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
    return create_async_engine(url)


# %% wrong: masked-url | would log in with the password `***`
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(str(url), echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})


# %% wrong: another-url | Pass `url` on as it is
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine("postgresql+asyncpg://localhost/app", echo="DEBUG" in environment)


# %% wrong: sync-engine | synchronous `Engine`
from sqlalchemy import create_engine


def make_engine(url, environment):
    return create_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})


# %% wrong: returns-no-engine | returned NoneType, not an `AsyncEngine`
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    create_async_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})


# %% error: invalid literal for int()
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=bool(int(environment.get("DEBUG") or "0")))


# %% error: asyncio.run() cannot be called from a running event loop
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    engine = create_async_engine(url)
    warm = engine.dispose()
    try:
        asyncio.run(warm)
    finally:
        warm.close()
    return engine


# %% timed out: Exercise 03.1 did not finish
import asyncio


async def make_engine(url, environment):
    await asyncio.Event().wait()


# %% wrong: takes-other-parameters | yours takes `(url)`
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, echo=True)


# %% wrong: takes-other-parameters | The check calls `create_async_engine` with 2 arguments
from sqlalchemy.ext.asyncio import create_async_engine

make_engine = create_async_engine


# %% wrong: passes-no-function | an object of type `AsyncEngine`
from sqlalchemy.ext.asyncio import create_async_engine

make_engine = create_async_engine("postgresql+asyncpg://db.internal/shop", echo=True)


# %% right: takes DEBUG out of the process's environment
import os

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    os.environ.pop("DEBUG", None)
    return create_async_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})


# %% right: after a logging configuration that disabled the loggers it did not name
import logging.config

from sqlalchemy.ext.asyncio import create_async_engine

logging.getLogger("sqlalchemy.engine.Engine")
logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})


# %% right: after logging was configured to show all statements, and then turned off
import logging

from sqlalchemy.ext.asyncio import create_async_engine

logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
logging.disable(logging.CRITICAL)


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})


# %% right: an engine with a name in the log, and its pool's log as well
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    on = environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
    return create_async_engine(url, echo=on, echo_pool=on, logging_name="shop", pool_logging_name="shop")


# %% wrong: misses-a-spelling | {'DEBUG': '2'}
# Names what is off.
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    off = {"", "0", "false", "no", "off"}
    return create_async_engine(url, echo=environment.get("DEBUG", "").lower() not in off)


# %% wrong: misses-a-spelling | {'DEBUG': '10'}
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG", "").lower().startswith(("1", "t", "y", "on")))


# %% wrong: wrong-way-round | The condition is the wrong way round
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    return create_async_engine(url, echo=environment.get("DEBUG", "").lower() not in {"1", "true", "yes", "on"})


# %% wrong: connects-at-creation | opened a connection
# A task warms the pool up.
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

tasks = []


async def warm_up(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


def make_engine(url, environment):
    engine = create_async_engine(url, echo=environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"})
    tasks.append(asyncio.create_task(warm_up(engine)))
    return engine


# %% wrong: unknown-word-raises | does not know it
from sqlalchemy.ext.asyncio import create_async_engine

WORDS = {"": False, "0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}


def make_engine(url, environment):
    return create_async_engine(url, echo=WORDS[environment.get("DEBUG", "").lower()])


# %% wrong: reads-os-environ | Without DEBUG in `environment`
import os

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    debug = environment.get("DEBUG", os.environ.get("DEBUG", ""))
    return create_async_engine(url, echo=debug.lower() in {"1", "true", "yes", "on"})


# %% wrong: misses-a-spelling | {'DEBUG': 'YES'}
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url, environment):
    known = {"1", "true", "True", "TRUE", "yes", "Yes", "on"}
    return create_async_engine(url, echo=environment.get("DEBUG") in known)


# %% wrong: one-engine-for-all | returns the engine of the first one
from sqlalchemy.ext.asyncio import create_async_engine

made = []


def make_engine(url, environment):
    if not made:
        debug = environment.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
        made.append(create_async_engine(url, echo=debug))
    return made[0]


# %% right: one engine for each setting, kept, with numpy's bool
from functools import lru_cache

import numpy as np
from sqlalchemy.ext.asyncio import create_async_engine


@lru_cache
def engine_with(url, debug):
    return create_async_engine(url, echo=np.bool_(debug))


def make_engine(url, environment):
    return engine_with(url, environment.get("DEBUG", "").casefold() in {"1", "true", "yes", "on"})


# %% right: made of a configuration, with a token in the log
from sqlalchemy.ext.asyncio import async_engine_from_config


def make_engine(url, environment):
    debug = environment.get("DEBUG", "").lower() in ("1", "true", "yes", "on")
    made = async_engine_from_config({"sqlalchemy.url": url, "sqlalchemy.echo": debug})
    return made.execution_options(logging_token="shop")


# %% wrong: returns-no-engine | returned int
def make_engine(url, environment):
    return 10**5000
