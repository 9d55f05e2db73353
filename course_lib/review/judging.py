"""From facts to findings: each rule with what decides it."""

import re
from collections.abc import Callable, Mapping

from course_lib.review import judging_pool, judging_sessions, judging_tls
from course_lib.review.credentials import credentials_in
from course_lib.review.evidence import Evidence, reason_not_run
from course_lib.review.report import Report
from course_lib.review.rules import RULES, Finding, Outcome
from course_lib.review.runs import Run
from course_lib.review.source import SourceFile

Verdict = tuple[Outcome, str]
FORMS = {
    "plain": "postgresql://…",
    "postgres": "postgres://…",
    "sslmode": "postgresql://…?sslmode=require",
    "async": "postgresql+asyncpg://…",
    "sqlite": "sqlite:///file.db",
}


def report(name: str, source: SourceFile, runs: Mapping[str, Run], budget: int, secrets: list[str]) -> Report:
    """Judge the runs of a file.

    Args:
        name: the file, as it was named.
        source: the file.
        runs: the runs, by name.
        budget: connections per process.
        secrets: the passwords that the file was given.
    """
    evidence = Evidence(source, runs, budget, secrets)
    reason = reason_not_run(evidence)
    if reason:
        return Report(name, False, reason, (), budget)
    findings = []
    for rule in RULES:
        outcome, observed = JUDGES[rule.id](evidence)
        findings.append(Finding(rule, outcome, observed))
    return Report(name, True, "", tuple(findings), budget, _notes(evidence))


def demanded(run: Run, fixed: Mapping[str, str]) -> dict[str, str]:
    """Variables that the file's import failed for want of, with harmless values; empty when there are none."""
    failed = run.failure("import")
    if failed is None:
        return {}
    asked = run.seen.get("asked", {})
    named = [name for name in asked if name not in fixed and re.search(rf"\b{re.escape(name)}\b", failed["text"], re.I)]
    from course_lib.review.worker.outside import made_up

    return {name: made_up(name) for name in named if asked[name] is None}


def unusable(run: Run) -> bool:
    """Whether the main run got no answer from an engine that the file made by itself."""
    if "import" not in run.facts or run.reason != "ended":
        return False
    creation = run.creation
    return (
        run.value("answers") is None
        or creation is None
        or (creation["substituted"] and "url" in run.seen["given"].values())
    )


def _notes(evidence: Evidence) -> tuple[str, ...]:
    notes = [f"The budget is {evidence.budget} connections per process (--budget)."]
    closed = evidence.main.seen.get("closed") or []
    if closed:
        notes.append(f"{', '.join(closed)} was not read: a review doesn't open files that hold secrets.")
    invented = evidence.main.seen.get("invented") or []
    if invented:
        notes.append(f"Made-up values were given for {', '.join(invented)}.")
    return tuple(notes)


def _async_driver(evidence: Evidence) -> Verdict:
    creations = evidence.main.seen["creations"]
    usable = [one for one in creations if one["async"] and not one["substituted"]]
    if usable:
        return "ok", f"The driver is {usable[0]['loaded']}."
    tried = [one for one in creations if one["asked_async"] or (one["async"] and one["substituted"])]
    if tried and tried[0]["error"]:
        kind = tried[0]["error"].partition(":")[0]
        if tried[0]["driver"] in ("asyncpg", "aiosqlite", "psycopg") and kind != "InvalidRequestError":
            return "cannot_tell", f"The engine can't be made: {evidence.clean(tried[0]['error'])}"
        return "gap", f"The async engine can't be made: {evidence.clean(tried[0]['error'])}"
    one = creations[0]
    if one["driver"] in ("asyncpg", "aiosqlite"):  # of the URL that the review gave
        return "gap", "It makes a sync engine with `create_engine`."
    driver = one["driver"] or ("sqlite3" if one["backend"] == "sqlite" else "psycopg2, or psycopg since SQLAlchemy 2.1")
    return "gap", f"It makes a sync engine with `create_engine` (driver: {driver})."


def _url_forms(evidence: Evidence) -> Verdict:
    if not evidence.takes_url:
        return "not_applicable", ""
    failing, slow, missing = [], [], {}
    for form, written in FORMS.items():
        run = evidence.runs.get(form) or evidence.main
        creation = run.creation
        if run.value("answers") and creation and creation["async"] and not creation["substituted"]:
            continue
        failed = run.failure("import") or run.failure("answers")
        if run.reason == "time" or (failed and evidence.was_slow(failed)):
            slow.append(written)
        elif _lacks_async_driver(run):
            missing[written] = run.seen["creations"][0]["driver"]
        elif creation and not creation["async"]:
            failing.append(f"{written}: the engine is sync.")
        else:
            failing.append(f"{written}: {evidence.problem(run)}")
    if slow and not failing:
        return "cannot_tell", f"No answer came in time with {' and '.join(slow)}."
    untold = f"The driver {next(iter(missing.values()))} is not installed here: nothing is known of " if missing else ""
    untold += " and ".join(missing) + "." if missing else ""
    if not failing:
        return ("cannot_tell", untold) if missing else ("ok", "All five forms work.")
    told = _once(failing)
    if len(failing) == len(FORMS) and len(told) == 1:
        return "gap", f"The engine works with none of the {len(FORMS)} forms: {told[0].partition(': ')[2]}"
    return "gap", f"{len(failing)} of {len(FORMS)} forms fail. " + " ".join([*told, untold]).strip()


