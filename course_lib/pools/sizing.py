"""How many connections: the budget of a server, Little's law and Erlang's formulas.

Erlang B and C describe a pool of c connections as an M/M/c queue: requests come at random moments (Poisson) at a
steady rate, leases last exponentially distributed times, and whoever finds no connection free waits in line for as
long as it takes. Real leases vary less or more than that: `course_lib.pools.simulation` takes any distribution.

Rates are requests per second, times are seconds, ``service_time`` is the mean time a request holds its connection,
and the offered load (in erlangs) is rate times service time: the mean number of connections in use.

Sources: A. K. Erlang (1917), "Solution of some problems in the theory of probabilities of significance in automatic
telephone exchanges"; J. D. C. Little (1961), https://doi.org/10.1287/opre.9.3.383; the formulas as in
https://en.wikipedia.org/wiki/Erlang_(unit) and https://en.wikipedia.org/wiki/M/M/c_queue.
"""

import math
from dataclasses import dataclass

from course_lib.pools._numbers import counted, number, whole

__all__ = [
    "BudgetVerdict",
    "check_budget",
    "connection_budget",
    "erlang_b",
    "erlang_c",
    "littles_law",
    "mean_wait",
    "smallest_pool",
    "utilisation",
    "wait_percentile",
    "wait_probability",
]

# Both formulas take one step per connection. A million steps still end in about a tenth of a second.
_MOST_CONNECTIONS = 1_000_000
_UNITS = "Check the units: requests per second and seconds."


@dataclass(frozen=True)
class BudgetVerdict:
    """Whether a fleet's pools fit on one server.

    Attributes:
        available: connections that the server has for the application: ``max_connections − reserved``.
        processes: ``instances × workers``; each has a pool of its own.
        per_process: connections that each process may open at most; 0 means that there are too many processes.
        wanted: connections that the pools open when all are full; ``math.inf`` for a pool without a limit.
        fits: whether ``wanted`` is at most ``available``.
        message: the same in words, with the next thing to do when it doesn't fit.
    """

    available: int
    processes: int
    per_process: int
    wanted: float
    fits: bool
    message: str


def connection_budget(max_connections: int, reserved: int, instances: int, workers: int) -> int:
    """Return how many connections each process may open at most: the limit for ``pool_size + max_overflow``.

    That is ``(max_connections − reserved) / (instances × workers)``, rounded down: rounded up, the last process to
    fill its pool gets "too many clients". PostgreSQL's limits:
    https://www.postgresql.org/docs/current/runtime-config-connection.html

    Args:
        max_connections: the server's setting.
        reserved: connections that the pools must leave alone: ``superuser_reserved_connections`` (3 by default),
            ``reserved_connections``, and what migrations, monitoring and people at a prompt need.
        instances: machines or containers that run the application; during a rolling deploy old and new ones both count.
        workers: processes on each instance; every one has a pool of its own.

    Returns:
        Connections per process. 0 means that even one each is too many: run fewer processes or put a pooler in front.
        Don't use a 0 as ``pool_size``: SQLAlchemy reads it as "no limit".

    Raises:
        ValueError: an argument is no whole number, is negative, or nothing is left after ``reserved``.
    """
    available, processes = _shares(max_connections, reserved, instances, workers)
    return available // processes


