"""The cases of exercise 06.2, and the misunderstandings that a wrong size gives away."""

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

from course_lib.exercises._pool_sums import explains
from course_lib.exercises.core import Case, NotYet
from course_lib.pools import sizing
from course_lib.pools._numbers import counted

_smallest_pool = sizing.smallest_pool  # bound now: a cell may put its own answer in the place of this name


@dataclass(frozen=True)
class WaitCase:
    """A load on one pool; ``right`` is the fewest connections that meet the target."""

    clients: int
    arrival_rate: float
    service_time: float
    target_wait: float
    right: int

    @property
    def arguments(self) -> tuple[float, ...]:
        """What the answer is called with."""
        return astuple(self)[:-1]

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


# An answer may simulate, and then its numbers scatter. In 40 simulations of 30,000 requests for each case, the share
# that waits longer than the target had a standard deviation of a quarter of its distance to the 5 % of p95, or less,
# both with the right number of connections and with one less. Another way to simulate may scatter more.
WAIT_CASES = (
    WaitCase(500, 200, 0.02, 0.01, right=7),
    WaitCase(80, 40, 0.05, 0.05, right=4),
    WaitCase(2000, 50, 0.1, 0.06, right=8),
    WaitCase(30, 1, 0.02, 0.05, right=1),
    WaitCase(900, 120, 0.05, 0.033, right=9),
    WaitCase(500, 200, 0.02, 0.1, right=5),  # the first load again, with another target
    WaitCase(400, 90, 0.05, 0.005, right=9),
    WaitCase(250, 20, 0.08, 0.01, right=5),  # with 4, 93 % stay within the target, but 95 % don't
    WaitCase(60, 3, 0.02, 0.001, right=2),  # with 1, 94.3 % stay within the target
    WaitCase(40, 2.3, 0.02, 0.001, right=1),  # with 1, 95.6 % do
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
    ("utilisation-1", lambda case: math.ceil(case.load), _UTILISATION_1),
    ("utilisation-1", lambda case: round(case.load), _UTILISATION_1),
    ("utilisation-1", lambda case: math.floor(case.load), _UTILISATION_1),
    (
        "first-that-keeps-up",
        lambda case: math.floor(case.load) + 1,
        "This is the first size that is larger than the load: with it the queue doesn't grow for ever. How long "
        "requests wait there is another question, and the target decides it. Go on from this size, and ask "
        "`wait_percentile(...)` for the p95 wait at each one.",
    ),
    (
        "peak-of-all-clients",
        lambda case: case.clients,
        "This gives every client a connection of its own. Clients who read or think hold none: only requests count, "
        "each for `service_time` seconds.",
    ),
    (
        "rule-of-thumb",
        lambda case: math.ceil(case.load / 0.8),
        "This sizes for a utilisation of 80 %. How long requests wait at 80 % depends on the size: long in a small "
        "pool, briefly in a large one. Ask for the p95 wait itself.",
    ),
    (
        "nobody-may-wait",
        lambda case: _smallest_pool(case.arrival_rate, case.service_time, 0),
        "With this size 95 % don't wait at all. The target allows a short wait, and for that fewer connections do.",
    ),
    (
        "only-those-who-wait",
        _of_those_who_wait,
        "This is the p95 among the requests that wait. The target is about all requests, and most of them don't wait.",
    ),
)


def judge_pools(got: Mapping[WaitCase, int]) -> None:
    """Raise NotYet for the misunderstanding that explains all wrong sizes, if there are any."""
    wrong = [case for case, number in got.items() if number != case.right]
    if not wrong:
        return
    first = wrong[0]
    shown = Case(first.given("smallest_pool"), str(first.right), str(got[first]))
    for name, mistake, message in _WAIT_MISTAKES:
        if explains(mistake, got):
            raise NotYet(message, misconception=name, case=shown)
    if got[first] > first.right:
        raise NotYet(
            f"Fewer connections do: with {first.right} the p95 wait is "
            f"{1000 * _p95(first, first.right):.3g} ms, and the target is {1000 * first.target_wait:g} ms.",
            misconception="too-many",
            case=shown,
        )
    if got[first] <= first.load:
        said = f"Requests need {first.load:g} connections on average, so with {got[first]} the queue grows for ever."
    else:
        said = (
            f"With {counted(got[first], 'connection')} the p95 wait is {1000 * _p95(first, got[first]):.3g} ms, and "
            f"the target is {1000 * first.target_wait:g} ms."
        )
    raise NotYet(f"{said} Add connections until it fits.", misconception="too-few", case=shown)


def _p95(case: WaitCase, connections: int) -> float:
    return sizing.wait_percentile(case.arrival_rate, case.service_time, connections)
