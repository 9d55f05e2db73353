"""What a monitor runs: a workload on an engine until it is told to stop, its time is over, or the server is gone."""

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from course_lib.pools._monitor_engine import Opened
from course_lib.pools._monitor_traffic import Traffic, one_line
from course_lib.pools._monitor_view import Cell, MonitorNumbers, Slots, log_lines
from course_lib.pools._recording import Snapshot
from course_lib.pools._requests import run_requests
from course_lib.pools._run_result import RunResult
from course_lib.pools.recorder import PoolRecorder

_NAME = "monitor request"
_TICK = 0.1  # seconds from one picture to the next: ten a second
_TELLING = ("opened", "invalidated", "soft invalidated", "detached", "closed", "timed out")
_GIVE_UP = 3.0  # seconds in which every try fails
_FAILURES = 3
_RING = 5_000
_CLOSING = 1.0  # seconds; a connection whose other side has vanished answers no goodbye
_TRIES = 60
_NOTHING_SERVED = "Nothing is served: see the log. If the server was started again, run this cell again."
_LOG_PAUSE = 0.5  # seconds; nobody reads faster


@dataclass(frozen=True)
class Settings:
    """What the sliders say. Times in seconds.

    Args:
        pool_size: connections that the pool keeps.
        max_overflow: how many more it opens at most; None: not known, because somebody else made the engine.
        timeout: how long a request waits for a connection before it gives up.
        concurrency: how many workers send requests, each one after the other.
        hold: how long each request keeps its connection after its query.
    """

    pool_size: int
    max_overflow: int | None
    timeout: float
    concurrency: int
    hold: float

    @property
    def pool(self) -> tuple[int, int | None, float]:
        """What an engine cannot change after it was made."""
        return self.pool_size, self.max_overflow, self.timeout


@dataclass(frozen=True)
class Picture:
    """What there is to show at one moment.

    Args:
        numbers: the numbers.
        cells: the slots.
        queue: how much of its time each waiting request has used up, in percent, the longest first.
        log: the lines that are new.
    """

    numbers: MonitorNumbers
    cells: list[Cell]
    queue: list[int]
    log: list[str]


