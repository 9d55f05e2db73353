"""What users saw in a fire drill: counts, percentiles and the longest outage, per phase and altogether."""

import html
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib._drill_load import Answer, Phase
from course_lib._tables import html_table, text_table
from course_lib.pools._run_result import percentile
from course_lib.pools.charts import Chart

OVERALL = "altogether"
_HEADINGS = ("configuration", "phase", "sent", "served", "failed", "p50 ms", "p95 ms", "p99 ms", "outage s")


def longest_outage(answers: Sequence[Answer], end: float) -> float:
    """The longest time in which nobody who came was served, in seconds.

    It begins when a request that failed was due, and ends when the next one that was served was due.

    Args:
        answers: in the order in which they were due.
        end: until when an outage lasts that nothing ends, in seconds.
    """
    longest = 0.0
    since: float | None = None
    for answer in answers:
        if not answer.served and since is None:
            since = answer.planned.start
        elif answer.served and since is not None:
            longest, since = max(longest, answer.planned.start - since), None
    return longest if since is None else max(longest, end - since)


@dataclass(frozen=True)
class Seen:
    """What the users of one phase saw, or those of all phases.

    Args:
        phase: the phase's name, or "altogether".
        answers: one per request, in the order in which they were due.
        end: when the phase ended, in seconds.
    """

    phase: str
    answers: tuple[Answer, ...]
    end: float

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return len(self.answers)

    @property
    def served(self) -> int:
        """How many got what they asked for."""
        return sum(answer.served for answer in self.answers)

    @property
    def failed(self) -> int:
        """How many did not: an error, or no answer before the client gave up."""
        return self.sent - self.served

    @property
    def outage(self) -> float:
        """The longest time in which nobody was served, in seconds."""
        return longest_outage(self.answers, self.end)

    @property
    def reasons(self) -> dict[str, int]:
        """How often requests failed in which way, the most frequent first."""
        return dict(Counter(each.outcome for each in self.answers if not each.served).most_common())

    def within(self, fraction: float) -> float:
        """Within how many seconds this fraction of all users was served, counted from the planned start.

        One who failed was never served: infinity if too few were, NaN if nobody came. Percentiles of the served alone
        would be the better the more fail.
        """
        return percentile([each.seconds if each.served else math.inf for each in self.answers], fraction)

    def as_dict(self) -> dict[str, Any]:
        """All numbers, for JSON; None for a percentile that too few were served for."""
        times = {f"p{round(100 * each)}_ms": _number(1000 * self.within(each)) for each in (0.5, 0.95, 0.99)}
        counts = {"sent": self.sent, "served": self.served, "failed": self.failed}
        return counts | times | {"outage_s": round(self.outage, 3), "reasons": self.reasons}

    def cells(self) -> tuple[str, ...]:
        """The row of the table, without the configuration's name."""
        times = (_milliseconds(self.within(each)) for each in (0.5, 0.95, 0.99))
        return self.phase, str(self.sent), str(self.served), str(self.failed), *times, f"{self.outage:.2f}"


