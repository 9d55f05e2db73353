"""The exercises of lesson 06: a connection budget, a pool for a target, and a fleet that fits its server."""

from collections.abc import Callable, Mapping
from typing import Any

from course_lib.exercises._pool_fleet import FLEET, Service, as_found, judge_fleet
from course_lib.exercises._pool_sums import BUDGET_CASES, judge_budgets, whole_number
from course_lib.exercises._pool_waits import WAIT_CASES, judge_pools
from course_lib.exercises.core import NotAttempted, ask, exercise

__all__ = ["FLEET", "Service", "q1", "q2", "q3"]


@exercise(
    "06.1",
    title="A connection budget",
    hints=(
        "How many connections may the pools use altogether? How many pools are there?",
        "Each worker of each instance has a pool of its own: `instances * workers` pools share "
        "`max_connections - reserved` connections. One pool may open `pool_size + max_overflow`.",
        "`(max_connections - reserved) // (instances * workers) - max_overflow`, and 0 where that is less than 1. "
        "`//` rounds down.",
    ),
    seconds=5,
)
async def q1(connection_budget: Callable[[int, int, int, int, int], int]) -> None:
    """06.1: is it the largest pool_size with which all pools fit, when all are full?"""
    got = {}
    for case in BUDGET_CASES:
        answer = await ask(connection_budget, *case.arguments, given=case.given("connection_budget"))
        got[case] = whole_number(answer, case, "connection_budget")
    judge_budgets(got)


@exercise(
    "06.2",
    title="The smallest pool for a target",
    hints=(
        "Four numbers come in. Which of them say how many connections are busy on average?",
        "Begin with the first pool that is larger than `arrival_rate * service_time`, and try one after the other. "
        "`wait_percentile(arrival_rate, service_time, connections)` is the p95 wait; it refuses a pool that is too "
        "small for the load.",
        "`connections = int(arrival_rate * service_time) + 1`, and while `wait_percentile(...)` is more than "
        "`target_wait`, add 1. `clients` is not needed: users who read or think hold no connection.",
    ),
    seconds=30,
)
async def q2(smallest_pool: Callable[[int, float, float, float], int]) -> None:
    """06.2: is it the fewest connections that keep the p95 wait within the target?"""
    got = {}
    for case in WAIT_CASES:
        answer = await ask(smallest_pool, *case.arguments, given=case.given("smallest_pool"))
        got[case] = whole_number(answer, case, "smallest_pool")
    judge_pools(got)


@exercise(
    "06.3",
    title="A fleet that fits its server",
    hints=(
        "Add up the worst minute: every service is deployed, all pools are full. How many connections may that be?",
        "Per service: `(instances + surge) * workers` processes. The sum over the services stays within "
        "`max_connections - reserved - admin`. Then ask how few connections each process needs for its target.",
        "`smallest_pool(service.arrival_rate, service.service_time, service.target_wait)` from "
        "`course_lib.pools.sizing` gives the fewest for each. Take these as `pool_size` with `max_overflow` 0: opening "
        "a connection takes 30 ms, so a busy service cannot live on overflow.",
    ),
    seconds=30,
)
async def q3(pools: Mapping[str, Mapping[str, Any]]) -> None:
    """06.3: do all pools fit in the worst minute, and does each service meet its target in a simulation?"""
    if as_found(pools):
        raise NotAttempted
    judge_fleet(pools)
