"""Small tables for a notebook and a terminal: as text and as HTML that takes its colours from the page around it."""

import html
import re
from collections.abc import Sequence

_CELL = "text-align: left; vertical-align: top; padding: 0.2em 0.8em; line-height: 1.5"
_LINE = "border-bottom: 1px solid var(--jp-border-color2, #8a8a8a)"


def marked_up(text: str) -> str:
    """*text* escaped for HTML, with `code` in backticks set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in plain text, each column as wide as its longest cell.

    Args:
        headings: the columns' names.
        rows: the cells; as many in each row as there are headings.
    """
    lines = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def html_table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]], after: str = "") -> str:
    """Return a table in HTML.

    Args:
        caption: what the table shows, in plain text.
        headings: the columns' names, in plain text.
        rows: the cells, as HTML that is escaped already.
        after: a paragraph below the table, as HTML that is escaped already.
    """
    head = "".join(  # a column without a name has no heading, for those who listen too
        f"<th scope='col' style='{_CELL}; {_LINE}'>{html.escape(name)}</th>" if name else f"<td style='{_LINE}'></td>"
        for name in headings
    )
    body = "".join("<tr>" + "".join(f"<td style='{_CELL}'>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f"<table><caption style='text-align: left; font-weight: bold'>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" + (f"<p>{after}</p>" if after else "")
    )
