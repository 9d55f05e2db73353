"""The check of exercise 05.5: many jobs on a small pool, judged by what ran at the same moment."""

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.exercises._pool_exhaustion import (
    PoolWatch,
    disposed,
    ended_within,
    engine_of,
    is_time_out,
    one_too_many,
    patience_of,
)
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab

_LIMIT, _JOBS = 5, 200
_NUMBERS = list(range(1, _JOBS + 1))
# What a job waits for in vain before it says that nobody works beside it, in seconds.
_ALONE = 0.6
# The longest and the shortest time that a request may wait for a connection, in seconds: the starter's is 0.5.
_PATIENCE, _IMPATIENT = 1.0, 0.2
# What `run_jobs` may take to return when all jobs are done, in seconds.
_TO_RETURN = 1


class Jobs:
    """The work that `run_jobs` has to do, and what was seen of it.

    The first five jobs wait for each other, and the very first goes on until all others are done.

    Args:
        engine: the engine whose connections count.
        watch: counts the time-outs of its pool.
        seconds: how long each job takes at least.

    Attributes:
        most: the most jobs that ran at the same moment.
        most_in_time: the same, up to the first time-out.
        done: the jobs that ran, in the order of ending.
        all_done: set when each job has run, or was refused.
        wrong: the first thing that was seen to be wrong; from then on jobs take no time.
    """

    def __init__(self, engine: AsyncEngine, watch: PoolWatch, seconds: float) -> None:
        self.engine, self.watch, self.seconds = engine, watch, seconds
        self.most = self.most_in_time = 0
        self.done: list[int] = []
        self.all_done = asyncio.Event()
        self.wrong: NotYet | None = None
        self._patience = patience_of(engine)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._started = 0
        self._running: dict[int, Any] = {}
        self._changed = asyncio.Event()

    @property
    def starved(self) -> bool:
        """Whether the slow job was left alone; jobs that timed out or were never begun leave it alone as well."""
        return self.wrong is not None and self.wrong.misconception == "batches-that-idle"

    async def work(self, connection: Any, job: int) -> int:
        """Do one job on the connection: its result comes from the server."""
        if not isinstance(connection, AsyncConnection) or connection.engine.pool is not self.engine.pool:
            self._ended(job)
            self._found(
                "`work` got something else than a connection of the given engine. Call `work(connection, job)` "
                "with what `engine.connect()` gives.",
                "passes-no-connection",
            )
            return job
        first = self._started == 0
        self._started += 1
        if any(each is connection for each in self._running.values()):
            self._found(
                "Two jobs run on one connection at the same moment. A connection runs one statement at a time: "
                "take one for each job.",
                "shares-a-connection",
            )
        if patience_of(self.engine) != self._patience:
            self._found(
                "`run_jobs` changes the pool's time limit. Keep it: other requests use the same pool.",
                "endless-timeout",
            )
        task = asyncio.current_task()
        if task is None or self._stopped:
            raise asyncio.CancelledError
        self._tasks.add(task)
        self._running[job] = connection
        self.most = max(self.most, len(self._running))
        if not self.watch.time_outs:
            self.most_in_time = self.most
        self._changed.set()
        try:
            result = int(await connection.scalar(text("select cast(:job as integer) * 7"), {"job": job}))
            await self._take_time(first)
            return result
        finally:
            self._tasks.discard(task)
            self._running.pop(job, None)
            self._ended(job)

    async def stop(self) -> None:
        """Let running jobs end and refuse further ones: a connection that ends in a query complains later."""
        self._stopped = True
        if self._tasks:
            self._found("The check is over.")
            await asyncio.wait(self._tasks, timeout=1)

    def _ended(self, job: int) -> None:
        self.done.append(job)
        self._changed.set()
        if len(set(self.done)) == _JOBS:
            self.all_done.set()

    async def _take_time(self, first: bool) -> None:
        while self.most < _LIMIT and self.wrong is None:
            if not await self._something_happens():
                self._found(self._idle())
        while first and len(self.done) < _JOBS - 1 and self.wrong is None:
            if not await self._something_happens() and len(self._running) == 1:
                self._found(self._idle())
        if not first and self.wrong is None:
            await asyncio.sleep(self.seconds)

    async def _something_happens(self) -> bool:
        self._changed.clear()
        waiting = asyncio.ensure_future(self._changed.wait())
        done, _ = await ended_within(waiting, _ALONE)
        waiting.cancel()
        return done

    def _idle(self) -> NotYet:
        if self.most == 1:
            return NotYet(
                "The jobs run one after another: four of the five connections are never used. Start them together, "
                "and let at most five go for a connection at a time.",
                misconception="one-after-another",
                case=self.case(1),
            )
        if self.most < _LIMIT:
            return NotYet(
                f"At most {self.most} jobs ran at the same moment, and the pool has {_LIMIT} connections. Use all.",
                misconception="too-few-at-once",
                case=self.case(self.most),
            )
        return NotYet(
            f"One job takes longer, and {_LIMIT - 1} connections idle until it ends: other jobs stand behind it, in "
            "the next batch or in the share of the same worker. Let each job begin as soon as any other ends.",
            misconception="batches-that-idle",
            case=Case("200 jobs, the first slow", "the others go on", f"{len(self.done)} others done, then nothing"),
        )

    def case(self, most: int) -> Case:  # how many jobs ran at the same moment
        return Case("200 jobs", f"{_LIMIT} at the same moment", f"{most} at the same moment")

    def _found(self, wrong: NotYet | str, misconception: str | None = None) -> None:
        self.wrong = self.wrong or (NotYet(wrong, misconception=misconception) if isinstance(wrong, str) else wrong)
        self._changed.set()


async def judge_jobs(make_engine: Any, run_jobs: Any, box: Lab) -> None:
    """05.5: do 200 jobs run on an engine with the old limits, five at a time until the end, without a time-out?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with disposed(await engine_of(make_engine, box.url)) as engine:
        end = await one_too_many(engine, _LIMIT, _PATIENCE)
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
        with PoolWatch(engine) as watch:
            # Long enough for 200 jobs on four connections to outlast the pool's time limit.
            jobs = Jobs(engine, watch, max(0.005, 1.4 * end.seconds * (_LIMIT - 1) / _JOBS))
            try:
                await _judge_run(run_jobs, engine, jobs)
            finally:
                await jobs.stop()
            if watch.most > _LIMIT:
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
        if is_time_out(error) and jobs.most_in_time < _LIMIT:
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
