"""The check of exercise 07.2: where a deployment connects to."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from course_lib.exercises.core import Case, NotYet, ask

CHOICES = ("direct", "pool", "pooler")
_SHORT = 60.0  # seconds


@dataclass(frozen=True)
class Deployment:
    """A program that uses a database, as it runs at its busiest moment.

    Args:
        name: what it is.
        processes: how many processes there are, over all instances and workers.
        pool_limit: `pool_size` and `max_overflow` of each process together.
        budget: how many of the server's connections it may use.
        lifetime: how long one process lives, in seconds.
        keeps_session: whether it relies on one session over several transactions (LISTEN, session advisory locks).
    """

    name: str
    processes: int
    pool_limit: int
    budget: int
    lifetime: float
    keeps_session: bool = False


_DAY = 86_400.0
SIX = (
    Deployment("an API on 2 instances with 4 workers", 8, 10, 90, _DAY),
    Deployment("an API on 20 instances with 4 workers", 80, 15, 90, _DAY),
    Deployment("functions that start for a request", 6, 1, 90, 2.0),
    Deployment("a listener for NOTIFY", 1, 1, 90, _DAY, keeps_session=True),
    Deployment("a migration under a session lock", 1, 1, 90, 30.0, keeps_session=True),
    Deployment("three small services on one database", 9, 10, 90, _DAY),
)
Rule = Callable[[Deployment], str]


def right(each: Deployment) -> str:
    """The rule of the lesson."""
    if each.keeps_session:
        return "direct"
    if each.lifetime < _SHORT:
        return "pooler"
    return "pool" if each.processes * each.pool_limit <= each.budget else "pooler"


def _without_sessions(each: Deployment) -> str:
    if each.lifetime < _SHORT:
        return "pooler"
    return "pool" if each.processes * each.pool_limit <= each.budget else "pooler"


def _without_lifetimes(each: Deployment) -> str:
    if each.keeps_session:
        return "direct"
    return "pool" if each.processes * each.pool_limit <= each.budget else "pooler"


def _pooler_first(each: Deployment) -> str:
    return "pooler" if each.processes * each.pool_limit > each.budget else right(each)


def _minute_is_short(each: Deployment) -> str:
    return "pooler" if each.lifetime == _SHORT and not each.keeps_session else right(each)


def _fitting(fits: Callable[[Deployment], bool]) -> Rule:
    def rule(each: Deployment) -> str:
        found = right(each)
        return found if each.keeps_session or each.lifetime < _SHORT else ("pool" if fits(each) else "pooler")

    return rule


_MISTAKES: tuple[tuple[str, Rule, str], ...] = (
    (
        "pooler-for-everything",
        lambda each: "pooler",
        "A pooler for everything: that costs a hop and takes session state away, also where the pools fit the budget "
        "or a program needs one session of its own.",
    ),
    (
        "pool-for-everything",
        lambda each: "pool",
        "A pool in each process, whatever there is of them: the server has a limit for all of them together, and "
        "a process that lives for a request has no use for a pool.",
    ),
    (
        "forgets-session-state",
        _without_sessions,
        "A program that listens, or holds a session lock, relies on one session over several transactions. Transaction "
        "mode may give it another one each time: connect it directly.",
    ),
    (
        "forgets-short-lives",
        _without_lifetimes,
        "A process that lives for seconds opens its pool anew each time, and how many run at once changes with the "
        "traffic. Let a pooler keep the connections: below 60 seconds, choose it.",
    ),
    (
        "counts-one-process",
        _fitting(lambda each: each.pool_limit <= each.budget),
        "Each process has a pool of its own. Compare what all of them may open together with the budget.",
    ),
    (
        "counts-processes-only",
        _fitting(lambda each: each.processes <= each.budget),
        "A process opens up to `pool_limit` connections, not one. Multiply.",
    ),
    (
        "refuses-a-full-budget",
        _fitting(lambda each: each.processes * each.pool_limit < each.budget),
        "Pools that use exactly the budget still fit: a pooler is for what exceeds it.",
    ),
    (
        "fit-before-session",
        _pooler_first,
        "The question about the session comes first: a program that relies on one session does not work through a "
        "pooler in transaction mode, whether the pools fit the budget or not.",
    ),
    (
        "a-minute-is-short",
        _minute_is_short,
        "The lesson's line is: less than 60 seconds. A process that lives for 60 seconds is on the other side of it.",
    ),
    (
        "direct-where-a-pool-fits",
        lambda each: "direct" if right(each) == "pool" else right(each),
        "Without a pool each request pays for a new connection, and nothing limits how many there are. Where the "
        "pools fit the budget, keep them.",
    ),
)


async def judge_choice(choose: Any) -> None:
    """07.2: does the function choose by the rule, for the lesson's six deployments and for others?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    cases = [*SIX, *_more()]
    wanted = [right(each) for each in cases]
    # It gets copies: what it changes in one of them changes nothing here.
    got = [await _ask(choose, replace(each)) for each in cases]
    if got == wanted:
        return
    index = next(number for number, pair in enumerate(zip(got, wanted, strict=True)) if pair[0] != pair[1])
    case = Case(repr(cases[index]), repr(wanted[index]), repr(got[index]))
    for name, rule, message in _MISTAKES:
        if got == [rule(each) for each in cases]:
            raise NotYet(message, misconception=name, case=case)
    renamed = [await _ask(choose, replace(each, name="a program")) for each in SIX]
    if renamed != got[: len(SIX)]:
        raise NotYet(
            "The answer for a deployment changes with its name. Decide by the other fields, in the order of the rule.",
            misconception="decides-by-name",
            case=case,
        )
    if got[: len(SIX)] == wanted[: len(SIX)]:
        raise NotYet(
            "Right for the six deployments of the lesson, and wrong for another one. Put its fields into the three "
            "questions, in their order, and compare with what your function does.",
            misconception="knows-only-the-six",
            case=case,
        )
    raise NotYet("This deployment is in the wrong place. Go through the rule in its order.", case=case)


async def _ask(choose: Any, each: Deployment) -> str:
    got = await ask(choose, each)
    said = str.__str__(got) if isinstance(got, str) else ""  # an enumeration of texts is as good
    if said not in CHOICES:
        raise NotYet(
            "`choose` returns one of the texts `'direct'`, `'pool'` and `'pooler'`.",
            misconception="returns-something-else",
            case=Case(repr(each), " or ".join(map(repr, CHOICES)), f"an object of type `{type(got).__name__}`"),
        )
    return said


def _more() -> list[Deployment]:
    """Other deployments, drawn anew for each check; each part of the rule decides some of them."""
    rng = random.Random()
    found = []
    for _ in range(12):
        processes, limit = rng.randint(2, 9), rng.randint(2, 12)
        need = processes * limit
        for budget in (need, need - 1, need + rng.randint(1, 50), rng.randint(limit, need - 1)):
            found.append(Deployment("a service", processes, limit, budget, rng.choice((60.0, 600.0, _DAY))))
        # Fewer places than processes, and fewer than one pool wants: whoever compares one of both is told apart.
        found.append(Deployment("a service", 30 + processes, 3, 29 + processes, _DAY))
        found.append(Deployment("a service", 2, 10 + limit, 9 + limit, _DAY))
        found.append(Deployment("a function", processes, limit, need + rng.randint(0, 9), rng.choice((0.5, 59.0))))
        found.append(Deployment("workers", processes, limit, need - 1, _DAY, keeps_session=True))
        found.append(Deployment("a worker", 1, limit, limit, rng.choice((5.0, _DAY)), keeps_session=True))
    return found
