"""Exercise 06.3: three services on one server, judged by adding up and by simulating."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import AsyncAdaptedQueuePool, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.exercises.core import AnswerError, Case, NotYet, calling
from course_lib.pools.simulation import Deterministic, Exponential, SimulationResult, simulate_pool

_REQUESTS = 30_000


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
POOLS_AS_FOUND = {
    "api": {"pool_size": 5, "max_overflow": 10},
    "jobs": {"pool_size": 5, "max_overflow": 10},
    "reports": {"pool_size": 2, "max_overflow": 3},
}


class Pool(NamedTuple):
    """The settings of one pool: connections, and seconds."""

    size: int
    overflow: int
    timeout: float | None

    def __str__(self) -> str:
        return f"{self.size}+{self.overflow}"

    @property
    def limit(self) -> int:
        """Connections that it may open."""
        return self.size + self.overflow


Sizes = dict[str, Pool]


def judge_fleet(pools: Any) -> None:
    """Raise NotYet if the pools don't fit the server in the worst minute, or a service misses its target."""
    calling(f"pools = {pools!r}")
    sizes = _sizes(pools)
    _judge_sum(sizes)
    for service in FLEET.services:
        _judge_wait(service, sizes[service.name])


def _sizes(pools: Any) -> Sizes:
    names = [service.name for service in FLEET.services]
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
    return {name: _size(name, pools[name]) for name in names}


def _size(name: str, settings: Any) -> Pool:
    if not isinstance(settings, Mapping):
        raise NotYet(
            f"The pool of `{name}` is an object of type `{type(settings).__name__}`. Write a dictionary such as "
            '`{"pool_size": 2, "max_overflow": 3}`.',
            misconception="passes-no-mapping",
        )
    # Making an engine connects to nothing. It refuses misspelt settings in SQLAlchemy's own words.
    try:
        engine = create_async_engine("postgresql+asyncpg://db.internal/shop", **dict(settings))
    except Exception as error:
        raise AnswerError(f"making the engine of {name} with your settings") from error
    # An engine that was never used leaves out what these are when they are not given.
    size, overflow = settings.get("pool_size", 5), settings.get("max_overflow", 10)
    numbers = all(isinstance(each, int) and not isinstance(each, bool) for each in (size, overflow))
    if not numbers:
        raise NotYet(
            f"`pool_size` and `max_overflow` of `{name}` have to be whole numbers.", misconception="no-whole-number"
        )
    if isinstance(engine.pool, NullPool) or size < 1 or overflow < 0:
        said = (
            "`NullPool` opens a connection for each request, as many as come at once"
            if isinstance(engine.pool, NullPool)
            else "`pool_size=0` means no limit to SQLAlchemy"
            if size < 1
            else "`max_overflow=-1` means no limit to SQLAlchemy"
        )
        raise NotYet(
            f"The pool of `{name}` has no limit: {said}. In a burst one process can use up the whole server. "
            "Give every pool a limit.",
            misconception="no-limit",
        )
    if not isinstance(engine.pool, AsyncAdaptedQueuePool):
        raise NotYet(
            f"The pool of `{name}` is a `{type(engine.pool).__name__}`, without a `pool_size`. Leave out `poolclass`.",
            misconception="another-pool",
        )
    timeout: object = engine.pool.timeout()
    if timeout is not None and not (isinstance(timeout, int | float) and timeout >= 0):
        raise NotYet(
            f"`pool_timeout` of `{name}` has to be a number of seconds, or left out.", misconception="no-number"
        )
    return Pool(size, overflow, timeout)


def _judge_sum(sizes: Sizes) -> None:
    full = _sum(sizes, lambda service: service.processes)
    if full <= FLEET.available:
        return
    without_surge = _sum(sizes, lambda service: service.instances * service.workers)
    without_workers = _sum(sizes, lambda service: service.instances + service.surge)
    kept = sum(service.processes * sizes[service.name].size for service in FLEET.services)
    begin = f"In the worst minute the pools open {full} connections, and {FLEET.available} are theirs."
    if full <= FLEET.max_connections - FLEET.reserved:
        mistake, said = (
            "forgets-admin",
            f"That leaves nothing for a migration or for you at a prompt: keep {FLEET.admin} connections free, besides "
            "those that the server reserves.",
        )
    elif full <= FLEET.max_connections:
        mistake, said = (
            "forgets-reserved",
            f"The server keeps {FLEET.reserved} for superusers: the pools can't have them.",
        )
    elif without_surge <= FLEET.available:
        mistake, said = (
            "forgets-surge",
            f"Without a deploy it would be {without_surge}. During a deploy, old and new instances both hold "
            "connections: count `instances + surge`.",
        )
    elif kept <= FLEET.available:
        mistake, said = (
            "counts-only-pool-size",
            f"The sum of `pool_size` alone is {kept} and fits. In a burst each pool opens its overflow too.",
        )
    elif without_workers <= FLEET.available:
        mistake, said = (
            "forgets-workers",
            f"It would be {without_workers} with one pool for each instance. Every worker has its own.",
        )
    else:
        mistake, said = "over-budget", "Find out how few connections each process needs for its target."
    shown = ", ".join(f"{name} {pool}" for name, pool in sizes.items())
    raise NotYet(f"{begin} {said}", misconception=mistake, case=Case(shown, f"at most {FLEET.available}", str(full)))


def _sum(sizes: Sizes, processes: Callable[[Service], int]) -> int:
    return sum(processes(service) * sizes[service.name].limit for service in FLEET.services)


def _judge_wait(service: Service, pool: Pool) -> None:
    result = _simulated(service, pool, FLEET.connect_time)
    wait = result.percentile(95)
    if wait <= service.target_wait and not result.timed_out:
        return
    shown = Case(
        f"{service.name} {pool}, simulated",
        f"p95 wait of at most {1000 * service.target_wait:g} ms",
        f"p95 wait of {1000 * wait:.3g} ms, {result.timed_out} of {result.arrived} timed out",
    )
    if pool.overflow and _simulated(service, pool, 0).percentile(95) <= service.target_wait:
        raise NotYet(
            f"`{service.name}` has connections enough, but lives on overflow: {result.opened / result.arrived:.0%} of "
            f"its requests open one, which takes {1000 * FLEET.connect_time:g} ms. Make `pool_size` larger and "
            "`max_overflow` smaller.",
            misconception="lives-on-overflow",
            case=shown,
        )
    load = service.arrival_rate * service.service_time
    said = (
        f"it needs {load:g} connections on average in each process, and the queue grows for ever"
        if pool.limit <= load
        else f"its requests wait too long for {pool.limit} connections in each process"
    )
    raise NotYet(
        f"The pools fit the server, but `{service.name}` misses its target: {said}. Not every service needs the same "
        "size: take connections from one that has more than it needs.",
        misconception="starves-a-service",
        case=shown,
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
