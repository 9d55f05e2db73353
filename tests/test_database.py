"""Does the reference configuration do what lesson 12 says of it? Asked of a real server and of SQLite."""

import asyncio
import importlib
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest
import pytest_asyncio
from pydantic import ValidationError
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool
from sqlmodel import select

from course_lib.models import Task
from course_lib.servers import PostgresServer
from course_lib.servers.certificates import Authority, ServerTLS

AUTHORITY = Authority()
Load = Callable[..., ModuleType]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[PostgresServer]:
    async with PostgresServer(tls=ServerTLS(AUTHORITY.server_certificate())) as running:
        yield running


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import the module anew, in an empty folder, with just these variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("DATABASE_", "PG"))]:
        monkeypatch.delenv(name)

    def loaded(**variables: str) -> ModuleType:
        for name, value in variables.items():
            monkeypatch.setenv(f"DATABASE_{name.upper()}", value)
        monkeypatch.delitem(sys.modules, "course_lib.database", raising=False)
        return importlib.import_module("course_lib.database")

    return loaded


async def fresh(server: PostgresServer, name: str) -> str:
    return (await server.create_database(name)).render_as_string(hide_password=False)


def libpq(url: str, mode: str = "") -> str:
    """The URL as a provider writes it."""
    plain = url.replace("postgresql+asyncpg://", "postgres://").partition("?")[0]
    return f"{plain}?sslmode={mode}" if mode else plain


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://u:example%40pw@db.example/shop", "postgresql+asyncpg://u:example%40pw@db.example/shop"),
        ("postgresql+psycopg2://db.example/shop", "postgresql+asyncpg://db.example/shop"),
        ("postgresql+asyncpg://db.example/shop?ssl=require", "postgresql+asyncpg://db.example/shop?ssl=require"),
        ("postgresql://db.example/shop?sslmode=verify-full", "postgresql+asyncpg://db.example/shop?ssl=verify-full"),
        ("postgresql://db.example/s?channel_binding=require", "postgresql+asyncpg://db.example/s?ssl=require"),
        (
            "postgresql://db.example/s?sslmode=verify-full&channel_binding=require",
            "postgresql+asyncpg://db.example/s?ssl=verify-full",
        ),
        ("sqlite:///app.db", "sqlite+aiosqlite:///app.db"),
        ("sqlite://", "sqlite+aiosqlite://"),
        ("sqlite+aiosqlite:////srv/app.db", "sqlite+aiosqlite:////srv/app.db"),
    ],
)
def test_urls(load: Load, given: str, expected: str) -> None:
    assert load().get_async_database_url(given) == expected


@pytest.mark.parametrize("url", ["mysql://db.example/shop", "postgresql://db.example/shop?sslmode=on"])
def test_what_it_does_not_know_is_refused(load: Load, url: str) -> None:
    with pytest.raises(ValueError, match="has to"):
        load().get_async_database_url(url)


async def test_without_settings_it_is_sqlite_with_foreign_keys(load: Load, tmp_path: Path) -> None:
    database = load()
    async with database.lifespan(None):
        async with database.engine.connect() as connection:
            assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
        sessions = database.get_session()
        session = await anext(sessions)
        session.add(Task(title="try it"))
        await session.commit()
        assert (await session.exec(select(Task.title))).all() == ["try it"]
        await sessions.aclose()
    assert (tmp_path / "app.db").is_file()
    assert not database.engine.echo


async def test_sqlite_in_memory_keeps_its_one_connection(load: Load) -> None:
    database = load(url="sqlite://")
    assert isinstance(database.engine.pool, StaticPool)
    await database.create_db_and_tables()
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM task"))).scalar() == 0
    await database.dispose()


async def test_foreign_keys_are_checked_on_sqlite(load: Load) -> None:
    database = load(url="sqlite://")
    async with database.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE parent (id integer primary key)"))
        await connection.execute(text("CREATE TABLE child (parent integer references parent (id))"))
    with pytest.raises(IntegrityError):
        async with database.engine.begin() as connection:
            await connection.execute(text("INSERT INTO child VALUES (7)"))
    await database.dispose()


