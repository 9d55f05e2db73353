# %% right: workers that keep their connection, in a task group
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    queue = asyncio.Queue()
    for job in jobs:
        queue.put_nowait(job)
    results = {}

    async def worker():
        async with engine.connect() as connection:
            while not queue.empty():
                job = queue.get_nowait()
                results[job] = await work(connection, job)
                await connection.rollback()

    async with asyncio.TaskGroup() as group:
        for _ in range(engine.pool.size()):
            group.create_task(worker())
    return [results[job] for job in jobs]


# %% right: a semaphore a little larger than the pool
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    gate = asyncio.BoundedSemaphore(7)

    async def run(job):
        async with gate:
            async with engine.connect() as connection:
                return await work(connection, job)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(job)) for job in jobs]
    return [task.result() for task in tasks]


# %% wrong: one-after-another | four of the five connections
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    results = []
    for job in jobs:
        async with engine.connect() as connection:
            results.append(await work(connection, job))
    return results


# %% wrong: too-few-at-once | At most 3 jobs
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    gate = asyncio.Semaphore(3)

    async def run(job):
        async with gate, engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*map(run, jobs))


# %% wrong: huge-overflow | opens a sixth connection
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=195, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    async def run(job):
        async with engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*[run(job) for job in jobs])


# %% wrong: endless-timeout | waits on and on
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=None)


async def run_jobs(engine, jobs, work):
    async def run(job):
        async with engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*[run(job) for job in jobs])


# %% wrong: shrinks-the-pool | The limit is 5
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=4, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    async def run(job):
        async with engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*[run(job) for job in jobs])


# %% wrong: queues-in-the-pool | those at the end of its queue give up
# A little longer.
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.9)


async def run_jobs(engine, jobs, work):
    async def run(job):
        async with engine.connect() as connection:
            return await work(connection, job)

    return list(await asyncio.gather(*map(run, jobs)))


# %% wrong: queues-in-the-pool | Some results are exceptions
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    async def run(job):
        async with engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*map(run, jobs), return_exceptions=True)


# %% wrong: shares-a-connection | one connection
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    async with engine.connect() as connection:
        return await asyncio.gather(*(work(connection, job) for job in jobs))


# %% wrong: passes-no-connection | something else than a connection
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    gate = asyncio.Semaphore(5)

    async def run(job):
        async with gate:
            return await work(engine, job)

    return await asyncio.gather(*map(run, jobs))


# %% wrong: loses-the-order | keeps the order
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    waiting = iter(jobs)
    results = []

    async def worker():
        for job in waiting:
            async with engine.connect() as connection:
                results.append(await work(connection, job))

    await asyncio.gather(*(worker() for _ in range(5)))
    return results


# %% wrong: loses-jobs | exactly once
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    gate = asyncio.Semaphore(5)

    async def run(job):
        async with gate, engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*map(run, jobs[:150]))


# %% wrong: leaves-connections-out | Give each one back
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


kept = []


async def run_jobs(engine, jobs, work):
    gate = asyncio.Semaphore(5)

    async def run(job):
        async with gate:
            connection = await engine.connect()
            try:
                return await work(connection, job)
            finally:
                if job == 200:
                    kept.append(connection)
                else:
                    await connection.close()

    return await asyncio.gather(*map(run, jobs))


# %% right: a view of the engine with other options, a session's connection
import asyncio

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    gate = asyncio.Semaphore(5)
    plain = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def run(job):
        async with gate, AsyncSession(plain) as session:
            return await work(await session.connection(), job)

    return await asyncio.gather(*map(run, jobs))


# %% wrong: retries-time-outs | Retrying keeps the queue in the pool
import asyncio

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    async def run(job):
        while True:
            try:
                async with engine.connect() as connection:
                    return await work(connection, job)
            except PoolTimeout:
                continue

    return await asyncio.gather(*map(run, jobs))


# %% wrong: endless-timeout | changes the pool's time limit
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    engine.pool._timeout = 60

    async def run(job):
        async with engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*map(run, jobs))


# %% wrong: huge-overflow | hand out 20 connections at once
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    engine.pool._max_overflow = 15
    gate = asyncio.Semaphore(20)

    async def run(job):
        async with gate, engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*map(run, jobs))


# %% wrong: shrinks-the-timeout | a request may wait half a second
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.01)


async def run_jobs(engine, jobs, work):
    gate = asyncio.Semaphore(5)

    async def run(job):
        async with gate, engine.connect() as connection:
            return await work(connection, job)

    return await asyncio.gather(*map(run, jobs))


# %% wrong: batches-that-idle | in the share of the same worker
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    async def worker(share):
        results = []
        for job in share:
            async with engine.connect() as connection:
                results.append(await work(connection, job))
        return results

    shares = await asyncio.gather(*(worker(jobs[first::5]) for first in range(5)))
    return [shares[place % 5][place // 5] for place in range(len(jobs))]


# %% wrong: holds-another-connection | Something else holds one
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    gate = asyncio.Semaphore(5)

    async def run(job):
        async with gate, engine.connect() as connection:
            return await work(connection, job)

    async with engine.connect():
        return await asyncio.gather(*map(run, jobs))


# %% wrong: never-returns | workers for a queue that stays empty
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def make_engine(url):
    return create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=0.5)


async def run_jobs(engine, jobs, work):
    queue = asyncio.Queue()
    for job in jobs:
        queue.put_nowait(job)
    results = {}

    async def worker():
        while True:
            job = await queue.get()
            async with engine.connect() as connection:
                results[job] = await work(connection, job)

    await asyncio.gather(*(worker() for _ in range(5)))
    return [results[job] for job in jobs]


# %% right: a callable object whose five connections lie in a queue
import asyncio
from contextlib import AsyncExitStack
from functools import partial

from sqlalchemy.ext.asyncio import create_async_engine

make_engine = partial(create_async_engine, pool_size=3, max_overflow=2, pool_timeout=0.5)


class RunJobs:
    async def __call__(self, engine, jobs, work):
        free = asyncio.LifoQueue()
        async with AsyncExitStack() as stack:
            for _ in range(5):
                free.put_nowait(await stack.enter_async_context(engine.begin()))

            async def run(job):
                connection = await free.get()
                try:
                    return await work(connection, job)
                finally:
                    free.put_nowait(connection)

            return list(await asyncio.gather(*map(run, jobs)))


run_jobs = RunJobs()