def _lacks_async_driver(run: Run) -> bool:
    """Whether the file did convert the URL, for an async driver that is not installed here."""
    tried = [one for one in run.seen.get("creations", ()) if one["asked_async"]]
    return bool(tried) and bool(tried[0]["missing"]) and tried[0]["driver"] in ("psycopg", "psycopg_async")


def _once(lines: list[str]) -> list[str]:
    """Forms that fail in the same way are told together."""
    by_error: dict[str, list[str]] = {}
    for line in lines:
        form, _, error = line.partition(": ")
        by_error.setdefault(error, []).append(form)
    return [f"{' and '.join(forms)}: {error}" for error, forms in by_error.items()]


def _no_credentials(evidence: Evidence) -> Verdict:
    found = credentials_in(evidence.source.text, evidence.source.tree)
    if not found:
        return "ok", ""
    places = [f"line {line} holds {what}" for line, what in found]
    text = f"{'; '.join(places[:4])}{' …' if len(places) > 4 else ''}."
    return "gap", text[0].upper() + text[1:]


def _needs_answer(judge: Callable[[Evidence], Verdict]) -> Callable[[Evidence], Verdict]:
    """For rules that only PostgreSQL shows, once the engine answers."""

    def judged(evidence: Evidence) -> Verdict:
        if not evidence.is_postgres:
            return "not_applicable", ""
        return ("cannot_tell", evidence.no_answer) if evidence.no_answer else judge(evidence)

    return judged


def _survives_restart(evidence: Evidence) -> Verdict:
    if evidence.main.value("restart"):
        return "ok", "The first query after a restart of the server succeeded."
    failed = evidence.main.failure("restart")
    if failed is None or evidence.was_slow(failed):
        return "cannot_tell", "The server was restarted, and no answer came in time."
    return "gap", f"The first query after a restart of the server failed: {evidence.said(failed)}"


def _recycles(evidence: Evidence) -> Verdict:
    found = evidence.main.value("recycles")
    if found is None:
        return "cannot_tell", evidence.failed("recycles")
    if all(found["replaced"]):
        return "ok", "A connection that was idle for 5 minutes was replaced."
    recycles = [one["recycle"] for one in evidence.pools if one["recycle"] is not None]
    recycle = next((each for each in recycles if each < 0 or each > 300), "not set")
    return "gap", f"A connection that was idle for 5 minutes was used again (pool_recycle={recycle})."


def _echo_off(evidence: Evidence) -> Verdict:
    found = evidence.runs["default"].value("echo") or evidence.main.value("echo")
    if found is None:
        return "cannot_tell", evidence.no_answer or "No statement could be run."
    if found["logged"]:
        return "gap", f"Without any setting, statements are logged: {evidence.clean(found['logged'])}"
    return ("gap", "Without any setting, echo is on.") if any(found["echo"]) else ("ok", "")


def _no_connect_at_import(evidence: Evidence) -> Verdict:
    at_import = {where for phase, where in evidence.main.seen["connects"] if phase == "import"}
    if not at_import:
        return "ok", ""
    return "gap", f"Importing it opened a connection to {' and to '.join(sorted(at_import))}."


def _no_secrets_printed(evidence: Evidence) -> Verdict:
    shown = list(evidence.secrets)
    for one in evidence.main.seen.get("creations", ()):
        match = re.match(r"[^:]+://([^:/@]*:[^/@]+)@", one["url"])
        if match and not any(secret in match[1] for secret in evidence.secrets):
            shown.append(match[1])
    for run in evidence.runs.values():
        for line in run.output.splitlines():
            if any(secret in line for secret in shown):
                hidden = line
                for secret in shown:
                    hidden = hidden.replace(secret, "***")
                return "gap", f"The password is in what it prints or logs: {evidence.clean(hidden)}"
    return "ok", ""


JUDGES: dict[str, Callable[[Evidence], Verdict]] = {
    "async-driver": _async_driver,
    "url-forms": _url_forms,
    "no-credentials": _no_credentials,
    "survives-restart": _needs_answer(_survives_restart),
    "recycles": _needs_answer(_recycles),
    "pool-bounded": judging_pool.pool_bounded,
    "pool-arguments": judging_pool.pool_arguments,
    "pool-timeout": judging_pool.pool_timeout,
    "tls-kept": judging_tls.tls_kept,
    "tls-verified": judging_tls.tls_verified,
    "echo-off": _echo_off,
    "session-closes": judging_sessions.session_closes,
    "session-rolls-back": judging_sessions.session_rolls_back,
    "session-commits": judging_sessions.session_commits,
    "session-after-commit": judging_sessions.session_after_commit,
    "tables-created": judging_sessions.tables_created,
    "models-imported": judging_sessions.models_imported,
    "disposed": judging_sessions.disposed,
    "one-engine": judging_sessions.one_engine,
    "no-connect-at-import": _no_connect_at_import,
    "pgbouncer-settings": judging_pool.pgbouncer,
    "no-secrets-printed": _no_secrets_printed,
}
