"""Do the runs measure what they say, and end clean whatever happens?"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from conftest import MakeEngine, backends, run_apart
from course_lib.pools.recorder import PoolError, PoolRecorder
from course_lib.pools.server_view import server_view
from course_lib.pools.workload import (
    Request,
    RunResult,
    exponential,
    leaked_session,
    long_transaction,
    n_plus_one,
    nested_checkout,
    percentile,
    poisson,
    run_requests,
    undersized_pool,
)
from course_lib.servers import FaultProxy, PostgresServer

SCENARIOS = [long_transaction, leaked_session, n_plus_one, nested_checkout, undersized_pool]
Scenario = Callable[..., Awaitable[RunResult]]


async def test_closed_load_waits_for_the_pool(make_engine: MakeEngine) -> None:
    """Do four workers on two connections take turns, and does each outcome carry its wait, hold and value?"""
    engine = make_engine(pool_size=2, max_overflow=0, pool_timeout=5)
    result = await run_requests(engine, requests=12, concurrency=4, hold=0.02, statement="select 7")
    assert (len(result), result.served, result.timed_out, result.failed) == (12, 12, 0, 0)
    assert {each.value for each in result.outcomes} == {7}
    assert sorted(each.name for each in result.outcomes) == sorted(f"request {number}" for number in range(1, 13))
    assert min(result.holds) >= 0.019
    assert result.seconds >= 12 * 0.02 / 2 * 0.95
    assert result.wait(0.5) > 0.01
    assert result.wait(0.5) <= result.wait(0.95) <= result.wait(0.99) <= max(result.waits)
    assert result.throughput == pytest.approx(12 / result.seconds)


async def test_time_outs_are_outcomes(make_engine: MakeEngine) -> None:
    """Does a request that the pool turned away say so, with its wait, and without a hold?"""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.1)
    result = await run_requests(engine, requests=3, concurrency=3, hold=0.3)
    assert (result.served, result.timed_out) == (1, 2)
    assert result.errors == {"TimeoutError": 2}
    for each in result.outcomes:
        if each.status == "timed out":
            assert each.wait >= 0.09
            assert each.hold == 0
    assert [each.outcome for each in result.recording.waits].count("timed out") == 2
    assert result.recording.limit == 1


async def test_open_arrivals_come_whatever_runs(make_engine: MakeEngine) -> None:
    """Do requests arrive at their fixed rate although the pool cannot keep up?"""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=5)
    result = await run_requests(engine, requests=10, arrival=100, hold=0.03)
    begins = sorted(each.begin for each in result.outcomes)
    assert begins[-1] - begins[0] < 0.25 < result.seconds
    assert result.served == 10


async def test_poisson_arrivals_follow_the_seed(make_engine: MakeEngine) -> None:
    """Do two runs with one seed plan the same arrivals, and does each come at its time or shortly after?"""
    engine = make_engine(pool_size=5)
    rng = random.Random(11)
    due, gap = [], poisson(200)
    for _ in range(20):
        due.append((due[-1] if due else 0.0) + gap(rng))
    result = await run_requests(engine, requests=20, arrival=poisson(200), hold=[0.0], seed=11, work=nothing)
    begins = [each.begin for each in result.outcomes]
    assert all(begin >= planned - 0.001 for begin, planned in zip(begins, due, strict=True))
    assert sum(begin - planned for begin, planned in zip(begins, due, strict=True)) / 20 < 0.1


async def nothing(request: Request) -> None:
    """A request that does nothing and draws nothing."""


def test_draws_have_the_mean_they_were_given() -> None:
    """Are the distributions what their names say?"""
    rng = random.Random(5)
    assert sum(exponential(0.02)(rng) for _ in range(20_000)) / 20_000 == pytest.approx(0.02, rel=0.03)
    assert sum(poisson(50)(rng) for _ in range(20_000)) / 20_000 == pytest.approx(1 / 50, rel=0.03)


async def test_time_limit_ends_an_endless_run(make_engine: MakeEngine) -> None:
    """Does `seconds` end a run that has no number of requests, closed and open?"""
    engine = make_engine(pool_size=2)
    for load in ({"concurrency": 2}, {"arrival": 100}):
        result = await run_requests(engine, requests=None, seconds=0.15, hold=0.01, **load)  # type: ignore[arg-type]
        assert 5 <= len(result) <= 40
        assert result.seconds < 1


async def test_own_work_and_its_errors(make_engine: MakeEngine) -> None:
    """Does the learner's own work run, with its value and its errors as outcomes, names and all?"""

    async def work(request: Request) -> int:
        async with request.connection() as connection:
            await connection.execute(text("select 1"))
            if request.number == 2:
                raise LookupError("no such order\nsecond line")
        return request.number * 10

    result = await run_requests(make_engine(), requests=3, concurrency=1, work=work, name="order", title="Orders")
    assert [(each.name, each.status, each.value) for each in result.outcomes] == [
        ("order 1", "ok", 10),
        ("order 2", "failed", None),
        ("order 3", "ok", 30),
    ]
    assert (result.outcomes[1].error, result.outcomes[1].message) == ("LookupError", "no such order")
    assert result.outcomes[1].hold > 0


