"""The check of exercise 05.5: many jobs on a small pool, judged by what ran at the same moment."""

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.exercises._pool_exhaustion import PoolWatch, disposed, engine_of, is_time_out, one_too_many
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab

_LIMIT = 5
_JOBS = 200
# What a job waits for in vain before it says that nobody works beside it, in seconds.
_ALONE = 0.6
# Longest time that a request may wait for a connection before it fails, in seconds: the starter's is 0.5.
_PATIENCE = 1.25


class Jobs:
    """The work that `run_jobs` has to do, and what was seen of it.

    The first five jobs wait for each other, and the very first goes on until all others are done: only an answer that
    keeps the other four connections busy meanwhile lets it end.

    Args:
        engine: the engine whose connections count.
        seconds: how long each job takes at least.

    Attributes:
        most: the most jobs that ran at the same moment.
        done: the jobs that ran, in the order of ending.
        wrong: the first thing that was seen to be wrong; from then on jobs take no time.
    """

    def __init__(self, engine: AsyncEngine, seconds: float) -> None:
        self.engine = engine
        self.seconds = seconds
        self.most = 0
        self.done: list[int] = []
        self.wrong: NotYet | None = None
        self._started = 0
        self._running: dict[int, Any] = {}
        self._changed = asyncio.Event()

    @property
    def starved(self) -> bool:
        """Whether the slow job was left alone; jobs that timed out or were never begun leave it alone as well."""
        return self.wrong is not None and self.wrong.misconception == "batches-that-idle"

    async def work(self, connection: Any, job: int) -> int:
        """Do one job on the connection: its result comes from the server."""
        if not isinstance(connection, AsyncConnection) or connection.engine.sync_engine is not self.engine.sync_engine:
            self._found(
                NotYet(
                    "`work` got something else than a connection of the given engine. Call "
                    "`work(connection, job)` with what `engine.connect()` gives.",
                    misconception="passes-no-connection",
                )
            )
            return job
        first = self._started == 0
        self._started += 1
        if any(each is connection for each in self._running.values()):
            self._found(
                NotYet(
                    "Two jobs run on one connection at the same moment. A connection runs one statement at a time: "
                    "take one for each job.",
                    misconception="shares-a-connection",
                )
            )
        self._running[job] = connection
        self.most = max(self.most, len(self._running))
        self._changed.set()
        try:
            result = int(await connection.scalar(text("select cast(:job as integer) * 7"), {"job": job}))
            await self._take_time(first)
            return result
        finally:
            self._running.pop(job, None)
            self.done.append(job)
            self._changed.set()

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
        done, _ = await asyncio.wait({waiting}, timeout=_ALONE)
        waiting.cancel()
        return bool(done)

    def _idle(self) -> NotYet:
        if self.most == 1:
            return NotYet(
                "The jobs run one after another: four of the five connections are never used. Start them together, "
                "and let at most five go for a connection at a time.",
                misconception="one-after-another",
                case=self._case(1),
            )
        if self.most < _LIMIT:
            return NotYet(
                f"At most {self.most} jobs ran at the same moment, and the pool has {_LIMIT} connections. Use all.",
                misconception="too-few-at-once",
                case=self._case(self.most),
            )
        return NotYet(
            f"One job takes longer than the others, and {_LIMIT - 1} connections idle until it ends: the next batch "
            "waits for the slowest job of the last one. Let each job begin as soon as any other ends.",
            misconception="batches-that-idle",
            case=Case(
                "200 jobs, the first one slow", "the others go on", f"{len(self.done)} others done, then nothing"
            ),
        )

    def _case(self, most: int) -> Case:
        return Case("200 jobs", f"{_LIMIT} at the same moment", f"{most} at the same moment")

    def _found(self, wrong: NotYet) -> None:
        self.wrong = self.wrong or wrong
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
        # Long enough for 200 jobs on four connections to outlast the pool's time limit twice.
        jobs = Jobs(engine, max(0.01, 2 * end.seconds * (_LIMIT - 1) / _JOBS))
        with PoolWatch(engine) as watch:
            await _judge_run(run_jobs, engine, jobs)
            if watch.held:
                raise NotYet(
                    f"All jobs are done, and connections are still checked out: {watch.held}. Give each one back; "
                    "`async with engine.connect()` does it.",
                    misconception="leaves-connections-out",
                )


async def _judge_run(run_jobs: Any, engine: AsyncEngine, jobs: Jobs) -> None:
    numbers = list(range(1, _JOBS + 1))
    try:
        got = await ask(run_jobs, engine, list(numbers), jobs.work, given="200 jobs, pool of 5")
    except Exception as error:
        if jobs.wrong is not None and not (jobs.starved and is_time_out(error)):
            raise jobs.wrong from None
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
    if sorted(jobs.done) != numbers:
        raise NotYet(
            "Each job has to be done exactly once, before `run_jobs` returns.",
            misconception="loses-jobs",
            case=Case("200 jobs", "200 jobs done", f"{len(set(jobs.done))} done in {len(jobs.done)} calls"),
        )
    if jobs.wrong is not None:
        raise jobs.wrong
    expected = [number * 7 for number in numbers]
    if not isinstance(got, list) or any(type(each) is not int for each in got):
        raise NotYet(
            f"`run_jobs` returns a list with what `work` gave for each job, not {type(got).__name__}.",
            misconception="no-list",
        )
    if got != expected:
        raise NotYet(
            "The results are not in the order of the jobs, or not all there. `asyncio.gather` keeps the order in "
            "which it got the coroutines.",
            misconception="loses-the-order",
            case=Case("jobs 1, 2, 3, …", "7, 14, 21, …", f"{', '.join(map(repr, got[:3]))}, …"),
        )
