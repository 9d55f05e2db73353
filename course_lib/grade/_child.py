"""What happens in an exercise's own process: the answer's cells run, then the check, and the verdict is handed back.

The verdict is believed only with a token that this process got in its memory and that no answer is shown.
"""

import ast
import asyncio
import contextlib
import inspect
import json
import linecache
import logging
import os
import sys
import sysconfig
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from course_lib.exercises.core import Exercise
from course_lib.exercises.tracebacks import learner_traceback
from course_lib.grade._integrity import MARK, Fingerprint, GuardedImport, Refused, learner_builtins, make_hook

_RESULT = 3  # the descriptor
_LONGEST = 20_000  # characters of feedback


def grade(
    job: dict[str, Any],
    exercise: Exercise,
    fingerprint: Fingerprint,
    imports: GuardedImport,
    token: str,
    prepare: Callable[[], None],
    out_of_memory: Callable[[], None],
) -> NoReturn:
    """Grade one exercise in this process, and end it.

    Args:
        job: "cells" to run, "takes" as names that the check takes, "imports" that the lesson's own cells use.
        exercise: the exercise.
        fingerprint: taken before anything of the submission ran.
        imports: what guards `importlib.import_module`.
        token: stands before the verdict.
        prepare: connects this process with its servers.
        out_of_memory: tells the supervisor that the memory ran out.
    """
    write, dumps, leave, flush = os.write, json.dumps, os._exit, sys.stdout.flush

    def hand_back(verdict: dict[str, Any]) -> NoReturn:
        data = f"{token} {dumps(verdict)}\n".encode()
        while data:
            data = data[write(_RESULT, data) :]
        with contextlib.suppress(BaseException):
            flush()
        leave(0)

    reasons: list[str] = []

    def refuse(why: str) -> NoReturn:
        reasons.append(why)
        raise Refused(f"The grader does not allow this: {why}.")

    prepare()
    fingerprint.accept(("_begin", "review", "find_postgres", "find_pgbouncer", "ask_console"))
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": learner_builtins(job["imports"], refuse)}
    roots = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {"<frozen"})
    imports.begin(job["imports"], refuse)
    sys.addaudithook(make_hook(refuse, roots))
    sys.argv = [""]
    logging.lastResort = None
    warnings.simplefilter("ignore")
    changed = fingerprint.changed

    async def work() -> dict[str, Any]:
        for cell in job["cells"]:
            failed = await _run_cell(cell["source"], cell["name"], namespace)
            if failed is not None:
                if isinstance(failed, MemoryError):
                    out_of_memory()
                return {"status": "error", "message": _said(failed), "misconception": None}
        missing = [name for name in job["takes"] if name not in namespace]
        if missing:
            return {
                "status": "error",
                "message": f"The name `{missing[0]}` is not defined in the answer. Keep the starter's names.",
                "misconception": None,
            }
        outcome = await exercise.check(*(namespace[name] for name in job["takes"]))
        status, misconception = str(outcome.status), outcome.misconception
        if status in ("correct", "checker_error") and (found := changed()):
            refuse(f"{found} is no longer what it was")
        said = repr(outcome) if status != "correct" else outcome.message
        return {"status": status, "message": said[:_LONGEST], "misconception": misconception}

    try:
        verdict = asyncio.run(_guarded(work()))
    except Refused:
        verdict = {}
    except BaseException as error:
        if isinstance(error, MemoryError):
            out_of_memory()
        verdict = {"status": "error", "message": _said(error), "misconception": None}
    if reasons:
        verdict = {"status": "refused", "message": f"refused: {reasons[0]}", "misconception": None}
    hand_back(verdict)


async def _guarded(coroutine: Any) -> Any:
    """asyncio lets SystemExit and KeyboardInterrupt of a task out of the event loop; here they are the answer's."""
    return await coroutine


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "A cell of the answer asked Python to exit."
    try:
        return f"✖ A cell raised an exception before the check\n{learner_traceback(error)}"[:_LONGEST]
    except BaseException:  # an exception can fail to describe itself
        return f"✖ A cell raised {type(error).__name__} before the check"


async def _run_cell(source: str, name: str, namespace: dict[str, Any]) -> BaseException | None:
    """Run a cell as a kernel would, statement by statement. Returns what it raised."""
    filename = f"{MARK} {name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    try:
        tree = ast.parse(source, filename)
        for statement in tree.body:
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            code = compile(ast.Module([statement], []), filename, "exec", flags=flags, dont_inherit=True)
            value = eval(code, namespace)
            if inspect.isawaitable(value):
                await value
    except asyncio.CancelledError as error:
        return error
    except BaseException as error:
        return error
    return None


def keep_work(files: dict[str, bytes], folder: Path) -> None:
    """Put the submission's work folder where the answer expects it."""
    for name, data in files.items():
        path = folder / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
