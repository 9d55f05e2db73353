"""A recording turned into what a timeline shows, and into the sentences that say the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from course_lib.pools._recording import ConnectionLife, Recording
from course_lib.pools._run_result import percentile, readable

Level = tuple[float, int]


@dataclass(frozen=True)
class Bar:
    """A piece of a request's row: "waiting", "holding" or "timed out" (a wait that ended so); times in seconds.

    Args:
        kind: which of these.
        begin: when it began; 0 if that was earlier.
        end: when it ended.
        open: it had not ended, and `end` is the end of the timeline.
    """

    kind: str
    begin: float
    end: float
    open: bool = False


@dataclass(frozen=True)
class Row:
    """One request.

    Args:
        name: its name.
        bars: its waits and leases, in the order of their begins.
        end: how it ended: "ok", "timed out" or "failed".
        failed_at: when it timed out or failed, in seconds; None: it did not.
    """

    name: str
    bars: tuple[Bar, ...]
    end: str
    failed_at: float | None = None


@dataclass(frozen=True)
class Timeline:
    """What a timeline shows.

    Args:
        seconds: how long it is.
        rows: the requests in the order of coming.
        in_use: how many connections are in use, as moments and the number from then on.
        waiting: how many requests wait, likewise.
        size: connections that the pool keeps; None: not known.
        limit: the most that it opens; None: unlimited or not known.
        connections: the lives below.
    """

    seconds: float
    rows: tuple[Row, ...]
    in_use: tuple[Level, ...]
    waiting: tuple[Level, ...]
    size: int | None
    limit: int | None
    connections: tuple[ConnectionLife, ...]

    @property
    def most_in_use(self) -> int:
        """The most connections in use at one moment."""
        return max(level for _, level in self.in_use)

    def share_of_time_at(self, number: int) -> float:
        """The share of the time in which at least this number of connections was in use."""
        ends = [*(moment for moment, _ in self.in_use[1:]), self.seconds]
        busy = sum(end - begin for (begin, level), end in zip(self.in_use, ends, strict=True) if level >= number)
        return busy / self.seconds if self.seconds > 0 else 0.0

    def findings(self) -> str:
        """What can be seen, in words."""
        ends = [row.end for row in self.rows]
        parts = []
        if self.rows:
            served = ends.count("ok")
            told = [f"{served:,} {'was' if served == 1 else 'were'} served", f"{ends.count('timed out'):,} timed out"]
            told += [f"{ends.count('failed'):,} failed"] if "failed" in ends else []
            requests = f"{len(self.rows):,} request{'' if len(self.rows) == 1 else 's'}"
            parts.append(f"{requests} in {readable(self.seconds)} s: {_listed(told)}.")
            waits = [sum(bar.end - bar.begin for bar in row.bars if bar.kind != "holding") for row in self.rows]
            half, longest = percentile(waits, 0.5), max(waits)
            parts.append(f"Half of them waited at most {_ms(half)}, the longest wait was {_ms(longest)}.")
        bound = self.limit or self.size
        most = self.most_in_use
        used = f"At most {most} connection{' was' if most == 1 else 's were'} in use at once"
        if bound:
            of = "limit" if self.limit else "size"
            share = f"{100 * self.share_of_time_at(bound):.0f} % of the time"
            used += f"; the pool was at its {of} of {bound} for {share}"
        parts.append(f"{used}.")
        held = [
            (bar.end - bar.begin, row.name, bar.open) for row in self.rows for bar in row.bars if bar.kind == "holding"
        ]
        if held:
            seconds, name, is_open = max(held)
            parts.append(f"The longest lease, of {name}, took {_ms(seconds)}{' and had not ended' if is_open else ''}.")
        kept = sum(is_open for _, _, is_open in held)
        if kept:
            parts.append(f"At the end {kept:,} connection{' was' if kept == 1 else 's were'} not given back.")
        return " ".join(parts)


def to_timeline(recording: Recording, failed: Mapping[str, float | None] | None = None) -> Timeline:
    """Sort a recording into rows and levels.

    Args:
        recording: what a recorder saw.
        failed: the names of requests that failed, and when, in seconds: no pool event tells of an error that was
            raised with a connection in hand.
    """
    seconds = recording.seconds
    bars: dict[str, list[Bar]] = {}
    ends: dict[str, tuple[str, float | None]] = {name: ("failed", at) for name, at in (failed or {}).items()}
    for wait in recording.waits:
        kind = "timed out" if wait.outcome == "timed out" else "waiting"
        bars.setdefault(wait.who, []).append(_bar(kind, wait.begin, wait.end, seconds))
        if wait.outcome in ("timed out", "failed"):
            ends[wait.who] = wait.outcome, wait.end
    for lease in recording.leases:
        bars.setdefault(lease.who or "?", []).append(_bar("holding", lease.begin, lease.end, seconds))
    rows = []
    for name, each in bars.items():
        end, at = ends.get(name, ("ok", None))
        if end != "ok" and at is None:
            at = max(bar.end for bar in each)
        rows.append(Row(name, tuple(sorted(each, key=lambda bar: bar.begin)), end, at))
    rows.sort(key=lambda row: row.bars[0].begin)
    return Timeline(
        seconds=seconds,
        rows=tuple(rows),
        in_use=_levels((lease.begin, lease.end) for lease in recording.leases),
        waiting=_levels((wait.begin, wait.end) for wait in recording.waits),
        size=recording.size,
        limit=recording.limit,
        connections=recording.connections,
    )


def _bar(kind: str, begin: float, end: float | None, seconds: float) -> Bar:
    return Bar(kind, max(0.0, begin), seconds if end is None else end, end is None)


def _ms(seconds: float) -> str:
    return f"{readable(1000 * seconds)} ms"


def _levels(spans: Iterable[tuple[float, float | None]]) -> tuple[Level, ...]:
    """How many spans are open, from each moment on at which that changes."""
    steps: dict[float, int] = {0.0: 0}
    for begin, end in spans:
        steps[max(0.0, begin)] = steps.get(max(0.0, begin), 0) + 1
        if end is not None:
            steps[end] = steps.get(end, 0) - 1
    level = 0
    levels = []
    for moment in sorted(steps):
        level += steps[moment]
        levels.append((moment, level))
    return tuple(levels)


def _listed(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
