"""The rules about TLS."""

from course_lib.review.evidence import Evidence
from course_lib.review.rules import Outcome
from course_lib.review.runs import Run

Verdict = tuple[Outcome, str]
_WEAKER = ("disable", "allow", "prefer", "require")
_ASKS = ("require", "verify-ca", "verify-full", "unverified context")


def tls_kept(evidence: Evidence) -> Verdict:
    """TLS asked for in the URL, or in the file, is used, and a server without it refused."""
    if not evidence.is_postgres:
        return "not_applicable", ""
    own = _asked_by_file(evidence)
    if evidence.takes_url:
        run, asked = evidence.runs["sslmode"], "The URL asks for TLS (sslmode=require)"
        if not run.value("answers"):
            if not own:
                return "cannot_tell", "A URL with sslmode=require can't be used at all; url-forms says why."
            run, asked = evidence.main, "The file asks for TLS"
    elif own:
        run, asked = evidence.main, "The file asks for TLS"
    else:
        return "not_applicable", ""
    found = run.value("tls")
    if found is None:
        # A file that verifies can't reach a server whose authority it does not know: it is not plain text, at least.
        failed = run.failure("answers") or run.failure("tls")
        if failed and "Cert" in failed["kind"]:
            return "ok", "It refused a server whose certificate it could not verify."
        return "cannot_tell", evidence.no_answer or _not_done(evidence, run, "tls")
    if not found["used"]:
        return "gap", f"{asked}, and the connection is not encrypted (pg_stat_ssl)."
    if not found["refused"]:
        return "gap", f"{asked}, and it connected to a server that takes only unencrypted connections."
    return "ok", "The connection is encrypted, and a server without TLS was refused."


def tls_verified(evidence: Evidence) -> Verdict:
    """Verification asked for happens: the genuine server is reached, an impostor refused."""
    if not evidence.is_postgres:
        return "not_applicable", ""
    own = _asked_by_file(evidence)
    fixed = (evidence.main.value("asked") or {}).get("tls", "")
    if fixed == "unverified context":
        return "gap", "The file switches verification off itself: its SSL context has CERT_NONE." + _accepted(evidence)
    if own == "require":
        return "gap", 'The file fixes ssl="require", which verifies nothing.' + _accepted(evidence)
    if not evidence.takes_url and own not in ("verify-ca", "verify-full"):
        return "not_applicable", ""
    run = evidence.runs["verify"]
    found = run.value("impostor")
    if found is None:
        failed = run.failure("import") or run.failure("answers") or run.failure("impostor")
        if failed and ("Cert" in failed["kind"] or "SSL" in failed["kind"]):
            return "gap", f"The genuine server was not reached: {evidence.said(failed)}"
        return "cannot_tell", f"A URL with sslmode=verify-full can't be used: {evidence.problem(run)}"
    if not found["refused"]:
        asked = "verify-full asked for" if evidence.takes_url else "verification asked for in the file"
        return "gap", f"With {asked}, it also connected to an impostor with a certificate of another authority."
    if evidence.takes_url and found["asked"] in _WEAKER:
        return "gap", (
            f'The URL asks for verify-full, and the driver was given ssl="{found["asked"]}", which verifies nothing '
            "where PGSSLROOTCERT names no authority."
        )
    if "Certificate" not in found["error"] and "certificate" not in found["error"]:
        return "cannot_tell", f"The impostor was not reached: {evidence.clean(found['error'])}"
    if evidence.takes_url and found.get("name_refused") is False:
        return "gap", (
            "With verify-full asked for, it also connected to a server whose certificate names another host: whoever "
            "has any certificate of that authority can stand in."
        )
    return "ok", "The genuine server was reached, and impostors refused."


def _asked_by_file(evidence: Evidence) -> str:
    """The TLS mode that the file itself sets: in the main run nothing outside asks for one."""
    found = (evidence.main.value("asked") or {}).get("tls", "")
    if found:
        return found if found in _ASKS else ""
    # It did not answer, perhaps since it verifies a server that it has no reason to trust.
    failed = evidence.main.failure("answers")
    return "verify-full" if failed and "Cert" in failed["kind"] else ""


def _accepted(evidence: Evidence) -> str:
    found = evidence.main.value("impostor")
    return "" if found is None or found["refused"] else " An impostor was accepted."


def _not_done(evidence: Evidence, run: Run, probe: str) -> str:
    failed = run.failure(probe)
    return f"The probe failed: {evidence.said(failed)}" if failed else "The probe did not run to its end."
