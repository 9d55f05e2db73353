"""Are the budget and Erlang's formulas right, stable for thousands of connections, and clear about bad input?"""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.exercises._pool_sums import BUDGET_CASES
from course_lib.exercises._pool_waits import WAIT_CASES
from course_lib.pools import sizing

RATES = st.floats(0.1, 500)
TIMES = st.floats(0.001, 2)
SIZES = st.integers(1, 60)
SHARES = st.floats(0.01, 0.99)


def exact_erlang_c(connections: int, load: Fraction) -> Fraction:
    """The sum of the textbooks, without rounding."""
    terms = [load**n / math.factorial(n) for n in range(connections)]
    waiting = load**connections / math.factorial(connections) * connections / (connections - load)
    return waiting / (sum(terms) + waiting)


@pytest.mark.parametrize(
    ("arguments", "budget"),
    [
        ((100, 3, 4, 2), 12),  # 97 / 8 = 12.1
        ((100, 3, 97, 1), 1),
        ((100, 3, 98, 1), 0),
        ((20, 3, 3, 1), 5),  # 17 / 3 = 5.7: the third process with 6 would be refused
        ((100, 0, 1, 1), 100),
    ],
)
def test_budget_is_rounded_down(arguments: tuple[int, int, int, int], budget: int) -> None:
    assert sizing.connection_budget(*arguments) == budget


@given(st.integers(1, 10_000), st.integers(0, 50), st.integers(1, 300), st.integers(1, 16))
def test_budget_is_the_most_that_fits(limit: int, reserved: int, instances: int, workers: int) -> None:
    maximum = limit + reserved
    budget = sizing.connection_budget(maximum, reserved, instances, workers)
    assert budget * instances * workers <= limit < (budget + 1) * instances * workers
    if budget:
        assert sizing.check_budget(maximum, reserved, instances, workers, budget, 0).fits
    assert not sizing.check_budget(maximum, reserved, instances, workers, budget + 1, 0).fits


def test_verdict_says_what_to_change() -> None:
    verdict = sizing.check_budget(100, 3, 4, 2, 5, 10)
    assert (verdict.available, verdict.processes, verdict.per_process, verdict.wanted) == (97, 8, 12, 120)
    assert not verdict.fits
    assert "at most 12" in verdict.message
    assert "at most 6 processes" in verdict.message
    fitting = sizing.check_budget(100, 3, 4, 2, 5, 7)
    assert fitting.fits
    assert "1 is left" in fitting.message
    assert "17 connections. The server has 17 for them; none is left" in sizing.check_budget(20, 3, 1, 1, 17, 0).message
    alone = sizing.check_budget(20, 3, 1, 1, 30, 0).message
    assert alone.startswith("1 process ×")
    assert alone.endswith("at most 17.")  # a single process is as few as there can be
    assert "at most 1 process," in sizing.check_budget(4, 3, 2, 1, 1, 0).message
    assert "pooler" in sizing.check_budget(20, 3, 30, 1, 1, 0).message


@pytest.mark.parametrize(("pool_size", "max_overflow", "setting"), [(0, 10, "pool_size=0"), (5, -1, "max_overflow=-1")])
def test_pool_without_limit_never_fits(pool_size: int, max_overflow: int, setting: str) -> None:
    verdict = sizing.check_budget(1000, 3, 1, 1, pool_size, max_overflow)
    assert not verdict.fits
    assert verdict.wanted == math.inf
    assert setting in verdict.message


def test_hospital_of_hillier_and_lieberman() -> None:
    """Introduction to Operations Research, the County Hospital's emergency room: 2 an hour, 20 minutes, 2 doctors."""
    assert sizing.wait_probability(2, 1 / 3, 2) == pytest.approx(1 / 6)
    assert sizing.mean_wait(2, 1 / 3, 2) == pytest.approx(1 / 24)
    assert sizing.littles_law(2, sizing.mean_wait(2, 1 / 3, 2)) == pytest.approx(1 / 12)


def test_example_of_bronson() -> None:
    """Operations Research (1982), 24.6, as on http://web.ist.utl.pt/mcasquilho/compute/or/Fx-queuevars.php."""
    wait = sizing.mean_wait(300, 1 / 182.5, 3)
    assert wait == pytest.approx(0.001175, rel=1e-3)
    assert sizing.littles_law(300, wait) == pytest.approx(0.352, rel=2e-3)


def test_one_connection_is_the_queue_m_m_1() -> None:
    """P(wait) = ρ, mean wait = ρ·s / (1 − ρ), P(wait > t) = ρ·exp(−(1 − ρ)·t / s)."""
    assert sizing.wait_probability(8, 0.1, 1) == pytest.approx(0.8)
    assert sizing.mean_wait(8, 0.1, 1) == pytest.approx(0.4)
    assert sizing.wait_percentile(8, 0.1, 1, 95) == pytest.approx(0.5 * math.log(0.8 / 0.05))