class MonitorRun:
    """One run of a monitor, from start to end.

    Args:
        make_engine: makes the engine for these settings.
        owned: whether the engines are its own, to make anew for other settings and to dispose of.
        settings: tells what the sliders say now.
        show: gets each picture.
        seconds: after this time it ends by itself.
    """

    def __init__(
        self,
        make_engine: Callable[[Settings], AsyncEngine],
        owned: bool,
        settings: Callable[[], Settings],
        show: Callable[[Picture], None],
        seconds: float,
    ) -> None:
        self._make_engine = make_engine
        self._owned = owned
        self._settings = settings
        self._show = show
        self._seconds = seconds
        self._traffic = Traffic()
        self._slots = Slots()
        self._wake = asyncio.Event()
        self._reason: str | None = None
        self._begin = perf_counter()
        self._said: list[str] = []
        self._told = -1  # the last event that was told of
        self._counted = 0  # events worth telling
        self._failed = 0  # requests that were told of
        self._said_full = False
        self._next_news = 0.0

    def stop(self, reason: str) -> None:
        """Make it end soon. Only the first reason counts."""
        if self._reason is None:
            self._reason = reason
        self._wake.set()

    async def run(self) -> None:
        """Run until the end. It gives back every connection, whatever happens."""
        self._begin = self._traffic.last_served = perf_counter()
        try:
            while self._reason is None:
                await self._with_one_engine(self._settings())
        except asyncio.CancelledError:
            self.stop("Stopped: the event loop ended.")
            raise
        except Exception as error:  # such as an engine that cannot be made
            self.stop(f"Stopped: {one_line(error)}")
        finally:
            self._say(self._reason or "Stopped.")
            self._show(Picture(self._numbers(None, self._reason or "Stopped."), [], [], self._new_lines()))

    async def _with_one_engine(self, settings: Settings) -> None:
        engine = self._make_engine(settings)
        opened = Opened(engine) if self._owned else None
        pool = weakref.ref(engine.pool)
        recorder = PoolRecorder(engine, size=_RING, max_overflow=settings.max_overflow)
        self._told, self._counted = -1, 0
        overflow = "" if settings.max_overflow is None else f" + {settings.max_overflow} overflow"
        self._say(f"a pool of {settings.pool_size}{overflow}, time-out {settings.timeout:.1f} s")
        load = self._begin_load(engine, recorder, settings)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK):
                        await self._wake.wait()
                self._look(load, recorder, settings)
                if self._reason is not None:
                    return
                wanted = self._settings()
                if self._owned and wanted.pool != settings.pool:
                    return  # a pool keeps its size for life, so the next round makes another engine
                if wanted.concurrency != settings.concurrency:
                    await _end(load, recorder)
                    load = self._begin_load(engine, recorder, wanted)
                    settings = wanted
                self._picture(recorder, settings)
        finally:
            await _end(load, recorder)
            self._news(recorder, settings)
            recorder.detach()
            if opened is not None:
                await _close(engine.dispose)
                opened.terminate()
            elif (old := pool()) is not None and old is not engine.pool:
                # Somebody disposed of the engine. What was checked out has gone back to the pool that it had before.
                await _close(lambda: greenlet_spawn(old.dispose))

    def _look(self, load: asyncio.Task[RunResult], recorder: PoolRecorder, settings: Settings) -> None:
        """Find out whether it has to end."""
        now = perf_counter()
        traffic = self._traffic
        if load.done():
            error = None if load.cancelled() else load.exception()
            self.stop(f"Stopped: {one_line(error)}" if error else "Stopped: the workload was cancelled.")
        elif recorder.counts["disposed"]:
            self.stop("Stopped: somebody disposed of the engine. Press Start, or call start(), for another run.")
        elif traffic.failures >= _FAILURES and now - traffic.last_served > _GIVE_UP + settings.hold:
            self.stop(
                f"Stopped: for {_GIVE_UP:.0f} s every request has failed, the last one with {traffic.last_error}. "
                "Check that the server runs, then start again. If the server was started again, run this cell again."
            )
        elif now - self._begin >= self._seconds:
            self.stop(f"Stopped by itself after {self._seconds:g} s.")

    def _begin_load(self, engine: AsyncEngine, recorder: PoolRecorder, settings: Settings) -> asyncio.Task[RunResult]:
        running = run_requests(
            engine,
            requests=None,
            concurrency=settings.concurrency,
            hold=lambda rng: self._settings().hold,
            work=self._traffic.work,
            recorder=recorder,
            name=_NAME,
        )
        return asyncio.get_running_loop().create_task(running, name="pool monitor workload")

    def _picture(self, recorder: PoolRecorder, settings: Settings) -> None:
        pool = recorder.snapshot()
        if perf_counter() >= self._next_news:
            self._next_news = perf_counter() + _LOG_PAUSE
            self._news(recorder, settings)
        queue = [min(100, round(100 * waited / settings.timeout)) for _, waited in recorder.waits_now()]
        cells = self._slots.arrange(recorder.live(), pool)
        broken = self._traffic.errors and not self._traffic.served
        message = _NOTHING_SERVED if broken else "Running."
        self._show(Picture(self._numbers(pool, message), cells, queue, self._new_lines()))

    def _news(self, recorder: PoolRecorder, settings: Settings) -> None:
        telling = sum(recorder.counts[kind] for kind in _TELLING)
        if telling != self._counted:  # to look at hundreds of checkouts for nothing would cost time
            self._counted = telling
            events = recorder.events(after=self._told)
            self._told = events[-1].sequence if events else self._told
            self._said += log_lines(events, settings.timeout, recorder.started - self._begin)
        failed = self._traffic.errors - self._failed
        if failed:
            self._failed = self._traffic.errors
            self._say(f"{failed} request{'s' if failed > 1 else ''} failed: {self._traffic.last_error}")
        if self._traffic.refused and not self._said_full:
            self._said_full = True
            self._say("the server is full: it takes no more connections (max_connections, or the limit of the role)")

    def _numbers(self, pool: Snapshot | None, message: str) -> MonitorNumbers:
        traffic = self._traffic
        throughput, p95 = traffic.recent(self._begin)
        return MonitorNumbers(
            running=pool is not None,
            pool=pool,
            served=traffic.served,
            timed_out=traffic.timed_out,
            errors=traffic.errors,
            throughput=throughput,
            p95_wait=p95,
            seconds=perf_counter() - self._begin,
            message=message,
        )

    def _say(self, words: str) -> None:
        self._said.append(f"{perf_counter() - self._begin:7.2f} s  {words}")

    def _new_lines(self) -> list[str]:
        lines, self._said = self._said, []
        return lines


async def _end(load: asyncio.Task[RunResult], recorder: PoolRecorder) -> None:
    load.cancel()
    done, _ = await asyncio.wait({load}, timeout=_CLOSING)
    if not done:
        # Each request gives its connection back with a ROLLBACK, and the other side answers nothing any more.
        for who, connection in recorder.held():
            if who.startswith(_NAME) and hasattr(connection, "terminate"):
                connection.terminate()
        await asyncio.wait({load})
    if not load.cancelled():
        load.exception()  # it was looked at before; a task that nobody asks complains when it is collected


async def _close(dispose: Callable[[], Awaitable[None]]) -> None:
    # A goodbye that times out closes the one connection that it waited for, so there is one try for each.
    for _ in range(_TRIES):
        try:
            async with asyncio.timeout(_CLOSING):
                await dispose()
                return
        except TimeoutError:
            continue
