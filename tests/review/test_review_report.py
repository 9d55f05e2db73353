"""The report: its numbers, and each of its forms."""

import json
from pathlib import Path

import pytest

from course_lib.review import RULES, Finding, Report
from course_lib.review.rules import rule

LESSONS = {path.stem for path in (Path(__file__).parents[2] / "lessons").glob("*.md")}
REPORT = Report(
    "app/database.py",
    True,
    "",
    tuple(
        Finding(
            one, {"echo-off": "gap", "async-driver": "gap", "tls-kept": "cannot_tell"}.get(one.id, "ok"), "Seen <b>|"
        )
        if one.id != "pgbouncer-settings"
        else Finding(one, "not_applicable")
        for one in RULES
    ),
    20,
    ("A note.",),
)
REFUSED = Report("database.py", False, "It ends itself.", (), 20)


def test_rules_are_complete() -> None:
    assert len(RULES) == 22
    assert len({one.id for one in RULES}) == 22
    for one in RULES:
        assert one.why.endswith(".")
        assert one.mend.rstrip().endswith((".", ")"))
        assert "`" in one.mend, one.id
        assert rule(one.id) is one


@pytest.mark.parametrize("lesson", sorted({one.lesson for one in RULES}))
def test_rules_name_lessons_that_exist(lesson: str) -> None:
    assert lesson in LESSONS


def test_exit_codes_and_numbers() -> None:
    assert (REPORT.exit_code, REFUSED.exit_code, Report("x", True, "", (), 20).exit_code) == (1, 2, 0)
    assert [one.rule.id for one in REPORT.gaps] == ["async-driver", "echo-off"]  # the most severe first
    assert REPORT["echo-off"].outcome == "gap"
    with pytest.raises(KeyError):
        REPORT["nothing"]


def test_json_holds_what_the_contract_says() -> None:
    value = json.loads(REPORT.as_json())
    assert value == REPORT.as_dict()
    assert {"file", "ran", "reason", "budget", "gaps", "findings", "passed", "not_applicable"} <= set(value)
    assert value["gaps"] == 2
    assert [one["outcome"] for one in value["findings"]] == ["gap", "gap", "cannot_tell"]
    assert set(value["findings"][0]) == {"rule", "outcome", "severity", "observed", "why", "mend", "lesson"}
    assert value["not_applicable"] == ["pgbouncer-settings"]
    assert len(value["passed"]) == 18


def test_text_fits_80_columns_and_has_no_colour() -> None:
    text = REPORT.as_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert text.index("async-driver") < text.index("echo-off") < text.index("can't tell")
    assert "app/database.py: 2 gaps, 18 rules kept, 1 can't be told." in text


def test_markdown_escapes_what_it_shows() -> None:
    text = REPORT.as_markdown()
    assert "| `echo-off` Statements are not logged by default | medium | gap |" in text
    assert r"Seen &lt;b&gt;\|" in text
    assert "<b>" not in text
    assert "It ends itself" in REFUSED.as_markdown()


def test_html_escapes_what_it_shows() -> None:
    shown = REPORT._repr_html_()
    assert "Seen &lt;b&gt;|" in shown
    assert "It ends itself" in REFUSED._repr_html_()
