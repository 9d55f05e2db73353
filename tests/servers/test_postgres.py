"""PostgresServer as a lesson uses it."""

import asyncio
import contextlib
import ssl
import stat

import asyncpg
import psutil
import pytest
from server_helpers import all_gone, connect, family, run_apart, value, wait_until
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.servers import (
    PortTakenError,
    PostgresServer,
    ServerCrashedError,
    ServerError,
    SettingError,
    find_postgres,
)
from course_lib.servers._accounts import server_account
from course_lib.servers._folders import base_folder


async def test_url_works_with_sqlalchemy_and_names_the_async_driver(server: PostgresServer) -> None:
    assert server.url.drivername == "postgresql+asyncpg"
    assert (server.url.host, server.url.port) == ("127.0.0.1", server.port)
    engine = create_async_engine(server.url)
    try:
        async with engine.connect() as connection:
            row = (await connection.execute(text("SELECT current_user, current_database()"))).one()
    finally:
        await engine.dispose()
    assert tuple(row) == ("learner", "course")


async def test_learner_is_an_ordinary_role_that_owns_its_database(server: PostgresServer) -> None:
    connection = await connect(server.url)
    try:
        assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        await connection.execute("CREATE TABLE owned (id int); DROP TABLE owned")
        other = await connect(server.admin_url)
        try:
            seen = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postgres' AND query LIKE '%marker%'"
            await other.fetchval("SELECT 'marker'")
            assert await connection.fetchval(seen) == 1
        finally:
            await other.close()
        victim = await connect(server.url)
        pid = victim.get_server_pid()
        asleep = asyncio.create_task(victim.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.05)
        assert await connection.fetchval("SELECT pg_terminate_backend($1)", pid) is True
        # Whether the driver reads the server's last words or first sees the end of the stream is a race.
        with pytest.raises(asyncpg.PostgresError, match=r"due to administrator command|in the middle of operation"):
            await asyncio.wait_for(asleep, 5)
        assert victim.is_closed()
        victim.terminate()
    finally:
        await connection.close()


async def test_superuser_still_gets_in_when_the_learner_has_used_all_slots(server: PostgresServer) -> None:
    opened = []
    others = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'learner'"
    for _ in range(100):  # a backend of the test before may still be closing
        if not await value(server.admin_url, others):
            break
        await asyncio.sleep(0.05)
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError):
            for _ in range(13):
                opened.append(await connect(server.url))
        # 12 connections, 3 of them reserved: https://www.postgresql.org/docs/17/runtime-config-connection.html
        assert len(opened) == 9
        assert await value(server.admin_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True
    finally:
        for connection in opened:
            await connection.close()


async def test_databases_and_roles_are_made_on_request(server: PostgresServer) -> None:
    url = await server.create_database('exercise "1"')
    assert await value(url, "SELECT current_database()") == 'exercise "1"'
    await server.drop_database('exercise "1"')
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await connect(url)
    password = "pä$s@/w:ö rd'%40"
    role = await server.create_role("capped", password=password, connection_limit=1)
    assert role.password == password
    first = await connect(role)
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError, match='role "capped"'):
            await connect(role)
        await first.execute("CREATE TABLE by_role (id int); DROP TABLE by_role")
    finally:
        await first.close()
    assert await value(server.url_for(user="capped", database="template1"), "SELECT current_user") == "capped"
    with pytest.raises(ServerError, match="role 'stranger' is not known"):
        server.url_for(user="stranger")
    with pytest.raises(ServerError, match="cannot be a name"):
        await server.create_database("")


async def test_no_password_is_shown_anywhere(server: PostgresServer) -> None:
    secret = server.url.password
    assert secret
    admin = server.admin_url.password
    assert admin
    assert secret != admin
    connection = await connect(server.url)
    try:
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute(f"ALTER ROLE learner PASSWORDS '{secret}'")
    finally:
        await connection.close()
    assert "ALTER ROLE learner PASSWORDS '***'" in server.log()
    for shown in (repr(server), str(server.url), repr(server.url), server.log()):
        assert secret not in shown
        assert admin not in shown
    assert repr(server) == f"<PostgresServer {server.version} ({server.origin}) on 127.0.0.1:{server.port}, running>"
    assert repr(PostgresServer()) == "<PostgresServer, not running>"


async def test_wrong_password_is_refused(server: PostgresServer) -> None:
    for url in (server.url, server.admin_url):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await connect(url.set(password="wrong"))


