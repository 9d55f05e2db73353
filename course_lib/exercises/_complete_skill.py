"""Whether a skill file asks an assistant for all that `course review` looks at, whatever its words are."""

import re
from dataclasses import dataclass
from typing import Literal

from course_lib.exercises._complete_contrary import is_contrary
from course_lib.exercises._complete_statements import Clause, Statement, forbidden, statements
from course_lib.exercises._complete_wanted import WANTED, Way

# The forms of a URL; four of them named together say as much as "every form".
_FORMS = (
    r"\bpostgres\b(?!ql)",
    r"\bpostgresql\b(?!\+)",
    r"sslmode",
    r"\+asyncpg|already async|async already",
    r"sqlite",
)


@dataclass(frozen=True)
class Asked:
    """What a text says about one rule.

    Args:
        how: "yes", "no" (it says nothing of it), or "contrary" (it asks for the opposite).
        shown: the statement that asks for the opposite, as it was written.
    """

    how: Literal["yes", "no", "contrary"]
    shown: str = ""


def what_it_asks(markdown: str) -> dict[str, Asked]:
    """Return, for each rule of the review, what a text in Markdown asks for.

    Args:
        markdown: the text of a skill file.
    """
    said = statements(markdown)
    return {rule: _asked(rule, ways, said) for rule, ways in WANTED.items()}


def front_matter(markdown: str) -> dict[str, str]:
    """Return the simple `key: value` lines between the two `---` at the top; empty without them."""
    found = re.match(r"---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", markdown.replace("\r\n", "\n"), re.DOTALL)
    if found is None:
        return {}
    fields: dict[str, str] = {}
    key = ""
    for line in found[1].split("\n"):
        if field := re.match(r"([A-Za-z][\w-]*):\s*(.*)", line):
            key = field[1]
            fields[key] = field[2].strip().strip("\"'").removeprefix(">-").removeprefix(">").removeprefix("|").strip()
        elif key and line.startswith(" "):
            fields[key] = f"{fields[key]} {line.strip()}".strip()
    return fields


def _asked(rule: str, ways: tuple[Way, ...], said: list[Statement]) -> Asked:
    opposed = next((each for each in said if is_contrary(rule, ways, each)), None)
    if opposed is not None:
        return Asked("contrary", opposed.shown)
    if any(_asks(way, each) for each in said for way in ways):
        return Asked("yes")
    if rule == "url-forms" and any(_names_the_forms(each) for each in said):
        return Asked("yes")
    return Asked("no")


def _asks(way: Way, statement: Statement) -> bool:
    if not all(re.search(pattern, statement.around) for pattern in way.also):
        return False
    return any(_fits(way, clause, found, statement) for clause in statement.clauses for found in way.finds(clause.text))


def _fits(way: Way, clause: Clause, found: re.Match[str], statement: Statement) -> bool:
    if way.ask == "either":
        return True
    forbids = forbidden(clause, found, statement, zero_is_off=way.zero_is_off)
    if way.ask == "against":
        # "Does any password stand in the code?" asks for it in either direction.
        return forbids or statement.question
    return not forbids


def _names_the_forms(statement: Statement) -> bool:
    named = sum(bool(re.search(form, statement.around)) for form in _FORMS)
    return (
        named >= 4
        and not re.match(r"(?:raise|reject|refuse)\b", statement.own)
        and not any(
            forbidden(clause, found, statement)
            for clause in statement.clauses
            for found in re.finditer(r"convert|accept|support|handle|normali[sz]e", clause.text)
        )
    )
