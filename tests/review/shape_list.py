"""The shapes of configuration in `shapes/`, with what was expected of them by hand before the review existed."""

import tomllib
from pathlib import Path
from typing import Any

from course_lib.review import Report, review
from course_lib.review.running import Lab

FOLDER = Path(__file__).parent / "shapes"
SHAPES: list[dict[str, Any]] = tomllib.loads((FOLDER / "expected.toml").read_text(encoding="utf-8"))["shape"]


async def reviewed_shape(shape: dict[str, Any], lab: Lab) -> Report:
    """Review one shape as its entry asks for."""
    target = shape.get("target", FOLDER / shape["file"])
    search_path = FOLDER / shape["search_path"] if "search_path" in shape else None
    return await review(target, search_path=search_path, lab=lab)


def differences(shape: dict[str, Any], report: Report) -> list[tuple[str, str]]:
    """What differs from what is expected: kind ("false alarm", "miss", "can't tell", "exit", "reason") and words."""
    found: list[tuple[str, str]] = []
    if report.exit_code not in (shape["exit"], shape.get("or_exit")):
        found.append(("exit", f"{report.exit_code} in place of {shape['exit']}. {report.reason}"))
    if report.exit_code == 2:
        wanted = [each.lower() for each in shape.get("reason", [])]
        if wanted and not any(each in report.reason.lower() for each in wanted):
            found.append(("reason", report.reason))
        return found
    if shape["exit"] == 2:
        return found
    gaps, either = set(shape.get("gaps", ())), set(shape.get("either", ()))
    may_not_tell = set(shape.get("cannot_tell_allowed", ()))
    for one in report.findings:
        name, outcome = one.rule.id, one.outcome
        if name in either or (outcome == "cannot_tell" and name in may_not_tell):
            continue
        if (outcome == "gap") != (name in gaps):
            found.append(("miss" if name in gaps else "false alarm", f"{name}: {outcome}. {one.observed}"))
        elif outcome == "cannot_tell":
            found.append(("can't tell", f"{name}: {one.observed}"))
    return found
