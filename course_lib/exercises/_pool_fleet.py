"""Exercise 06.3: three services on one server, judged by adding up and by simulating."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from course_lib.exercises._pool_settings import Pool, read_pool
from course_lib.exercises.core import Case, NotYet, calling
from course_lib.pools._numbers import counted
from course_lib.pools.simulation import Deterministic, Exponential, SimulationResult, simulate_pool

_REQUESTS = 30_000
_MOST_TIMED_OUT = 0.05  # of the requests: a target for p95 leaves the slowest 5 % alone


@dataclass(frozen=True)
class Service:
    """One application on the server.

    Args:
        name: its name, the key of its pool.
        instances: machines or containers.
        surge: further instances that run during a deploy, until the old ones have ended.
        workers: processes on each instance, each with a pool of its own.
        arrival_rate: requests per second at one process.
        service_time: mean seconds that a request holds its connection.
        target_wait: seconds that 95 % of the requests may wait for a connection at most.
    """

    name: str
    instances: int
    surge: int
    workers: int
    arrival_rate: float
    service_time: float
    target_wait: float

    @property
    def processes(self) -> int:
        """Processes during a deploy: the old ones and the new ones."""
        return (self.instances + self.surge) * self.workers


@dataclass(frozen=True)
class Fleet:
    """A server and the services that share it.

    Args:
        max_connections: the server's setting.
        reserved: connections that the server keeps for superusers.
        admin: connections that migrations, monitoring and people at a prompt need.
        connect_time: seconds that opening a connection takes.
        services: the applications; all of them may be deployed in the same minute.
    """

    max_connections: int
    reserved: int
    admin: int
    connect_time: float
    services: tuple[Service, ...]

    @property
    def available(self) -> int:
        """Connections for the pools."""
        return self.max_connections - self.reserved - self.admin


FLEET = Fleet(
    max_connections=100,
    reserved=3,
    admin=7,
    connect_time=0.03,
    services=(
        Service("api", 4, surge=1, workers=2, arrival_rate=80, service_time=0.02, target_wait=0.01),
        Service("jobs", 4, surge=4, workers=2, arrival_rate=5, service_time=0.2, target_wait=1.0),
        Service("reports", 2, surge=2, workers=1, arrival_rate=1, service_time=0.4, target_wait=0.5),
    ),
)
_FLEET = deepcopy(FLEET)  # what is judged, whatever a cell does to the one that it imports
POOLS_AS_FOUND = {
    "api": {"pool_size": 5, "max_overflow": 10},
    "jobs": {"pool_size": 5, "max_overflow": 10},
    "reports": {"pool_size": 2, "max_overflow": 3},
}


Sizes = dict[str, Pool]


def as_found(pools: object) -> bool:
    """Whether nothing has been changed yet."""
    try:
        return bool(pools == POOLS_AS_FOUND)
    except Exception:  # an array, which compares each element, or an object that compares with nothing
        return False


def judge_fleet(pools: Any) -> None:
    """Raise NotYet if the pools don't fit the server in the worst minute, or a service misses its target."""
    calling(f"pools = {_shown(pools)}")
    sizes = _sizes(pools)
    _judge_sum(sizes)
    for service in _FLEET.services:
        _judge_wait(service, sizes[service.name])


def _sizes(pools: Any) -> Sizes:
    names = [service.name for service in _FLEET.services]
    if not isinstance(pools, Mapping):
        raise NotYet(
            f"The check takes a dictionary with a pool for each service, and got an object of type "
            f"`{type(pools).__name__}`.",
            misconception="passes-no-mapping",
        )
    if set(pools) != set(names):
        raise NotYet(
            "Every service keeps its pool, under its own name: " + ", ".join(f"`{name}`" for name in names) + ".",
            misconception="other-services",
            case=Case("the names in pools", ", ".join(sorted(names)), ", ".join(sorted(map(str, pools)))),
        )
    return {name: read_pool(name, pools[name]) for name in names}


def _shown(pools: object) -> str:
    try:
        return repr(pools)
    except ValueError:  # Python writes no integers of more than 4,300 digits
        return f"an object of type {type(pools).__name__}"


