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
