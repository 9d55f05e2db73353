"""The rules about the pool's size and arguments."""

import re

from course_lib.review.evidence import Evidence
from course_lib.review.rules import Outcome

Verdict = tuple[Outcome, str]


def pool_bounded(evidence: Evidence) -> Verdict:
    """No more connections than the budget are opened."""
    found, pool = evidence.main.value("pool"), evidence.pool
    if found is None or not pool:
        return "cannot_tell", evidence.no_answer or evidence.failed("pool")
    if pool["class"] == "NullPool":
        if not evidence.is_postgres or evidence.names_pooler:
            return "not_applicable", ""
        return (
            "cannot_tell",
            "NullPool opens as many connections as there is work: the bound has to come from elsewhere.",
        )
    if pool["size"] is None or pool["overflow"] is None:
        return "ok", f"{pool['class']} keeps one connection."
    bounds = [(one["size"], one["overflow"]) for one in evidence.pools if one["size"] is not None]
    if any(overflow < 0 or size == 0 for size, overflow in bounds):
        size, overflow = next(bound for bound in bounds if bound[1] < 0 or bound[0] == 0)
        return "gap", f"The pool has no bound: pool_size={size}, max_overflow={overflow}."
    total = sum(size + overflow for size, overflow in bounds)
    words = " and ".join(f"pool_size {size} + max_overflow {overflow}" for size, overflow in bounds)
    if total > evidence.budget:
        opened = f"{found['opened']} were open at once; " if (found["opened"] or 0) > evidence.budget else ""
        return "gap", f"{opened}{words} make {total} connections, and the budget is {evidence.budget} per process."
    return "ok", f"{words} make {total} connections of {evidence.budget}."


def pool_arguments(evidence: Evidence) -> Verdict:
    """The engine works with the file's default URL."""
    default = evidence.runs["default"]
    if default.value("answers"):
        return "ok", "It works with its default URL."
    asked = [name for name, kind in default.seen.get("asked", {}).items() if kind is not None]
    made = default.seen.get("creations", [])
    problem = evidence.problem(default)
    demands = not any(one["made"] for one in made) or default.value("answers") is None
    names = {name.lower() for name in asked} | {name.lower().rpartition("database_")[2] for name in asked}
    unset = not made or made[0]["url"] in ("None", "", "***") or "none" in made[0]["url"].lower()
    if asked and unset and demands:
        if any(re.search(rf"\b{re.escape(name)}\b", problem.lower()) for name in names if name):
            return "ok", f"It has no default URL, and says so: {problem}"
        return "not_applicable", f"It has no default URL: {problem}"
    if not made and default.facts.get("making", {}).get("errors") == []:
        return "not_applicable", ""
    if made and made[0]["missing"] and not made[0]["asked_async"]:
        return "cannot_tell", f"The default URL's driver is not installed here: {problem}"
    return "gap", f"With its default URL it fails: {problem}"


def pool_timeout(evidence: Evidence) -> Verdict:
    """A wait for a connection ends in time."""
    pool = evidence.pool
    if not pool:
        return "cannot_tell", evidence.no_answer or evidence.failed("pool")
    wait = pool["timeout"]
    if wait is None:
        return "not_applicable", ""
    if 0.5 <= wait <= 30:
        return "ok", f"A wait ends after {wait:g} s."
    return "gap", f"A wait for a connection ends after {wait:g} s (pool_timeout={wait:g})."


def pgbouncer(evidence: Evidence) -> Verdict:
    """Nothing is prepared that a pooler in transaction mode would mix up."""
    pool = evidence.pool
    if not (pool.get("class") == "NullPool" or evidence.names_pooler):
        return "not_applicable", ""
    found = evidence.main.value("asked")
    if found is None:
        return "cannot_tell", evidence.no_answer or evidence.failed("asked")
    caches = found["caches"]
    if found["driver"] == "psycopg":
        kept = "prepare_threshold" not in caches or caches["prepare_threshold"] is not None
        return ("gap", "psycopg prepares statements (prepare_threshold is not None).") if kept else ("ok", "")
    if found["driver"] != "asyncpg":
        return "not_applicable", ""
    if caches.get("statement_cache_size") != 0:
        size = caches.get("statement_cache_size", "100, its default")
        return "gap", f"A pooler is meant, and asyncpg keeps prepared statements: statement_cache_size is {size}."
    if pool.get("class") != "NullPool" and (size := caches.get("prepared_statement_cache_size", 100)) != 0:
        return "gap", (
            f"asyncpg's cache is off and SQLAlchemy's is on (prepared_statement_cache_size is {size}): it "
            "remembers the types of columns. After a migration has changed one, a connection reads wrong numbers "
            "without an error."
        )
    if found["names"] and found["isolation"] == "AUTOCOMMIT":
        return "gap", "With AUTOCOMMIT, named statements are prepared on one server connection and used on another."
    return "ok", "asyncpg keeps no prepared statements."
