"""Each fault is seen from the client's side, with real queries to a real server, and it ends when it should."""

import asyncio
import errno
import gc
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable

import asyncpg
import psutil
import pytest
from server_helpers import Kernel, connect, value, wait_until
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.servers import PostgresServer, ServerError
from course_lib.servers._sockets import can_silence
from course_lib.servers.faults import FaultProxy

on_linux = pytest.mark.parametrize("setting", ["tcp_keepalives_idle"] if sys.platform == "linux" else [])
# Only where the proxy may drop packets have probes something to notice: for root on Linux, and on most of them for all.
DROPS = can_silence()
where_packets_drop = pytest.mark.parametrize("setting", ["tcp_keepalives_idle"] if DROPS else [])
client_options = pytest.mark.parametrize("options", [("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")] if DROPS else [])


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(server.url) as running:
        yield running
    assert await backends_become(server, 0), "this test left a connection to the server"


@pytest.fixture
async def engine(proxy: FaultProxy) -> AsyncIterator[AsyncEngine]:
    """An engine behind the proxy whose queries and connects give up after 0.3 s; one connection is warm."""
    made = create_async_engine(proxy.url, connect_args={"command_timeout": 0.3, "timeout": 0.3, "ssl": False})
    await query(made)
    yield made
    proxy.cut()
    await made.dispose()


async def query(engine: AsyncEngine, statement: str = "SELECT 7") -> object:
    async with engine.connect() as connection:
        return (await connection.execute(text(statement))).scalar_one()


async def seconds(engine: AsyncEngine, statement: str = "SELECT 7") -> float:
    began = time.perf_counter()
    await query(engine, statement)
    return time.perf_counter() - began


def fault_threads() -> int:
    return [thread.name for thread in threading.enumerate()].count("course-fault-proxy")


