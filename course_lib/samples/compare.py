"""Runs the portable suite in a process of its own, and tells what became of each test.

`python -m course_lib.samples.compare` is that process: it prints a line of JSON for each test.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import unittest
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from sqlalchemy import URL

SUITE = "course_lib.samples.portable_suite"
# A suite that hangs is ended after so many seconds.
_PATIENCE = 50.0

_Error = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


@dataclass(frozen=True)
class CaseResult:
    """What became of one test.

    Args:
        group: the name of its class.
        name: the name of its method, without ``test_``.
        passed: whether it passed.
        error: the first line of what it raised, or "".
        seconds: how long it took, with its empty tables, in seconds.
    """

    group: str
    name: str
    passed: bool
    error: str
    seconds: float


class _Report(unittest.TestResult):
    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._error = ""
        self._failed = False
        self._began = time.perf_counter()

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._keep(err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._keep(err)

    def _keep(self, err: _Error) -> None:
        if not self._failed:
            self._failed = True
            said = str(getattr(err[1], "orig", None) or err[1]).strip()
            self._error = _without_reprs(said.splitlines()[0]) if said else type(err[1]).__name__

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        seconds = time.perf_counter() - self._began
        name = test.id().rpartition(".test_")[2]
        run = CaseResult(type(test).__name__, name, not self._failed, self._error, seconds)
        print(json.dumps(asdict(run)), flush=True)


def _without_reprs(text: str) -> str:
    """*text* with an ellipsis for each ``<…>``: a task's repr holds addresses and paths."""
    while (shorter := re.sub(r"<[^<>]*>", "…", text)) != text:
        text = shorter
    return text


async def run_suite(url: URL | str) -> list[CaseResult]:
    """Run the portable suite against a database.

    Args:
        url: the database, with an async driver. Its tables ``customer`` and ``orders`` are replaced.

    Returns:
        What became of each test, in the order in which they ran.

    Raises:
        RuntimeError: the suite did not run to its end.
    """
    address = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    try:
        # In a thread: a notebook's event loop on Windows can't start a process itself.
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "course_lib.samples.compare"],
            env=os.environ | {"DATABASE_URL": address},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the suite did not end within {_PATIENCE:g} seconds: is the database busy?") from None
    if ended.returncode != 0:
        raise RuntimeError(f"the suite could not run: {ended.stderr.strip().rpartition(chr(10))[2]}")
    return [CaseResult(**json.loads(line)) for line in ended.stdout.splitlines()]


if __name__ == "__main__":
    # Called by name, so that this process reports what `run_suite` reads: a line for each test.
    unittest.defaultTestLoader.loadTestsFromName(SUITE).run(_Report())
    sys.stdout.flush()
    os._exit(0)  # a connection that a mistake left open must not keep the process alive
