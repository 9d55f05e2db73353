"""Many concurrent requests on one engine: closed and open arrivals, and an end that leaves nothing open."""

import asyncio
import contextlib
import gc
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from time import perf_counter
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.pools._arrivals import Draw, Duration, draw_durations, draw_gaps
from course_lib.pools._recording import PoolError
from course_lib.pools._run_result import RequestOutcome, RunResult, Status
from course_lib.pools.recorder import PoolRecorder

# A request that failed at once, because the server is away, would come again thousands of times a second.
_PAUSE_AFTER_FAILURE = 0.05
_CLOSING = 1.0  # seconds; an interrupted run waits so long for a connection that is just being given back
_OUTCOMES_KEPT = 100_000
_MESSAGE_LENGTH = 160


class Request:
    """One request, for the function given as `work` to `run_requests`.

    Args:
        name: its name, and its task's.
        number: counted from 1.
        engine: the engine of the run.
        recorder: the recorder of the run.
        rng: its own random numbers, from the run's seed and its number.
        hold_for: how long it shall hold its connection, in seconds.
    """

    def __init__(
        self, name: str, number: int, engine: AsyncEngine, recorder: PoolRecorder, rng: random.Random, hold_for: float
    ) -> None:
        self.name = name
        self.number = number
        self.engine = engine
        self.recorder = recorder
        self.rng = rng
        self.hold_for = hold_for
        self.wait = 0.0
        self.hold = 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Within this block the request waits for a connection; ``await session.connection()`` belongs here."""
        begin = perf_counter()
        try:
            with self.recorder.waiting(self.name):
                yield
        finally:
            self.wait += perf_counter() - begin

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the engine, given back at the end of the block; wait and hold are measured."""
        with self.waiting():
            connection = await self.engine.connect()
        begin = perf_counter()
        try:
            yield connection
        finally:
            self.hold += perf_counter() - begin
            await _give_back(connection)


async def run_requests(
    engine: AsyncEngine,
    *,
    requests: int | None = 50,
    concurrency: int | None = None,
    hold: Duration = 0.02,
    arrival: float | Draw | None = None,
    seconds: float | None = None,
    seed: int = 0,
    statement: str = "select 1",
    work: Callable[[Request], Awaitable[Any]] | None = None,
    recorder: PoolRecorder | None = None,
    name: str = "request",
    title: str | None = None,
) -> RunResult:
    """Run many concurrent requests that check out a connection, run a real query, hold the connection and return it.

    Without `arrival` the load is closed: `concurrency` workers, each of which begins its next request when its last
    one has ended. With `arrival` it is open: requests come whether or not earlier ones have ended, as users do.

    Cancelling ends all requests and gives every connection back before the CancelledError goes on.

    Args:
        engine: whose pool is under load.
        requests: how many requests altogether; None: until `seconds` have passed, or until it is cancelled.
        concurrency: how many workers a closed load has (10 by default). An open one has no such number.
        hold: how long each request keeps its connection after the query: seconds, a list of seconds to draw from, or
            a function that draws from a `random.Random`, such as `exponential(0.02)`.
        arrival: arrivals per second at equal distances, or a function that draws the gap to the next arrival in
            seconds from a `random.Random`, such as `poisson(50)`.
        seconds: no request begins later than this.
        seed: of the random numbers; the same seed draws the same holds and gaps.
        statement: the SQL that each request runs.
        work: what each request does instead; it takes a `Request`, and what it returns is the outcome's `value`.
        recorder: records the pool and the waits; without one, the run makes its own.
        name: what the requests (and their tasks) are called, before their number. Give each run its own if one
            recorder sees several runs.
        title: what the result's table is called.
    Returns:
        The outcome of each request, of the last 100,000 in a longer run.
    Raises:
        PoolError: the arguments contradict each other, or the engine's connections belong to another event loop; they
            are dropped then.
    """
    _check(engine, requests, concurrency, arrival, seconds)
    own = PoolRecorder(engine) if recorder is None else None
    run = _Run(engine, own or recorder or PoolRecorder(engine), seed, draw_durations(hold), statement, work, name)
    limit = math.inf if seconds is None else seconds
    gap = None if arrival is None else draw_gaps(arrival)
    try:
        if gap is None:
            await run.closed(requests, concurrency or 10, limit)
        else:
            await run.open(requests, gap, limit)
    except PoolError:
        # Nobody can close them in their own way. Without a reference, their sockets are closed at once.
        await engine.dispose(close=False)
        gc.collect()
        raise
    finally:
        if own is not None:
            own.detach()
    kind = f"{concurrency or 10} workers" if gap is None else "open arrivals"
    return run.result(title or f"{len(run.outcomes)} requests, {kind}")