async def backends(server: PostgresServer) -> int:
    """How many clients the server thinks it has."""
    found = await value(
        server.admin_url,
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    assert isinstance(found, int)
    return found


async def backends_become(server: PostgresServer, number: int, limit: float = 3) -> bool:
    """Whether the server comes to have that many clients within so many seconds."""
    for _ in range(int(limit / 0.05)):
        if await backends(server) == number:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_without_a_fault_everything_passes_and_is_counted(proxy: FaultProxy, engine: AsyncEngine) -> None:
    assert proxy.url.port == proxy.port != proxy.url.set(port=1).port
    before = proxy.counters()
    assert (before.open, before.accepted) == (1, 1)
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        assert await driver.execute("SELECT 1") == "SELECT 1"
    one = proxy.counters() - before
    assert one.round_trips == 1, "a simple query is one question and one answer"
    assert one.bytes_to_server == len(b"Q....SELECT 1\0")
    assert (one.open, one.accepted, one.cut, one.dropped) == (0, 0, 0, 0)
    assert await query(engine, "SELECT length(repeat('x', 3000000))") == 3_000_000
    assert await query(engine, "SELECT repeat('x', 3000000)") == "x" * 3_000_000
    assert (proxy.counters() - before).bytes_to_client > 3_000_000


async def test_latency_and_jitter_add_at_least_what_they_say(proxy: FaultProxy, engine: AsyncEngine) -> None:
    before = proxy.counters()
    plain = await seconds(engine)
    trips = (proxy.counters() - before).round_trips
    proxy.delay(0.04)
    slow = await seconds(engine)
    assert trips * 0.04 <= slow < trips * 0.04 + plain + 0.1
    proxy.delay(0.02, jitter=0.04, seed=1)
    jittered = await seconds(engine)
    assert trips * 0.02 <= jittered < trips * (0.02 + 2 * 0.04) + plain + 0.1
    proxy.normal()
    assert await seconds(engine) < 0.04


async def test_the_same_seed_gives_the_same_jitter(proxy: FaultProxy) -> None:
    connection = await connect(proxy.url)
    took = []
    for seed in (1, 1, 5):
        proxy.delay(0, jitter=0.1, seed=seed)
        began = time.perf_counter()
        await connection.execute("SELECT 1")
        took.append(time.perf_counter() - began)
    assert took[0] == pytest.approx(took[1], abs=0.05)
    assert took[2] < took[0] - 0.05
    await connection.close()


async def test_a_delay_counts_for_the_handshake_of_a_connect_too(proxy: FaultProxy) -> None:
    before = proxy.counters()
    proxy.delay(0.03)
    began = time.perf_counter()
    connection = await connect(proxy.url)
    took = time.perf_counter() - began
    assert took >= ((proxy.counters() - before).round_trips + 1) * 0.03
    await connection.close()


async def test_a_delay_that_ends_lets_waiting_bytes_go_at_once(proxy: FaultProxy) -> None:
    connection = await connect(proxy.url)
    proxy.delay(60)
    waiting = asyncio.create_task(connection.fetchval("SELECT 7"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    proxy.normal()
    assert await asyncio.wait_for(waiting, 1) == 7
    await connection.close()


async def test_bandwidth_is_limited_for_all_connections_together(proxy: FaultProxy) -> None:
    one, two = await connect(proxy.url), await connect(proxy.url)
    proxy.limit_bandwidth(200_000)
    began = time.perf_counter()
    answers = await asyncio.gather(*(c.fetchval("SELECT repeat('x', 40000)") for c in (one, two)))
    took = time.perf_counter() - began
    assert [len(answer) for answer in answers] == [40_000, 40_000]
    assert 0.9 * 0.4 <= took < 2 * 0.4
    proxy.limit_bandwidth(None)
    began = time.perf_counter()
    await one.fetchval("SELECT repeat('x', 40000)")
    assert time.perf_counter() - began < 0.2
    await one.close()
    await two.close()


async def test_a_cut_fails_the_query_that_runs_and_the_next_one_on_an_idle_connection(
    proxy: FaultProxy, engine: AsyncEngine, server: PostgresServer
) -> None:
    running = asyncio.create_task(query(engine, "SELECT pg_sleep(1)::text"))
    await asyncio.sleep(0.1)
    assert proxy.cut() == 1
    with pytest.raises(DBAPIError, match="closed in the middle of operation") as caught:
        await running
    assert caught.value.connection_invalidated
    assert await query(engine) == 7
    assert proxy.cut() == 1
    await asyncio.sleep(0.05)  # the client's loop sees the RST
    with pytest.raises(InterfaceError, match="connection is closed"):
        await query(engine)
    assert await query(engine) == 7
    counters = proxy.counters()
    assert (counters.cut, counters.open) == (2, 1)


async def test_a_cut_reaches_the_server_and_can_spare_the_youngest(proxy: FaultProxy, server: PostgresServer) -> None:
    connections = [await connect(proxy.url) for _ in range(3)]
    assert await backends(server) == 3
    assert proxy.cut(2) == 2
    for oldest in connections[:2]:
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionResetError)):
            await oldest.fetchval("SELECT 7")
    assert await connections[2].fetchval("SELECT 7") == 7
    assert await backends_become(server, 1)
    await connections[2].close()


async def test_a_black_hole_hangs_until_the_command_timeout_and_new_connections_work(
    proxy: FaultProxy, engine: AsyncEngine
) -> None:
    assert proxy.black_hole() == 1
    began = time.perf_counter()
    with pytest.raises(TimeoutError):
        await query(engine)
    assert time.perf_counter() - began >= 0.3
    assert await query(engine) == 7
    counters = proxy.counters()
    assert (counters.dropped, counters.open) == (1, 1)


async def test_a_black_hole_gives_no_sign_to_either_side(proxy: FaultProxy, server: PostgresServer) -> None:
    connection = await connect(proxy.url)
    proxy.black_hole()
    await asyncio.sleep(0.2)
    assert not connection.is_closed()
    assert await backends(server) == 1, "the server waits for a client that cannot reach it"
    proxy.normal()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 7", timeout=0.2)
    connection.terminate()
    await asyncio.sleep(0.1)
    assert await backends(server) == 1
    await proxy.stop()
    assert await backends_become(server, 0)


async def test_new_connections_can_hang_too(proxy: FaultProxy, engine: AsyncEngine) -> None:
    proxy.black_hole(new_connections="hang")
    await engine.dispose(close=False)
    began = time.perf_counter()
    with pytest.raises(TimeoutError):
        await query(engine)
    assert 0.3 <= time.perf_counter() - began < 1
    proxy.normal()
    assert await query(engine) == 7


async def test_idle_connections_are_dropped_and_busy_ones_are_not(proxy: FaultProxy, engine: AsyncEngine) -> None:
    busy = await connect(proxy.url)
    proxy.drop_idle(0.3)
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        assert await busy.fetchval("SELECT 7") == 7
        await asyncio.sleep(0.03)
    assert proxy.counters().dropped == 1
    proxy.drop_idle(None)
    with pytest.raises(TimeoutError):
        await query(engine)  # takes longer than the limit that held before
    assert await busy.fetchval("SELECT 7", timeout=1) == 7
    await busy.close()


@on_linux
async def test_keepalive_probes_keep_an_idle_connection_alive(proxy: FaultProxy, setting: str) -> None:
    # Linux sends the second probe after the interval, even when the first one was answered.
    kept = await connect(proxy.url, server_settings={setting: "1", "tcp_keepalives_interval": "1"})
    quiet = await connect(proxy.url)
    proxy.drop_idle(1.4)
    await asyncio.sleep(2)
    assert proxy.counters().dropped == 1
    assert await kept.fetchval("SELECT 7") == 7
    await kept.close()
    quiet.terminate()


def test_root_on_linux_can_drop_packets() -> None:
    if sys.platform == "linux" and os.geteuid() == 0:
        assert DROPS


@where_packets_drop
async def test_the_server_notices_a_black_hole_by_keepalive_probes(
    proxy: FaultProxy, server: PostgresServer, setting: str
) -> None:
    assert proxy.drops_packets
    probing = {setting: "1", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "1"}
    connection = await connect(proxy.url, server_settings=probing)
    proxy.black_hole()
    assert await backends(server) == 1
    assert await backends_become(server, 0, limit=5)
    connection.terminate()


@client_options
async def test_the_client_notices_a_black_hole_by_keepalive_probes(proxy: FaultProxy, options: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in options:
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), 1)
        client.setblocking(False)
        await loop.sock_sendall(client, (8).to_bytes(4) + (80877103).to_bytes(4))  # asks for TLS
        assert await loop.sock_recv(client, 1) == b"S"
        proxy.black_hole()
        with pytest.raises(OSError, match="timed out") as caught:
            await asyncio.wait_for(loop.sock_recv(client, 1), 5)
        assert caught.value.errno == errno.ETIMEDOUT


