"""Grade a folder of submissions on Dask: a local cluster, or one that runs already."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from course_lib.grade._marking import Result
from course_lib.grade._reference import course_version
from course_lib.grade._results import Store
from course_lib.grade._submissions import Submission, read_submission, shown, submissions
from course_lib.grade._worker import close_graders, grade_submission

_AHEAD = 2  # submissions that wait for each worker: it never idles, and a class of thousands fits into memory


@dataclass
class Run:
    """What a run did.

    Args:
        results: of all submissions, in the order of their folders.
        graded: how many were graded now; the others were graded before.
        failed: why submissions could not be graded, by learner.
        workers: the grading processes that took part, and how many submissions each of them graded.
    """

    results: list[Result] = field(default_factory=list)
    graded: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)


class SchedulerError(RuntimeError):
    """The Dask scheduler cannot be reached."""


def grade_folder(
    folder: Path,
    output: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Run:
    """Grade each submission that was not graded before, and keep each result as it comes.

    Args:
        folder: holds one folder per learner.
        output: where results are kept.
        scheduler: the address of a running Dask scheduler; None starts a cluster on this machine.
        workers: how many workers that cluster has; by default one for each core.
        force: grade also what was graded before.
        progress: called with the number of submissions that are done and the number of all.
    Raises:
        SchedulerError: the scheduler cannot be reached.
    """
    version = course_version()
    store = Store(output, version)
    folders = submissions(folder)
    run = Run()
    found: dict[str, Result] = {}
    waiting: list[Path] = []
    for path in folders:
        submission = read_submission(path)
        known = None if force else store.known(submission.learner, submission.key)
        if known is not None:
            found[path.name] = known
        else:
            waiting.append(path)
    progress(len(found), len(folders))
    if waiting:
        try:
            with _client(scheduler, workers, len(waiting)) as client:
                for name, submission, outcome in _graded(client, waiting, version):
                    _note(run, store, found, name, submission, outcome)
                    progress(len(found), len(folders))
        finally:
            run.results = [found[path.name] for path in folders if path.name in found]
    run.results = [found[path.name] for path in folders]
    return run


def _note(run: Run, store: Store, found: dict[str, Result], name: str, submission: Submission, outcome: Any) -> None:
    if isinstance(outcome, BaseException):
        said = f"{type(outcome).__name__}: {outcome}"
        run.failed[submission.learner] = said
        found[name] = Result(submission.learner, submission.key, problems={"the submission": f"not graded: {said}"})
        return
    worker = str(outcome.pop("worker"))
    run.workers[worker] = run.workers.get(worker, 0) + 1
    found[name] = Result.from_dict(outcome)
    run.graded += 1
    if not any(mark.status in ("grader_error", "checker_error") for mark in found[name].marks):
        store.keep(found[name])  # what went wrong on our side is tried again by the next run
    else:
        run.failed[submission.learner] = "an exercise could not be run; the feedback says why"


def _graded(client: Any, waiting: list[Path], version: str) -> Iterator[tuple[str, Submission, Any]]:
    """Results as they come, with as many submissions on the way as keep all workers busy."""
    import distributed

    as_completed: Any = distributed.as_completed

    rest = iter(waiting)
    names: dict[str, tuple[str, Submission]] = {}

    def submit() -> Any:
        path = next(rest, None)
        if path is None:
            return None
        submission = read_submission(path)
        # Each submission is a task of its own: equal ones are graded each.
        future = client.submit(grade_submission, submission, version, pure=False, key=f"grade-{shown(path.name)}")
        names[future.key] = (path.name, Submission(submission.learner, key=submission.key))
        return future

    slots = max(1, sum(client.nthreads().values())) * _AHEAD
    futures = as_completed([future for _ in range(slots) if (future := submit()) is not None])
    for future in futures:
        name, submission = names.pop(future.key)
        error = future.exception()
        yield name, submission, error if error is not None else future.result()
        future.release()
        following = submit()
        if following is not None:
            futures.add(following)


@contextlib.contextmanager
def _client(scheduler: str | None, workers: int | None, work: int) -> Iterator[Any]:
    import dask
    import distributed

    # They have no types.
    Client: Any = distributed.Client
    LocalCluster: Any = distributed.LocalCluster

    with dask.config.set({"distributed.admin.tick.limit": "60s", "distributed.comm.timeouts.connect": "15s"}):
        if scheduler is not None:
            try:
                client = Client(scheduler, timeout=15)
            except (OSError, ValueError, TimeoutError) as error:
                raise SchedulerError(f"The scheduler {scheduler} cannot be reached ({type(error).__name__}).") from None
            with client:
                if not client.nthreads():
                    client.wait_for_workers(1, timeout=60)
                try:
                    yield client
                finally:
                    _end(client)
            return
        count = workers or min(os.cpu_count() or 1, work)
        with _without_interrupts():
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                memory_limit=0,
                silence_logs=50,
            )
        with cluster, Client(cluster) as client:
            try:
                yield client
            finally:
                _end(client)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """What starts in this block never gets Ctrl-C of the terminal: this process gets it, and ends them in order."""
    resource_tracker.ensure_running()  # multiprocessing starts it with the first process, and lets SIGINT through then
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(client: Any) -> None:
    """The grading processes go with this run, in whatever way it ends."""
    with contextlib.suppress(Exception):
        client.run(close_graders)
