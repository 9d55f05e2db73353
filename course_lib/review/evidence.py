"""What the runs brought back, in the terms in which the rules ask."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from course_lib.masking import mask_text
from course_lib.review.runs import IMPORT_SECONDS, Run
from course_lib.review.source import SourceFile

POOLER = re.compile(r"pgbouncer|pooler|:6432\b|:6543\b", re.IGNORECASE)
_LONGEST = 330  # characters of an error that are shown


@dataclass
class Evidence:
    """All runs of one file.

    Args:
        source: the file.
        runs: by name: "main" has the throw-away server's URL or its parts, the others see one form each.
        budget: connections per process.
        secrets: passwords that were given from outside.
    """

    source: SourceFile
    runs: Mapping[str, Run]
    budget: int
    secrets: list[str]

    @property
    def main(self) -> Run:
        return self.runs["main"]

    @cached_property
    def creation(self) -> dict[str, Any]:
        """The engine that the probes used; what was tried to make, where none could be made."""
        tried = self.main.seen.get("creations") or [{}]
        return self.main.creation or tried[0]

    @property
    def is_postgres(self) -> bool:
        return self.creation.get("backend") in ("postgresql", "postgres")

    @cached_property
    def takes_url(self) -> bool:
        """Whether the engine's URL is the one that was given from outside."""
        return "url" in self.main.seen.get("given", {}).values() and self._was_given

    @property
    def _was_given(self) -> bool:
        url = self.creation.get("url", "")
        return any(quote(secret, safe="") in url or secret in url for secret in self.secrets) or not url

    @property
    def takes_parts(self) -> bool:
        return bool(set(self.main.seen.get("given", {}).values()) - {"url"}) and not self.takes_url

    @property
    def pools(self) -> list[dict[str, Any]]:
        """The pools of the async engines; of all, where none is async."""
        found = (self.main.value("pool") or {}).get("pools", [])
        return [one for one in found if one["async"]] or found

    @property
    def pool(self) -> dict[str, Any]:
        """The pool that the probes used."""
        return next((one for one in self.pools if one["chosen"]), {})

    @cached_property
    def names_pooler(self) -> bool:
        """Whether its own URL or settings name a pooler."""
        urls = [one["url"] for run in self.runs.values() for one in run.seen.get("creations", ())]
        own = [url for url in urls if not any(secret in url for secret in self.secrets)]
        # Everything but user, password and database, which may be called like a pooler.
        places = [re.sub(r"//[^@/]*@|(?<=[\w\]])/[^?]*", "", url) for url in own if url.startswith("postgres")]
        return any(POOLER.search(place) for place in places)

    def mentions(self, *words: str) -> bool:
        """Whether the file's text holds one of these words, upper and lower case alike."""
        text = self.source.text.lower()
        return any(word in text for word in words)

    @property
    def no_answer(self) -> str:
        """Why the engine does not answer, as a sentence; empty when it does."""
        if self.main.value("answers"):
            return ""
        failed = self.main.failure("answers") or self.main.failure("import")
        if failed:
            return f"The engine does not answer: {self.said(failed)}"
        tried = self.creation.get("error")
        return f"No engine could be made: {self.clean(tried)}" if tried else "The engine could not be used."

    def problem(self, run: Run) -> str:
        """Why a run did not come to an answer."""
        for step in ("import", "answers"):
            failed = run.failure(step)
            if failed:
                return self.said(failed)
        errors = [*run.facts.get("making", {}).get("errors", ()), *run.facts.get("dependency", {}).get("said", ())]
        tried = [one["error"] for one in run.seen.get("creations", ()) if one["error"]]
        for text in (*tried, *errors):
            return self.clean(text)
        return f"it was stopped ({run.reason})" if run.reason != "ended" else "no engine was made"

    def said(self, failed: Mapping[str, Any]) -> str:
        """An error of a run: its kind and text, and where in the file it came from."""
        kind = failed["kind"]
        if self.was_slow(failed):
            return "it did not end in time."
        return self.clean(f"{kind}: {failed['text']}" if failed["text"] else kind)

    def failed(self, probe: str) -> str:
        """How a probe of the main run failed, as a sentence."""
        failed = self.main.failure(probe)
        return f"The probe failed: {self.said(failed)}" if failed else "The probe did not run to its end."

    def was_slow(self, failed: Mapping[str, Any]) -> bool:
        """Whether a time limit of the review ended it: a busy machine is no fault of the file."""
        limits = ("TimeoutError", "CancelledError")
        return failed["kind"] == "TooLongError" or (failed["kind"] in limits and not failed["text"].strip())

    def clean(self, text: str) -> str:
        """A text of unknown origin as a part of a sentence: secrets masked, on one line, short."""
        for secret in self.secrets:
            for spelling in {secret, quote(secret), quote_plus(secret), quote(secret, safe="")}:
                text = text.replace(spelling, "***")
        text = mask_text(text)
        text = re.sub(
            r"\(Background on this error at: \S+\)|\[SQL: .*|\[parameters: .*|For further information visit \S+"
            r"|<class '[\w.]+'>: ",
            "",
            text,
        )
        text = re.sub(r"[^\s('\"]*/course-review-[\w.]+/(\w+/)?(project/\d+/)?", "", text)
        text = " ".join(text.split())
        if len(text) > _LONGEST:
            text = text[:_LONGEST].rsplit(" ", 1)[0] + " …"
        return text if text.endswith((".", "…", "?", "!")) else f"{text}."