async def test_refused_connections_fail_at_once_and_established_ones_go_on(
    proxy: FaultProxy, engine: AsyncEngine
) -> None:
    port = proxy.port
    proxy.refuse()
    proxy.refuse()
    assert await query(engine) == 7
    began = time.perf_counter()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy.url)
    assert time.perf_counter() - began < 0.2
    proxy.normal()
    assert proxy.port == port
    assert await value(proxy.url, "SELECT 7") == 7


async def test_a_server_that_is_down_resets_its_clients_and_works_again_after_its_start() -> None:
    async with PostgresServer() as own, FaultProxy(own.url) as proxy:
        connection = await connect(proxy.url)
        await own.restart()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.fetchval("SELECT 7")
        assert await value(proxy.url, "SELECT 7") == 7
        url = proxy.url
        await own.stop()
        with pytest.raises((ConnectionResetError, asyncpg.ConnectionDoesNotExistError)):
            await connect(url)
        connection.terminate()


async def test_tls_with_full_verification_works_through_it(proxy: FaultProxy, server: PostgresServer) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    proxy.delay(0.01)
    connection = await connect(proxy.url, ssl=context)
    assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
    proxy.cut()
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionResetError)):
        await connection.fetchval("SELECT 7")


async def test_a_recording_holds_what_passed_in_plain_text_and_nothing_readable_under_tls(
    proxy: FaultProxy, server: PostgresServer
) -> None:
    with pytest.raises(ServerError, match=r"records nothing. Call `record\(\)`"):
        proxy.seen()
    proxy.record()
    assert await value(proxy.url, "SELECT 'example-' || 'word'") == "example-word"
    assert b"SELECT 'example-' || 'word'" in proxy.seen("client")
    assert b"example-word" in proxy.seen("server")
    assert b"example-word" not in proxy.seen("client")
    both = proxy.seen()
    assert len(both) == len(proxy.seen("client")) + len(proxy.seen("server"))
    assert both.index(b"SELECT 'example-'") < both.index(b"example-word")
    proxy.record()
    assert proxy.seen() == b""
    connection = await connect(proxy.url, ssl=ssl.create_default_context(cafile=str(server.ca_file)))
    assert await connection.fetchval("SELECT 'example-' || 'word'") == "example-word"
    await connection.close()
    assert len(proxy.seen()) > 500
    assert b"example-" not in proxy.seen()
    proxy.normal()
    await value(proxy.url, "SELECT 'still'")
    assert b"SELECT 'still'" in proxy.seen(), "no fault, so normal() does not end it"