def check_budget(
    max_connections: int, reserved: int, instances: int, workers: int, pool_size: int, max_overflow: int
) -> BudgetVerdict:
    """Say whether pools of this size fit on the server.

    Args:
        max_connections, reserved, instances, workers: see `connection_budget`.
        pool_size: as in ``create_async_engine``; 0 means no limit there, and so it does here.
        max_overflow: as in ``create_async_engine``; −1 means no limit.

    Raises:
        ValueError: an argument is no whole number or out of range.
    """
    available, processes = _shares(max_connections, reserved, instances, workers)
    size = whole("pool_size", pool_size)
    overflow = whole("max_overflow", max_overflow, minimum=-1, advice="-1 means no limit.")
    per_process = available // processes
    if not size or overflow < 0:
        setting = "max_overflow=-1" if size else "pool_size=0"
        message = f"{setting} means no limit: one process alone can use up all {available} connections. Set a limit."
        return BudgetVerdict(available, processes, per_process, math.inf, False, message)
    wanted = (size + overflow) * processes
    sums = f"{counted(processes, 'process')} × ({size} + {overflow}) = {counted(wanted, 'connection')}"
    if wanted <= available:
        left = available - wanted
        rest = f"{left or 'none'} {'is' if left < 2 else 'are'} left"
        message = f"{sums}. The server has {available} for them; {rest}."
    elif per_process:
        fitting = available // (size + overflow)
        fewer = f", or run at most {counted(fitting, 'process')}" if fitting else ""
        message = f"{sums} don't fit in {available}. Make pool_size + max_overflow at most {per_process}{fewer}."
    else:
        message = (
            f"{sums} don't fit in {available}, nor does one connection each. "
            f"Run at most {counted(available, 'process')}, or put a pooler such as PgBouncer in front."
        )
    return BudgetVerdict(available, processes, per_process, wanted, wanted <= available, message)


def littles_law(arrival_rate: float, mean_time: float) -> float:
    """Return how many are there on average: L = λ·W, whatever the distributions (https://doi.org/10.1287/opre.9.3.383).

    Connections in use, for the time that a request holds one; length of the queue, for the time that it waits.

    Args:
        arrival_rate: requests per second.
        mean_time: seconds that each one stays.

    Raises:
        ValueError: an argument is negative or no finite number, or the product is none.
    """
    product = number("arrival_rate", arrival_rate) * number("mean_time", mean_time)
    return number("arrival_rate × mean_time", product, advice=_UNITS)


def utilisation(arrival_rate: float, service_time: float, connections: int) -> float:
    """Return the share of its time that a connection is in use, ρ = λ·s / c; at 1 or more the pool can't keep up.

    Args:
        arrival_rate: requests per second.
        service_time: mean seconds that a request holds a connection.
        connections: in the pool, overflow included.

    Raises:
        ValueError: an argument is out of range or no finite number.
    """
    return littles_law(arrival_rate, number("service_time", service_time)) / _connections(connections)


def erlang_b(connections: int, load: float) -> float:
    """Return the probability that a request finds all connections in use, where nobody ever waits.

    Uses B(n) = a·B(n−1) / (n + a·B(n−1)) from B(0) = 1, which has no factorial that could overflow
    (https://en.wikipedia.org/wiki/Erlang_(unit)#Erlang_B_formula).

    Args:
        connections: in the pool, overflow included.
        load: offered load in erlangs, i.e. arrival rate × service time; greater than 0.

    Raises:
        ValueError: an argument is out of range or no finite number.
    """
    offered = number("load", load, above=True)
    blocking = 1.0
    for count in range(1, _connections(connections) + 1):
        blocking = offered * blocking / (count + offered * blocking)
    return blocking


def erlang_c(connections: int, load: float) -> float:
    """Return the probability that a request has to wait: C = B / (1 − ρ·(1 − B)).

    Args:
        connections: in the pool, overflow included.
        load: offered load in erlangs, greater than 0 and less than ``connections``.

    Raises:
        ValueError: an argument is out of range, or the load is as large as the pool.
    """
    count = _connections(connections)
    offered = number("load", load, above=True)
    if offered >= count:
        raise ValueError(
            f"utilisation is {offered / count:.3g} (work for {offered:g} connections, not {count}): at 1 or more "
            "the queue grows for ever. Give more connections, hold each for less time, or let fewer requests in."
        )
    return _wait_probability(erlang_b(count, offered), count, offered)


def wait_probability(arrival_rate: float, service_time: float, connections: int) -> float:
    """Return the probability (0 to 1) that a request has to wait for a connection, by Erlang C.

    Args:
        arrival_rate: requests per second, greater than 0.
        service_time: mean seconds that a request holds a connection, greater than 0.
        connections: in the pool, overflow included.

    Raises:
        ValueError: an argument is out of range, or utilisation is 1 or more.
    """
    return erlang_c(connections, _load(arrival_rate, service_time))


