"""Simulate the queue of a connection pool: any arrivals, any leases, time-outs, cold starts and whole fleets.

The model is G/G/c with first come, first served: requests come one after the other, take an idle connection, else
open one while the pool has room, else wait in line; whoever has waited ``pool_timeout`` seconds leaves. Connections
are opened on demand and at most ``pool_size`` are kept idle, as SQLAlchemy's ``QueuePool`` does: one that comes back
to a full pool is closed, and the next burst pays for connecting again.

Where SQLAlchemy's pool differs: a request that comes in just after a connection was returned may take it ahead of one
that waits (the waiter wakes later, and waits for the rest of its time-out); pings, recycling and failed connections
take time; a cancelled request leaves the queue early; and the event loop itself is a queue. Here arrivals don't react
to waiting (an open workload): clients that each wait for their answer slow down, and wait less.

How it is computed. A request's wait follows from those before it (J. Kiefer and J. Wolfowitz 1955,
https://doi.org/10.1090/S0002-9947-1955-0066587-3), so time can't be vectorised. Independent replications can: the
times at which connections get free are a sorted array [connections, replications], and each step takes one request
in every replication. Nothing is approximated in a replication. The price is the start: each begins with an empty
pool, which is unlike a pool in the middle of its day. So the first ``warm_up`` requests of each replication are
simulated but not counted. The default is five times the M/M/1 queue's relaxation time, 1 / (1 − √ρ)² services of the
whole pool (how an empty queue fills: J. Abate and W. Whitt 1987,
https://link.springer.com/article/10.1007/BF01182933), more where arrivals and leases vary more. For M/M/c with 1 to 50
connections at 80 to 95 % the first 20 to 50 requests after it waited 0.1 to 0.4 % less than Erlang C says, which the
sampling error of 0.5 to 0.9 % doesn't tell from nothing. For other distributions it's a rule of thumb: compare with a
longer ``warm_up``. ``warm_up=0`` shows the cold start itself.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from course_lib.pools._distributions import (
    Array,
    Deterministic,
    Distribution,
    Exponential,
    LogNormal,
    Recorded,
    distribution,
)
from course_lib.pools._fleet import RollingDeploy, simulate_fleet
from course_lib.pools._numbers import number, whole
from course_lib.pools._results import FleetResult, SimulationResult, WaitHistogram, mean_and_error

__all__ = [
    "Deterministic",
    "Distribution",
    "Exponential",
    "FleetResult",
    "LogNormal",
    "Recorded",
    "RollingDeploy",
    "SimulationResult",
    "simulate_fleet",
    "simulate_pool",
]

_CELLS = 1 << 18  # in each array of random numbers: 2 MB
_MOST_LANES = 4096  # with ten connections their state still fits into a processor's second-level cache
_LONGEST_WARM_UP = 100_000


def simulate_pool(
    arrivals: Distribution,
    leases: Distribution,
    *,
    pool_size: int,
    max_overflow: int = 0,
    pool_timeout: float | None = 30.0,
    connect: Distribution | None = None,
    requests: int = 1_000_000,
    warm_up: int | None = None,
    replications: int | None = None,
    seed: int = 0,
) -> SimulationResult:
    """Simulate one pool in steady state, or from its cold start.

    Memory stays below about 20 MB, however many requests there are.

    Args:
        arrivals: seconds from one request to the next.
        leases: seconds that a request holds its connection.
        pool_size: connections kept open, at least 1.
        max_overflow: further connections that are closed on return, at least 0.
        pool_timeout: seconds after which a request in the queue gives up; None for never.
        connect: seconds to open a connection; None for no time. ``pool_timeout`` doesn't bound it.
        requests: how many to count in all; rounded up to a multiple of ``replications``.
        warm_up: requests in each replication that aren't counted. None estimates it (see the module's text).
        replications: independent runs that are simulated side by side. None picks the number that is fastest, and
            one for ``warm_up=0``.
        seed: the same seed, arguments and numpy version give the same result.

    Raises:
        ValueError: an argument is out of range, or requests come faster than the pool serves them and nothing bounds
            the queue, so that there is no steady state.
    """
    distribution("arrivals", arrivals)
    distribution("leases", leases)
    if connect is not None:
        distribution("connect", connect)
    pool_size = whole("pool_size", pool_size, minimum=1, advice="SQLAlchemy reads 0 as no limit: nothing queues then.")
    limit = pool_size + whole("max_overflow", max_overflow, advice="-1 means no limit: nothing queues then.")
    timeout = math.inf if pool_timeout is None else number("pool_timeout", pool_timeout)
    requests = whole("requests", requests, minimum=1)
    warm_up = _warm_up(arrivals, leases, limit, timeout) if warm_up is None else whole("warm_up", warm_up)
    if replications is None:
        # Cost of a step ≈ 650 requests' worth of overhead plus its requests; steps ≈ requests / lanes + warm_up.
        lanes = min(_MOST_LANES, max(1, math.isqrt(650 * requests // warm_up))) if warm_up else 1
    else:
        lanes = whole("replications", replications, minimum=1)
    queue = _Queue(lanes, pool_size, limit, timeout)
    random = np.random.default_rng(whole("seed", seed))
    queue.advance(warm_up, random, arrivals, leases, connect, tally=None)
    steps = -(-requests // lanes)
    tally = _Tally(lanes, timeout)
    tally.peak = queue.most_open
    queue.advance(steps, random, arrivals, leases, connect, tally=tally)
    arrived = steps * lanes
    mean, error = mean_and_error(tally.wait_sums, np.full(lanes, steps, np.int64))
    return SimulationResult(
        arrived=arrived,
        served=arrived - tally.timed_out,
        timed_out=tally.timed_out,
        refused=0,
        opened=tally.opened,
        utilisation=tally.leased / (limit * tally.elapsed) if tally.elapsed else math.nan,
        peak_connections=tally.peak,
        mean_wait=mean,
        mean_wait_error=error,
        longest_wait=tally.waits.longest,
        share_waiting=tally.waits.waiting / arrived,
        replications=lanes,
        _waits=tally.waits,
    )


def _warm_up(arrivals: Distribution, leases: Distribution, limit: int, timeout: float) -> int:
    load = leases.mean / (limit * arrivals.mean) if arrivals.mean else math.inf
    if load >= 1 and timeout == math.inf:
        raise ValueError(
            f"utilisation is {load:.3g} and pool_timeout is None: the queue grows for ever and has no steady state. "
            "Give more connections, shorter leases, fewer requests or a pool_timeout, or look at the start: warm_up=0."
        )
    spread = max(1.0, (arrivals.variation**2 + leases.variation**2) / 2)
    steps = 5 * spread * load / (1 - math.sqrt(load)) ** 2 if load < 1 else math.inf
    if timeout < math.inf and arrivals.mean:
        # Time-outs bound the queue: it's full after the time in which the surplus fills it.
        surplus = max(abs(load - 1), 0.01)
        steps = min(steps, 10 * spread * (timeout / surplus + leases.mean) / arrivals.mean)
    return int(min(_LONGEST_WARM_UP, max(20 * limit, steps)))


class _Tally:
    """Sums over the counted requests of all lanes."""

    def __init__(self, lanes: int, timeout: float) -> None:
        self.waits = WaitHistogram(timeout)
        self.wait_sums: Array = np.zeros(lanes)
        self.timed_out = self.opened = self.peak = 0
        self.leased = self.elapsed = 0.0


class _Queue:
    """The state of all lanes: in ``free_at`` each column is one pool, sorted by when its connections get free."""

    def __init__(self, lanes: int, pool_size: int, limit: int, timeout: float) -> None:
        self.lanes, self.pool_size, self.limit, self.timeout = lanes, pool_size, limit, timeout
        # Small integers keep the counting of free connections in the processor's vector units.
        self._integer: type[np.signedinteger] = np.int8 if limit < 127 else np.int32
        self.now: Array = np.zeros(lanes)
        self.free_at: Array = np.full((limit, lanes), -np.inf)
        self.idle = np.zeros(lanes, self._integer)  # open and not leased
        self.unleased = np.full(lanes, limit, self._integer)  # after the previous request; not all of them open

    @property
    def most_open(self) -> int:
        """The most connections, leased or idle, that are open in one of the lanes after the previous request."""
        return self.limit + int((self.idle - self.unleased).max())

    def advance(
        self,
        steps: int,
        random: np.random.Generator,
        arrivals: Distribution,
        leases: Distribution,
        connect: Distribution | None,
        tally: _Tally | None,
    ) -> None:
        """Simulate ``steps`` more requests in each lane and add them to ``tally``."""
        at_once = max(1, _CELLS // self.lanes)
        for start in range(0, steps, at_once):
            shape = (min(at_once, steps - start), self.lanes)
            times = arrivals.draw(random, shape)
            begun = self.now
            times[0] += begun
            np.cumsum(times, axis=0, out=times)
            held = leases.draw(random, shape)
            connecting = None if connect is None else connect.draw(random, shape)
            waits = np.empty(shape)
            opening = np.empty(shape, np.bool_)
            served = np.ones(shape, np.bool_)
            fewest = self._run(times, held, connecting, waits, opening, served)
            self.now = times[-1].copy()
            if tally is not None:
                # A connection is opened only when all open ones are leased, so beyond those that were open at the
                # start, the most open are the most leased.
                tally.peak = max(tally.peak, self.limit - fewest)
                tally.opened += int(np.count_nonzero(opening))
                tally.timed_out += int(served.size - np.count_nonzero(served))
                tally.elapsed += float((self.now - begun).sum())
                tally.leased += float(np.einsum("ij,ij->", held, served))
                if connecting is not None:
                    connecting *= opening
                    tally.leased += float(connecting.sum())
                    waits += connecting
                tally.wait_sums += waits.sum(axis=0)
                tally.waits.add(waits)

    def _run(
        self,
        times: Array,
        held: Array,
        connecting: Array | None,
        waits: Array,
        opening: NDArray[np.bool_],
        served: NDArray[np.bool_],
    ) -> int:
        """Fill ``waits``, ``opening`` and ``served``; return the fewest connections not leased at any moment."""
        free_at, idle, unleased = self.free_at, self.idle, self.unleased
        rows = list(free_at)
        last, neighbours = rows[-1], list(itertools.pairwise(rows))
        minimum, maximum = np.minimum, np.maximum
        is_free = np.empty(free_at.shape, np.bool_)
        as_integers = is_free.view(np.int8)
        free = np.empty_like(idle)
        any_free = np.empty(self.lanes, np.bool_)
        end: Array = np.empty(self.lanes)
        added: Array = np.empty(self.lanes)
        fewest = unleased.copy()
        for step, time in enumerate(times):
            wait, opens, gets_one = waits[step], opening[step], served[step]
            np.less_equal(free_at, time, out=is_free)
            np.add.reduce(as_integers, axis=0, dtype=self._integer, out=free)
            # What came back since the last request is idle now; beyond pool_size it was closed.
            idle += free
            idle -= unleased
            np.minimum(idle, self.pool_size, out=idle)
            np.greater(free, 0, out=any_free)
            np.less(idle, any_free, out=opens)  # none idle, yet room for one more
            np.subtract(rows[0], time, out=wait)
            np.maximum(wait, 0.0, out=wait)
            np.add(time, wait, out=end)
            end += held[step]
            if connecting is not None:
                np.multiply(connecting[step], opens, out=added)
                end += added
            if self.timeout < math.inf:
                np.less_equal(wait, self.timeout, out=gets_one)
                np.copyto(end, rows[0], where=~gets_one)  # gave up: the connection stays as it is
                np.minimum(wait, self.timeout, out=wait)
            np.subtract(free, any_free, out=unleased)
            np.minimum(fewest, unleased, out=fewest)
            idle -= any_free
            idle += opens
            # The first row's connection is taken; `end` moves up to its place in the order.
            for row, above in neighbours:
                minimum(end, above, out=row)
                maximum(end, above, out=end)
            last[:] = end
        return int(fewest.min())