@dataclass(frozen=True)
class ConfigurationRun:
    """How one configuration fared.

    Args:
        name: its name.
        phases: the phases of the drill.
        answers: one per request, in the order in which they were due.
        behind: by how many seconds the latest request was sent late.
        held: connections that its pool still counted as in use when no client was left.
    """

    name: str
    phases: tuple[Phase, ...]
    answers: tuple[Answer, ...]
    behind: float
    held: int = 0

    @property
    def overall(self) -> Seen:
        """All phases together."""
        return Seen(OVERALL, self.answers, self.phases[-1].end)

    def in_phase(self, name: str) -> Seen:
        """What the users saw who came in this phase.

        Raises:
            KeyError: there is no such phase.
        """
        for phase in self.phases:
            if phase.name == name:
                answers = tuple(answer for answer in self.answers if answer.planned.phase == name)
                return Seen(name, answers, phase.end)
        raise KeyError(f"{name!r} is none of the phases {', '.join(phase.name for phase in self.phases)}.")

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Each phase, then all together."""
        return (*(self.in_phase(phase.name) for phase in self.phases), self.overall)


@dataclass(frozen=True, repr=False)
class DrillResult:
    """The outcome of a fire drill; shown as a table, with `chart()` as a picture.

    Args:
        runs: one per configuration, in the order in which they ran.
        conditions: a sentence or two about rate, time-outs and network.
    """

    runs: tuple[ConfigurationRun, ...]
    conditions: str

    def __getitem__(self, name: str) -> ConfigurationRun:
        """The run of a configuration; KeyError if there is none."""
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"{name!r} is none of the configurations {', '.join(run.name for run in self.runs)}.")

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells of the table."""
        return [
            (run.name if number == 0 else "", *seen.cells())
            for run in self.runs
            for number, seen in enumerate(run.seen)
        ]

    @property
    def finding(self) -> str:
        """What came out, in a sentence or two."""
        shares = [
            f"{run.name} failed {seen.failed} of {seen.sent} requests ({_percent(seen.failed, seen.sent)}), with a "
            f"longest outage of {seen.outage:.1f} s, and {run.held} connection{' was' if run.held == 1 else 's were'} "
            "still in use when nobody was left"
            for run in self.runs
            for seen in [run.overall]
        ]
        words = "; ".join(shares) + "."
        for run in self.runs[1:]:
            words += f" {_compared(self.runs[0], run)}"
        return words

    @property
    def notes(self) -> list[str]:
        """What is to be known when one reads the table."""
        notes = [
            self.conditions,
            "Times count from the moment when a request was due. A request that failed was never answered, so a "
            "percentile is `never` where too few were served.",
        ]
        for run in self.runs:
            reasons = ", ".join(f"{reason} ({times})" for reason, times in run.overall.reasons.items())
            notes.append(f"Why requests failed, {run.name}: {reasons or 'none did'}.")
        behind = max(run.behind for run in self.runs)
        notes.append(f"The load itself was late by at most {1000 * behind:.0f} ms; that is part of the times.")
        return notes

    def as_dict(self) -> dict[str, Any]:
        """All numbers by configuration and phase, for JSON."""
        return {
            run.name: {seen.phase: seen.as_dict() for seen in run.seen}
            | {"load_late_ms": _number(1000 * run.behind), "held": run.held}
            for run in self.runs
        }

    def chart(self) -> Chart:
        """One picture of all configurations above each other, with the finding as its text alternative."""
        from course_lib._drill_picture import draw

        shown = (
            "For each configuration: requests served and failed per second, and below them how long each answer took, "
            "over the phases " + ", ".join(phase.name for phase in self.runs[0].phases) + "."
        )
        return Chart("Fire drill: what users saw", f"{self.finding} {shown}", draw(self))

    def __repr__(self) -> str:
        return "\n".join([f"Fire drill: {self.finding}", text_table(_HEADINGS, self.rows), *self.notes])

    def _repr_html_(self) -> str:
        cells = [[html.escape(cell) for cell in row] for row in self.rows]
        after = "<br>".join(html.escape(note).replace("`never`", "<code>never</code>") for note in self.notes)
        return html_table(f"Fire drill: {self.finding}", _HEADINGS, cells, after)


def _compared(first: ConfigurationRun, other: ConfigurationRun) -> str:
    """Where the other one failed less often, more often, and as often as the first, phase by phase."""
    fewer: list[str] = []
    more: list[str] = []
    same: list[str] = []
    for phase in first.phases:
        before, after = first.in_phase(phase.name).failed, other.in_phase(phase.name).failed
        told = f"{phase.name} ({after} instead of {before})"
        (fewer if after < before else more if after > before else same).append(told if after != before else phase.name)
    parts = [
        f"failed {kind} in {', '.join(names)}"
        for kind, names in (("less often", fewer), ("more often", more), ("as often", same))
        if names
    ]
    return f"Against {first.name}, {other.name} {'; '.join(parts)}."


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _number(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _milliseconds(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    return "never" if math.isinf(seconds) else f"{1000 * seconds:,.1f}"