async def test_new_connections_can_be_led_to_another_server(proxy: FaultProxy, server: PostgresServer) -> None:
    url, old = proxy.url, await connect(proxy.url)
    name = "SELECT current_setting('cluster_name')"
    async with PostgresServer(cluster_name="other") as other:
        proxy.point_to(other.url)
        assert proxy.url == url
        with pytest.raises(asyncpg.InvalidPasswordError):
            await connect(url)
        assert await value(other.url.set(port=proxy.port), name) == "other"
        assert await old.fetchval(name) == ""
        with pytest.raises(ValueError, match="loopback only"):
            proxy.point_to("postgresql://app@db.example:5432/shop")
        proxy.point_to(server.url)
        assert await value(url, name) == ""
    await old.close()


async def test_two_hundred_connections_at_once() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def client(number: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        for _ in range(5):
            writer.write(b"%4d" % number)
            answer = await reader.readexactly(4)
        if proxy.counters().open == 200:
            everyone_is_there.set()
        await everyone_is_there.wait()
        # The end of the stream goes through in both directions.
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        return answer

    everyone_is_there = asyncio.Event()
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=300)
    port = server.sockets[0].getsockname()[1]
    async with FaultProxy(URL.create("postgresql+asyncpg", host="127.0.0.1", port=port)) as proxy:
        answers = await asyncio.wait_for(asyncio.gather(*(client(number) for number in range(200))), 10)
        assert answers == [b"%4d" % number for number in range(200)]
        counters = proxy.counters()
        assert (counters.accepted, counters.bytes_to_server, counters.round_trips) == (200, 4000, 1000)
        assert wait_until(lambda: proxy.counters().open == 0, 2)
    server.close()


