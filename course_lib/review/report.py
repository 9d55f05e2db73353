"""The report of a review: as an object, as text, as Markdown, as JSON, and in a notebook."""

import html
import json
from dataclasses import dataclass
from typing import Any

from course_lib._tables import html_table, marked_up
from course_lib.review.rules import Finding

_ORDER = {"high": 0, "medium": 1, "low": 2}
_HEADINGS = ("Rule", "Severity", "Observed")
_WORDS = {"gap": "gap", "cannot_tell": "can't tell"}


@dataclass(frozen=True)
class Report:
    """What a review found.

    Args:
        file: the file, as it was named.
        ran: whether it could be run.
        reason: why it could not; empty if it ran.
        findings: one per rule, in the order of `RULES`; none if it did not run.
        budget: how many connections a process may open.
        notes: what a reader should know besides.
    """

    file: str
    ran: bool
    reason: str
    findings: tuple[Finding, ...]
    budget: int
    notes: tuple[str, ...] = ()

    @property
    def gaps(self) -> tuple[Finding, ...]:
        """The gaps, the most severe first."""
        return self._with("gap")

    @property
    def cannot_tell(self) -> tuple[Finding, ...]:
        """What applies, but could not be observed."""
        return self._with("cannot_tell")

    @property
    def exit_code(self) -> int:
        """0 without a gap, 1 with one, 2 when the file could not be run."""
        return 2 if not self.ran else int(bool(self.gaps))

    @property
    def summary(self) -> str:
        """One sentence."""
        if not self.ran:
            return f"{self.file} could not be reviewed. {self.reason}"
        count = len(self.gaps)
        found = {0: "no gap", 1: "1 gap"}.get(count, f"{count} gaps")
        passed = sum(one.outcome == "ok" for one in self.findings)
        text = f"{self.file}: {found}, {passed} rules kept"
        return f"{text}, {len(self.cannot_tell)} can't be told." if self.cannot_tell else f"{text}."

    def __getitem__(self, identifier: str) -> Finding:
        """The finding of a rule; KeyError if there is none."""
        for one in self.findings:
            if one.rule.id == identifier:
                return one
        raise KeyError(identifier)

    def _with(self, outcome: str) -> tuple[Finding, ...]:
        found = [one for one in self.findings if one.outcome == outcome]
        return tuple(sorted(found, key=lambda one: _ORDER[one.rule.severity]))

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "file": self.file,
            "ran": self.ran,
            "reason": self.reason,
            "budget": self.budget,
            "gaps": len(self.gaps),
            "findings": [_entry(one) for one in (*self.gaps, *self.cannot_tell)],
            "passed": [one.rule.id for one in self.findings if one.outcome == "ok"],
            "not_applicable": [one.rule.id for one in self.findings if one.outcome == "not_applicable"],
            "notes": list(self.notes),
        }

    def as_json(self) -> str:
        """The same as text."""
        return json.dumps(self.as_dict(), indent=2)

    def as_text(self, width: int = 80) -> str:
        """Plain text without colours."""
        import io

        from rich.console import Console

        console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, emoji=False)
        self.print(console)
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"

    def print(self, console: Any) -> None:
        """Print to a rich console; the colours are the terminal's."""
        from rich.padding import Padding
        from rich.text import Text

        colours = {"high": "red", "medium": "yellow", "low": "cyan"}
        for one in (*self.gaps, *self.cannot_tell):
            colour = colours[one.rule.severity] if one.outcome == "gap" else "dim"
            label = f"{one.rule.severity} gap" if one.outcome == "gap" else _WORDS[one.outcome]
            console.print(Text.assemble((f"{label}  ", colour), (one.rule.id, "bold"), f"  {one.rule.title}"))
            parts = [("Observed", one.observed)]
            if one.outcome == "gap":
                parts += [("Why", one.rule.why), ("Mend", one.rule.mend)]
            for name, text in [*parts, ("Lesson", one.rule.lesson)]:
                console.print(Padding(Text.assemble((f"{name}: ", "italic"), text), (0, 0, 0, 4), expand=False))
            console.print()
        passed = [one.rule.id for one in self.findings if one.outcome == "ok"]
        absent = [one.rule.id for one in self.findings if one.outcome == "not_applicable"]
        for name, ids in (("Kept", passed), ("Not applicable", absent)):
            if ids:
                console.print(Text(f"{name}: {', '.join(ids)}"))
        for note in self.notes:
            console.print(Text(f"Note: {note}"))
        console.print(Text(self.summary, "bold"))

    def as_markdown(self) -> str:
        """A table and details, for a comment on a pull request."""
        lines = ["## Review of the database configuration", "", _md(self.summary), ""]
        shown = (*self.gaps, *self.cannot_tell)
        if shown:
            lines += ["| Rule | Severity | Outcome | Lesson |", "| --- | --- | --- | --- |"]
            lines += [
                f"| `{one.rule.id}` {_md(one.rule.title)} | {one.rule.severity} | {_WORDS[one.outcome]} "
                f"| {one.rule.lesson} |"
                for one in shown
            ]
        for one in shown:
            lines += ["", f"<details><summary><code>{one.rule.id}</code>: {html.escape(one.rule.title)}</summary>", ""]
            lines += [f"**Observed.** {_md(one.observed)}", ""]
            if one.outcome == "gap":
                lines += [f"**Why.** {one.rule.why}", "", f"**Mend.** {one.rule.mend}", ""]
            lines.append("</details>")
        passed = [f"`{one.rule.id}`" for one in self.findings if one.outcome == "ok"]
        if passed:
            lines += ["", f"Kept: {', '.join(passed)}."]
        if self.ran:
            lines += ["", f"Budget: {self.budget} connections per process."]
        lines += [f"\n{_md(note)}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def _cells(self) -> list[tuple[str, str, str, str]]:
        """The table that a notebook shows: rule, severity, what was observed, and how to mend it."""
        return [
            (
                one.rule.id,
                one.rule.severity if one.outcome == "gap" else _WORDS[one.outcome],
                one.observed,
                f"{one.rule.mend} Lesson {one.rule.lesson[:2]}.",
            )
            for one in (*self.gaps, *self.cannot_tell)
        ]

    def _repr_html_(self) -> str:
        rows = [
            (
                f"<code style='white-space: nowrap'>{name}</code>",
                severity,
                f"{marked_up(observed)}<br><b>Mend:</b> {marked_up(mend)}",
            )
            for name, severity, observed, mend in self._cells()
        ]
        if not rows:
            return f"<p><b>{html.escape(self.summary)}</b></p>"
        return html_table(self.summary, _HEADINGS, rows)

    def __repr__(self) -> str:
        lines = [self.summary]
        for name, severity, observed, mend in self._cells():
            told = (f"{_HEADINGS[0]}: {name}", f"{_HEADINGS[1]}: {severity}", f"{_HEADINGS[2]}: {observed}")
            lines += ["; ".join(told), f"  Mend: {mend}"]
        return "\n".join(lines)


def _entry(one: Finding) -> dict[str, str]:
    return {
        "rule": one.rule.id,
        "outcome": one.outcome,
        "severity": one.rule.severity,
        "observed": one.observed,
        "why": one.rule.why,
        "mend": one.rule.mend,
        "lesson": one.rule.lesson,
    }


def _md(text: str) -> str:
    """Text of unknown origin in Markdown: no HTML, no table cell that ends early, no headline."""
    for character in "<>":
        text = text.replace(character, html.escape(character))
    for character in "|*_`[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
