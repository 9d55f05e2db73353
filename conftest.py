"""What a run of all tests needs: nbval beside the unit tests in one pytest, and a look for servers left behind."""

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

LEFT_BEHIND_SECONDS = 15  # a server's supervisor needs well under one; the machine may be busy
# Stands at the end of PATH, which a server's supervisor inherits: lessons that are open beside the tests don't count.
MARK = f"/course-test-run-{os.getpid()}"


def servers_of_this_run() -> list[psutil.Process]:
    """The supervisors of course servers that this run started and that outlive it: not those that end with it."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "ppid"]):
        command, environment = process.info["cmdline"] or (), process.info["environ"] or {}
        supervises = any(part.endswith("supervisor.sh") for part in command)
        if supervises and MARK in environment.get("PATH", "") and process.info["ppid"] != os.getpid():
            found.append(process)
    return found


def pytest_sessionstart(session: pytest.Session) -> None:
    """Mark what this run starts; its workers inherit the mark."""
    if not hasattr(session.config, "workerinput"):
        os.environ["PATH"] += os.pathsep + MARK


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that leaves a server behind; only the process that started the workers can tell."""
    if hasattr(session.config, "workerinput"):
        return
    deadline = time.monotonic() + LEFT_BEHIND_SECONDS
    while (left := servers_of_this_run()) and time.monotonic() < deadline:
        time.sleep(0.2)
    if left:
        print(f"\nThe tests left {len(left)} server(s) behind: {', '.join(str(each.pid) for each in left)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Compare no outputs in notebooks/: what `--nbval-lax` would do, but for one folder."""
    if type(collector).__name__ == "IPyNbFile" and collector.path.parent.name == "notebooks":
        collector.compare_outputs = False  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Start each notebook's kernel in the environment that the build gives it."""
    if type(item).__name__ != "IPyNbCell" or item.parent.kernel is not None:  # type: ignore[union-attr]
        return (yield)
    from course_lib._build_run import kernel_environment

    scratch = Path(tempfile.mkdtemp(prefix="course-nbval-"))
    item.config.add_cleanup(lambda: shutil.rmtree(scratch, ignore_errors=True))
    environment = kernel_environment(scratch, item.config.rootpath)
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        return (yield)
