"""The rules about sessions, tables, lifespans and the number of engines."""

from typing import Any

from course_lib.review.evidence import Evidence
from course_lib.review.rules import Outcome

Verdict = tuple[Outcome, str]
_WAYS = {"end": "a normal end", "fail": "an exception", "close": "an early close"}


def session_closes(evidence: Evidence) -> Verdict:
    """No connection is checked out after the dependency has ended."""
    absent = _absent(evidence)
    if absent is not None:
        return absent
    found = evidence.main.value("sessions") or {}
    left = [words for way, words in _WAYS.items() if found[way]["left"]]
    label = _label(evidence)
    if len(left) == len(_WAYS):
        return "gap", f"In whatever way `{label}` ended, its connection was still checked out."
    if left:
        return "gap", f"After {' and after '.join(left)} of `{label}`, its connection was still checked out."
    return "ok", f"`{label}` gives its connection back in every case."


def session_rolls_back(evidence: Evidence) -> Verdict:
    """What was written before an exception is not there afterwards."""
    absent = _absent(evidence)
    if absent is not None:
        return absent
    if (evidence.main.value("sessions") or {})["fail"]["rows"]:
        return "gap", f"A row written before an exception in the caller of `{_label(evidence)}` was committed."
    return "ok", "A row written before an exception was rolled back."


def session_commits(evidence: Evidence) -> Verdict:
    """What was not committed is not there after a normal end."""
    absent = _absent(evidence)
    if absent is not None:
        return absent
    if (evidence.main.value("sessions") or {})["end"]["rows"]:
        return "gap", f"A row that the caller did not commit was there after `{_label(evidence)}` had ended."
    return "ok", ""


def session_after_commit(evidence: Evidence) -> Verdict:
    """Attributes are readable after a commit."""
    found = evidence.main.value("after_commit")
    if found is None:
        failed = evidence.main.failure("after_commit")
        return "cannot_tell", f"No object could be committed: {evidence.said(failed)}" if failed else _why_not(evidence)
    if found["of"] is None:
        return "not_applicable", ""
    if found["error"]:
        return "gap", f"Reading an attribute after `commit()` raised {evidence.clean(found['error'])}"
    return "ok", ""


def tables_created(evidence: Evidence) -> Verdict:
    """Creating tables runs without an error, and others see the tables."""
    found = _creation_of_tables(evidence)
    if isinstance(found, tuple):
        return found
    called = f"`{found['called']}`" if found["called"] != "import" else "importing it"
    if found.get("error"):
        return "gap", f"{called} failed: {evidence.clean(found['error'])}".replace("importing", "Importing")
    if found["there"]:
        return "ok", f"The tables are there after {called}."
    if not found["creates"]:
        if found.get("forgotten"):
            return "gap", f"No table is there after {called}. Python said: {evidence.clean(found['forgotten'])}"
        return "cannot_tell", f"{called} did not come to `create_all`."
    return "gap", f"{called} raised nothing, and no table is there for another connection: it was never committed."


def models_imported(evidence: Evidence) -> Verdict:
    """At least one table is known when tables are created."""
    found = _creation_of_tables(evidence)
    if isinstance(found, tuple):
        return found
    if not found["creates"]:
        if found.get("forgotten"):
            return "cannot_tell", "`create_all` was not reached: tables-created says why."
        return "cannot_tell", "`create_all` was not reached."
    tables = max(one["tables"] for one in found["creates"])
    if not tables:
        return "gap", "The metadata knew no table when `create_all` was called: no model had been imported."
    return "ok", f"The metadata knew {tables} table{'s' if tables > 1 else ''}."


def disposed(evidence: Evidence) -> Verdict:
    """No connection is left on the server after the lifespan."""
    found = evidence.main.value("lifespan")
    if found is None and not evidence.mentions("lifespan", "fastapi", "starlette", "on_event"):
        return "not_applicable", ""
    if found is None:
        failed = evidence.main.failure("lifespan")
        return "cannot_tell", f"The lifespan could not be run: {evidence.said(failed)}" if failed else _why_not(
            evidence
        )
    if found["label"] is None:
        return "not_applicable", ""
    if found.get("start"):
        return "cannot_tell", f"`{found['label']}` did not start: {evidence.clean(found['start'])}"
    if found["left"]:
        return "gap", f"After the end of `{found['label']}`, the server still had {found['left']} connection(s) of it."
    if found.get("end"):
        return "cannot_tell", f"The end of `{found['label']}` failed: {evidence.clean(found['end'])}"
    return "ok", f"After the end of `{found['label']}`, no connection was left."


def one_engine(evidence: Evidence) -> Verdict:
    """Two calls use one engine."""
    found = evidence.main.value("one_engine")
    if found is None:
        failed = evidence.main.failure("one_engine")
        return "cannot_tell", f"It could not be used twice: {evidence.said(failed)}" if failed else _why_not(evidence)
    several = [label for label, count in found["made"].items() if count]
    if several:
        return "gap", f"A second call of `{several[0]}` made another engine, with a pool of its own."
    return "ok", ""


def _absent(evidence: Evidence) -> Verdict | None:
    """The verdict where there is no session dependency, or it could not be used."""
    found = evidence.main.value("dependency")
    if found is None:
        failed = evidence.main.failure("dependency")
        return "cannot_tell", f"The probe failed: {evidence.said(failed)}" if failed else _why_not(evidence)
    if found["label"] is None:
        if found["said"]:
            return "cannot_tell", f"No session was handed out. {evidence.clean(found['said'][0])}"
        return "not_applicable", ""
    used = evidence.main.value("sessions")
    if not used or not set(_WAYS) <= set(used):
        failed = evidence.main.failure("sessions")
        said = evidence.said(failed) if failed else "the probe did not run to its end."
        return "cannot_tell", f"`{found['label']}` could not be used: {said}"
    return None


def _label(evidence: Evidence) -> str:
    return f"{(evidence.main.value('dependency') or {})['label']}()"


def _why_not(evidence: Evidence) -> str:
    return evidence.no_answer or "The probe did not run to its end."


def _creation_of_tables(evidence: Evidence) -> dict[str, Any] | Verdict:
    """What creating tables did: in a function, at import, or in the lifespan."""
    found = evidence.main.value("tables")
    lifespan = evidence.main.value("lifespan") or {}
    in_vain = found is not None and not (found.get("creates") or found.get("error") or found.get("forgotten"))
    if found is not None and found["called"] is not None and not (in_vain and lifespan.get("creates")):
        return found
    if lifespan.get("creates"):
        error = lifespan.get("start")
        return {
            "called": lifespan["label"],
            "creates": lifespan["creates"],
            "there": lifespan.get("there"),
            "error": error,
        }
    if found is None:
        failed = evidence.main.failure("tables")
        if failed is None and not evidence.mentions("create_all"):
            return "not_applicable", ""
        return "cannot_tell", f"The probe failed: {evidence.said(failed)}" if failed else _why_not(evidence)
    return "not_applicable", ""