def _judge_sum(sizes: Sizes) -> None:
    full = _sum(sizes, lambda service: service.processes)
    if full <= _FLEET.available:
        return
    without_surge = _sum(sizes, lambda service: service.instances * service.workers)
    without_workers = _sum(sizes, lambda service: service.instances + service.surge)
    kept = sum(service.processes * sizes[service.name].size for service in _FLEET.services)
    begin = f"In the worst minute the pools open {full} connections, and {_FLEET.available} are theirs."
    if full <= _FLEET.max_connections - _FLEET.reserved:
        mistake, said = (
            "forgets-admin",
            f"That leaves {_FLEET.available + _FLEET.admin - full} of the {_FLEET.admin} that migrations, monitoring "
            f"and people at a prompt need: keep {_FLEET.admin} free, besides those that the server reserves.",
        )
    elif full <= _FLEET.max_connections:
        mistake, said = (
            "forgets-reserved",
            f"The server keeps {_FLEET.reserved} for superusers: the pools can't have them.",
        )
    elif without_surge <= _FLEET.available:
        mistake, said = (
            "forgets-surge",
            f"Without a deploy it would be {without_surge}. During a deploy, old and new instances both hold "
            "connections: count `instances + surge`.",
        )
    elif kept <= _FLEET.available:
        mistake, said = (
            "counts-only-pool-size",
            f"The sum of `pool_size` alone is {kept} and fits. In a burst each pool opens its overflow too.",
        )
    elif without_workers <= _FLEET.available:
        mistake, said = (
            "forgets-workers",
            f"It would be {without_workers} with one pool for each instance. Every worker has its own.",
        )
    else:
        mistake, said = "over-budget", "Find out how few connections each process needs for its target."
    shown = ", ".join(f"{name} {pool}" for name, pool in sizes.items())
    raise NotYet(f"{begin} {said}", misconception=mistake, case=Case(shown, f"at most {_FLEET.available}", str(full)))


def _sum(sizes: Sizes, processes: Callable[[Service], int]) -> int:
    return sum(processes(service) * sizes[service.name].limit for service in _FLEET.services)


def _judge_wait(service: Service, pool: Pool) -> None:
    load = service.arrival_rate * service.service_time
    target = f"p95 wait of at most {1000 * service.target_wait:g} ms"
    end = "for ever" if pool.timeout is None else f"until requests give up after {pool.timeout:g} s"
    if pool.limit <= load:  # such a queue has no steady state to simulate
        raise _starves(
            service,
            f"each process has {load:.3g} in use on average and room for {pool.limit}, so the queue grows {end}",
            Case(f"{service.name} {pool}", target, f"utilisation of {load / pool.limit:.0%}"),
        )
    result = _simulated(service, pool, _FLEET.connect_time)
    wait = result.percentile(95)
    in_time = wait <= service.target_wait
    if in_time and result.timed_out <= _MOST_TIMED_OUT * result.arrived:
        return
    gave_up = f"{result.timed_out} of {result.arrived}"
    shown = Case(f"{service.name} {pool}, simulated", target, f"p95 wait of {1000 * wait:.3g} ms, {gave_up} timed out")
    if in_time:
        raise NotYet(
            f"`{service.name}`: p95 is within the target, but {gave_up} requests gave up after {pool.timeout:g} s. "
            "Whoever gives up waits no longer, and gets nothing. Add connections, or let requests wait longer.",
            misconception="gives-up-early",
            case=shown,
        )
    if pool.overflow and _simulated(service, pool, 0).percentile(95) <= service.target_wait:
        raise NotYet(
            f"`{service.name}` has connections enough, but lives on overflow: {result.opened / result.arrived:.0%} of "
            f"its requests open one, which takes {1000 * _FLEET.connect_time:g} ms. Make `pool_size` larger and "
            "`max_overflow` smaller.",
            misconception="lives-on-overflow",
            case=shown,
        )
    raise _starves(
        service, f"its requests wait too long for {counted(pool.limit, 'connection')} in each process", shown
    )


def _starves(service: Service, said: str, case: Case) -> NotYet:
    return NotYet(
        f"The pools fit the server, but `{service.name}` misses its target: {said}. Not every service needs the same "
        "size: take connections from one that has more than it needs.",
        misconception="starves-a-service",
        case=case,
    )


def _simulated(service: Service, pool: Pool, connect_time: float) -> SimulationResult:
    return simulate_pool(
        Exponential(1 / service.arrival_rate),
        Exponential(service.service_time),
        pool_size=pool.size,
        max_overflow=pool.overflow,
        pool_timeout=pool.timeout,
        connect=Deterministic(connect_time),
        requests=_REQUESTS,
    )
