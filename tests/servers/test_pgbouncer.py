"""PgBouncer in front of a server: what it gives, what it refuses, and that nothing of it stays."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import stat
from pathlib import Path

import asyncpg
import psutil
import pytest
from server_helpers import Kernel, all_gone, connect, family, value, wait_until

from course_lib.servers import (
    MissingBinaryError,
    PgBouncer,
    PgBouncerBinary,
    PortTakenError,
    PostgresServer,
    ServerCrashedError,
    ServerError,
    SettingError,
    find_pgbouncer,
)
from course_lib.servers import pgbouncer as module
from course_lib.servers._accounts import server_account
from course_lib.servers._folders import runnable_binaries
from course_lib.servers._pgbouncer_instance import check_settings
from course_lib.servers.binaries import find_postgres

GONE_SECONDS = 10


def folder_of(bouncer: PgBouncer) -> Path:
    """The folder that holds its files."""
    assert bouncer._instance is not None
    return bouncer._instance.folder


async def test_clients_share_server_connections(server: PostgresServer) -> None:
    """Six clients, two server connections: does each get its own answer?"""
    async with PgBouncer(server, default_pool_size=2, max_client_conn=20) as bouncer:
        clients = [await connect(bouncer.url, statement_cache_size=0) for _ in range(6)]
        answers = await asyncio.gather(*(each.fetchval(f"select {n}") for n, each in enumerate(clients)))
        rows = await bouncer.pools()
        await asyncio.gather(*(each.close() for each in clients))
    assert answers == list(range(6))
    (row,) = rows
    assert (row.database, row.user, row.pool_mode) == (server.url.database, server.url.username, "transaction")
    assert row.cl_active + row.cl_waiting == 6
    assert row.sv_active + row.sv_idle <= 2


async def test_the_console_gives_typed_rows(server: PostgresServer) -> None:
    async with PgBouncer(server, "session") as bouncer:
        client = await connect(bouncer.url, server_settings={"application_name": "shop"})
        backend = await client.fetchval("select pg_backend_pid()")
        (seen,), (used,), (stats,) = await bouncer.clients(), await bouncer.servers(), await bouncer.stats()
        (version,) = await bouncer.console("SHOW VERSION")
        assert await bouncer.console("PAUSE nothing_of_this_name_yet") == []
        with pytest.raises(ServerError, match=r"console refused 'NONSENSE': .*SHOW HELP"):
            await bouncer.console("NONSENSE")
        await client.close()
    assert (seen.application_name, seen.state) == ("shop", "active")
    assert used.remote_pid == backend
    assert stats.total_query_count >= 1
    assert stats.total_received > 0
    assert version == {"version": f"PgBouncer {bouncer.version}"}


async def test_asyncpg_cannot_read_the_console(server: PostgresServer) -> None:
    """The reason for psql; should this fail, it could go."""
    async with PgBouncer(server) as bouncer:
        console = await asyncpg.connect(
            host="127.0.0.1",
            port=bouncer.port,
            user="console",
            password=bouncer._password,
            database="pgbouncer",
            ssl=False,
        )
        assert await console.execute("SHOW POOLS") == "SHOW"
        with pytest.raises(asyncpg.ProtocolViolationError, match="extended query protocol"):
            await console.fetch("SHOW POOLS")
        console.terminate()


async def test_only_the_right_password_gets_in(server: PostgresServer) -> None:
    async with PgBouncer(server) as bouncer:
        for user in (server.url.username, "console", "nobody-known"):
            with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.ProtocolViolationError)):
                await connect(bouncer.url.set(username=user, password="wrong"))
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.ProtocolViolationError)):
            await connect(bouncer.url_for(server.admin_url))


async def test_no_file_log_or_repr_holds_a_password(server: PostgresServer) -> None:
    async with PgBouncer(server, log_connections=True) as bouncer:
        assert await value(bouncer.url, "select 1") == 1
        await bouncer.pools()
        folder = folder_of(bouncer)
        texts = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder / "users.txt", folder / "settings.ini")}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        texts["repr"] = repr(bouncer)
        secrets = [str(server.url.password), str(server.admin_url.password), bouncer._password]
    assert modes == {0o600}
    assert {"users.txt", "pgbouncer.ini", "log", "repr"} <= texts.keys()
    assert not [name for name, text in texts.items() for secret in secrets if secret in text]
    assert texts["users.txt"].count("SCRAM-SHA-256$") >= 2


async def test_it_listens_on_loopback_alone(server: PostgresServer) -> None:
    async with PgBouncer(server) as bouncer:
        process = psutil.Process(bouncer.process_id)
        addresses = {each.laddr.ip for each in process.net_connections() if each.status == psutil.CONN_LISTEN}
        assert addresses == {"127.0.0.1"}
        if os.geteuid() == 0:
            assert process.uids().real != 0
        assert not [each for each in process.net_connections("unix") if each.laddr]


async def test_other_databases_and_roles_go_through_it_too(server: PostgresServer) -> None:
    role = await server.create_role("through the pooler", password="example \"quoted\" 'secret'")
    other = await server.create_database("other one")
    async with PgBouncer(server) as bouncer:
        assert await value(bouncer.url_for(role), "select current_user::text") == "through the pooler"
        assert await value(bouncer.url_for(other), "select current_database()::text") == "other one"
    await server.drop_database("other one")


async def test_it_survives_a_restart_of_the_server_and_its_own() -> None:
    async with PostgresServer() as own, PgBouncer(own, server_login_retry=0.1) as bouncer:
        assert await value(bouncer.url, "select 1") == 1
        await own.restart()
        # PgBouncer closes the lost connections when it sees them.
        for _ in range(50):
            try:
                assert await value(bouncer.url, "select 2") == 2
                break
            except (asyncpg.PostgresError, OSError):
                await asyncio.sleep(0.1)
        else:
            pytest.fail("the pooler did not find its server again")
        port = bouncer.port
        await bouncer.restart()
        assert bouncer.port == port
        assert await value(bouncer.url, "select 3") == 3


async def test_a_killed_pgbouncer_says_so_and_can_be_revived(server: PostgresServer) -> None:
    async with PgBouncer(server) as bouncer:
        process = psutil.Process(bouncer.process_id)
        process.kill()
        assert wait_until(lambda: all_gone([process]), 5)
        assert "crashed" in repr(bouncer)
        for use in (lambda: bouncer.url, lambda: bouncer.port, lambda: bouncer.process_id):
            with pytest.raises(ServerCrashedError, match=r"PgBouncer ended without being asked to.*restart"):
                use()
        with pytest.raises(ServerCrashedError, match=r"(?s)The end of its log:\n.*process up"):
            await bouncer.pools()
        await bouncer.restart()
        assert await value(bouncer.url, "select 1") == 1
        folder = folder_of(bouncer)
    assert not folder.exists()


async def test_stop_works_twice_and_the_log_stays(server: PostgresServer) -> None:
    bouncer = await PgBouncer.start(server)
    folder, processes = folder_of(bouncer), family(folder_of(bouncer))
    assert len(processes) == 2, "the supervisor and PgBouncer"
    with pytest.raises(ServerError, match="started already"):
        await bouncer.__aenter__()
    await bouncer.stop()
    await bouncer.stop()
    assert not folder.exists()
    assert all_gone(processes)
    assert "process up" in bouncer.log()
    assert repr(bouncer) == "<PgBouncer, not running>"
    with pytest.raises(ServerError, match=r"not running\. Start one"):
        _ = bouncer.url


async def test_stop_does_not_wait_for_clients(server: PostgresServer) -> None:
    bouncer = await PgBouncer.start(server)
    client = await connect(bouncer.url)
    busy = asyncio.ensure_future(client.fetchval("select pg_sleep(30)"))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        await bouncer.stop()
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await busy
    client.terminate()


async def test_a_frozen_one_can_be_stopped(server: PostgresServer) -> None:
    bouncer = await PgBouncer.start(server)
    processes = family(folder_of(bouncer))
    psutil.Process(bouncer.process_id).suspend()
    await bouncer.stop()
    assert all_gone(processes)


async def test_one_that_nobody_refers_to_goes(server: PostgresServer) -> None:
    bouncer = await PgBouncer.start(server)
    folder, processes = folder_of(bouncer), family(folder_of(bouncer))
    del bouncer
    gc.collect()
    assert wait_until(lambda: all_gone(processes) and not folder.exists(), GONE_SECONDS)


_KERNEL = """
    from course_lib.servers import PgBouncer

    async def main():
        server = await PostgresServer.start()
        bouncer = await PgBouncer.start(server)
        print(server.data_folder, flush=True)
        print(bouncer._instance.folder, flush=True)
        print(await value(bouncer.url, "SELECT 7"), flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after_the_kernel_was_ended(number: int) -> None:
    kernel = Kernel(_KERNEL)
    folders = [kernel.folder(), kernel.folder()]
    processes = [each for folder in folders for each in family(folder)]
    assert any(each.name() == "pgbouncer" for each in processes)
    assert kernel.line() == "7"
    kernel.end(number)
    assert wait_until(lambda: all_gone(processes) and not any(map(Path.exists, folders)), GONE_SECONDS)


def test_an_ordinary_account_can_have_one(open_folder: Path) -> None:
    """Also where root runs the tests: then the kernel is of another account, and so is all that it starts."""
    account = server_account()
    if account is not None:
        os.chown(open_folder, account.uid, account.gid)
    programs = runnable_binaries(find_postgres(), account)
    uid = account.uid if account is not None else None
    kernel = Kernel(_KERNEL, uid=uid, COURSE_HOME=str(open_folder), COURSE_POSTGRES_BIN=str(programs.folder))
    folders = [Path(kernel.line()), Path(kernel.line())]
    processes = [each for folder in folders for each in family(folder)]
    assert {each.uids().real for each in processes} == {os.geteuid() if uid is None else uid}
    assert kernel.line() == "7"
    kernel.end()
    assert wait_until(lambda: all_gone(processes) and not any(map(Path.exists, folders)), GONE_SECONDS)


@pytest.mark.parametrize("seconds", [0.005, 0.01, 0.015, 0.02, 0.03])
async def test_a_cancelled_start_leaves_nothing(server: PostgresServer, servers_home: Path, seconds: float) -> None:
    """Wherever the cancellation finds it, also while a thread is at work for it."""
    before = set(servers_home.glob("cache/postgres/servers/*"))
    task = asyncio.ensure_future(PgBouncer.start(server))
    await asyncio.sleep(seconds)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await task).stop()  # it was quicker
    assert task.cancelled() or seconds > 0.01, "no start is that quick"
    assert wait_until(lambda: set(servers_home.glob("cache/postgres/servers/*")) <= before, GONE_SECONDS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "transactions"}, "none of 'session', 'transaction', 'statement'"),
        ({"port": 70000}, "not between 1 and 65535"),
        ({"listen_addr": "0.0.0.0"}, "'listen_addr' is chosen by the course"),  # noqa: S104
        ({"pool_mode": "session"}, "argument `mode`"),
        ({"auth_type": "trust"}, "'auth_type' is chosen"),
        ({"Max_Client": 1}, "not the name of a PgBouncer setting"),
        ({"max_client_conn": None, "query_wait_timeout": [1]}, "of the type list"),
        ({"application_name_add_host": "1\nauth_type = trust"}, "line break"),
        ({"nonsense": 1}, "does not know the setting 'nonsense'"),
        ({"default_pool_size": "many"}, "refuses the value 'many' for 'default_pool_size'"),
    ],
)
async def test_a_wrong_option_is_explained(
    server: PostgresServer, servers_home: Path, settings: dict[str, object], message: str
) -> None:
    before = set(servers_home.glob("cache/postgres/servers/*"))
    with pytest.raises(SettingError, match=message):
        await PgBouncer.start(server, **settings)  # type: ignore[arg-type]
    # Those of the tests before may still be on their way out.
    assert set(servers_home.glob("cache/postgres/servers/*")) <= before


