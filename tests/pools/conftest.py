"""One server per module, engines that are disposed of, and a look at what each test left behind."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.pools.server_view import ServerView, server_view
from course_lib.servers import PostgresServer

MakeEngine = Callable[..., AsyncEngine]


def run_apart(function: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine in an event loop of its own, in a thread of its own."""
    results: list[Any] = []

    async def main() -> None:
        results.append(await function())

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One running server for all tests of a module."""
    running = run_apart(lambda: PostgresServer.start(max_connections=30))
    yield running
    run_apart(running.stop)


async def backends(server: PostgresServer, expected: int = 0, *, state: str | None = None) -> ServerView:
    """What the server sees, asked again for up to three seconds until it is this many in that state."""
    deadline = time.monotonic() + 3
    while True:
        view = await server_view(server)
        found = len(view) if state is None else view.count(state)
        if found == expected or time.monotonic() > deadline:
            return view
        await asyncio.sleep(0.02)


@pytest.fixture
async def nothing_left(server: PostgresServer) -> AsyncIterator[None]:
    """After the test, no task runs any more and the server has no client."""
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:  # asyncpg tells the server of a cancelled query in a task of its own, which ends by itself
        _, left = await asyncio.wait(left, timeout=2)
    assert not left
    assert not await backends(server)


@pytest.fixture
async def make_engine(server: PostgresServer, nothing_left: None) -> AsyncIterator[MakeEngine]:
    """Makes engines on the server and disposes of them at the end."""
    made: list[AsyncEngine] = []

    def make(**settings: Any) -> AsyncEngine:
        engine = create_async_engine(server.url, **{"pool_timeout": 0.2, **settings})
        made.append(engine)
        return engine

    yield make
    for engine in made:
        await engine.dispose()