async def test_a_given_recorder_sees_each_run_by_itself(make_engine: MakeEngine) -> None:
    """With one recorder for two runs, does each result tell of its own run only?"""
    engine = make_engine(pool_size=1)
    with PoolRecorder(engine) as recorder:
        await run_requests(engine, requests=3, hold=0.001, recorder=recorder, name="warm-up")
        result = await run_requests(engine, requests=2, hold=0.001, recorder=recorder)
        assert {wait.who for wait in result.recording.waits} == {"request 1", "request 2"}
        assert len(result.recording.leases) == 2
        assert all(lease.begin >= 0 for lease in result.recording.leases)
        assert len(recorder.recording().leases) == 5


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_each_cause_and_its_repair(server: PostgresServer, nothing_left: None, scenario: Scenario) -> None:
    """Does the cause exhaust its pool, does the repair end that, and is either over in less than three seconds?"""
    begin = time.perf_counter()
    found = await scenario(server.url)
    repaired = await scenario(server.url, fixed=True)
    seconds = time.perf_counter() - begin
    assert found.timed_out >= 4
    assert repaired.timed_out == 0
    assert len(found) == len(repaired)
    assert seconds < 6
    assert found.seconds < 3 and repaired.seconds < 3
    assert "as found" in repr(found) and "repaired" in repr(repaired)


async def test_a_scenario_on_an_engine_that_is_passed(make_engine: MakeEngine) -> None:
    """Is the pool that is passed the one that is used, and the recorder too?"""
    engine = make_engine(pool_size=4, max_overflow=0, pool_timeout=0.3)
    with PoolRecorder(engine) as recorder:
        assert len(await nested_checkout(engine, recorder=recorder)) == 6
        assert recorder.counts["opened"] == 4
        assert recorder.snapshot().in_use == 0


async def test_leaked_sessions_are_idle_in_transaction_meanwhile(server: PostgresServer, nothing_left: None) -> None:
    """Does the server see the leak while it lasts, and nothing of it afterwards?"""
    running = asyncio.create_task(_as_task(leaked_session(server.url)))
    assert (await backends(server, 2, state="idle in transaction")).count("idle in transaction") == 2
    await running
    assert (await server_view(server)).count("idle in transaction") == 0


async def _as_task(run: Awaitable[RunResult]) -> RunResult:
    return await run


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("twice", [False, True])
async def test_an_interrupted_scenario_leaves_nothing(
    server: PostgresServer, nothing_left: None, scenario: Scenario, twice: bool
) -> None:
    """Is everything closed when the cell is interrupted in the middle, and once more while it cleans up?"""
    running = asyncio.create_task(_as_task(scenario(server.url)))
    await backends(server, 2 if scenario is not undersized_pool else 1)
    await asyncio.sleep(0.05)
    running.cancel()
    if twice:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("load", [{"concurrency": 8}, {"arrival": poisson(300)}])
async def test_an_interrupted_run_gives_every_connection_back(
    make_engine: MakeEngine, server: PostgresServer, load: dict[str, Any]
) -> None:
    """After a cancelled run, is no connection out, none in a transaction, no task left, and the engine usable?"""
    engine = make_engine(pool_size=2, max_overflow=1)
    with PoolRecorder(engine) as recorder:
        running = asyncio.create_task(run_requests(engine, requests=None, hold=0.03, recorder=recorder, **load))
        async with asyncio.timeout(20):
            while recorder.counts["served"] <= 5:  # noqa: ASYNC110 - a recorder has no event for it
                await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}
        now = recorder.snapshot()
        assert (now.in_use, now.waiting) == (0, 0)
        assert not (await backends(server, 0, state="idle in transaction")).count("idle in transaction")
    assert (await run_requests(engine, requests=2, hold=0)).served == 2


