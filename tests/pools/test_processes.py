"""Jobs in several client processes: are they counted truly, and does none of the processes stay?"""

import asyncio
import time
from collections.abc import AsyncIterator

import psutil
import pytest
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.pools.processes import run_in_processes
from course_lib.servers import PgBouncer, PostgresServer


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    async with PostgresServer(max_connections=60) as running:
        yield running


def safe(url: URL) -> AsyncEngine:
    """An engine that prepares nothing with a name."""
    return create_async_engine(url, connect_args={"statement_cache_size": 0})


async def test_all_jobs_are_counted(server: PostgresServer) -> None:
    async with PgBouncer(server, default_pool_size=2) as bouncer:
        url = bouncer.url
        good = await run_in_processes(lambda: safe(url), processes=2, jobs=13, transactions=2)
        bad = await run_in_processes(lambda: create_async_engine(url), jobs=20, transactions=4)
        (stats,) = await bouncer.stats()
    assert good.counts == {"ok": 26}
    assert (good.ok, good.wrong, good.errors, good.error, good.mistake) == (26, 0, {}, "", "")
    assert stats.total_xact_count >= 52
    assert sum(bad.counts.values()) == 60
    assert bad.ok < 60
    assert {"DuplicatePreparedStatementError", "InvalidSQLStatementNameError"} & bad.errors.keys()
    assert "prepared statement" in bad.error
    assert bool(bad.wrong) == bool(bad.mistake)


async def test_an_async_function_may_make_the_engine(server: PostgresServer) -> None:
    async def make() -> AsyncEngine:
        return safe(server.url)

    assert (await run_in_processes(make, processes=1, jobs=3)).ok == 3


async def test_what_hangs_counts_as_not_finished(server: PostgresServer) -> None:
    """Once because the event loop waits, once because it is blocked."""

    async def waits() -> AsyncEngine:
        await asyncio.sleep(60)
        raise AssertionError

    def blocks() -> AsyncEngine:
        time.sleep(60)
        raise AssertionError

    began = time.monotonic()
    for make in (waits, blocks):
        counts = await run_in_processes(make, processes=2, jobs=3, seconds=0.3)
        assert counts.counts == {"not finished": 6}
    assert time.monotonic() - began < 30


async def test_a_function_that_raises_tells_its_error(server: PostgresServer) -> None:
    def broken() -> AsyncEngine:
        raise ValueError("no such setting")

    counts = await run_in_processes(broken, processes=2, jobs=3)
    assert counts.counts == {"not finished": 6}
    assert counts.error == "ValueError: no such setting"


async def test_no_process_stays_after_a_cancellation(server: PostgresServer) -> None:
    me = psutil.Process()
    before = {child.pid for child in me.children()}
    slow = asyncio.ensure_future(run_in_processes(lambda: safe(server.url), jobs=10_000))
    await asyncio.sleep(0.2)  # they are forked at once
    assert len(me.children()) == len(before) + 3
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert {child.pid for child in me.children()} == before
