"""Does the recorder tell what the pool and the server do, for each pool class, and let go of everything?"""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from conftest import MakeEngine, backends, run_apart
from course_lib.pools.recorder import PoolError, PoolRecorder
from course_lib.pools.server_view import server_view
from course_lib.servers import PostgresServer

SELECT = text("select 1")


async def use(engine: AsyncEngine) -> int:
    """Check out, ask for the backend's PID, return."""
    async with engine.connect() as connection:
        return int(await connection.scalar(text("select pg_backend_pid()")))


def kinds(recorder: PoolRecorder) -> list[str]:
    """The kinds of all events, in order."""
    return [each.kind for each in recorder.events()]


async def test_snapshot_follows_a_queue_pool(make_engine: MakeEngine) -> None:
    """Are the numbers right from an unopened pool, whose overflow counter is negative, to a full one and back?"""
    engine = make_engine(pool_size=2, max_overflow=1)
    recorder = PoolRecorder(engine, max_overflow=1)
    seen = []

    def look() -> None:
        now = recorder.snapshot()
        seen.append((now.open, now.in_use, now.idle, now.overflow))

    look()
    connections = []
    for _ in range(3):
        connections.append(await engine.connect())
        look()
    assert recorder.snapshot().limit == 3
    assert recorder.snapshot().size == 2
    for connection in connections:
        await connection.close()
        look()
    assert seen == [(0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 0, 0), (3, 3, 0, 1), (3, 2, 1, 1), (3, 1, 2, 1), (2, 0, 2, 0)]


@pytest.mark.parametrize(
    ("settings", "size", "overflow"),
    [({"pool_size": 1, "max_overflow": -1}, 1, 3), ({"pool_size": 0}, 0, 0)],
)
async def test_snapshot_of_unlimited_pools(
    make_engine: MakeEngine, settings: dict[str, int], size: int, overflow: int
) -> None:
    """Do pools without a limit say so, and are their open connections counted right?"""
    engine = make_engine(**settings)
    recorder = PoolRecorder(engine, max_overflow=settings.get("max_overflow"))
    connections = [await engine.connect() for _ in range(4)]
    now = recorder.snapshot()
    assert (now.size, now.limit, now.open, now.in_use, now.idle, now.overflow) == (size, None, 4, 4, 0, overflow)
    for connection in connections:
        await connection.close()
    assert recorder.snapshot().in_use == 0


async def test_snapshot_of_a_null_pool(make_engine: MakeEngine) -> None:
    """Does a NullPool count what is out, and never anything idle?"""
    engine = make_engine_without_pool(make_engine)
    recorder = PoolRecorder(engine)
    async with engine.connect(), engine.connect():
        now = recorder.snapshot()
        assert (now.pool, now.size, now.limit, now.open, now.in_use, now.idle) == ("NullPool", None, None, 2, 2, 0)
    assert recorder.snapshot().open == 0
    assert recorder.counts["closed"] == 2


def make_engine_without_pool(make_engine: MakeEngine) -> AsyncEngine:
    """An engine with a NullPool, which takes no time-out."""
    url = make_engine().url
    return create_async_engine(url, poolclass=NullPool)


async def test_snapshot_of_a_static_pool() -> None:
    """Is the one connection of a StaticPool in use until its last borrower returned it?"""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    recorder = PoolRecorder(engine)
    first, second = await engine.connect(), await engine.connect()
    now = recorder.snapshot()
    assert (now.size, now.limit, now.open, now.in_use, now.idle, now.overflow) == (1, 1, 1, 1, 0, 0)
    await first.close()
    assert recorder.snapshot().in_use == 1
    await second.close()
    assert (recorder.snapshot().in_use, recorder.snapshot().idle) == (0, 1)
    assert len([lease for lease in recorder.recording().leases if lease.end is not None]) == 2
    await engine.dispose()
    assert recorder.snapshot().open == 0


