"""What a learner reads: one panel, as plain text and as HTML.

Every value is escaped, passwords in URLs are masked, and nothing in a panel changes from run to run. The text takes
its colour from the page around it, so that its contrast is the theme's own; only the bar at the side is coloured,
and it says nothing that the heading does not say in words.
"""

import html
import re
from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "wrong", "fault", "plain"]

_BARS: dict[Tone, str] = {
    "good": "var(--jp-success-color1, #2e8540)",
    "wrong": "var(--jp-warn-color1, #b8690f)",
    "fault": "var(--jp-error-color1, #d13438)",
    "plain": "var(--jp-info-color1, #1a7fb8)",
}
_SIGNS: dict[Tone, str] = {"good": "✔", "wrong": "✎", "fault": "✖", "plain": "ℹ"}
_BOX = "background: var(--jp-layout-color2, transparent); border: 1px solid var(--jp-border-color2, #8a8a8a);"
_CODE = f"{_BOX} padding: 0.5em 0.75em; margin: 0.4em 0; overflow-x: auto; white-space: pre-wrap;"
# Up to the last "@" of the URL: user names and passwords may hold one. A brace begins a placeholder in source code.
_PASSWORD_IN_URL = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.\-]*://[^\s:/]*:)(?!\{)[^\s]+(?=@)")
_PASSWORD_IN_QUERY = re.compile(r"([?&][^=&\s]*pass[^=&\s]*=)[^&\s'\"]+", re.IGNORECASE)
# What differs from run to run, and what stands for it.
_VARYING = (
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:…"),
    (re.compile(r"\bcheck_[0-9a-f]{12}\b"), "check_…"),
    (re.compile(r" at 0x[0-9a-fA-F]+"), ""),
    (re.compile(r" \(_ssl\.c:\d+\)"), ""),
)
_MOST_CHARACTERS = 600


def masked(text: str) -> str:
    """*text* with each password inside a URL replaced by ``***``: before the last ``@``, and in the query."""
    return _PASSWORD_IN_QUERY.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1***", text))


def steady(text: str) -> str:
    """*text* without what differs from run to run: ports on this machine, memory addresses, names of databases."""
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text


@dataclass(frozen=True)
class Panel:
    """A verdict, a hint or a solution, ready to be shown.

    Args:
        heading: the first words; a screen reader reads them first.
        text: what to know; paragraphs separated by an empty line, `code` in backticks.
        tone: which colour and sign stand beside the heading.
        rows: label and value of what is compared, shown as a table.
        code: source code or a traceback, shown as it is.
        after: the next step, shown last.
        reveal: show passwords in ``rows``; for values that the check made up.
    """

    heading: str
    text: str
    tone: Tone = "plain"
    rows: tuple[tuple[str, str], ...] = ()
    code: str = ""
    after: str = ""
    reveal: bool = False

    def __repr__(self) -> str:
        width = max((len(label) for label, _ in self.rows), default=0)
        parts = [
            f"{_SIGNS[self.tone]} {self.heading}",
            _clean(self.text),
            "\n".join(f"  {label:<{width}}  {self._value(value)}" for label, value in self.rows),
            _clean(self.code),
            _clean(self.after),
        ]
        return "\n".join(part for part in parts if part)

    def _repr_html_(self) -> str:
        parts = [f"<p style='margin: 0'><strong>{_SIGNS[self.tone]} {html.escape(self.heading)}</strong></p>"]
        parts += [_paragraph(each) for each in _clean(self.text).split("\n\n") if each]
        if self.rows:
            cells = "".join(
                f"<tr><th scope='row' style='text-align: left; vertical-align: top'>{html.escape(label)}</th>"
                f"<td style='text-align: left'><code>{html.escape(self._value(value))}</code></td></tr>"
                for label, value in self.rows
            )
            parts.append(f"<table style='margin: 0.4em 0'><tbody>{cells}</tbody></table>")
        if self.code:
            parts.append(f"<pre tabindex='0' style='{_CODE}'>{html.escape(_clean(self.code))}</pre>")
        if self.after:
            parts.append(_paragraph(_clean(self.after)))
        style = f"border-left: 4px solid {_BARS[self.tone]}; padding: 0.3em 0 0.3em 0.9em; max-width: 60em"
        return f'<div role="status" style="{style}">{"".join(parts)}</div>'

    def _value(self, value: str) -> str:
        if len(value) > _MOST_CHARACTERS:
            value = f"{value[:_MOST_CHARACTERS]}… ({len(value):,} characters)"
        return steady(value) if self.reveal else _clean(value)


def _clean(text: str) -> str:
    return steady(masked(text))


def _paragraph(text: str) -> str:
    escaped = html.escape(text)
    with_code = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return f"<p style='margin: 0.4em 0'>{with_code}</p>"