async def test_a_run_is_cancelled_although_giving_back_fails(server: PostgresServer, nothing_left: None) -> None:
    """When nobody answers the rollback of an interrupted request, does its error hide the cancellation?"""
    async with FaultProxy(server.url) as proxy:
        engine = create_async_engine(proxy.url, pool_size=2, connect_args={"command_timeout": 0.2})
        begun = asyncio.Event()

        async def work(request: Request) -> None:
            async with request.connection() as connection:
                await connection.execute(text("select 1"))
                begun.set()
                await asyncio.sleep(5)

        running = asyncio.create_task(run_requests(engine, requests=None, concurrency=2, work=work))
        await begun.wait()
        proxy.black_hole()
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=3)
        assert done and running.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await engine.dispose()


async def test_an_outcome_tells_when_its_request_ended(make_engine: MakeEngine) -> None:
    """Is the end of a failed request the moment of its error?"""

    async def work(request: Request) -> None:
        await asyncio.sleep(0.1)
        raise ValueError("early")

    result = await run_requests(make_engine(), requests=1, work=work)
    (outcome,) = result.outcomes
    assert outcome.end is not None
    assert 0.09 < outcome.end - outcome.begin < 1


async def test_a_server_that_dies_in_the_middle() -> None:
    """Do the requests fail one by one, with the reason, without a storm of retries, and does the run end?"""
    server = await PostgresServer.start()
    engine = create_async_engine(server.url, pool_size=2)
    running = asyncio.create_task(run_requests(engine, requests=None, seconds=0.9, concurrency=4, hold=0.01))
    await asyncio.sleep(0.2)
    await server.stop()
    result = await running
    await engine.dispose()
    assert result.served > 2
    assert "ConnectionRefusedError" in result.errors
    assert 4 <= result.failed < 100
    assert "ConnectionRefusedError" in repr(result)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_engine_of_another_loop(server: PostgresServer, nothing_left: None) -> None:
    """Does a run on an engine whose connections belong to a loop that is gone say so, and leave nothing?"""
    engines: list[AsyncEngine] = []

    async def elsewhere() -> RunResult:
        engine = create_async_engine(server.url, pool_size=2)
        engines.append(engine)
        return await run_requests(engine, requests=4, hold=0.001)

    assert run_apart(elsewhere).served == 4
    with pytest.raises(PoolError, match=r"another event loop.*one engine per loop"):
        await run_requests(engines[0], requests=4)
    assert not await backends(server)
    assert (await run_requests(engines[0], requests=4)).served == 4
    await engines[0].dispose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"requests": 0}, "at least 1"),
        ({"concurrency": 0}, "at least 1 worker"),
        ({"concurrency": 3, "arrival": 5}, "leave out `concurrency`"),
        ({"arrival": 0}, "positive number of requests per second"),
        ({"arrival": math.nan}, "positive number of requests per second"),
        ({"hold": -1}, "0 or more"),
        ({"hold": math.inf}, "0 or more"),
        ({"hold": []}, "empty list"),
        ({"seconds": 0}, "positive"),
    ],
)
async def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    """Does impossible input get a message before anything is opened?"""
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    with pytest.raises(PoolError, match=message):
        await run_requests(engine, **arguments)


async def test_bad_targets() -> None:
    """Are a sync engine, a string and impossible distributions refused in words?"""
    with pytest.raises(PoolError, match=r"AsyncEngine.*got Engine"):
        await run_requests(create_engine("sqlite://"))  # type: ignore[arg-type]
    with pytest.raises(PoolError, match="got str"):
        await nested_checkout("postgresql://localhost/x")  # type: ignore[arg-type]
    with pytest.raises(PoolError, match="positive"):
        exponential(0)
    with pytest.raises(PoolError, match="positive"):
        poisson(-1)


def test_percentile_is_the_nearest_rank() -> None:
    """Is it a value of the sample, the right one at the edges, and NaN for none?"""
    assert [percentile([4, 1, 3, 2], each) for each in (0.25, 0.26, 0.5, 0.99, 1)] == [1, 2, 2, 4, 4]
    assert math.isnan(percentile([], 0.5))
    with pytest.raises(ValueError, match="above 0"):
        percentile([1], 0)


async def test_a_result_is_a_small_table(make_engine: MakeEngine) -> None:
    """Does a result read well as text, and escape what it shows as HTML?"""

    async def work(request: Request) -> None:
        raise ValueError("<b>bad</b>")

    result = await run_requests(make_engine(), requests=2, work=work, title="A <run>")
    assert repr(result).splitlines()[0] == "A <run>"
    assert "failed             2" in repr(result)
    shown = result._repr_html_()
    assert "<b>" not in shown and "A &lt;run&gt;" in shown and "&lt;b&gt;bad" in shown
