"""What a simulation found: counts, and waits in a histogram whose size doesn't grow with the number of requests."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from course_lib.pools._distributions import Array
from course_lib.pools._numbers import number

Counts = NDArray[np.int64]

# A bin is all floats that share sign, exponent and the first 9 bits of the fraction: 512 bins between a power of two
# and the next. HdrHistogram (https://hdrhistogram.org) divides its range in the same way.
_FRACTION_BITS = 9
_SHIFT = 52 - _FRACTION_BITS
_LOWEST = (1023 - 40) << _FRACTION_BITS  # the bin of 2⁻⁴⁰ s; what is shorter than this picosecond counts as no wait
_HIGHEST = (1023 + 40) << _FRACTION_BITS
_BINS = _HIGHEST - _LOWEST + 2


class WaitHistogram:
    """Waits in seconds, counted in bins that are 0.2 % wide.

    Args:
        timeout: seconds after which requests give up. Many waits are just that long, so no percentile that falls into
            the same bin is longer.
    """

    def __init__(self, timeout: float = math.inf) -> None:
        self._timeout = timeout
        self._counts: Counts = np.zeros(_BINS, np.int64)
        self.longest = 0.0
        self.total = 0

    def add(self, waits: Array) -> None:
        """Count ``waits``: a contiguous array of seconds, none negative."""
        if waits.size == 0:
            return
        bins = waits.reshape(-1).view(np.int64) >> _SHIFT
        bins -= _LOWEST - 1
        np.clip(bins, 0, _BINS - 1, out=bins)
        self._counts += np.bincount(bins, minlength=_BINS)
        self.longest = max(self.longest, float(waits.max()))
        self.total += waits.size

    @property
    def waiting(self) -> int:
        """How many waited at all."""
        return self.total - int(self._counts[0])

    def percentile(self, percentile: float) -> float:
        """Return the wait that ``percentile`` percent don't exceed, right to 0.2 %; NaN when nothing was counted."""
        if self.total == 0:
            return math.nan
        rank = percentile / 100 * self.total
        reached = np.cumsum(self._counts)
        position = int(np.searchsorted(reached, rank))
        if position == 0:
            return 0.0
        position = min(position, _BINS - 1)
        before = float(reached[position - 1])
        share = (rank - before) / float(self._counts[position])
        low, high = (np.array([_LOWEST + position - 1, _LOWEST + position], np.int64) << _SHIFT).view(np.float64)
        value = min(self.longest, float(low + share * (high - low)))
        return self._timeout if low <= self._timeout < value else value


@dataclass(frozen=True)
class SimulationResult:
    """What happened to the requests that were counted. ``served + timed_out + refused == arrived``.

    Attributes:
        arrived: requests that asked for a connection.
        served: requests that got one.
        timed_out: requests that gave up after ``pool_timeout`` seconds in the queue.
        refused: requests whose new connection the server refused ("too many clients").
        opened: connections that were opened.
        utilisation: connection time leased (connecting included), as a share of all connections for all the time.
        peak_connections: the most connections open at once: in one pool (those that were opened in the warm-up and
            are still open count), or on the server for a fleet.
        mean_wait: mean seconds from asking for a connection to holding it (connecting included) or giving up, over
            served and timed-out requests; NaN when there were none. A refused request has no wait.
        mean_wait_error: its standard error, from the spread between replications; NaN for fewer than two.
        longest_wait: the longest of these waits, in seconds.
        share_waiting: the share of these requests that waited at all.
        replications: independent runs that the counts come from; the processes of a fleet.
    """

    arrived: int
    served: int
    timed_out: int
    refused: int
    opened: int
    utilisation: float
    peak_connections: int
    mean_wait: float
    mean_wait_error: float
    longest_wait: float
    share_waiting: float
    replications: int
    _waits: WaitHistogram = field(repr=False, compare=False)

    def percentile(self, percentile: float) -> float:
        """Return the wait in seconds that ``percentile`` percent of served and timed-out requests don't exceed.

        Comes from a histogram and is right to 0.2 % of the value; NaN when no request was served or timed out.

        Args:
            percentile: in percent, from 1 to 100.

        Raises:
            ValueError: ``percentile`` is out of range.
        """
        value = number("percentile", percentile, minimum=1, advice="It is in percent: write 95, not 0.95.")
        if value > 100:
            raise ValueError(f"percentile is {value:g}; give at most 100.")
        return self._waits.percentile(value)


@dataclass(frozen=True)
class FleetResult(SimulationResult):
    """What happened to a fleet's requests, and when.

    Attributes:
        times: the end of each interval, in seconds from the beginning.
        open_connections: the most connections open on the server in each interval.
        refusals: requests refused in each interval.
        timeouts: requests in each interval that came and later timed out.
    """

    times: Array = field(repr=False, compare=False)
    open_connections: Counts = field(repr=False, compare=False)
    refusals: Counts = field(repr=False, compare=False)
    timeouts: Counts = field(repr=False, compare=False)


def mean_and_error(sums: Array, counts: Counts) -> tuple[float, float]:
    """Return the mean over all replications and its standard error.

    Args:
        sums: seconds waited in each replication.
        counts: waits in each replication.
    """
    total = int(counts.sum())
    if total == 0:
        return math.nan, math.nan
    mean = float(sums.sum()) / total
    if sums.size < 2:
        return mean, math.nan
    # A ratio of two sums: its error follows from what each replication adds beyond its share.
    residuals = sums - mean * counts
    return mean, math.sqrt(float(residuals @ residuals) * sums.size / (sums.size - 1)) / total
