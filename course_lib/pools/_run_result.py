"""What a run of requests gave: one outcome per request, and the few numbers that matter."""

import html
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from course_lib._tables import html_table, text_table
from course_lib.pools._recording import Recording

Status = Literal["ok", "timed out", "failed"]


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that at least this fraction of the values does not exceed (nearest rank).

    Args:
        values: numbers in any order.
        fraction: between 0 (exclusive) and 1.
    Returns:
        One of the values; NaN where there is none.
    Raises:
        ValueError: the fraction is outside of its range.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"A percentile's fraction is above 0 and at most 1, and {fraction!r} is not.")
    if not values:
        return math.nan
    return sorted(values)[math.ceil(fraction * len(values)) - 1]


def readable(value: float, digits: int = 2) -> str:
    """A finite number as people write it: "1,250", "12", "0.4".

    Args:
        value: the number.
        digits: how many of its digits count, and how many come after the point at most, unless it is smaller than
            that. Those before the point are never rounded away.
    """
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    if abs(value) >= 10**-digits:
        places = min(places, digits)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


@dataclass(frozen=True)
class RequestOutcome:
    """How one request fared; times in seconds.

    Args:
        name: the request's name, which is its task's name too.
        begin: when it came, counted from the begin of the run.
        wait: how long it waited for connections altogether.
        hold: how long it held connections altogether; 0 when it got none.
        status: "ok", "timed out" (the pool's own time limit) or "failed".
        error: the class of the error, if there was one.
        message: the first line of the error, shortened.
        value: what its work returned.
        end: when its work returned or raised, counted from the begin of the run.
    """

    name: str
    begin: float
    wait: float
    hold: float
    status: Status
    error: str | None = None
    message: str | None = None
    value: Any = None
    end: float | None = None


@dataclass(frozen=True, repr=False)
class RunResult:
    """The outcomes of a run; shown as a small table.

    Args:
        title: what ran.
        outcomes: each request's outcome, in the order of ending.
        seconds: from the begin of the run to its end.
        recording: what happened to the connections meanwhile, for `timeline_chart`.
    """

    title: str
    outcomes: tuple[RequestOutcome, ...]
    seconds: float
    recording: Recording = field(compare=False)

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def served(self) -> int:
        """How many requests got their result."""
        return self._count("ok")

    @property
    def timed_out(self) -> int:
        """How many requests gave up because the pool had no connection for them in time."""
        return self._count("timed out")

    @property
    def failed(self) -> int:
        """How many requests failed in another way."""
        return self._count("failed")

    @property
    def errors(self) -> dict[str, int]:
        """How often each class of error occurred, the most frequent first."""
        return dict(Counter(each.error for each in self.outcomes if each.error is not None).most_common())

    @property
    def throughput(self) -> float:
        """Served requests per second."""
        return self.served / self.seconds if self.seconds > 0 else math.nan

    @property
    def waits(self) -> list[float]:
        """Each request's wait in seconds, also of those that gave up: leaving them out would flatter the pool."""
        return [each.wait for each in self.outcomes]

    @property
    def holds(self) -> list[float]:
        """How long each served request held connections, in seconds."""
        return [each.hold for each in self.outcomes if each.status == "ok"]

    def wait(self, fraction: float) -> float:
        """The wait in seconds that at least this fraction of all requests did not exceed, e.g. ``wait(0.95)``."""
        return percentile(self.waits, fraction)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What the table shows: label and value."""
        rows = [
            ("requests", str(len(self.outcomes))),
            ("served", str(self.served)),
            ("timed out", str(self.timed_out)),
            ("failed", str(self.failed)),
            ("seconds", f"{self.seconds:.2f}"),
            ("served per second", f"{self.throughput:.1f}"),
        ]
        rows += [(f"p{round(100 * each)} wait", _milliseconds(self.wait(each))) for each in (0.5, 0.95, 0.99)]
        for error, times in self.errors.items():
            message = next((each.message for each in self.outcomes if each.error == error and each.message), "")
            rows.append((f"{error} ({times})", message))
        return rows

    def __repr__(self) -> str:
        return f"{self.title}\n{text_table(('', ''), self.rows).lstrip()}"

    def _repr_html_(self) -> str:
        cells = [(html.escape(label), html.escape(value)) for label, value in self.rows]
        return html_table(self.title, ("measure", "value"), cells)

    def _count(self, status: Status) -> int:
        return sum(1 for each in self.outcomes if each.status == status)


def _milliseconds(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{1000 * seconds:,.1f} ms"
