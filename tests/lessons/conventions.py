"""What every lesson has to hold, written down once: authors follow these names, and the guards read them."""

import re
from pathlib import Path

#: The project's folder.
PROJECT = Path(__file__).resolve().parents[2]
#: Fewer lessons than this means that the guards see an empty or wrong folder.
MINIMUM_LESSONS = 4
#: The first cell: the title, one paragraph that promises something, then these two paragraphs in this order.
TIME = re.compile(r"\*\*Time:\*\* \d+ minutes")
NEED = re.compile(r"\*\*You need:\*\* \S")
#: The H2 of the objectives: a bullet list; each bullet ends with `(exercise 02.1)` or `(exercises 02.1, 02.3)`.
OBJECTIVES = "What you will learn"
OBJECTIVE_END = re.compile(r"\(exercises? (\d\d\.\d+(?:, \d\d\.\d+)*)\)\.?$")
#: The H2 every lesson ends with, in this order.
CLOSING = ("In production", "Recap", "Try with AI", "Further reading")
#: The heading above each starter, an H2 or H3: `Exercise 02.1: Convert a URL`.
EXERCISE_HEADING = re.compile(r"Exercise (\d\d\.\d+): \S")
#: Link texts that do not say where the link leads.
EMPTY_WORDS = frozenset(
    {"here", "this", "link", "click here", "this page", "this link", "read more", "more", "docs", "page"}
)
#: A solution's line is worth guarding from this many characters on.
SECRET_LINE = 20


def lesson_names() -> list[str]:
    """Return the lessons' names from their Markdown files."""
    return sorted(path.stem for path in (PROJECT / "lessons").glob("*.md"))
