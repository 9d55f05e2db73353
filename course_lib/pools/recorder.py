"""PoolRecorder: what happens to the connections of an engine's pool, from SQLAlchemy's public events.

The handlers run inside every checkout, so they only append a tuple to a ring and keep a few numbers; all
interpretation happens when somebody asks.
The events: https://docs.sqlalchemy.org/en/20/core/events.html#connection-pool-events
"""

import contextlib
import re
from collections import deque
from collections.abc import Iterator
from itertools import count
from time import perf_counter
from types import TracebackType
from typing import Any, Self, get_args

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.pools._handlers import Watch, current_name
from course_lib.pools._lives import Life, lives_of, to_events
from course_lib.pools._recording import (
    ConnectionLife,
    Kind,
    Lease,
    LiveConnection,
    PoolError,
    PoolEvent,
    Recording,
    Snapshot,
    Wait,
)
from course_lib.pools._snapshots import snapshot_of

__all__ = [
    "ConnectionLife",
    "Lease",
    "LiveConnection",
    "PoolError",
    "PoolEvent",
    "PoolRecorder",
    "Recording",
    "Snapshot",
    "Wait",
]

_LIMIT = re.compile(r"QueuePool limit of size (\d+) overflow (\d+) reached")
_DEFAULT_SIZE = 20_000