@given(SIZES, st.fractions("1/100", "99/100", max_denominator=100))
def test_agrees_with_exact_sums(connections: int, share: Fraction) -> None:
    load = share * connections
    assert sizing.erlang_c(connections, float(load)) == pytest.approx(
        float(exact_erlang_c(connections, load)), rel=1e-9
    )
    terms = [load**n / math.factorial(n) for n in range(connections + 1)]
    assert sizing.erlang_b(connections, float(load)) == pytest.approx(float(terms[-1] / sum(terms)), rel=1e-9)


@given(SIZES, SHARES, SHARES)
def test_more_load_means_more_waiting(connections: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    for function in (sizing.wait_probability, sizing.mean_wait, sizing.wait_percentile):
        less, more = (function(share * connections, 1, connections) for share in (low, high))
        assert less <= more * (1 + 1e-9) + 1e-12


@given(SIZES, SHARES)
def test_one_connection_more_means_less_waiting(connections: int, share: float) -> None:
    load = share * connections
    assert sizing.erlang_c(connections + 1, load) < sizing.erlang_c(connections, load) <= 1
    assert sizing.erlang_b(connections, load) < sizing.erlang_c(connections, load)
    assert sizing.mean_wait(load, 1, connections + 1) < sizing.mean_wait(load, 1, connections)


@given(RATES, TIMES, st.floats(0, 0.5), st.floats(50, 99.9))
def test_smallest_pool_is_enough_and_one_less_is_not(
    rate: float, service_time: float, target: float, percentile: float
) -> None:
    size = sizing.smallest_pool(rate, service_time, target, percentile)
    assert sizing.wait_percentile(rate, service_time, size, percentile) <= target
    if rate * service_time < size - 1:
        assert sizing.wait_percentile(rate, service_time, size - 1, percentile) > target


@given(RATES, TIMES, st.floats(0, 0.5), st.floats(0, 0.5), st.floats(50, 99), st.floats(50, 99))
def test_a_harder_target_never_needs_fewer(
    rate: float, service_time: float, one: float, other: float, low: float, high: float
) -> None:
    short, long = sorted((one, other))
    low, high = sorted((low, high))
    assert sizing.smallest_pool(rate, service_time, short, low) >= sizing.smallest_pool(rate, service_time, long, low)
    assert sizing.smallest_pool(rate, service_time, long, high) >= sizing.smallest_pool(rate, service_time, long, low)


@pytest.mark.parametrize("share", [0.1, 0.9, 0.99, 0.999, 1 - 1e-12])
def test_stable_at_ten_thousand_connections(share: float) -> None:
    """Beside sums of logarithms, which a factorial of 10,000 can't overflow."""
    connections = 10_000
    load = share * connections
    logs = np.array([n * math.log(load) - math.lgamma(n + 1) for n in range(connections + 1)])
    factor = math.log(connections / (connections - load))
    below = logs[:-1].max() + math.log(math.fsum(np.exp(logs[:-1] - logs[:-1].max()))) - logs[-1]
    exact = math.exp(factor - float(np.logaddexp(below, factor)))
    assert sizing.erlang_c(connections, load) == pytest.approx(exact, rel=1e-6)


def test_square_root_staffing() -> None:
    """Halfin and Whitt 1981 (https://doi.org/10.1287/opre.29.3.567): with a + √a connections few wait, at any size."""
    beta = 1.0
    normal = math.exp(-(beta**2) / 2) / math.sqrt(2 * math.pi)
    below = (1 + math.erf(beta / math.sqrt(2))) / 2
    limit = 1 / (1 + beta * below / normal)
    assert sizing.erlang_c(10_100, 10_000) == pytest.approx(limit, rel=0.01)
    assert sizing.smallest_pool(10_000, 1, 0, 100 * (1 - limit)) == pytest.approx(10_100, abs=2)


def test_utilisation_may_be_above_one() -> None:
    assert sizing.utilisation(100, 0.05, 10) == pytest.approx(0.5)
    assert sizing.utilisation(100, 0.2, 10) == pytest.approx(2)
    assert sizing.utilisation(0, 0.2, 10) == 0


@pytest.mark.parametrize("function", [sizing.wait_probability, sizing.mean_wait, sizing.wait_percentile])
@pytest.mark.parametrize("rate", [10, 11])
def test_overload_names_the_ways_out(function: Callable[[float, float, int], float], rate: float) -> None:
    with pytest.raises(ValueError, match=r"utilisation is 1.* Give more connections, hold each for less time"):
        function(rate, 1, 10)


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, -math.inf, True, "5", None, 0, 1j])
@pytest.mark.parametrize("name", ["arrival_rate", "service_time", "connections"])
def test_impossible_input_is_named(name: str, bad: object) -> None:
    arguments: dict[str, object] = {"arrival_rate": 5.0, "service_time": 0.1, "connections": 3} | {name: bad}
    for function in (sizing.wait_probability, sizing.mean_wait, sizing.wait_percentile):
        with pytest.raises(ValueError, match=rf"^{name} is .*give a"):
            function(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, True, "5", None, 2.5])
