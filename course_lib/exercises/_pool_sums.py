"""The cases of exercise 06.1, the misunderstandings that a wrong sum gives away, and what 06.2 shares with it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import Any, Protocol, TypeVar

from course_lib.exercises.core import Case, NotYet

C = TypeVar("C")

# Beyond this no answer is worth a calculation, and Python doesn't even write integers of more than 4,300 digits.
_MOST = 1_000_000


class AnyCase(Protocol):
    """A call of an answer, and the number that it must return."""

    @property
    def right(self) -> int:
        """The number."""

    def given(self, name: str) -> str:
        """The call, as feedback shows it."""


@dataclass(frozen=True)
class BudgetCase:
    """A server and the fleet on it; ``right`` is the largest pool_size that fits, 0 if none does."""

    max_connections: int
    reserved: int
    instances: int
    workers: int
    max_overflow: int
    right: int

    @property
    def arguments(self) -> tuple[int, ...]:
        """What the answer is called with."""
        return astuple(self)[:-1]

    @property
    def available(self) -> int:
        """Connections that the pools may use."""
        return self.max_connections - self.reserved

    @property
    def processes(self) -> int:
        """How many pools there are."""
        return self.instances * self.workers

    def given(self, name: str) -> str:
        """The call, as feedback shows it."""
        return (
            f"{name}(max_connections={self.max_connections}, reserved={self.reserved}, instances={self.instances}, "
            f"workers={self.workers}, max_overflow={self.max_overflow})"
        )


# The right numbers stand here as numbers: what a cell does to `course_lib.pools.sizing` doesn't change them.
BUDGET_CASES = (
    BudgetCase(100, 3, 4, 2, 0, right=12),
    BudgetCase(100, 3, 4, 2, 5, right=7),
    BudgetCase(20, 3, 3, 1, 2, right=3),
    BudgetCase(200, 10, 5, 4, 3, right=6),
    BudgetCase(60, 20, 3, 2, 1, right=5),
    BudgetCase(500, 13, 10, 6, 4, right=4),
    BudgetCase(100, 4, 4, 2, 3, right=9),  # 96 / 8 leaves no remainder
    BudgetCase(20, 3, 10, 1, 5, right=0),
    BudgetCase(100, 3, 60, 2, 0, right=0),
)


def _as_it_is(number: int) -> int:
    return number


def _not_negative(number: int) -> int:
    return max(0, number)


def _one_or_more(number: int) -> int:
    return max(1, number)


# A misunderstanding may come with each of the usual ways to treat numbers below 1.
_ENDINGS = (_as_it_is, _not_negative, _one_or_more)

# What each misunderstanding computes, the more specific before the more general.
_BUDGET_MISTAKES: tuple[tuple[str, Callable[[BudgetCase], int], str], ...] = (
    (
        "at-least-one",
        lambda case: max(1, case.available // case.processes - case.max_overflow),
        "Where no pool fits, your function still gives a connection. With it the pools want more than the server has. "
        "Return 0: it says that this fleet needs fewer processes, less overflow or a pooler.",
    ),
    (
        "goes-negative",
        lambda case: case.available // case.processes - case.max_overflow,
        "Where nothing is left for a pool, your function returns a number below 0. Return 0 there: no pool fits.",
    ),
    (
        "forgets-workers",
        lambda case: case.available // case.instances - case.max_overflow,
        "This counts one pool for each instance. Every worker is a process that makes its own engine, so there are "
        "`instances * workers` pools.",
    ),
    (
        "forgets-instances",
        lambda case: case.available // case.workers - case.max_overflow,
        "This gives one instance all the connections. All instances share the server: there are "
        "`instances * workers` pools.",
    ),
    (
        "forgets-reserved",
        lambda case: case.max_connections // case.processes - case.max_overflow,
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
        lambda case: (case.available - case.max_overflow) // case.processes,
        "This takes off the overflow once for the whole fleet. Every pool has its own: take `max_overflow` off the "
        "share of each pool.",
    ),
    (
        "leaves-one-free",
        lambda case: (case.available - 1) // case.processes - case.max_overflow,
        "Your pools never use the last connection. The pools may open exactly `max_connections - reserved`: compare "
        "with `<=`, not with `<`.",
    ),
    (
        "rounds-up",
        lambda case: round(case.available / case.processes) - case.max_overflow,
        "This rounds to the nearest number, which is sometimes up, and then the server refuses the last pool "
        "that fills. Round down.",
    ),
    (
        "rounds-up",
        lambda case: math.ceil(case.available / case.processes) - case.max_overflow,
        "This rounds up, and so the server refuses the last pool that fills. Round down.",
    ),
)


def whole_number(answer: Any, case: AnyCase, name: str) -> int:
    """The answer as an int.

    Raises:
        NotYet: it isn't a whole number, or one that is beyond any server.
    """
    if isinstance(answer, Integral) and not isinstance(answer, bool):
        number = int(answer)
        if abs(number) <= _MOST:
            return number
        shown = f"an integer of {number.bit_length()} bits"
        said = f"Your function returned {shown}. No server has more than {_MOST:,} connections."
        misconception = "beyond-any-server"
    else:
        shown, misconception = repr(answer), "no-whole-number"
        if answer is None:
            said = "Your function returned nothing. End it with `return` and the number."
        elif isinstance(answer, float | Decimal | Fraction) and answer == answer // 1:
            said = f"Your function returned `{shown}`, which is a `{type(answer).__name__}`: wrap it in `int(...)`."
        else:
            said = (
                f"Your function returned an object of type `{type(answer).__name__}`. Connections come as whole "
                "numbers, and `create_async_engine` expects an `int`: round in the direction that is safe here."
            )
    raise NotYet(said, misconception=misconception, case=Case(case.given(name), str(case.right), shown, made_up=True))


def explains(mistake: Callable[[C], int], got: Mapping[C, int]) -> bool:
    """Whether the mistake gives all the numbers that were got, the right ones among them too."""
    return any(all(number == ending(mistake(case)) for case, number in got.items()) for ending in _ENDINGS)


def judge_budgets(got: Mapping[BudgetCase, int]) -> None:
    """Raise NotYet for the misunderstanding that explains all wrong budgets, if there are any."""
    wrong = [case for case, number in got.items() if number != case.right]
    if not wrong:
        return
    first = wrong[0]
    shown = Case(first.given("connection_budget"), str(first.right), str(got[first]))
    for name, mistake, message in _BUDGET_MISTAKES:
        if explains(mistake, got):
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