def test_each_version_is_asked_only_for_what_it_knows() -> None:
    old, new = (PgBouncerBinary(Path("/pgbouncer"), version) for version in ("1.18.0", "1.21.0rc1"))
    with pytest.raises(SettingError, match=r"PgBouncer 1\.18\.0 does not know 'max_prepared_statements'.* 1\.21\."):
        check_settings({"max_prepared_statements": 100}, old)
    assert check_settings({"max_prepared_statements": 100}, new) == {"max_prepared_statements": 100}
    assert old.release < (1, 21) <= new.release


async def test_a_port_in_use_is_explained(server: PostgresServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port} .* in use by another program"):
            await PgBouncer.start(server, port=port)


async def test_it_needs_a_running_server() -> None:
    with pytest.raises(ServerError, match=r"PostgreSQL server is not running"):
        await PgBouncer.start(PostgresServer())


async def test_without_the_program_the_error_says_how_to_get_it(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COURSE_PGBOUNCER_BIN", str(tmp_path / "nothing"))
    assert find_pgbouncer() is None
    with pytest.raises(MissingBinaryError, match=r"No PgBouncer was found.* Get it: .*pgbouncer"):
        await PgBouncer.start(server)


def test_a_chosen_program_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "pgbouncer"
    program.write_text("#!/bin/sh\necho PgBouncer 9.9.9\n")
    program.chmod(0o755)
    for chosen in (program, tmp_path):
        monkeypatch.setenv("COURSE_PGBOUNCER_BIN", str(chosen))
        assert find_pgbouncer() == PgBouncerBinary(program, "9.9.9")


async def test_a_program_that_breaks_down_shows_its_last_words(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, open_folder: Path
) -> None:
    program = open_folder / "pgbouncer"
    program.write_text("#!/bin/sh\necho library libevent is missing >&2\nexit 127\n")
    program.chmod(0o755)
    monkeypatch.setattr(module, "find_pgbouncer", lambda: PgBouncerBinary(program, "1.22.0"))
    with pytest.raises(ServerError, match=r"ended while it started.*\n.*libevent is missing"):
        await PgBouncer.start(server)


async def test_a_program_that_the_account_cannot_run_is_explained(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As conda's below /root is for the account that root's servers run under."""
    program = tmp_path / "pgbouncer"
    program.write_text("#!/bin/sh\necho PgBouncer 1.22.0\n")
    program.chmod(0o700 if os.geteuid() == 0 else 0o600)
    monkeypatch.setattr(module, "find_pgbouncer", lambda: PgBouncerBinary(program, "1.22.0"))
    with pytest.raises(MissingBinaryError, match=r"cannot run .* Install it for all users"):
        await PgBouncer.start(server)
