"""The check of exercise 05.5: many jobs on a small pool, judged by what ran at the same moment."""

import asyncio
from typing import Any

from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._pool_exhaustion import (
    Ending,
    PoolWatch,
    all_taken,
    asking_for_one_too_many,
    disposed,
    ended_within,
    engine_of,
    is_time_out,
    one_too_many,
    patience_of,
)
from course_lib.exercises._pool_work import JOBS, LIMIT, Jobs
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab

_NUMBERS = list(range(1, JOBS + 1))
# The longest and the shortest time that a request may wait for a connection, in seconds: the starter's is 0.5.
_PATIENCE, _IMPATIENT = 1.0, 0.2
# Who has not begun to connect after so many seconds waits for somebody else's connection.
_BEGUN = 0.1
# What `run_jobs` may take to return when all jobs are done, in seconds.
_TO_RETURN = 1


async def judge_jobs(make_engine: Any, run_jobs: Any, box: Lab) -> None:
    """05.5: do 200 jobs run on an engine with the old limits, five at a time until the end, without a time-out?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with (
        disposed(await engine_of(make_engine, box.url)) as engine,
        disposed(await engine_of(make_engine, box.url)) as other,
    ):
        patience = patience_of(engine)
        if other is engine or patience is None or not _IMPATIENT <= patience <= _PATIENCE:
            seconds = _judge_end(await one_too_many(engine, LIMIT, _PATIENCE))
            await _judge_jobs(run_jobs, engine, seconds)
            return
        async with all_taken(engine, LIMIT):
            pass  # the jobs find open connections: on a busy machine, to open one takes as long as a job may wait
        # What the limit is about is known at once: how long it lasts is seen on a pool of its own, beside the jobs.
        async with asking_for_one_too_many(other, LIMIT, _PATIENCE) as (asking, connecting):
            await ended_within(asking, _BEGUN)
            if asking.done() or connecting.is_set():
                _judge_end(await asking)
            wrong: Exception | None = None
            try:
                await _judge_jobs(run_jobs, engine, patience)
            except Exception as error:
                wrong = error
            _judge_end(await asking)
            if wrong is not None:
                raise wrong


def _judge_end(end: Ending) -> float:
    """How long the one too many waited, in seconds; NotYet if it was not as long as it should be."""
    if end.kind == "returned":
        raise NotYet(
            "The engine opens a sixth connection. With an overflow for every job the pool limits nothing, and "
            "the server's `max_connections` is shared with all other processes. Keep the limit of five.",
            misconception="huge-overflow",
        )
    if end.kind == "waits":
        raise NotYet(
            "A request that finds no free connection waits on and on. With so long a `pool_timeout` the queue "
            "only moves out of sight, and every other request stands behind 195 jobs. Keep it at 0.5 s.",
            misconception="endless-timeout",
        )
    if end.error is not None and not is_time_out(end.error):
        raise end.error
    if end.seconds < _IMPATIENT:
        raise NotYet(
            "Keep the engine's limits: a request may wait half a second. With less, healthy traffic fails "
            "whenever it comes a moment too early.",
            misconception="shrinks-the-timeout",
            case=Case("a request, 5 connections taken", "an error after 0.5 s", f"after {end.seconds:.2f} s"),
        )
    return end.seconds


async def _judge_jobs(run_jobs: Any, engine: AsyncEngine, patience: float) -> None:
    """Do 200 jobs end well on the engine, whose pool lets a request wait for so many seconds?"""
    with PoolWatch(engine) as watch:
        # Long enough for 200 jobs on four connections to outlast the pool's time limit.
        jobs = Jobs(engine, watch, max(0.005, 1.2 * patience * (LIMIT - 1) / JOBS))
        try:
            await _judge_run(run_jobs, engine, jobs)
        finally:
            await jobs.stop()
        if watch.most > LIMIT:
            raise NotYet(
                f"`run_jobs` made the pool hand out {watch.most} connections at once. Keep the limit of five: "
                "the server's `max_connections` is shared with all other processes.",
                misconception="huge-overflow",
            )
        if watch.held:
            raise NotYet(
                f"All jobs are done, and connections are still checked out: {watch.held}. Give each one back; "
                "`async with engine.connect()` does it.",
                misconception="leaves-connections-out",
            )


async def _run(run_jobs: Any, engine: AsyncEngine, jobs: Jobs) -> Any:
    """What `run_jobs` returns; it has to do so soon after the last job."""
    running = asyncio.ensure_future(ask(run_jobs, engine, list(_NUMBERS), jobs.work, given="200 jobs, pool of 5"))
    all_done = asyncio.ensure_future(jobs.all_done.wait())
    try:
        await asyncio.wait({running, all_done}, return_when=asyncio.FIRST_COMPLETED)
        await ended_within(running, _TO_RETURN)
        if running.done():
            return await running
        raise jobs.wrong or NotYet(
            f"All 200 jobs are done, and `run_jobs` had not returned {_TO_RETURN} s later. Something still waits, "
            "such as workers for a queue that stays empty. Let them end when there is nothing left to do.",
            misconception="never-returns",
        )
    finally:
        all_done.cancel()
        running.cancel()


async def _judge_run(run_jobs: Any, engine: AsyncEngine, jobs: Jobs) -> None:
    try:
        got = await _run(run_jobs, engine, jobs)
    except NotYet:
        raise
    except Exception as error:
        if jobs.wrong is not None and not (jobs.starved and is_time_out(error)):
            raise jobs.wrong from None
        if is_time_out(error) and jobs.most_in_time < LIMIT:
            raise NotYet(
                f"Only {jobs.most_in_time} jobs had a connection. Something else holds one, or each job takes two.",
                misconception="holds-another-connection",
                case=jobs.case(jobs.most_in_time),
            ) from None
        if is_time_out(error):
            raise NotYet(
                "Jobs ended with a time-out. All of them ask the pool for a connection at the beginning, and those "
                "at the end of its queue give up. Let only as many ask as can be served: a semaphore, or five workers.",
                misconception="queues-in-the-pool",
                case=Case("200 jobs, pool of 5", "200 jobs done", f"{len(jobs.done)} done, then TimeoutError"),
            ) from None
        if isinstance(error, InvalidRequestError) and jobs.most > 1:
            raise NotYet(
                "Jobs share one connection or session at the same moment. Take a connection for each job.",
                misconception="shares-a-connection",
            ) from None
        raise
    if jobs.wrong is not None and not jobs.starved:
        raise jobs.wrong
    if isinstance(got, list | tuple) and any(isinstance(each, BaseException) for each in got):
        raise NotYet(
            "Some results are exceptions. Collecting them does not do the jobs: all 200 have to end well.",
            misconception="queues-in-the-pool",
            case=Case("200 jobs, pool of 5", "200 jobs done", f"{len(jobs.done)} done"),
        )
    if time_outs := jobs.watch.time_outs:
        raise NotYet(
            f"Requests timed out and were tried again: {time_outs}. Retrying keeps the queue in the pool, where "
            "users' requests stand as well. Let only as many ask as can be served.",
            misconception="retries-time-outs",
            case=Case("200 jobs, pool of 5", "no time-out", f"{time_outs} time-outs"),
        )
    if sorted(jobs.done) != _NUMBERS:
        raise NotYet(
            "Each job has to be done exactly once, before `run_jobs` returns.",
            misconception="loses-jobs",
            case=Case("200 jobs", "200 jobs done", f"{len(set(jobs.done))} done in {len(jobs.done)} calls"),
        )
    if jobs.wrong is not None:
        raise jobs.wrong
    if not isinstance(got, list) or any(type(each) is not int for each in got):
        raise NotYet(
            f"`run_jobs` returns a list with what `work` gave for each job, not {type(got).__name__}.",
            misconception="no-list",
        )
    if got != [number * 7 for number in _NUMBERS]:
        raise NotYet(
            "The results are not in the order of the jobs, or not all there. `asyncio.gather` keeps the order in "
            "which it got the coroutines.",
            misconception="loses-the-order",
            case=Case("jobs 1, 2, 3, …", "7, 14, 21, …", f"{', '.join(map(repr, got[:3]))}, …"),
        )