def test_a_sync_engine_with_threads() -> None:
    """Does it work without an event loop, and name threads?"""
    engine = create_engine("sqlite:///:memory:", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    with PoolRecorder(engine) as recorder:
        thread = threading.Thread(target=lambda: engine.connect().close(), name="night job")
        thread.start()
        thread.join()
    assert [lease.who for lease in recorder.recording().leases] == ["night job"]
    engine.dispose()


@pytest.mark.parametrize("resets", [None, False, True])
def test_resets_of_a_sync_engine_are_recorded_on_request(resets: bool | None) -> None:
    """Are they left out where listening to them costs most, and there when somebody wants them?"""
    engine = create_engine("sqlite://", poolclass=QueuePool)
    with PoolRecorder(engine, resets=resets) as recorder:
        assert bool(engine.pool.dispatch.reset) == bool(resets)
        engine.connect().close()
    assert kinds(recorder) == ["opened", "checked out", *(["reset"] if resets else []), "returned"]
    engine.dispose()


async def test_held_connections_with_their_holders(make_engine: MakeEngine) -> None:
    """Are those and only those that are out given, with the driver's own connection?"""
    engine = make_engine(pool_size=2)
    with PoolRecorder(engine) as recorder:
        await use(engine)
        assert recorder.held() == []
        async with engine.connect() as connection:
            task, raw = asyncio.current_task(), await connection.get_raw_connection()
            assert task is not None
            assert recorder.held() == [(task.get_name(), raw.driver_connection)]


async def test_an_engine_of_another_loop(make_engine: MakeEngine, server: PostgresServer) -> None:
    """Can a recorder watch an engine that works in another loop, and does detaching leave nothing there?"""
    engine = make_engine(pool_size=1)

    async def elsewhere() -> int:
        pid = await use(engine)
        await engine.dispose()
        return pid

    with PoolRecorder(engine) as recorder:
        pid = run_apart(elsewhere)
        assert (recorder.snapshot().open, recorder.live()) == (0, [])
    assert [life.pid for life in recorder.recording().connections] == [pid]
    assert not await backends(server)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_timeline_of_connections_and_leases(make_engine: MakeEngine) -> None:
    """Does each physical connection show its opening, its backend, its leases with holder and time, and its end?"""
    engine = make_engine(pool_size=1, max_overflow=0)
    with PoolRecorder(engine) as recorder:
        pid = await asyncio.create_task(use(engine), name="first")
        await asyncio.create_task(use(engine), name="second")
        await engine.dispose()
    assert kinds(recorder) == ["opened", *["checked out", "reset", "returned"] * 2, "closed", "disposed"]
    (life,) = recorder.recording().connections
    assert life.pid == pid
    assert [lease.who for lease in life.leases] == ["first", "second"]
    moments = [life.opened, *(moment for lease in life.leases for moment in (lease.begin, lease.end)), life.closed]
    assert None not in moments
    assert moments == sorted(moments)
    assert f"opened connection 1 (PID {pid}) by first" in str(recorder.events()[0])


async def test_waits_and_time_outs(make_engine: MakeEngine) -> None:
    """Who waited, how long, and who timed out? And is the limit learnt from the pool's own words?"""
    engine = make_engine(pool_size=1, max_overflow=1)
    recorder = PoolRecorder(engine)
    assert recorder.snapshot().limit is None
    async with engine.connect(), engine.connect():
        with pytest.raises(PoolTimeoutError), recorder.waiting("late"):
            await asyncio.gather(engine.connect(), see_waiting(recorder))
    with recorder.waiting():
        connection = await engine.connect()
    await connection.close()
    late, own = recorder.recording().waits
    assert (late.who, late.outcome, late.error) == ("late", "timed out", "TimeoutError")
    assert late.seconds is not None and 0.19 < late.seconds < 2
    task = asyncio.current_task()
    assert task is not None and (own.who, own.outcome) == (task.get_name(), "served")
    assert recorder.snapshot().limit == 2
    assert recorder.counts["timed out"] == 1


async def see_waiting(recorder: PoolRecorder) -> None:
    """While another one waits."""
    await asyncio.sleep(0.02)
    assert recorder.snapshot().waiting == 1
    assert [name for name, _ in recorder.waits_now()] == ["late"]
    assert recorder.recording().waits[-1].outcome == "waiting"


async def test_goes_on_after_dispose_and_stops_at_detach(make_engine: MakeEngine) -> None:
    """dispose() makes a new pool: do events continue there, and does detach end them there too?"""
    engine = make_engine(pool_size=1)
    recorder = PoolRecorder(engine)
    await use(engine)
    await engine.dispose()
    await use(engine)
    assert recorder.counts["opened"] == 2
    assert recorder.snapshot().open == 1
    recorder.detach()
    recorder.detach()
    before = recorder.counts
    await use(engine)
    await engine.dispose()
    assert recorder.counts == before
    assert not engine.sync_engine.pool.dispatch.checkout


async def test_a_connection_that_outlives_its_pool_is_a_stray(make_engine: MakeEngine) -> None:
    """Is a connection that was out during dispose() counted apart from the new pool?"""
    engine = make_engine(pool_size=1)
    recorder = PoolRecorder(engine)
    connection = await engine.connect()
    await engine.dispose()
    now = recorder.snapshot()
    assert (now.open, now.strays) == (0, 1)
    await connection.invalidate()
    await connection.close()
    assert recorder.snapshot().strays == 0


async def test_detached_connections_are_strays_until_they_are_closed(make_engine: MakeEngine) -> None:
    """Is a connection that was taken out of the pool for good still seen, and its end too?"""
    engine = make_engine(pool_size=1)
    recorder = PoolRecorder(engine)
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        raw.detach()
        now = recorder.snapshot()
        assert (now.in_use, now.strays) == (0, 1)
    assert kinds(recorder) == ["opened", "checked out", "detached", "closed"]
    assert recorder.snapshot().strays == 0


async def test_several_engines_at_once(make_engine: MakeEngine) -> None:
    """Are two engines told apart, and summed in the snapshot?"""
    one, two = make_engine(pool_size=1, max_overflow=0), make_engine(pool_size=2, max_overflow=0)
    with PoolRecorder(one, two, max_overflow=0) as recorder, PoolRecorder(two) as other:
        async with one.connect(), two.connect():
            assert [(each.engine, each.state) for each in recorder.live()] == [(0, "in use"), (1, "in use")]
            now = recorder.snapshot()
            assert (now.size, now.limit, now.in_use) == (3, 3, 2)
        assert other.counts["checked out"] == 1


async def test_ring_is_bounded_and_forgets_the_oldest(make_engine: MakeEngine) -> None:
    """Does memory stay bounded, and is what is left still right: leases, new events, the number of lost ones?"""
    engine = make_engine(pool_size=1)
    recorder = PoolRecorder(engine, size=4)
    long_ago = await engine.connect()
    await long_ago.close()
    for _ in range(5):
        await use(engine)
    assert recorder.dropped == 13 - 4
    assert len(recorder.recording().leases) == 2
    last = recorder.events()[-1].sequence
    assert recorder.events(after=last) == []
    await use(engine)
    assert [each.kind for each in recorder.events(after=last)] == ["checked out", "reset", "returned"]
    assert recorder.counts["opened"] == 1


async def test_a_lease_older_than_the_ring_is_still_known(make_engine: MakeEngine) -> None:
    """A leaked connection is the oldest lease of all: is it still seen when the ring has forgotten its checkout?"""
    engine = make_engine(pool_size=2)
    recorder = PoolRecorder(engine, size=3)

    async def leak() -> object:
        return await engine.connect()

    leaked = await asyncio.create_task(leak(), name="culprit")
    for _ in range(4):
        await use(engine)
    assert [(lease.who, lease.end) for lease in recorder.recording().leases if lease.who == "culprit"] == [
        ("culprit", None)
    ]
    await leaked.close()  # type: ignore[attr-defined]


async def test_keeps_neither_engine_nor_connection_alive(server: PostgresServer, nothing_left: None) -> None:
    """Can an engine be collected while its recorder lives? And what does the recorder say then?"""
    engine = create_async_engine(server.url)
    recorder = PoolRecorder(engine)
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = weakref.ref(raw.driver_connection)
        del raw
    del connection
    await engine.dispose()
    sync_engine = weakref.ref(engine.sync_engine)
    del engine
    gc.collect()
    assert sync_engine() is None
    assert driver() is None
    with pytest.raises(PoolError, match=r"no longer exists.*recorder\.recording\(\)"):
        recorder.snapshot()
    assert len(recorder.recording().connections) == 1
    recorder.detach()


async def test_an_engine_that_was_disposed_of_before(make_engine: MakeEngine) -> None:
    """Can a recorder be made for a disposed engine, which has a new, empty pool?"""
    engine = make_engine(pool_size=1)
    await use(engine)
    await engine.dispose()
    with PoolRecorder(engine) as recorder:
        assert recorder.snapshot().open == 0
        await use(engine)
        assert kinds(recorder) == ["opened", "checked out", "reset", "returned"]


async def test_connections_opened_before_the_recorder(make_engine: MakeEngine) -> None:
    """Are connections that are older than the recorder counted and, once used, known with their backend?"""
    engine = make_engine(pool_size=1)
    pid = await use(engine)
    with PoolRecorder(engine) as recorder:
        assert recorder.snapshot().idle == 1
        await use(engine)
    (life,) = recorder.recording().connections
    assert (life.opened, life.pid) == (None, pid)


async def test_a_restart_under_the_recorder(make_engine: MakeEngine, server: PostgresServer) -> None:
    """Does it see that the server closed its connections, what the pool does about it, and the recovery?"""
    engine = make_engine(pool_size=3)
    with PoolRecorder(engine) as recorder:
        await asyncio.gather(use(engine), use(engine), use(engine))
        opened = recorder.snapshot().open
        await server.restart()
        for _ in range(100):
            if recorder.snapshot().dead == opened:
                break
            await asyncio.sleep(0.01)
        now = recorder.snapshot()
        assert (now.dead, now.idle) == (opened, 0)
        assert {each.state for each in recorder.live()} == {"dead"}
        assert len((await server_view(server, recorder=recorder)).missing) == opened
        with pytest.raises(DBAPIError):
            await use(engine)
        (lost,) = [each for each in recorder.recording().connections if each.invalidated is not None]
        assert lost.leases[-1].end is not None
        assert recorder.snapshot().dead == opened
        pid = await use(engine)
        assert recorder.live()[-1].pid == pid
        assert len(await backends(server, 1)) == 1


async def test_a_server_that_is_gone(server: PostgresServer) -> None:
    """Does a server that ends under the recorder leave it consistent, and its detach quiet?"""
    other = await PostgresServer.start()
    engine = create_async_engine(other.url, pool_size=2)
    with PoolRecorder(engine) as recorder:
        async with engine.connect() as connection:
            await connection.execute(SELECT)
            await other.stop()
            with pytest.raises(DBAPIError):
                await connection.execute(SELECT)
        with pytest.raises(OSError):
            await use(engine)
        now = recorder.snapshot()
        assert (now.open, now.in_use, now.dead) == (0, 0, 1)
        await engine.dispose()
    assert recorder.counts["invalidated"] == 1
    assert not recorder.live()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_connection_whose_setup_fails_is_no_connection(make_engine: MakeEngine) -> None:
    """When another listener breaks the opening, is nothing left that looks open?"""
    engine = make_engine_without_pool(make_engine)
    recorder = PoolRecorder(engine)

    def broken(*_: object) -> None:
        raise RuntimeError("set-up failed")

    event.listen(engine.sync_engine, "connect", broken)
    with pytest.raises(RuntimeError, match="set-up failed"):
        await use(engine)
    assert recorder.snapshot().open == 0
    assert not recorder.live()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoolRecorder(), "at least one engine"),
        (lambda: PoolRecorder("postgresql+asyncpg://localhost"), "got str.*create_async_engine"),
        (lambda: PoolRecorder(create_engine("sqlite://"), size=0), "at least 1"),
    ],
)
def test_bad_arguments(make: Callable[[], object], message: str) -> None:
    """Does a wrong argument get a message that says what to pass?"""
    with pytest.raises(PoolError, match=message):
        make()