def reason_not_run(evidence: Evidence) -> str:
    """Why the file can't be reviewed, in a sentence; empty if it can."""
    run = evidence.main
    name = evidence.source.path.name
    failed = run.failure("import")
    if "import" not in run.facts:
        return _ended(name, run)
    if failed is not None:
        where = _where(failed, evidence)
        if failed["kind"] == "TooLongError" or run.reason == "time":
            return f"Importing {name} did not end in time: it was stopped after {IMPORT_SECONDS:.0f} seconds{where}."
        if failed["kind"] == "SystemExit":
            return f"{name} ends the program while it is imported{where}: SystemExit with code {failed['code']}."
        if failed["missing"] and "ModuleNotFoundError" in failed["bases"]:
            package = failed["missing"].partition(".")[0]
            return (
                f"{name} needs the package {package!r}, which is not installed here. Install it in this environment, "
                "or give its folder with --path if it is your own."
            )
        if any(one["error"] for one in run.seen.get("creations", ())):
            return ""  # it fails at the engine: that is what rules are about
        return f"Importing {name} failed{where}: {evidence.said(failed)}"
    if not any(one["made"] or one["error"] for one in run.seen.get("creations", ())):
        if "seen" not in run.facts:
            return _ended(name, run)
        errors = run.facts.get("making", {}).get("errors") or []
        said = f" What was tried said: {evidence.clean(errors[0])}" if errors else ""
        return f"{name} configures no database: neither importing it nor calling what it offers made an engine.{said}"
    backends = {one["backend"] for one in run.seen["creations"]} - {""}
    if backends and not backends & {"postgresql", "postgres", "sqlite"}:
        return f"{name} configures {', '.join(sorted(backends))}; a review knows PostgreSQL and SQLite."
    return ""


def _ended(name: str, run: Run) -> str:
    words = {
        "time": f"{name} did not end in time: it was stopped after {run.seconds:.0f} seconds.",
        "memory": f"{name} uses more memory than a review allows, and was stopped.",
        "output": f"{name} prints more than a review reads (1 MB), and was stopped.",
        "signal": f"{name} was ended by signal {-run.exit_code}.",
    }
    if run.reason in words:
        return words[run.reason]
    if "started" in run.facts:
        return f"{name} ends its process while it is imported or used, with exit code {run.exit_code}."
    last = (run.stderr.strip().splitlines() or ["nothing"])[-1]
    return f"{name} could not be started. Python said: {last}"


def _where(failed: Mapping[str, Any], evidence: Evidence) -> str:
    if not failed["line"]:
        return ""
    name = str(failed["file"] or "").rpartition("/")[2]
    return f" in line {failed['line']}" + (f" of {name}" if name != evidence.source.path.name else "")
