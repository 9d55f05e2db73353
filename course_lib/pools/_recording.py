"""What a recorder hands out: plain, frozen values that keep no engine and no connection alive."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "opened",
    "checked out",
    "reset",
    "returned",
    "invalidated",
    "soft invalidated",
    "detached",
    "closed",
    "disposed",
    "served",
    "timed out",
    "failed",
]
Outcome = Literal["served", "timed out", "failed", "waiting"]
State = Literal["in use", "idle", "dead"]


class PoolError(Exception):
    """Something about a pool, a recorder or a workload cannot be done; the message says what to do instead."""


@dataclass(frozen=True)
class Snapshot:
    """A pool at one moment, in numbers of connections.

    Args:
        pool: the name of the pool's class.
        size: how many connections the pool keeps (`pool_size`); None: the pool has no such setting.
        limit: the most that it opens at once (`pool_size + max_overflow`); None: unlimited, or not known, see
            `PoolRecorder`.
        in_use: checked out, including one that is being opened for a request right now.
        idle: open and waiting in the pool.
        overflow: open beyond `size`; 0 as long as the pool is not full, where `pool.overflow()` is negative.
        waiting: requests that have asked for a connection and do not have it yet. Known for requests that run in
            `PoolRecorder.waiting` only, as those of `run_requests` do.
        dead: places in the pool whose connection is gone; the pool finds out, or replaces it, at the next checkout.
        strays: connections that are still open and no longer belong to the pool: detached, or checked out when the
            engine was disposed of.
    """

    pool: str
    size: int | None
    limit: int | None
    in_use: int
    idle: int
    overflow: int
    waiting: int
    dead: int = 0
    strays: int = 0

    @property
    def open(self) -> int:
        """How many connections of the pool are open: in use and idle ones."""
        return self.in_use + self.idle


@dataclass(frozen=True)
class PoolEvent:
    """Something that happened to a connection or to a request that asked for one.

    Args:
        sequence: its number, which grows from event to event.
        at: seconds since the recorder was made.
        kind: what happened.
        connection: the number of the physical connection, counted from 1; None: no connection was involved.
        pid: the process ID of the server's backend, where the driver knows it.
        who: the name of the task that held or wanted the connection; of the thread with a sync engine.
        seconds: how long the connection was held ("returned") or waited for ("served", "timed out", "failed").
        detail: the class of the error that caused it, if one did.
    """

    sequence: int
    at: float
    kind: Kind
    connection: int | None = None
    pid: int | None = None
    who: str | None = None
    seconds: float | None = None
    detail: str | None = None

    def __str__(self) -> str:
        about = "" if self.connection is None else f" connection {self.connection}"
        about += "" if self.pid is None else f" (PID {self.pid})"
        about += f" by {self.who}" if self.who else ""
        about += "" if self.seconds is None else f" after {self.seconds:.3f} s"
        return f"{self.at:8.3f} s  {self.kind}{about}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class LiveConnection:
    """A connection that is open now.

    Args:
        number: its number, counted from 1.
        engine: the index of its engine in the recorder.
        pid: the process ID of its backend, where the driver knows it.
        state: "in use", "idle", or "dead" when the driver knows that the other side has closed it.
        who: the task that holds it.
        seconds: how long it has been in this state.
        stray: whether it no longer belongs to the engine's pool.
    """

    number: int
    engine: int
    pid: int | None
    state: State
    who: str | None
    seconds: float
    stray: bool


@dataclass(frozen=True)
class Lease:
    """From one checkout to the return; times in seconds since the recorder was made.

    Args:
        connection: the number of the connection.
        who: the name of the task that checked it out.
        begin: when it was checked out.
        end: when it was returned, invalidated or closed; None: it is still out.
    """

    connection: int
    who: str | None
    begin: float
    end: float | None


@dataclass(frozen=True)
class ConnectionLife:
    """The life of one physical connection; times in seconds since the recorder was made.

    Args:
        number: its number, counted from 1 in the order of opening.
        engine: the index of its engine in the recorder.
        pid: the process ID of its backend, where the driver knows it.
        opened: when it was opened; None: before the recorder was made.
        invalidated: when SQLAlchemy gave it up.
        closed: when it was closed; None: it is open as far as the pool knows.
        leases: what it was used for, in order.
    """

    number: int
    engine: int
    pid: int | None
    opened: float | None
    invalidated: float | None = None
    closed: float | None = None
    leases: tuple[Lease, ...] = ()


@dataclass(frozen=True)
class Wait:
    """A request's wait for a connection; times in seconds since the recorder was made.

    Args:
        who: the name of the task.
        begin: when it asked.
        end: when it got a connection or gave up; None: it still waits.
        outcome: "served", "timed out" (the pool's own time limit), "failed" or, still, "waiting".
        error: the class of the error, when it was not served.
    """

    who: str
    begin: float
    end: float | None
    outcome: Outcome
    error: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it waited; None: it still waits."""
        return None if self.end is None else self.end - self.begin


@dataclass(frozen=True)
class Recording:
    """What a recorder saw, put in order.

    Args:
        seconds: how much time it covers; all times in it count from its begin.
        size: connections that the pools keep, over all engines; None: not known.
        limit: the most that the pools open; None: unlimited or not known.
        connections: each physical connection with its leases, in the order of opening.
        waits: each request's wait, in the order of asking.
        events: all events that the ring holds, oldest first.
        dropped: how many older events the ring has forgotten.
    """

    seconds: float
    size: int | None
    limit: int | None
    connections: tuple[ConnectionLife, ...] = ()
    waits: tuple[Wait, ...] = ()
    events: tuple[PoolEvent, ...] = field(default=(), repr=False)
    dropped: int = 0

    @property
    def leases(self) -> tuple[Lease, ...]:
        """The leases of all connections, in the order of checkout."""
        every = [lease for connection in self.connections for lease in connection.leases]
        return tuple(sorted(every, key=lambda lease: lease.begin))