class PoolRecorder:
    """Records what happens to the connections of one or several engines, from now until `detach`.

    Use it as ``with PoolRecorder(engine) as recorder:`` (``async with`` does the same), or call `detach` yourself.
    What it has recorded stays readable afterwards. It keeps no engine and no connection alive. An engine that is
    disposed of goes on with a new pool, and the recorder with it.

    SQLAlchemy tells the size of a pool but has no public way to ask for its `max_overflow`. Give it, if the limit
    shall be known from the start; otherwise the recorder learns it from the first time-out that it sees.

    Args:
        engines: what to watch: AsyncEngine or Engine, with any pool class.
        size: how many events the ring keeps; the oldest are forgotten. An entry takes about 150 bytes.
        max_overflow: what the engines were created with; -1 means unlimited.
        resets: whether to record the reset before each return, by default that of AsyncEngines only. SQLAlchemy makes
            an object for each reset that somebody listens to. Beside the checkout of an AsyncEngine that is nothing;
            of the bare pool of an Engine it takes a seventh of the speed.
    Raises:
        PoolError: what was given is not an engine, or `size` is not positive.
    """

    def __init__(
        self,
        *engines: AsyncEngine | Engine,
        size: int = _DEFAULT_SIZE,
        max_overflow: int | None = None,
        resets: bool | None = None,
    ) -> None:
        if not engines:
            raise PoolError("PoolRecorder needs at least one engine: PoolRecorder(engine).")
        for each in engines:
            if not isinstance(each, AsyncEngine | Engine):
                raise PoolError(
                    f"PoolRecorder watches engines, and got {type(each).__name__}. "
                    "Pass what create_async_engine() or create_engine() returned."
                )
        if size < 1:
            raise PoolError(f"A ring of {size} events holds nothing. Give a size of at least 1.")
        self._start = perf_counter()
        self._size = size
        self._max_overflow = max_overflow
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=size)
        self._counts: dict[str, int] = {kind: 0 for kind in get_args(Kind) if kind != "reset"}
        self._waiting: dict[int, tuple[str, float]] = {}
        number = count(1).__next__
        self._watches = [
            Watch(
                each.sync_engine if isinstance(each, AsyncEngine) else each,
                index,
                self._ring,
                number,
                self._counts,
                isinstance(each, AsyncEngine) if resets is None else resets,
            )
            for index, each in enumerate(engines)
        ]
        self._recording = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.detach()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.detach()

    def __repr__(self) -> str:
        state = "recording" if self._recording else "detached"
        counts = self._counts
        return (
            f"<PoolRecorder of {len(self._watches)} engine(s), {state}: {counts['opened']} opened, "
            f"{counts['checked out']} checked out, {counts['returned']} returned, {counts['closed']} closed, "
            f"{counts['timed out']} timed out>"
        )

    def detach(self) -> None:
        """Stop recording and remove all listeners. What was recorded stays readable. A second call does nothing."""
        for watch in self._watches:
            watch.detach()
        self._recording = False

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind of event happened since the start, also those that the ring has forgotten.

        Resets are not counted: each return has one.
        """
        return dict(self._counts)

    @contextlib.contextmanager
    def waiting(self, who: str | None = None) -> Iterator[None]:
        """Tell the recorder that within this block a request waits for a connection.

        ``with recorder.waiting(): connection = await engine.connect()``

        Args:
            who: the request's name; the name of the current task or thread by default.
        """
        name = current_name() if who is None else who
        entry = name, perf_counter()
        key = id(entry)  # the entry lives as long as its key
        self._waiting[key] = entry
        try:
            yield
        except PoolTimeoutError as error:
            self._learn_limit(error)
            self._waited(key, "timed out", error)
            raise
        except BaseException as error:
            self._waited(key, "failed", error)
            raise
        self._waited(key, "served", None)

    def snapshot(self) -> Snapshot:
        """The pool right now, in numbers; the sum over all engines when there are several.

        Raises:
            PoolError: the engine no longer exists.
        """
        parts = [snapshot_of(watch, self._max_overflow) for watch in self._watches]
        sizes, limits = [part.size for part in parts], [part.limit for part in parts]
        return Snapshot(
            pool=", ".join(dict.fromkeys(part.pool for part in parts)),
            size=None if None in sizes else sum(size or 0 for size in sizes),
            limit=None if None in limits else sum(limit or 0 for limit in limits),
            in_use=sum(part.in_use for part in parts),
            idle=sum(part.idle for part in parts),
            overflow=sum(part.overflow for part in parts),
            waiting=len(self._waiting),
            dead=sum(part.dead for part in parts),
            strays=sum(part.strays for part in parts),
        )

    def live(self) -> list[LiveConnection]:
        """The connections that are open now, in the order of opening. Cheap enough for a picture that moves."""
        now = perf_counter()
        found = [connection for watch in self._watches for connection in watch.connections(now)]
        return sorted(found, key=lambda connection: connection.number)

    def held(self) -> list[tuple[str, Any]]:
        """Who holds a connection now, and the driver's own connection: to end one whose other side has vanished.

        A connection that was detached from its pool is left out.
        """
        every = [each for watch in self._watches for each in watch.lives()]
        return [(life.holder, driver) for life, driver in every if life.holder is not None and driver is not None]

    def waits_now(self) -> list[tuple[str, float]]:
        """The name of each request that waits now and how many seconds it has waited, the longest first."""
        now = perf_counter()
        return sorted(((name, now - begin) for name, begin in list(self._waiting.values())), key=lambda each: -each[1])

    def events(self, after: int = -1) -> list[PoolEvent]:
        """The events that the ring holds, oldest first.

        Args:
            after: only those with a greater sequence number; keep the last one's to ask for what is new.
        """
        ring = self._frozen()
        first = self._made - len(ring)
        skip = max(0, (after + 1) // 2 - first)
        found = [
            each
            for index, entry in enumerate(ring[skip:], first + skip)
            for each in to_events(entry, index, self._start)
        ]
        return [each for each in found if each.sequence > after]

    @property
    def dropped(self) -> int:
        """How many entries the ring has forgotten."""
        return self._made - len(self._ring)

    @property
    def _made(self) -> int:
        # "reset" has no entry of its own, and is not counted: each return has one.
        return sum(self._counts.values())

    @property
    def started(self) -> float:
        """When the recorder was made, on the clock of `time.perf_counter`."""
        return self._start

    def recording(self, since: float = 0.0) -> Recording:
        """What the ring holds, put in order: connections, leases, waits and events.

        Args:
            since: leave out what happened before this moment, and count times from it; in seconds since the recorder
                was made. What began earlier and reached into that time is kept, with a negative begin.
        """
        start = self._start + since
        everything = self._frozen()
        first = self._made - len(everything)
        ring = [entry for entry in everything if entry[0] >= start]
        now = perf_counter()
        size, limit = self._size_and_limit()
        open_now: list[Life] = [life for watch in self._watches for life, _ in watch.lives()]
        waits = [
            Wait(who=who, begin=began - start, end=time - start, outcome=kind, error=error)
            for time, kind, _, who, began, error in ring
            if kind in ("served", "timed out", "failed")
        ]
        waits += [Wait(name, begin - start, None, "waiting") for name, begin in list(self._waiting.values())]
        first += len(everything) - len(ring)
        return Recording(
            seconds=now - start,
            size=size,
            limit=limit,
            connections=lives_of(ring, open_now, start),
            waits=tuple(sorted(waits, key=lambda wait: wait.begin)),
            events=tuple(each for index, entry in enumerate(ring, first) for each in to_events(entry, index, start)),
            dropped=self.dropped,
        )

    # --- the rest is private ---

    def _frozen(self) -> list[tuple[Any, ...]]:
        while True:
            try:
                return list(self._ring)
            except RuntimeError:  # another thread appended meanwhile
                continue

    def _waited(self, key: int, kind: Kind, error: BaseException | None) -> None:
        name, begin = self._waiting.pop(key)
        now = perf_counter()
        self._counts[kind] += 1
        self._ring.append((now, kind, None, name, begin, None if error is None else type(error).__name__))

    def _learn_limit(self, error: PoolTimeoutError) -> None:
        told = _LIMIT.search(str(error))
        if told is not None and self._max_overflow is None:
            self._max_overflow = int(told[2])

    def _size_and_limit(self) -> tuple[int | None, int | None]:
        try:
            now = self.snapshot()
        except PoolError:
            return None, None
        return now.size, now.limit
