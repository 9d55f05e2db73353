"""What a run of all tests needs: nbval beside the unit tests in one pytest, and a look for servers left behind."""

import atexit
import gc
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from course_lib.folders import memory_folder

LEFT_BEHIND_SECONDS = 15  # a server's supervisor needs well under one; the machine may be busy
# Stands at the end of PATH, which a server's supervisor inherits: lessons that are open beside the tests don't count.
MARK = f"/course-test-run-{os.getpid()}"


def use_memory_for_temporary_files() -> None:
    """Put a run's temporary files, a thousand servers among them, into memory if there is plenty of it."""
    memory = memory_folder(6 << 30)
    if memory is None or "TMPDIR" in os.environ:
        return
    folder = tempfile.mkdtemp(dir=memory, prefix="course-test-run-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Path(folder).chmod(0o1777)  # as /tmp: PostgreSQL's account and those of sandboxes use it too
    os.environ["TMPDIR"] = tempfile.tempdir = folder


if "PYTEST_XDIST_WORKER" not in os.environ:
    use_memory_for_temporary_files()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell gives `make test &` an ignored SIGINT. Kernels inherit it, and the tests that interrupt them would wait.
    signal.signal(signal.SIGINT, signal.default_int_handler)


gc.disable()  # until all tests are collected


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


class ByFileOrExercise(LoadFileScheduling):
    """Share the work out by file, as a notebook's cells need it, and the answer bank, minutes of work, by exercise."""

    def _split_scope(self, nodeid: str) -> str:
        exercise = re.match(r".*::test_each_answer_\w+\[\w+\.q\d+", nodeid)
        return exercise[0] if exercise else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two workers more than there are cores: most tests wait, for a server, a time limit, a browser."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """See `ByFileOrExercise`; pytest-xdist's own `loadgroup` does nothing with pytest 9.2 (measured)."""
    return ByFileOrExercise(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Collect garbage from now on: while tests are imported and collected there is hardly any, and much to look at."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is long and can't be shared out: else the last of it would keep one worker busy alone."""
    first = ("browser", "solutions", "notebooks", "bad_day")
    items.sort(
        key=lambda item: next((place for place, name in enumerate(first) if name in item.path.parts), len(first))
    )


@pytest.fixture(scope="module", autouse=True)
def _only_what_tests_make() -> None:
    """Keep the million objects of this process out of the garbage collector, which each check asks three times."""
    gc.collect()
    gc.freeze()


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Compare no outputs in notebooks/: what `--nbval-lax` would do, but for one folder."""
    if type(collector).__name__ == "IPyNbFile" and collector.path.parent.name == "notebooks":
        collector.compare_outputs = False  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Run each cell of notebooks/ twice in a row, as learners do; tests/lessons/test_runs_twice.py does solutions/."""
    yield
    if type(item).__name__ == "IPyNbCell" and item.path.parent.name == "notebooks":
        item.runtest()


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