async def test_a_cell_that_blocks_its_loop_does_not_stall_the_proxy(proxy: FaultProxy) -> None:
    answers: list[object] = []
    client = threading.Thread(target=lambda: answers.append(asyncio.run(value(proxy.url, "SELECT 7"))))
    client.start()
    client.join(5)  # blocks the loop of this test
    assert answers == [7]


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda p: p.delay(-0.1), "`round_trip` is -0.1. Give a number of seconds, 0 or more"),
        (lambda p: p.delay(float("nan")), "`round_trip` is nan"),
        (lambda p: p.delay(True), "`round_trip` is True"),
        (lambda p: p.delay(0.1, jitter=-1), "`jitter` is -1"),
        (lambda p: p.delay("50ms"), "`round_trip` is '50ms'"),
        (lambda p: p.limit_bandwidth(0), "`bytes_per_second` is 0. Give a number of bytes per second, above 0"),
        (lambda p: p.drop_idle(-5), "`seconds` is -5"),
        (lambda p: p.cut(-1), "`count` is -1"),
        (lambda p: p.cut(1.5), "`count` is 1.5"),
        (lambda p: p.black_hole(new_connections="no"), "`new_connections` is 'no'"),
    ],
)
async def test_impossible_faults_are_refused_and_change_nothing(
    proxy: FaultProxy, misuse: Callable[[FaultProxy], object], message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        misuse(proxy)
    assert message in str(caught.value)
    assert "no fault" in repr(proxy)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("postgresql://app:secret@db.example:5432/lab", "loopback only, and its target's host is 'db.example'"),
        ("postgresql://app:secret@127.0.0.1/lab", "has no port"),
        ("sqlite+aiosqlite:///x.db", "host is None"),
        ("secret", "not a database URL"),
        ("postgresql://app:secret@127.0.0.1:port/lab", "not a database URL"),
        (None, "not a database URL"),
        (5432, "not a database URL"),
    ],
)
def test_a_target_that_is_none_is_refused_without_its_password(target: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        FaultProxy(target)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_misuse_in_time_says_what_to_do(server: PostgresServer) -> None:
    proxy = FaultProxy(server.url)
    for use in (lambda: proxy.url, lambda: proxy.cut(), lambda: proxy.counters(), lambda: proxy.normal()):
        with pytest.raises(ServerError, match=r"not running\. Use `async with"):
            use()
    async with proxy:
        with pytest.raises(ServerError, match="started already"):
            await proxy.__aenter__()
        proxy.delay(0.01)
        proxy.refuse()
        assert "round trip 10 ms, refuses new connections" in repr(proxy)
        password = server.url.password
        assert password is not None
        assert password not in repr(proxy)
    await proxy.stop()
    assert "not running" in repr(proxy)
    async with proxy:
        assert await value(proxy.url, "SELECT 7") == 7
    nowhere = FaultProxy(server.url.set(port=1))
    with pytest.raises(ServerError, match=r"Nothing answers at 127.0.0.1:1 \(Connection refused\)"):
        await nowhere.__aenter__()


async def test_stop_leaves_no_thread_descriptor_or_backend(server: PostgresServer) -> None:
    async def round_of_faults() -> None:
        async with FaultProxy(server.url) as proxy:
            connections = [await connect(proxy.url) for _ in range(3)]
            proxy.black_hole()
            connections += [await connect(proxy.url) for _ in range(3)]
            proxy.delay(30)
            proxy.drop_idle(20)
            waiting = asyncio.create_task(connections[-1].fetchval("SELECT 7"))
            hanging = asyncio.create_task(connect(proxy.url))
            await asyncio.sleep(0.05)
        with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
            await waiting
        with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
            await hanging
        for connection in connections:
            connection.terminate()

    await round_of_faults()
    me = psutil.Process()
    await asyncio.sleep(0.05)
    before, tasks = me.num_fds(), len(asyncio.all_tasks())
    for _ in range(3):
        await round_of_faults()
    await asyncio.sleep(0.05)
    assert me.num_fds() <= before
    assert fault_threads() == 0
    assert len(asyncio.all_tasks()) == tasks
    assert await backends_become(server, 0)


async def test_a_cancelled_or_forgotten_proxy_is_gone(server: PostgresServer) -> None:
    async def use_for_ever() -> None:
        async with FaultProxy(server.url) as proxy:
            connection = await connect(proxy.url)
            proxy.delay(60)
            await connection.fetchval("SELECT 7")

    task = asyncio.create_task(use_for_ever())
    assert await asyncio.to_thread(wait_until, lambda: fault_threads() == 1, 2)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fault_threads() == 0
    forgotten = await FaultProxy.start(server.url)
    assert fault_threads() == 1
    del forgotten
    gc.collect()
    assert fault_threads() == 0


def test_the_interpreter_ends_in_silence_with_a_proxy_in_use(server: PostgresServer) -> None:
    kernel = Kernel(
        f"""
        import socket, threading
        from course_lib.servers.faults import FaultProxy
        proxy = asyncio.run(FaultProxy.start({server.url.render_as_string(hide_password=False)!r}))
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(asyncio.run(value(proxy.url, "SELECT 7")), flush=True)
        proxy.drop_idle(0.1)
        proxy.delay(5)
        dropped = socket.create_connection(("127.0.0.1", proxy.port))
        time.sleep(0.3)
        print(proxy.counters().dropped)
        connected = socket.create_connection(("127.0.0.1", proxy.port))
        connected.send(b"waits for the delay")
        """
    )
    assert kernel.rest().split() == ["7", "1"]
    assert kernel.process.returncode == 0