async def test_it_listens_on_loopback_only(server: PostgresServer) -> None:
    addresses = set()
    for process in family(server.data_folder):
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker that had just done its work
            connections = process.net_connections(kind="inet")
            addresses |= {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    assert await value(server.url, "SHOW unix_socket_directories") == ""
    assert await value(server.url, "SHOW listen_addresses") == "127.0.0.1"
    assert stat.S_IMODE(server.data_folder.stat().st_mode) == 0o700


async def test_tls_is_offered_and_verifiable(server: PostgresServer) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    for host in ("localhost", "127.0.0.1"):
        connection = await connect(server.url.set(host=host), ssl=context)
        try:
            assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
        finally:
            await connection.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(server.url, ssl=ssl.create_default_context())
    assert await value(server.url, "SHOW ssl") == "on"
    assert stat.S_IMODE((server.data_folder / "server.key").stat().st_mode) == 0o600


async def test_settings_are_passed_on_and_further_names_are_made() -> None:
    async with PostgresServer(
        max_connections=9,
        idle_session_timeout="300ms",
        cluster_name=r"it's a \ test",
        jit=False,
        roles={"app": 2, "batch": None},
        databases=["extra"],
    ) as server:
        assert await value(server.url, "SHOW max_connections") == "9"
        assert await value(server.url, "SHOW idle_session_timeout") == "300ms"
        assert await value(server.url, "SHOW jit") == "off"
        assert await value(server.url, "SHOW cluster_name") == r"it's a \ test"
        limits = "SELECT rolconnlimit FROM pg_roles WHERE rolname = "
        assert await value(server.url, limits + "'app'") == 2
        assert await value(server.url, limits + "'batch'") == -1
        assert await value(server.url_for(database="extra"), "SELECT current_database()") == "extra"
        assert await value(server.url, "SHOW ssl") == "off"
        with pytest.raises(ServerError, match="tls=True"):
            _ = server.ca_file


@pytest.mark.parametrize(
    ("settings", "fragment"),
    [
        ({"max_conections": 5}, "'max_conections'"),
        ({"max_connections": "many"}, "'max_connections'"),
        ({"max_connections": -1}, "'max_connections'"),
        ({"work_mem": "4 apples"}, "'work_mem'"),
        ({"Max-Connections": 5}, "'Max-Connections'"),
        ({"listen_addresses": "*"}, "chosen by the course"),
        ({"ssl": True}, "argument `tls`"),
        ({"work_mem": None}, "NoneType"),
        ({"work_mem": "1MB\nssl=on"}, "line break"),
        ({"port": 0}, "between 1 and 65535"),
    ],
)
async def test_a_wrong_setting_is_named_and_leaves_nothing(settings: dict[str, object], fragment: str) -> None:
    with pytest.raises(SettingError) as caught:
        await PostgresServer.start(**settings)  # type: ignore[arg-type]
    assert fragment in str(caught.value)
    assert not _server_folders() - _shared_folders()


async def test_settings_that_contradict_each_other_show_the_servers_own_words() -> None:
    with pytest.raises(ServerError, match="superuser_reserved_connections"):
        await PostgresServer.start(max_connections=2, superuser_reserved_connections=2)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_restart_keeps_port_and_data_and_cuts_connections(mode: str) -> None:
    async with PostgresServer(max_connections=10) as server:
        port, url = server.port, server.url
        connection = await connect(server.url)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await server.restart(mode=mode)  # type: ignore[arg-type]
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.fetchval("SELECT 1")
        connection.terminate()
        assert (server.port, server.url) == (port, url)
        assert await value(server.url, "SELECT answer FROM kept") == 42
        assert ("fast shutdown" if mode == "fast" else "immediate shutdown") in server.log()


async def test_a_crash_is_noticed_and_can_be_repaired() -> None:
    async with PostgresServer(max_connections=10) as server:
        postmaster = next(p for p in family(server.data_folder) if "config_file" in " ".join(p.cmdline()))
        postmaster.kill()
        assert wait_until(lambda: all_gone([postmaster]), 5)
        with pytest.raises(ServerCrashedError, match=r"(?s)restart\(\).*ready to accept connections"):
            _ = server.url
        with pytest.raises(ServerCrashedError):
            await server.create_database("never")
        assert "crashed" in repr(server)
        await server.restart()
        assert await value(server.url, "SELECT 1") == 1


async def test_stop_removes_all_and_says_so_afterwards() -> None:
    server = await PostgresServer.start()
    folder, processes = server.data_folder, family(server.data_folder)
    assert len(processes) >= 5
    await server.stop()
    await server.stop()
    assert not folder.exists()
    assert all_gone(processes)
    assert "ready to accept connections" in server.log()
    with pytest.raises(ServerError, match="not running"):
        _ = server.url
    with pytest.raises(ServerError, match="not running"):
        await server.restart()


async def test_a_port_asked_for_is_used_and_a_taken_one_is_named(server: PostgresServer) -> None:
    with pytest.raises(PortTakenError, match=f"Port {server.port} on 127.0.0.1 is in use"):
        await PostgresServer.start(port=server.port)
    first = await PostgresServer.start()
    port = first.port
    await first.stop()
    async with PostgresServer(port=port) as second:
        assert second.port == port
        with pytest.raises(ServerError, match="started already"):
            await second.__aenter__()


def test_it_belongs_to_no_event_loop() -> None:
    server = run_apart(PostgresServer.start)
    assert run_apart(lambda: value(server.url, "SELECT 1")) == 1
    run_apart(server.restart)
    assert run_apart(lambda: value(server.url, "SELECT 2")) == 2
    folder = server.data_folder
    run_apart(server.stop)
    assert not folder.exists()


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.03, 0.07, 0.1, 0.12, 0.15])
async def test_a_cancelled_start_leaves_nothing(delay: float) -> None:
    task = asyncio.create_task(PostgresServer.start())
    await asyncio.sleep(delay)
    task.cancel()
    try:
        server = await task
    except asyncio.CancelledError:
        pass
    else:
        await server.stop()
    await asyncio.sleep(0)
    assert wait_until(lambda: not _server_folders() - _shared_folders(), 3)


async def test_two_servers_have_nothing_in_common() -> None:
    async with PostgresServer() as one, PostgresServer() as two:
        assert one.port != two.port
        assert one.url.password != two.url.password
        assert one.data_folder != two.data_folder
        with pytest.raises(asyncpg.InvalidPasswordError):
            await connect(one.url.set(port=two.port))
        assert one.version == find_postgres().version


_shared: set[str] = set()


@pytest.fixture(autouse=True)
def _remember_shared(server: PostgresServer) -> None:
    _shared.add(str(server.data_folder))


def _shared_folders() -> set[str]:
    return _shared


def _server_folders() -> set[str]:
    return {str(path) for path in (base_folder(server_account()) / "servers").iterdir()}