def mean_wait(arrival_rate: float, service_time: float, connections: int) -> float:
    """Return the mean wait in seconds over all requests, those that don't wait included: C·s / (c − a).

    Arguments and errors as for `wait_probability`.
    """
    load = _load(arrival_rate, service_time)
    return erlang_c(connections, load) * float(service_time) / (connections - load)


def wait_percentile(arrival_rate: float, service_time: float, connections: int, percentile: float = 95) -> float:
    """Return the wait in seconds that ``percentile`` percent don't exceed, from P(wait > t) = C·exp(−(c − a)·t / s).

    Args:
        arrival_rate: requests per second, greater than 0.
        service_time: mean seconds that a request holds a connection, greater than 0.
        connections: in the pool, overflow included.
        percentile: in percent, from 1 to less than 100.

    Raises:
        ValueError: an argument is out of range, or utilisation is 1 or more.
    """
    load = _load(arrival_rate, service_time)
    exceeding = _exceeding(percentile)
    return _wait_exceeded(erlang_c(connections, load), exceeding, float(service_time) / (connections - load))


def smallest_pool(arrival_rate: float, service_time: float, target_wait: float, percentile: float = 95) -> int:
    """Return the fewest connections with which ``percentile`` percent of requests wait at most ``target_wait``.

    Args:
        arrival_rate: requests per second that reach this one pool, greater than 0.
        service_time: mean seconds that a request holds a connection, greater than 0.
        target_wait: seconds; 0 asks that so many don't wait at all.
        percentile: in percent, from 1 to less than 100.

    Returns:
        Connections: the sum of ``pool_size`` and ``max_overflow``. See `connection_budget` for what the server allows.

    Raises:
        ValueError: an argument is out of range or no finite number, or the answer is beyond a million connections.
    """
    load = _load(arrival_rate, service_time)
    target = number("target_wait", target_wait)
    exceeding = _exceeding(percentile)
    blocking = 1.0
    for count in range(1, _MOST_CONNECTIONS + 1):
        blocking = load * blocking / (count + load * blocking)
        if load < count:
            waiting = _wait_probability(blocking, count, load)
            if _wait_exceeded(waiting, exceeding, float(service_time) / (count - load)) <= target:
                return count
    raise ValueError(
        f"arrival_rate × service_time is {load:g}, so the pool would need more than {_MOST_CONNECTIONS} connections. "
        + _UNITS
    )


def _shares(max_connections: int, reserved: int, instances: int, workers: int) -> tuple[int, int]:
    limit = whole("max_connections", max_connections, minimum=1)
    kept = whole("reserved", reserved)
    if kept >= limit:
        raise ValueError(
            f"reserved is {kept} and max_connections is {limit}: nothing is left for the application. "
            "Reserve less or raise max_connections."
        )
    return limit - kept, whole("instances", instances, minimum=1) * whole("workers", workers, minimum=1)


def _connections(connections: int) -> int:
    return whole("connections", connections, minimum=1, maximum=_MOST_CONNECTIONS)


def _load(arrival_rate: float, service_time: float) -> float:
    load = number("arrival_rate", arrival_rate, above=True) * number("service_time", service_time, above=True)
    return number("arrival_rate × service_time", load, above=True, advice=_UNITS)


def _exceeding(percentile: float) -> float:
    value = number("percentile", percentile, minimum=1, advice="It is in percent: write 95, not 0.95.")
    if value >= 100:
        raise ValueError(f"percentile is {value:g}; give less than 100: no pool keeps every wait under a limit.")
    return (100 - value) / 100


def _wait_probability(blocking: float, connections: int, load: float) -> float:
    # The factor first: at a load a hair below the pool's size, 1 − ρ would lose the digits that matter.
    return blocking / ((connections - load) / connections + load / connections * blocking)


def _wait_exceeded(waiting: float, exceeding: float, mean_when_waiting: float) -> float:
    return mean_when_waiting * math.log(waiting / exceeding) if waiting > exceeding else 0.0
