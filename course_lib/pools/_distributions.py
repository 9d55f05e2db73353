"""How long things take and how far apart they come: the distributions that a simulation draws from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from course_lib.pools._numbers import number

Array = NDArray[np.float64]


class Distribution(Protocol):
    """Independent times in seconds, none negative."""

    @property
    def mean(self) -> float:
        """The mean in seconds."""

    @property
    def variation(self) -> float:
        """The coefficient of variation: standard deviation divided by mean; 0 for a constant, 1 for exponential."""

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return a new array of ``shape`` with independent times in seconds."""


@dataclass(frozen=True)
class Exponential:
    """Times without memory: as intervals they make Poisson arrivals.

    Args:
        mean: seconds, greater than 0. For a rate in requests per second give ``1 / rate``.
    """

    mean: float

    def __post_init__(self) -> None:
        number("mean", self.mean, above=True)

    @property
    def variation(self) -> float:
        """Always 1."""
        return 1.0

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return a new array of ``shape`` with times in seconds."""
        times = random.standard_exponential(shape)
        times *= self.mean
        return times


@dataclass(frozen=True)
class Deterministic:
    """The same time always.

    Args:
        mean: seconds, at least 0.
    """

    mean: float

    def __post_init__(self) -> None:
        number("mean", self.mean)

    @property
    def variation(self) -> float:
        """Always 0."""
        return 0.0

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return a new array of ``shape``, each element the mean."""
        return np.full(shape, float(self.mean))


@dataclass(frozen=True)
class LogNormal:
    """Mostly short with a long tail, as query times tend to be.

    With v the variation, the logarithm has variance ln(1 + v²) and mean ln(mean) − ln(1 + v²) / 2
    (https://en.wikipedia.org/wiki/Log-normal_distribution).

    Args:
        mean: seconds, greater than 0.
        variation: standard deviation divided by mean, greater than 0.
    """

    mean: float
    variation: float

    def __post_init__(self) -> None:
        number("mean", self.mean, above=True)
        number("variation", self.variation, above=True, advice="For a constant time use Deterministic.")

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return a new array of ``shape`` with times in seconds."""
        variance = math.log1p(self.variation**2)
        times = random.standard_normal(shape)
        times *= math.sqrt(variance)
        times += math.log(self.mean) - variance / 2
        np.exp(times, out=times)
        return times


class Recorded:
    """Times measured in a real run, drawn again with replacement.

    Draws are independent: what the run had of order (bursts, slow phases) is lost.

    Args:
        samples: seconds, at least one, none negative.

    Raises:
        ValueError: there is no sample, or one is negative, NaN, infinite or no number.
    """

    def __init__(self, samples: Sequence[float] | Array) -> None:
        try:
            values = np.array(samples)
        except ValueError:
            values = np.array([], dtype=object)
        if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iuf":
            raise ValueError("samples have to be one flat sequence of numbers in seconds, with at least one in it.")
        self._samples = values.astype(np.float64)
        wrong = ~(np.isfinite(self._samples) & (self._samples >= 0))
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(
                f"samples[{first}] is {self._samples[first]:g}; a time is finite and not negative. "
                f"Leave out the {int(wrong.sum())} of {values.size} that are neither."
            )

    @property
    def mean(self) -> float:
        """The mean of the samples in seconds."""
        return float(self._samples.mean())

    @property
    def variation(self) -> float:
        """Standard deviation of the samples divided by their mean."""
        return float(self._samples.std() / self.mean) if self.mean else 0.0

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return a new array of ``shape`` with samples in seconds."""
        return self._samples[random.integers(0, self._samples.size, shape)]

    def __repr__(self) -> str:
        return f"Recorded({self._samples.size} samples, mean={self.mean:.6g})"


def distribution(name: str, value: object) -> Distribution:
    """Return ``value`` if it's a distribution; a bare number is the common slip, so the error names the way out.

    Raises:
        ValueError: it isn't one.
    """
    if not all(hasattr(value, attribute) for attribute in ("mean", "variation", "draw")):
        raise ValueError(
            f"{name} is {value!r}; give a distribution in seconds, "
            "e.g. Exponential(0.02), Deterministic(0.02), LogNormal(0.02, 1.5) or Recorded(samples)."
        )
    return value  # type: ignore[return-value]  # just looked at
