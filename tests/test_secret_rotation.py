"""Does an engine take up a rotated password without a restart, while it works?"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.masking import mask_text
from course_lib.rotation import follow_rotation
from course_lib.servers import PostgresServer
from course_lib.settings import DatabaseSettings


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    async with PostgresServer() as running:
        yield running


async def run_as_admin(server: PostgresServer, statement: str) -> None:
    address = server.admin_url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait, with a limit, until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def who(engine: AsyncEngine) -> str:
    """The user of a new connection."""
    await engine.dispose()
    async with engine.connect() as connection:
        return str(await connection.scalar(text("select current_user")))


async def test_two_roles_in_turn_while_requests_run(server: PostgresServer, tmp_path: Path) -> None:
    """As Kubernetes and AWS's alternating users do it: no request fails, and both users are seen."""
    urls = {name: await server.create_role(name) for name in ("app_a", "app_b")}

    def publish(version: str, url: URL) -> None:
        folder = tmp_path / f"..{version}"
        folder.mkdir()
        for name in ("username", "password"):
            (folder / name).write_text(f"{getattr(url, name)}\n")
        (tmp_path / "..new").symlink_to(folder.name)
        (tmp_path / "..new").rename(tmp_path / "..data")

    publish("1", urls["app_a"])
    base = f"postgresql://127.0.0.1:{server.port}/{server.url.database}"

    def read() -> URL:
        return DatabaseSettings(env_file=None, database_url=base, secrets_dir=tmp_path).url

    engine = create_async_engine(read(), pool_size=3)
    follow_rotation(engine, read)
    users: list[str] = []
    stop = asyncio.Event()

    async def request() -> None:
        while not stop.is_set():
            async with engine.connect() as connection:
                users.append(await connection.scalar(text("select current_user")))
                if len(users) % 7 == 0:
                    await connection.invalidate()  # as pool_recycle does: the next one is new

    workers = [asyncio.create_task(request()) for _ in range(3)]
    try:
        await until(lambda: users.count("app_a") >= 50)
        publish("2", urls["app_b"])
        await until(lambda: users.count("app_b") >= 50)
        await run_as_admin(server, "ALTER ROLE app_a NOLOGIN")
        seen = len(users)
        await until(lambda: len(users) >= seen + 50)
    finally:
        stop.set()
        await asyncio.gather(*workers)
        await engine.dispose()
    assert set(users) == {"app_a", "app_b"} and set(users[-20:]) == {"app_b"}


async def test_a_kept_password_is_read_again_when_it_is_refused(server: PostgresServer) -> None:
    current = [await server.create_role("app")]
    reads: list[URL] = []

    async def read() -> URL:
        reads.append(current[0])
        return current[0]

    engine = create_async_engine(server.url, pool_size=1)
    follow_rotation(engine, read, keep_seconds=3600)
    assert [await who(engine) for _ in range(3)] == ["app"] * 3
    assert len(reads) == 1
    await run_as_admin(server, "ALTER ROLE app PASSWORD 'example-next'")
    current[0] = current[0].set(password="example-next")
    assert await who(engine) == "app" and len(reads) == 2
    assert mask_text("example-next") == "***"
    await run_as_admin(server, "ALTER ROLE app PASSWORD 'example-third'")
    with pytest.raises((DBAPIError, asyncpg.InvalidPasswordError), match="password authentication failed"):
        await who(engine)
    assert len(reads) == 3
    await engine.dispose()


async def test_other_errors_are_not_taken_for_a_refusal(server: PostgresServer) -> None:
    reads: list[URL] = []

    def read() -> URL:
        reads.append(server.url)
        return server.url

    engine = create_async_engine(server.url.set(database="absent"), pool_size=1)
    follow_rotation(engine, read)
    with pytest.raises((DBAPIError, asyncpg.InvalidCatalogNameError), match="does not exist"):
        await who(engine)
    assert len(reads) == 1
    await engine.dispose()


async def test_reading_does_not_stop_the_loop(server: PostgresServer) -> None:
    def slow() -> URL:
        time.sleep(0.3)
        return server.url

    engine = create_async_engine(server.url)
    follow_rotation(engine, slow)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await who(engine)
    ticking.cancel()
    assert ticks >= 5
    await engine.dispose()


async def test_a_reader_that_fails_fails_the_checkout(server: PostgresServer) -> None:
    def read() -> URL:
        raise LookupError("the secret is gone")

    engine = create_async_engine(server.url)
    follow_rotation(engine, read)
    with pytest.raises(LookupError, match="the secret is gone"):
        await who(engine)
    await engine.dispose()
