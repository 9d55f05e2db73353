# %% right: an exit stack
from contextlib import AsyncExitStack, asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.state.engine.dispose)
        await app.state.prepare(app.state.engine)
        yield


# %% right: a class
class lifespan:
    def __init__(self, app):
        self.state = app.state

    async def __aenter__(self):
        try:
            await self.state.prepare(self.state.engine)
        except BaseException:
            await self.state.engine.dispose()
            raise

    async def __aexit__(self, *_):
        await self.state.engine.dispose()


# %% right: aclosing, and a state for the requests
from contextlib import asynccontextmanager


class Closing:
    def __init__(self, engine):
        self.engine = engine

    async def __aenter__(self):
        return self.engine

    async def __aexit__(self, *_):
        await self.engine.dispose()


@asynccontextmanager
async def lifespan(app):
    async with Closing(app.state.engine) as engine:
        await app.state.prepare(engine)
        yield {"engine": engine}


# %% right: logs and raises again
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    engine = app.state.engine
    try:
        try:
            await app.state.prepare(engine)
        except Exception as error:
            raise RuntimeError("could not prepare the database") from error
        yield
    finally:
        await engine.dispose()


# %% wrong: no-dispose | without the `await` nothing happens
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    await app.state.prepare(app.state.engine)
    yield


# %% wrong: no-dispose | the server still sees its connections
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
        yield
    finally:
        app.state.engine.dispose()


# %% wrong: no-dispose | the server still sees its connections
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
        yield
    except BaseException:
        await app.state.engine.dispose()
        raise


# %% wrong: no-dispose-on-failure | Put `try` above the call of `prepare`
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    await app.state.prepare(app.state.engine)
    yield
    await app.state.engine.dispose()


# %% wrong: no-dispose-on-failure | before it came to `dispose`
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    await app.state.prepare(app.state.engine)
    try:
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: no-dispose-on-cancel | does not see a cancellation
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
    except Exception:
        await app.state.engine.dispose()
        raise
    yield
    await app.state.engine.dispose()


# %% wrong: swallows-start-failure | served all the same
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
    except Exception:
        print("no database today")
    yield
    await app.state.engine.dispose()


# %% wrong: hides-the-reason | generator didn't yield
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
        yield
    except Exception:
        print("something went wrong")
    finally:
        await app.state.engine.dispose()


# %% wrong: does-not-prepare | Call it before the `yield`
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        yield
        await app.state.prepare(app.state.engine)
    finally:
        await app.state.engine.dispose()


# %% wrong: does-not-prepare | and await it
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        app.state.prepare(app.state.engine)
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: disposes-too-early | Dispose after the `yield`
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
    finally:
        await app.state.engine.dispose()
    yield


# %% wrong: prepares-twice | once for each start
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
        await app.state.prepare(app.state.engine)
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: other-engine | make no new one
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import create_async_engine


@asynccontextmanager
async def lifespan(app):
    engine = create_async_engine(app.state.engine.url)
    try:
        await app.state.prepare(engine)
        yield
    finally:
        await engine.dispose()
        await app.state.engine.dispose()


# %% wrong: no-lifespan | a function that takes the application
lifespan = 5

# %% error: no attribute 'database'
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    await app.state.prepare(app.state.database)
    yield


# %% timed out: did not finish within
import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    await asyncio.Event().wait()
    yield


# %% timed out: did not finish within
import time
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    time.sleep(60)
    yield


# %% error: asynchronous context manager
from contextlib import contextmanager


@contextmanager
def lifespan(app):
    yield


# %% error: No database today
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    raise LookupError("No database today")
    yield


# %% right: a task group
import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(app.state.prepare(app.state.engine))
        yield
    finally:
        await app.state.engine.dispose()


# %% right: disposes in two places
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    engine = app.state.engine
    try:
        await app.state.prepare(engine)
    except BaseException:
        await engine.dispose()
        raise
    try:
        yield
    finally:
        await engine.dispose()


# %% right: a decorator of its own
from contextlib import asynccontextmanager
import functools


def disposing(function):
    @functools.wraps(function)
    async def wrapper(app):
        try:
            async for each in function(app):
                yield each
        finally:
            await app.state.engine.dispose()
    return asynccontextmanager(wrapper)


@disposing
async def lifespan(app):
    await app.state.prepare(app.state.engine)
    yield


# %% right: a generator without the decorator
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: hides-the-reason | or name it
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        try:
            await app.state.prepare(app.state.engine)
        except Exception:
            raise RuntimeError("start failed") from None
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: dispose-not-awaited | was begun and not awaited
import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
        yield
    finally:
        app.state.bye = asyncio.create_task(app.state.engine.dispose())


# %% wrong: prepares-only-once | Each start has to prepare
from contextlib import asynccontextmanager

done = []


@asynccontextmanager
async def lifespan(app):
    try:
        if not done:
            done.append(1)
            await app.state.prepare(app.state.engine)
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: prepares-only-once | with another engine
from contextlib import asynccontextmanager

done = []


@asynccontextmanager
async def lifespan(app):
    try:
        if len(done) < 2:
            done.append(1)
            await app.state.prepare(app.state.engine)
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: swallows-start-failure | Let the exception through
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    for _ in range(3):
        try:
            await app.state.prepare(app.state.engine)
            break
        except Exception:
            pass
    try:
        yield
    finally:
        await app.state.engine.dispose()


# %% wrong: requests-fail | its first requests failed
from contextlib import asynccontextmanager
from sqlalchemy import text


@asynccontextmanager
async def lifespan(app):
    try:
        await app.state.prepare(app.state.engine)
        async with app.state.engine.begin() as connection:
            await connection.execute(text("drop table visit"))
        yield
    finally:
        await app.state.engine.dispose()


# %% error: SystemExit: 3
import sys
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    sys.exit(3)
    yield