def test_the_pool_is_what_the_settings_say(load: Load) -> None:
    pool = load(url="postgres://db.example/shop", pool_size="3", pool_timeout="2.5").engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    assert (pool.size(), pool._max_overflow, pool._timeout, pool._recycle, pool._pre_ping) == (3, 5, 2.5, 240, True)


def test_a_wrong_setting_stops_the_start_without_showing_secrets(load: Load) -> None:
    with pytest.raises(ValidationError) as caught:
        load(url="postgres://u:example-pw@db.example/shop", pool_size="many")
    assert "pool_size" in str(caught.value) and "example-pw" not in str(caught.value)


async def test_an_env_file_is_read(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgres://db.example/from_file\nOTHER=1\n")
    assert load().engine.url.database == "from_file"


async def test_statements_run_after_a_restart_of_their_backends(load: Load, server: PostgresServer) -> None:
    database = load(url=libpq(await fresh(server, "restarted")))
    async with database.lifespan(None):
        async with database.engine.connect() as one, database.engine.connect() as other:
            mine = [(await each.execute(text("SELECT pg_backend_pid()"))).scalar() for each in (one, other)]
        killer = create_async_engine(server.url)
        async with killer.connect() as connection:
            for backend in mine:
                await connection.execute(text(f"SELECT pg_terminate_backend({backend}, 5000)"))
        await killer.dispose()
        await asyncio.sleep(0.2)  # on SQLAlchemy 2.0 a ping that meets the last words of a backend fails
        async for session in database.get_session():
            assert (await session.exec(text("SELECT pg_backend_pid()"))).scalar() not in mine


async def test_a_session_keeps_values_after_commit_and_drops_what_was_not_committed(
    load: Load, server: PostgresServer
) -> None:
    database = load(url=libpq(await fresh(server, "sessions")))
    async with database.lifespan(None):
        async for session in database.get_session():
            kept = Task(title="kept")
            session.add(kept)
            await session.commit()
            assert kept.title == "kept" and kept.id is not None
            session.add(Task(title="forgotten"))
            await session.flush()
        sessions = database.get_session()
        session = await anext(sessions)
        session.add(Task(title="failed"))
        await session.flush()
        with pytest.raises(RuntimeError):
            await sessions.athrow(RuntimeError("the endpoint failed"))
        async for session in database.get_session():
            assert (await session.exec(select(Task.title))).all() == ["kept"]
        assert database.engine.pool.checkedout() == 0


async def test_several_workers_create_the_tables_at_once(load: Load, server: PostgresServer) -> None:
    database = load(url=libpq(await fresh(server, "raced")))
    await asyncio.gather(*(database.create_db_and_tables() for _ in range(8)))
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM task"))).scalar() == 0
    await database.dispose()


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_is_open_after_the_lifespan(load: Load, server: PostgresServer, fails: bool) -> None:
    name = f"ended_{fails}".lower()
    database = load(url=libpq(await fresh(server, name)))

    async def broken() -> None:
        async with database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        raise RuntimeError("half-way")

    if fails:
        database.create_db_and_tables = broken
        with pytest.raises(RuntimeError, match="half-way"):
            async with database.lifespan(None):
                pass
    else:
        async with database.lifespan(None):
            assert database.engine.pool.checkedin() == 1
    assert database.engine.pool.checkedin() == 0


class TestTls:
    @pytest.fixture
    def ca(self, tmp_path: Path) -> Path:
        path = tmp_path / "ca.pem"
        path.write_bytes(AUTHORITY.pem)
        return path

    async def _encrypted(self, database: ModuleType) -> bool:
        try:
            async with database.engine.connect() as connection:
                query = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
                return bool((await connection.execute(query)).scalar())
        finally:
            await database.dispose()

    async def test_require_encrypts(self, load: Load, server: PostgresServer) -> None:
        url = server.url.render_as_string(hide_password=False)
        assert await self._encrypted(load(url=libpq(url, "require")))

    async def test_verify_full_accepts_the_named_authority(self, load: Load, server: PostgresServer, ca: Path) -> None:
        url = make_url(libpq(server.url.render_as_string(hide_password=False), "verify-full"))
        named = url.set(host="localhost").update_query_dict({"sslrootcert": str(ca)})
        assert await self._encrypted(load(url=named.render_as_string(hide_password=False)))

    @pytest.mark.parametrize("rest", ["", "&sslrootcert=system"])
    async def test_verify_full_trusts_this_machines_authorities_only(
        self, load: Load, server: PostgresServer, rest: str
    ) -> None:
        url = libpq(server.url.render_as_string(hide_password=False), "verify-full") + rest
        with pytest.raises(ssl.SSLCertVerificationError):
            await self._encrypted(load(url=url))

    @pytest.mark.parametrize("mode", ["", "sslmode=require&"])
    async def test_system_verifies_the_host_whatever_the_mode(
        self, load: Load, ca: Path, monkeypatch: pytest.MonkeyPatch, mode: str
    ) -> None:
        """Libpq takes no weaker mode than verify-full with it: https://www.postgresql.org/docs/17/libpq-connect.html"""
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        tls = ServerTLS(AUTHORITY.server_certificate(["db.example.com"]))
        async with PostgresServer(tls=tls) as misnamed:
            url = libpq(misnamed.url.render_as_string(hide_password=False)) + f"?{mode}sslrootcert=system"
            with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
                await self._encrypted(load(url=url))

    async def test_require_with_an_authority_verifies_it(
        self, load: Load, server: PostgresServer, tmp_path: Path
    ) -> None:
        (tmp_path / "other.pem").write_bytes(Authority().pem)
        url = libpq(server.url.render_as_string(hide_password=False), "require")
        with pytest.raises(ssl.SSLCertVerificationError):
            await self._encrypted(load(url=f"{url}&sslrootcert={tmp_path / 'other.pem'}"))


@pytest.mark.parametrize(("url", "variables"), [("?pgbouncer=true", {}), ("", {"pgbouncer": "true"})])
async def test_behind_a_pooler_asyncpg_keeps_no_statements(
    load: Load, server: PostgresServer, url: str, variables: dict[str, str]
) -> None:
    plain = libpq(server.url.render_as_string(hide_password=False))
    database = load(url=plain + url, **variables)
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection._config.statement_cache_size == 0
    await database.dispose()


async def test_behind_a_pooler_a_changed_column_is_read_right(load: Load, server: PostgresServer) -> None:
    """With asyncpg's cache off and SQLAlchemy's on, 7 would be read as 4619567317775286272."""
    database = load(url=libpq(server.url.render_as_string(hide_password=False)) + "?pgbouncer=true")
    migrates = create_async_engine(server.url)

    async def read() -> float:
        async with database.engine.connect() as connection:
            return (await connection.execute(text("select n from changed"))).scalar_one()

    async with migrates.begin() as connection:
        await connection.execute(text("create table changed as select 7::bigint as n"))
    assert [await read() for _ in range(2)] == [7, 7]
    async with migrates.begin() as connection:
        await connection.execute(text("alter table changed alter n type double precision"))
    assert [await read() for _ in range(2)] == [7.0, 7.0]
    async with migrates.begin() as connection:
        await connection.execute(text("drop table changed"))
    await database.dispose()
    await migrates.dispose()


def test_a_reader_can_copy_it(load: Load) -> None:
    """Is it short, and does it stand on published packages and the models alone?"""
    lines = Path(load().__file__ or "").read_text().splitlines()
    assert len(lines) < 120
    assert [line for line in lines if "course_lib" in line and "import" in line] == [
        "from course_lib import models  # noqa: F401  tables are made of the models that were imported"
    ]
