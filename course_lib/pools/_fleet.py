"""Many pools, one for each process of a fleet, against the connection limit of one server."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from course_lib.pools._distributions import Array, Distribution, distribution
from course_lib.pools._numbers import number, whole
from course_lib.pools._results import Counts, FleetResult, WaitHistogram, mean_and_error


@dataclass(frozen=True)
class RollingDeploy:
    """New instances replace old ones, a few at a time; for a while both hold connections.

    An instance's requests go to its successor, which starts with an empty pool. The old one finishes the requests
    that it has accepted, keeps all its connections for ``overlap`` seconds, then closes them.

    Args:
        start: seconds after the beginning of the simulation.
        every: seconds from one batch to the next.
        batch: instances in a batch.
        overlap: seconds from the start of a successor to the end of its predecessor.
    """

    start: float
    every: float
    batch: int = 1
    overlap: float = 30.0

    def __post_init__(self) -> None:
        number("start", self.start)
        number("every", self.every)
        whole("batch", self.batch, minimum=1)
        number("overlap", self.overlap)


def simulate_fleet(
    arrivals: Distribution,
    leases: Distribution,
    *,
    instances: int,
    max_connections: int,
    pool_size: int,
    max_overflow: int = 0,
    workers: int = 1,
    reserved: int = 3,
    pool_timeout: float | None = 30.0,
    connect: Distribution | None = None,
    duration: float = 60.0,
    deploy: RollingDeploy | None = None,
    tick: float | None = None,
    interval: float = 1.0,
    seed: int = 0,
) -> FleetResult:
    """Simulate a fleet from its cold start: at second 0 no pool has a connection, and every request counts.

    Each pool is as in `simulate_pool`. When the server is full, a request for which its pool wants to open a
    connection fails at once, as it does with PostgreSQL ("too many clients"): the pool doesn't let it wait, not even
    if a connection of its own is about to come back. It isn't retried.

    Pools meet only in the server's count of connections, and there time goes in ticks. A connection closed, or an
    instance replaced, during a tick counts from the next one: a backend too ends only a moment after its client.
    Where a tick has fewer slots left than requests that want one, first come the requests that are first at their
    process, by time. Everything else has exact times. A server that is never full gives the same with any tick, save
    `FleetResult.peak_connections` and `FleetResult.open_connections`: both count what closed in a tick as still open.

    Args:
        arrivals: seconds between requests at one process (not at the fleet).
        leases: seconds that a request holds its connection.
        instances: machines or containers.
        max_connections: the server's setting.
        pool_size: connections that each process keeps open, at least 1.
        max_overflow: further connections for each process, closed on return.
        workers: processes on each instance.
        reserved: connections that the server keeps from the application.
        pool_timeout: seconds after which a request in a queue gives up; None for never.
        connect: seconds to open a connection; None for no time.
        duration: seconds to simulate.
        deploy: replaces every instance once; None for no deploy.
        tick: seconds, at least a millionth; less is finer and slower. None takes 0.05 s, or a hundredth of a mean
            lease where there is overflow and the server can get full: connections then close all the time, and
            noticing that late refuses too many. Beside a simulation event by event (200 processes, leases of 0.15 s,
            20 % refused) a tick of 0.002 s refused 0.4 % more, 0.01 s 4 % and 0.05 s 17 %; where few are refused the
            difference is larger. An hour of 10,000 processes takes about 20 s with ticks of 0.05 s, 55 s with 0.01 s,
            and half an hour with 0.0002 s.
        interval: seconds for each point of the result's curves; at least ``tick``.
        seed: the same seed, arguments and numpy version give the same result.

    Raises:
        ValueError: an argument is out of range.
    """
    distribution("arrivals", arrivals)
    distribution("leases", leases)
    if arrivals.mean <= 0:
        raise ValueError("arrivals have a mean of 0 seconds: give the time between two requests at one process.")
    if connect is not None:
        distribution("connect", connect)
    processes = whole("instances", instances, minimum=1) * whole("workers", workers, minimum=1)
    slots = whole("max_connections", max_connections, minimum=1) - whole("reserved", reserved)
    if slots <= 0:
        raise ValueError(f"reserved is {reserved} and max_connections is {max_connections}: nothing is left to open.")
    pool_size = whole("pool_size", pool_size, minimum=1, advice="SQLAlchemy reads 0 as no limit: nothing queues then.")
    limit = pool_size + whole("max_overflow", max_overflow, advice="-1 means no limit: nothing queues then.")
    timeout = math.inf if pool_timeout is None else number("pool_timeout", pool_timeout)
    duration = number("duration", duration, above=True)
    interval = number("interval", interval, minimum=1e-6 if tick is None else number("tick", tick, minimum=1e-6))
    if tick is None:
        can_fill = slots < processes * limit * (1 if deploy is None else 2)
        finest = leases.mean / 100 if can_fill and limit > pool_size else math.inf
        tick = max(1e-6, min(0.05, interval, finest))
    random = np.random.default_rng(whole("seed", seed))
    fleet = _Fleet(processes, pool_size, limit, slots, timeout, random, leases, connect)
    curves = _Curves(math.ceil(duration / interval), interval, duration)
    replaced_at = np.full(processes, np.inf)
    if deploy is not None:
        replaced_at = deploy.start + np.arange(processes) // workers // deploy.batch * float(deploy.every)
    next_at = arrivals.draw(random, (processes,))
    for number_of_tick in range(math.ceil(duration / tick)):
        begin, end = round(number_of_tick * tick, 9), min(round((number_of_tick + 1) * tick, 9), duration)
        fleet.begin_tick(begin)
        if deploy is not None:
            successors = np.flatnonzero(replaced_at < end)
            if successors.size:
                replaced_at[successors] = np.inf
                fleet.replace(successors, begin, begin + deploy.overlap)
        point = curves.at((begin + end) / 2)
        coming = np.flatnonzero(next_at < end)
        while coming.size:
            refused, timed_out = fleet.request(coming, next_at[coming])
            curves.refusals[point] += refused
            curves.timeouts[point] += timed_out
            next_at[coming] += arrivals.draw(random, coming.shape)
            coming = coming[next_at[coming] < end]
        curves.open_connections[point] = max(int(curves.open_connections[point]), fleet.open)
    return fleet.result(duration, curves)


class _Curves:
    def __init__(self, points: int, interval: float, duration: float) -> None:
        self.interval = interval
        self.times = np.minimum(np.arange(1, points + 1) * interval, duration)
        self.open_connections: Counts = np.zeros(points, np.int64)
        self.refusals: Counts = np.zeros(points, np.int64)
        self.timeouts: Counts = np.zeros(points, np.int64)

    def at(self, time: float) -> int:
        """Return the place of the point that ``time`` belongs to."""
        return min(int(time / self.interval), len(self.times) - 1)


class _Fleet:
    """The state of all pools, one column each, and of the server."""

    def __init__(
        self,
        processes: int,
        pool_size: int,
        limit: int,
        slots: int,
        timeout: float,
        random: np.random.Generator,
        leases: Distribution,
        connect: Distribution | None,
    ) -> None:
        self.pool_size, self.limit, self.slots, self.timeout = pool_size, limit, slots, timeout
        self.random, self.leases, self.connect = random, leases, connect
        self.free_at: Array = np.full((limit, processes), -np.inf)
        self.idle: Counts = np.zeros(processes, np.int64)  # open and not leased
        self.unleased: Counts = np.full(processes, limit, np.int64)  # when last looked at; not all of them open
        self.open = self.peak = 0  # on the server
        self.leaving: deque[tuple[float, int]] = deque()  # when a replaced batch closes its connections, and how many
        self.arrived = self.timed_out = self.refused = self.opened = 0
        self.leased = 0.0
        self.waits = WaitHistogram(timeout)
        self.uncounted: list[Array] = []  # waits that the histogram gets many at a time: each call costs the same
        self.wait_sums: Array = np.zeros(processes)
        self.wait_counts: Counts = np.zeros(processes, np.int64)

    def begin_tick(self, now: float) -> None:
        """Count what has been closed by now; pools without overflow close nothing."""
        while self.leaving and self.leaving[0][0] <= now:
            self.open -= self.leaving.popleft()[1]
        if self.limit > self.pool_size:
            self._take_back(slice(None), _free(self.free_at, now))

    def replace(self, successors: Counts, now: float, closed_at: float) -> None:
        """Start ``successors`` with empty pools; their predecessors' connections count until ``closed_at``."""
        self._take_back(successors, _free(self.free_at[:, successors], now))
        kept = int(self.idle[successors].sum() + (self.limit - self.unleased[successors]).sum())
        self.leaving.append((closed_at, kept))
        self.free_at[:, successors] = -np.inf
        self.idle[successors] = 0
        self.unleased[successors] = self.limit

    def request(self, who: Counts, time: Array) -> tuple[int, int]:
        """Let one request come at each of ``who`` at its ``time``; return how many were refused and timed out."""
        pools = self.free_at.take(who, axis=1)
        free = _free(pools, time)
        self._take_back(who, free)
        any_free = free > 0
        wants = (self.idle[who] == 0) & any_free
        opens = self._admit(wants, time)
        refused = wants & ~opens
        place = pools.argmin(axis=0)
        earliest = pools[place, np.arange(who.size)]
        wait = np.maximum(earliest - time, 0.0)
        timed_out = wait > self.timeout
        served = ~(timed_out | refused)
        held = self.leases.draw(self.random, who.shape)
        np.minimum(wait, self.timeout, out=wait)
        end = time + wait + held
        if self.connect is not None:
            connecting = self.connect.draw(self.random, who.shape) * opens
            end += connecting
            wait += connecting
            held += connecting
        self.free_at[place, who] = np.where(served, end, earliest)
        at_once = served & any_free
        self.unleased[who] = free - at_once
        self.idle[who] -= at_once & ~opens
        self._count(who, wait, held, served, refused)
        opened, turned_away, gave_up = int(opens.sum()), int(refused.sum()), int(timed_out.sum())
        self.arrived += who.size
        self.open += opened
        self.opened += opened
        self.peak = max(self.peak, self.open)
        self.refused += turned_away
        self.timed_out += gave_up
        return turned_away, gave_up

    def result(self, duration: float, curves: _Curves) -> FleetResult:
        """Return what happened in ``duration`` seconds."""
        self._flush()
        mean, error = mean_and_error(self.wait_sums, self.wait_counts)
        waited = self.arrived - self.refused
        return FleetResult(
            arrived=self.arrived,
            served=waited - self.timed_out,
            timed_out=self.timed_out,
            refused=self.refused,
            opened=self.opened,
            utilisation=self.leased / (self.free_at.size * duration),
            peak_connections=self.peak,
            mean_wait=mean,
            mean_wait_error=error,
            longest_wait=self.waits.longest,
            share_waiting=self.waits.waiting / waited if waited else math.nan,
            replications=self.wait_sums.size,
            _waits=self.waits,
            times=curves.times,
            open_connections=curves.open_connections,
            refusals=curves.refusals,
            timeouts=curves.timeouts,
        )

    def _take_back(self, who: Counts | slice, free: NDArray[np.signedinteger]) -> None:
        """Make idle what came back since ``who`` were last looked at; what a pool has no room for is closed."""
        idle = self.idle[who] + free - self.unleased[who]
        kept = np.minimum(idle, self.pool_size)
        self.open -= int((idle - kept).sum())
        self.idle[who] = kept
        self.unleased[who] = free

    def _admit(self, wants: NDArray[np.bool_], time: Array) -> NDArray[np.bool_]:
        left = self.slots - self.open
        if np.count_nonzero(wants) <= left:
            return wants
        admitted = np.zeros_like(wants)
        applicants = np.flatnonzero(wants)
        first = np.argsort(time[applicants], kind="stable")[: max(left, 0)]
        admitted[applicants[first]] = True
        return admitted

    def _count(
        self, who: Counts, wait: Array, held: Array, served: NDArray[np.bool_], refused: NDArray[np.bool_]
    ) -> None:
        self.leased += float(held @ served)
        if refused.any():
            who, wait = who[~refused], wait[~refused]
        self.wait_sums[who] += wait
        self.wait_counts[who] += 1
        self.uncounted.append(wait)
        if len(self.uncounted) >= 256:
            self._flush()

    def _flush(self) -> None:
        self.waits.add(np.concatenate([*self.uncounted, np.empty(0)]))
        self.uncounted.clear()


def _free(pools: Array, time: Array | float) -> NDArray[np.signedinteger]:
    """Count in each column the connections not leased at ``time``."""
    integer: type[np.signedinteger] = np.int8 if len(pools) <= 127 else np.int32  # small ones add up faster
    counts: NDArray[np.signedinteger] = np.add.reduce((pools <= time).view(np.int8), axis=0, dtype=integer)
    return counts
