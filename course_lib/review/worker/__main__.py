"""Read the jobs, import what is costly once, and do each job in a process forked off."""

import gc
import importlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from course_lib.review.worker import one_run
from course_lib.review.worker.children import run_all
from course_lib.review.worker.context import Facts


def hopeless(facts: dict[str, Any]) -> bool:
    """Whether a file can't be run at all, whatever URL it gets.

    Args:
        facts: the main run's, by name.
    """
    imported = facts.get("import")
    if imported is None:
        return True
    creations = facts.get("seen", {}).get("creations", ())
    if "failed" not in imported:
        return "done" in facts and not creations
    if any(one["error"] for one in creations):
        return False
    failed = imported["failed"]
    return failed["kind"] in ("TooLongError", "SystemExit") or bool(failed["missing"])


def main() -> None:
    """Do the jobs in `jobs.json`, and write a line of JSON for each."""
    plan = json.loads(Path("jobs.json").read_text(encoding="utf-8"))
    result = int(os.environ.pop("COURSE_RESULT_FD"))
    gc.disable()  # what is imported stays: neither this process nor those forked off have to look through it
    for name in plan["preload"]:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()
    gc.enable()

    def work(job: dict[str, Any], descriptor: int) -> None:
        one_run.do(job, Facts(descriptor))

    def tell(value: dict[str, Any]) -> None:
        left = memoryview(json.dumps(value).encode() + b"\n")
        while left:
            left = left[os.write(result, left) :]

    def go_on(value: dict[str, Any]) -> bool:
        return not hopeless({fact["fact"]: fact for fact in value["facts"]})

    run_all(plan["jobs"], work, at_once=plan["at_once"], go_on=go_on, tell=tell)


if __name__ == "__main__":
    main()
