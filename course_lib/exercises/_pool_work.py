"""The 200 jobs of exercise 05.5, and what is seen of them while they run."""

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.exercises._pool_exhaustion import PoolWatch, ended_within, patience_of
from course_lib.exercises.core import Case, NotYet

LIMIT, JOBS = 5, 200
# What a job waits for in vain before it says that nobody works beside it, in seconds.
_ALONE = 0.6


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
        if len(set(self.done)) == JOBS:
            self.all_done.set()

    async def _take_time(self, first: bool) -> None:
        while self.most < LIMIT and self.wrong is None:
            if not await self._something_happens():
                self._found(self._idle())
        while first and len(self.done) < JOBS - 1 and self.wrong is None:
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
        if self.most < LIMIT:
            return NotYet(
                f"At most {self.most} jobs ran at the same moment, and the pool has {LIMIT} connections. Use all.",
                misconception="too-few-at-once",
                case=self.case(self.most),
            )
        return NotYet(
            f"One job takes longer, and {LIMIT - 1} connections idle until it ends: other jobs stand behind it, in "
            "the next batch or in the share of the same worker. Let each job begin as soon as any other ends.",
            misconception="batches-that-idle",
            case=Case("200 jobs, the first slow", "the others go on", f"{len(self.done)} others done, then nothing"),
        )

    def case(self, most: int) -> Case:  # how many jobs ran at the same moment
        return Case("200 jobs", f"{LIMIT} at the same moment", f"{most} at the same moment")

    def _found(self, wrong: NotYet | str, misconception: str | None = None) -> None:
        self.wrong = self.wrong or (NotYet(wrong, misconception=misconception) if isinstance(wrong, str) else wrong)
        self._changed.set()
