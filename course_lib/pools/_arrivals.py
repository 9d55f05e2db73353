"""When requests come and how long they hold a connection: numbers, lists, or functions that draw."""

import math
import random
from collections.abc import Callable, Sequence

from course_lib.pools._recording import PoolError

Draw = Callable[[random.Random], float]
Duration = float | Sequence[float] | Draw


def exponential(mean: float) -> Draw:
    """Durations of an exponential distribution, for `hold`.

    Args:
        mean: their mean in seconds, positive.
    """
    if not (mean > 0 and math.isfinite(mean)):
        raise PoolError(f"The mean of exponential durations is a positive number of seconds, and {mean!r} is not.")
    return lambda rng: rng.expovariate(1 / mean)


def poisson(rate: float) -> Draw:
    """Arrivals of a Poisson process, for `arrival`: independent of each other, as many users are.

    Args:
        rate: arrivals per second on average, positive.
    """
    if not (rate > 0 and math.isfinite(rate)):
        raise PoolError(f"An arrival rate is a positive number of requests per second, and {rate!r} is not.")
    return lambda rng: rng.expovariate(rate)


def draw_durations(duration: Duration) -> Draw:
    """The function that draws how long a request holds its connection, in seconds.

    Raises:
        PoolError: the duration is negative, not finite, or an empty list.
    """
    if callable(duration):
        return duration
    if isinstance(duration, int | float):
        value = float(duration)
        if not (value >= 0 and math.isfinite(value)):
            raise PoolError(f"`hold` is a number of seconds, 0 or more, and {duration!r} is not.")
        return lambda rng: value
    values = tuple(duration)
    if not values:
        raise PoolError("`hold` is an empty list. Give the seconds to draw from.")
    return lambda rng: rng.choice(values)


def draw_gaps(arrival: float | Draw) -> Draw:
    """The function that draws the seconds from one arrival to the next.

    Raises:
        PoolError: the rate is not positive and finite.
    """
    if callable(arrival):
        return arrival
    if not (arrival > 0 and math.isfinite(arrival)):
        raise PoolError(f"`arrival` is a positive number of requests per second, and {arrival!r} is not.")
    return lambda rng: 1 / arrival
