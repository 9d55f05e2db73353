"""The cases of exercises 06.1 and 06.2, and the misunderstandings that a wrong sum gives away."""

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from numbers import Integral
from typing import Any

from course_lib.exercises.core import Case, NotYet
from course_lib.pools import sizing


@dataclass(frozen=True)
class BudgetCase:
    """A server and the fleet on it."""

    max_connections: int
    reserved: int
    instances: int
    workers: int
    max_overflow: int

    @property
    def arguments(self) -> tuple[int, ...]:
        """What the answer is called with."""
        return astuple(self)

    @property
    def available(self) -> int:
        """Connections that the pools may use."""
        return self.max_connections - self.reserved

    @property
    def processes(self) -> int:
        """How many pools there are."""
        return self.instances * self.workers

    @property
    def right(self) -> int:
        """The largest pool_size that fits, 0 if none does."""
        return max(0, self.available // self.processes - self.max_overflow)

    def given(self, name: str) -> str:
        """The call, as feedback shows it."""
        return (
            f"{name}(max_connections={self.max_connections}, reserved={self.reserved}, instances={self.instances}, "
            f"workers={self.workers}, max_overflow={self.max_overflow})"
        )


BUDGET_CASES = (
    BudgetCase(100, 3, 4, 2, 0),
    BudgetCase(100, 3, 4, 2, 5),
    BudgetCase(20, 3, 3, 1, 2),
    BudgetCase(200, 10, 5, 4, 3),
    BudgetCase(60, 20, 3, 2, 1),
    BudgetCase(500, 13, 10, 6, 4),
    BudgetCase(20, 3, 10, 1, 5),
    BudgetCase(100, 3, 60, 2, 0),
)


def _nearest(case: BudgetCase) -> int:
    return max(0, round(case.available / case.processes) - case.max_overflow)


# What each misunderstanding computes, the more specific before the more general.
_BUDGET_MISTAKES: tuple[tuple[str, Callable[[BudgetCase], int], str], ...] = (
    (
        "goes-negative",
        lambda case: case.available // case.processes - case.max_overflow,
        "Where nothing is left for a pool, your function returns a number below 0. Return 0 there: no pool fits.",
    ),
    (
        "at-least-one",
        lambda case: max(1, case.available // case.processes - case.max_overflow),
        "Where no pool fits, your function still gives a connection. With it the pools want more than the server has. "
        "Return 0: it says that this fleet needs fewer processes, less overflow or a pooler.",
    ),
    (
        "forgets-workers",
        lambda case: max(0, case.available // case.instances - case.max_overflow),
        "This counts one pool for each instance. Every worker is a process that makes its own engine, so there are "
        "`instances * workers` pools.",
    ),
    (
        "forgets-instances",
        lambda case: max(0, case.available // case.workers - case.max_overflow),
        "This gives one instance all the connections. All instances share the server: there are "
        "`instances * workers` pools.",
    ),
    (
        "forgets-reserved",
        lambda case: max(0, case.max_connections // case.processes - case.max_overflow),
        "This hands out the reserved connections too. The server keeps them from the application, so take `reserved` "
        "off `max_connections` first.",
    ),
    (
        "counts-only-pool-size",
        lambda case: case.available // case.processes,
        "This budget is right as long as no pool overflows. In a burst each one opens `pool_size + max_overflow` "
        "connections, so the overflow has to fit as well.",
    ),
    (
        "overflow-once",
        lambda case: max(0, (case.available - case.max_overflow) // case.processes),
        "This takes off the overflow once for the whole fleet. Every pool has its own: take `max_overflow` off the "
        "share of each pool.",
    ),
    (
        "rounds-up",
        _nearest,
        "This rounds to the nearest number, which is sometimes up, and then the last pool that fills gets "
        "`too many clients`. Round down.",
    ),
    (
        "rounds-up",
        lambda case: max(0, math.ceil(case.available / case.processes) - case.max_overflow),
        "This rounds up, and so the last pool that fills gets `too many clients`. Round down.",
    ),
)


@dataclass(frozen=True)
class WaitCase:
    """A load on one pool; ``right`` is the fewest connections that meet the target."""

    clients: int
    arrival_rate: float
    service_time: float
    target_wait: float

    @property
    def arguments(self) -> tuple[float, ...]:
        """What the answer is called with."""
        return astuple(self)

    @property
    def right(self) -> int:
        """The fewest connections with which 95 % of the requests wait at most as long as the target."""
        return sizing.smallest_pool(self.arrival_rate, self.service_time, self.target_wait)

    @property
    def load(self) -> float:
        """Connections in use on average."""
        return self.arrival_rate * self.service_time

    def given(self, name: str) -> str:
        """The call, as feedback shows it."""
        return (
            f"{name}(clients={self.clients}, arrival_rate={self.arrival_rate:g}, "
            f"service_time={self.service_time:g}, target_wait={self.target_wait:g})"
        )

    def first(self, wait: Callable[[int], float]) -> int:
        """The fewest connections above the load whose ``wait`` is within the target."""
        count = math.floor(self.load) + 1
        while wait(count) > self.target_wait:
            count += 1
        return count


# The p95 wait of the right number and of one less are at least 20 % away from the target on either side, so that an
# answer which simulates gets the same numbers.
WAIT_CASES = (
    WaitCase(500, 200, 0.02, 0.01),
    WaitCase(80, 40, 0.05, 0.05),
    WaitCase(2000, 100, 0.1, 0.02),
    WaitCase(30, 1, 0.02, 0.05),
    WaitCase(900, 120, 0.05, 0.03),
)


def _by_mean(case: WaitCase) -> int:
    return case.first(lambda count: sizing.mean_wait(case.arrival_rate, case.service_time, count))


def _of_those_who_wait(case: WaitCase) -> int:
    return case.first(lambda count: case.service_time / (count - case.load) * math.log(20))


_UTILISATION_1 = (
    "`arrival_rate * service_time` is how many connections are in use on average: with just as many, utilisation is 1 "
    "or close to it, and the queue grows. Leave room, and let the p95 wait say how much."
)
_WAIT_MISTAKES: tuple[tuple[str, Callable[[WaitCase], int], str], ...] = (
    (
        "average-instead-of-p95",
        _by_mean,
        "With this size the average wait meets the target. The average hides the slow requests: one in twenty waits "
        "longer than p95. Compare `wait_percentile(...)` with the target, not `mean_wait(...)`.",
    ),
    ("utilisation-1", lambda case: max(1, math.ceil(case.load)), _UTILISATION_1),
    ("utilisation-1", lambda case: max(1, round(case.load)), _UTILISATION_1),
    ("utilisation-1", lambda case: math.floor(case.load) + 1, _UTILISATION_1),
    (
        "peak-of-all-clients",
        lambda case: case.clients,
        "This gives every client a connection of its own. Clients who read or think hold none: only requests count, "
        "each for `service_time` seconds.",
    ),
    (
        "rule-of-thumb",
        lambda case: max(1, math.ceil(case.load / 0.8)),
        "This sizes for a utilisation of 80 %. How long requests wait at 80 % depends on the size: long in a small "
        "pool, briefly in a large one. Ask for the p95 wait itself.",
    ),
    (
        "nobody-may-wait",
        lambda case: sizing.smallest_pool(case.arrival_rate, case.service_time, 0),
        "With this size 95 % don't wait at all. The target allows a short wait, and for that fewer connections do.",
    ),
    (
        "only-those-who-wait",
        _of_those_who_wait,
        "This is the p95 among the requests that wait. The target is about all requests, and most of them don't wait.",
    ),
)


def whole_number(answer: Any, case: BudgetCase | WaitCase, name: str) -> int:
    """The answer as an int.

    Raises:
        NotYet: it isn't a whole number.
    """
    if isinstance(answer, Integral) and not isinstance(answer, bool):
        return int(answer)
    if answer is None:
        said = "Your function returned nothing. End it with `return` and the number."
    else:
        said = (
            f"Your function returned an object of type `{type(answer).__name__}`. Connections come as whole numbers, "
            "and `create_async_engine` expects an `int`: round in the direction that is safe here."
        )
    raise NotYet(
        said, misconception="no-whole-number", case=Case(case.given(name), str(case.right), repr(answer), made_up=True)
    )


def judge_budgets(got: Mapping[BudgetCase, int]) -> None:
    """Raise NotYet for the misunderstanding that explains all wrong budgets, if there are any."""
    wrong = [case for case, number in got.items() if number != case.right]
    if not wrong:
        return
    first = wrong[0]
    shown = Case(first.given("connection_budget"), str(first.right), str(got[first]))
    for name, mistake, message in _BUDGET_MISTAKES:
        if all(got[case] == mistake(case) for case in wrong):
            raise NotYet(message, misconception=name, case=shown)
    wanted = (got[first] + first.max_overflow) * first.processes
    if got[first] > first.right:
        said = f"All pools full want {wanted} connections, and the server has {first.available} for them."
    else:
        said = f"A larger pool fits too: with yours, {first.available - wanted} connections are never used."
    raise NotYet(
        f"{said} The rule is `(pool_size + max_overflow) * workers * instances <= max_connections - reserved`.",
        misconception="other-sum",
        case=shown,
    )


def judge_pools(got: Mapping[WaitCase, int]) -> None:
    """Raise NotYet for the misunderstanding that explains all wrong sizes, if there are any."""
    wrong = [case for case, number in got.items() if number != case.right]
    if not wrong:
        return
    first = wrong[0]
    shown = Case(first.given("smallest_pool"), str(first.right), str(got[first]))
    for name, mistake, message in _WAIT_MISTAKES:
        if all(got[case] == mistake(case) for case in wrong):
            raise NotYet(message, misconception=name, case=shown)
    if got[first] > first.right:
        raise NotYet(
            f"Fewer connections do: {first.right} keep the p95 wait at "
            f"{1000 * _p95(first, first.right):.3g} ms, and the target is {1000 * first.target_wait:g} ms.",
            misconception="too-many",
            case=shown,
        )
    if got[first] <= first.load:
        said = f"Requests need {first.load:g} connections on average, so with {got[first]} the queue grows for ever."
    else:
        said = (
            f"With {got[first]} connections the p95 wait is {1000 * _p95(first, got[first]):.3g} ms, and the target is "
            f"{1000 * first.target_wait:g} ms."
        )
    raise NotYet(f"{said} Add connections until it fits.", misconception="too-few", case=shown)


def _p95(case: WaitCase, connections: int) -> float:
    return sizing.wait_percentile(case.arrival_rate, case.service_time, connections)