@pytest.mark.parametrize("name", ["max_connections", "reserved", "instances", "workers", "pool_size", "max_overflow"])
def test_impossible_budget_is_named(name: str, bad: object) -> None:
    arguments: dict[str, object] = {
        "max_connections": 100,
        "reserved": 3,
        "instances": 2,
        "workers": 2,
        "pool_size": 5,
        "max_overflow": 10,
    } | {name: bad}
    if (name, bad) == ("max_overflow", -1):
        bad = arguments[name] = -2
    with pytest.raises(ValueError, match=rf"^{name} is .*give a whole number"):
        sizing.check_budget(**arguments)  # type: ignore[arg-type]


def test_nothing_left_after_reserved() -> None:
    with pytest.raises(ValueError, match="nothing is left for the application"):
        sizing.connection_budget(10, 10, 1, 1)


@pytest.mark.parametrize(("percentile", "advice"), [(0.95, "write 95, not 0.95"), (100, "less than 100"), (-5, "95")])
def test_percentile_is_in_percent(percentile: float, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        sizing.smallest_pool(10, 0.1, 0.1, percentile)


def test_wrong_units_end_soon() -> None:
    with pytest.raises(ValueError, match="Check the units"):
        sizing.smallest_pool(100_000, 1000, 0.1)
    with pytest.raises(ValueError, match="at most 1000000"):
        sizing.erlang_b(10**9, 5)
    with pytest.raises(ValueError, match="Check the units"):
        sizing.mean_wait(1e300, 1e300, 5)
    for function in (sizing.littles_law, lambda rate, time: sizing.utilisation(rate, time, 5)):
        with pytest.raises(ValueError, match=r"is inf.*Check the units"):
            function(1e200, 1e200)
    with pytest.raises(ValueError, match="target_wait is -0"):
        sizing.smallest_pool(10, 0.1, -0.1)


@pytest.mark.parametrize("huge", [10**400, 10**5000, Fraction(10**400)], ids=["401 digits", "5001 digits", "fraction"])
def test_what_no_float_can_hold_is_refused(huge: float) -> None:
    with pytest.raises(ValueError, match="arrival_rate is too large"):
        sizing.littles_law(huge, 1)
    with pytest.raises(ValueError, match="connections is "):
        sizing.erlang_b(huge, 1)  # type: ignore[arg-type]


def test_decimals_hear_what_to_give() -> None:
    with pytest.raises(ValueError, match=r"target_wait is Decimal.*give an int or a float"):
        sizing.smallest_pool(10, 0.1, Decimal("0.1"))  # type: ignore[arg-type]


def test_the_exercises_right_numbers_are_those_of_the_formulas() -> None:
    """They stand in the checks as numbers, so that nothing in a notebook can change them."""
    for each in BUDGET_CASES:
        fitting = [
            size
            for size in range(1, each.max_connections)
            if sizing.check_budget(
                each.max_connections, each.reserved, each.instances, each.workers, size, each.max_overflow
            ).fits
        ]
        assert each.right == max(fitting, default=0)
    for case in WAIT_CASES:
        assert case.right == sizing.smallest_pool(case.arrival_rate, case.service_time, case.target_wait)


@pytest.mark.parametrize("percentile", [90, 93, 97, 99])
def test_another_percentile_gives_other_numbers(percentile: float) -> None:
    """An answer that takes it is caught, and the right one is at least 20 % away from the target on either side."""
    others = [
        sizing.smallest_pool(case.arrival_rate, case.service_time, case.target_wait, percentile) for case in WAIT_CASES
    ]
    assert others != [case.right for case in WAIT_CASES]
    for case in WAIT_CASES:
        assert sizing.wait_percentile(case.arrival_rate, case.service_time, case.right) < case.target_wait / 1.2
        if case.right - 1 > case.load:
            below = sizing.wait_percentile(case.arrival_rate, case.service_time, case.right - 1)
            assert below > 1.2 * case.target_wait


def test_numpy_numbers_are_numbers() -> None:
    assert sizing.mean_wait(np.float64(8), np.float32(0.5), np.int64(8)) == sizing.mean_wait(8, 0.5, 8)  # type: ignore[arg-type]