class _Run:
    """The state of one run."""

    def __init__(
        self,
        engine: AsyncEngine,
        recorder: PoolRecorder,
        seed: int,
        hold: Draw,
        statement: str,
        work: Callable[[Request], Awaitable[Any]] | None,
        name: str,
    ) -> None:
        self.engine = engine
        self.recorder = recorder
        self.seed = seed
        self.hold = hold
        self.statement = text(statement)
        self.work = work or self._query_and_hold
        self.name = name
        self.outcomes: deque[RequestOutcome] = deque(maxlen=_OUTCOMES_KEPT)
        self.begin = perf_counter()

    async def closed(self, requests: int | None, concurrency: int, limit: float) -> None:
        """Workers that take the next number when they are done with the last."""
        numbers = iter(range(1, requests + 1)) if requests is not None else iter(range(1, 1 << 62))

        async def worker() -> None:
            for number in numbers:
                if perf_counter() - self.begin >= limit:
                    return
                outcome = await self._one(number)
                if outcome.status == "failed" and not outcome.hold:
                    await asyncio.sleep(_PAUSE_AFTER_FAILURE)

        await _together(worker() for _ in range(concurrency))

    async def open(self, requests: int | None, gap: Draw, limit: float) -> None:
        """Requests that come at their own times."""
        rng = random.Random(self.seed)
        due = 0.0
        number = 0
        with _unwrapped():
            async with asyncio.TaskGroup() as group:
                while requests is None or number < requests:
                    due += gap(rng)
                    if due >= limit:
                        break
                    await asyncio.sleep(max(0.0, due - (perf_counter() - self.begin)))
                    number += 1
                    group.create_task(self._one(number))

    async def _one(self, number: int) -> RequestOutcome:
        name = f"{self.name} {number}"
        task = asyncio.current_task()
        if task is not None:
            task.set_name(name)
        # Numbers of its own for each request: what one draws does not depend on which one ran first.
        rng = random.Random(f"{self.seed} {number}")
        request = Request(name, number, self.engine, self.recorder, rng, self.hold(rng))
        begin = perf_counter() - self.begin
        status: Status = "ok"
        foreign = False
        value = error = message = None
        try:
            value = await self.work(request)
        except PoolTimeoutError as caught:
            _stay_cancelled(task, caught)
            status, error, message = "timed out", type(caught).__name__, _first_line(caught)
        except Exception as caught:
            _stay_cancelled(task, caught)
            foreign = "attached to a different loop" in str(caught) or "Event loop is closed" in str(caught)
            status, error, message = "failed", type(caught).__name__, _first_line(caught)
        if foreign:  # raised here, and not above: the error's frames would keep the foreign connections open
            raise PoolError(
                "The connections of this engine belong to another event loop, and asyncio cannot use them here. "
                "They were dropped, and the engine can be used in this loop now. The next time, "
                "`await engine.dispose()` before its loop ends, or create one engine per loop."
            )
        end = perf_counter() - self.begin
        outcome = RequestOutcome(name, begin, request.wait, request.hold, status, error, message, value, end)
        self.outcomes.append(outcome)
        return outcome

    async def _query_and_hold(self, request: Request) -> Any:
        async with request.connection() as connection:
            value = await connection.scalar(self.statement)
            await asyncio.sleep(request.hold_for)
        return value

    def result(self, title: str) -> RunResult:
        """What the run gave so far."""
        recording = self.recorder.recording(since=self.begin - self.recorder.started)
        return RunResult(title, tuple(self.outcomes), perf_counter() - self.begin, recording)


async def _together(workers: Iterable[Coroutine[Any, Any, None]]) -> None:
    with _unwrapped():
        async with asyncio.TaskGroup() as group:
            for each in workers:
                group.create_task(each)


async def _give_back(connection: AsyncConnection) -> None:
    closing = asyncio.ensure_future(connection.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        # ``async with`` would leave the closing to itself here, and the run would end before it.
        done, _ = await asyncio.wait({closing}, timeout=_CLOSING)
        for each in done:
            each.exception()  # an error that nobody looks at is printed when it is collected
        raise


def _stay_cancelled(task: asyncio.Task[Any] | None, error: Exception) -> None:
    """Go on with the cancellation of a request whose connection could not be given back: that error would hide it."""
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


@contextlib.contextmanager
def _unwrapped() -> Iterator[None]:
    """Raise the first error of a task group by itself: a group of errors would hide the message from the reader."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group.exceptions[0].__cause__


def _first_line(error: BaseException) -> str:
    line = (str(error).strip() or repr(error)).splitlines()[0]
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[: _MESSAGE_LENGTH - 1]}…"


def _check(
    engine: AsyncEngine,
    requests: int | None,
    concurrency: int | None,
    arrival: float | Draw | None,
    seconds: float | None,
) -> None:
    if not isinstance(engine, AsyncEngine):
        raise PoolError(
            f"run_requests needs an AsyncEngine, from create_async_engine(), and got {type(engine).__name__}."
        )
    if requests is not None and requests < 1:
        raise PoolError(f"`requests` is at least 1, and {requests!r} is not. None means: until `seconds` have passed.")
    if concurrency is not None and concurrency < 1:
        raise PoolError(f"`concurrency` is at least 1 worker, and {concurrency!r} is not.")
    if concurrency is not None and arrival is not None:
        raise PoolError(
            "With `arrival` requests come at their own times, whatever is running: leave out `concurrency`."
        )
    if seconds is not None and not seconds > 0:
        raise PoolError(f"`seconds` is a positive number, and {seconds!r} is not.")
