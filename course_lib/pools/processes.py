"""The same jobs in several client processes at once: what a pooler between them and the database has to stand.

One process is not enough to see what a pooler mixes up: asyncpg numbers its prepared statements per process, so only
another process uses the same names. The processes are forked from this one, so that they run the very function that
was given, wherever it was written. Windows has no fork, and no PgBouncer either.
"""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

NAMES = ("alice", "bob", "carol", "dave")
OK, WRONG, UNFINISHED = "ok", "wrong row", "not finished"
_CLIENTS = 6  # concurrent tasks in each process

MakeEngine = Callable[[], AsyncEngine | Awaitable[AsyncEngine]]
Work = Callable[[], Coroutine[Any, Any, dict[str, Any]]]


@dataclass(frozen=True)
class JobCounts:
    """How the jobs of all processes ended.

    Args:
        counts: for each ending the number of jobs: "ok", "wrong row", "not finished", or the class of an error.
        error: the first error of one process, as `Class: message`; "" where there was none.
        mistake: what was asked and what came instead, for one of the wrong rows; "" where there was none.
    """

    counts: dict[str, int]
    error: str = ""
    mistake: str = ""

    @property
    def ok(self) -> int:
        """Jobs that got their own rows."""
        return self.counts.get(OK, 0)

    @property
    def wrong(self) -> int:
        """Jobs that got the row of another query, mostly that of another client, without any error."""
        return self.counts.get(WRONG, 0)

    @property
    def errors(self) -> dict[str, int]:
        """Jobs that failed, by the class of their error, the most frequent first."""
        rest = {name: number for name, number in self.counts.items() if name not in (OK, WRONG)}
        return dict(sorted(rest.items(), key=lambda each: (-each[1], each[0])))


async def run_in_processes(
    make_engine: MakeEngine, *, processes: int = 3, jobs: int = 80, transactions: int = 1, seconds: float = 10.0
) -> JobCounts:
    """Run jobs in several processes at the same time, each with an engine of its own, and count how they ended.

    A job checks a connection out, asks in each of its transactions three times for a row that only this client asks
    for, and compares. Each process runs six jobs at a time. The processes end with this call, also when it is
    cancelled, and when this process dies.

    Args:
        make_engine: makes the engine, in each process anew.
        processes: how many processes, up to four.
        jobs: how many jobs each of them runs.
        transactions: how many transactions a job runs on its connection, one after the other.
        seconds: the time for all; jobs that have not ended by then count as "not finished".
    Returns:
        How the jobs ended.
    """
    told = await in_processes(
        [partial(_work, name, make_engine, jobs, transactions, seconds) for name in NAMES[:processes]], seconds=seconds
    )
    counts: Counter[str] = Counter()
    for each in told:
        counts.update(each.get("counts", {}))
    counts[UNFINISHED] += processes * jobs - counts.total()
    errors, mistakes = ([each[kind] for each in told if each.get(kind)] for kind in ("error", "mistake"))
    return JobCounts(dict(+counts), *(texts[0] if texts else "" for texts in (errors, sorted(mistakes))))


async def in_processes(works: Iterable[Work], *, seconds: float) -> list[dict[str, Any]]:
    """Run each of the functions in a forked process of its own, at the same time, and return what they returned.

    The processes end with this call, also when it is cancelled, and when this process dies.

    Args:
        works: async functions; each returns what JSON can hold.
        seconds: a process that has not ended two seconds after this time is ended.
    Returns:
        What each returned; ``{"error": "Class: message"}`` for one that raised, ``{}`` for one that was ended.
    """
    life, held = os.pipe()
    children: list[tuple[int, int]] = []
    try:
        for work in works:
            children.append(_fork(work, seconds, life, held))
        return await asyncio.gather(*(asyncio.to_thread(_read, output) for _, output in children))
    finally:
        os.close(life)
        os.close(held)
        _end(pid for pid, _ in children)


def _end(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _read(descriptor: int) -> dict[str, Any]:
    with os.fdopen(descriptor, "rb") as pipe:
        return dict(json.loads(pipe.read() or b"{}"))


def _fork(work: Work, seconds: float, life: int, held: int) -> tuple[int, int]:
    output, told = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on Python warns about threads that hold locks. The child needs none of theirs: it does not print,
        # log, or touch what was there before.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(held)
        _child(work, seconds, life, told)
    os.close(told)
    return pid, output


def _child(work: Work, seconds: float, life: int, told: int) -> NoReturn:
    """What a forked process does, until its end."""
    try:
        # Objects of the parent share its sockets and its event loop's selector: nothing may clean them up here.
        gc.disable()
        gc.freeze()
        logging.disable()
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + 2)  # should something block the event loop
        result = asyncio.run(_guarded(work, life))
        os.write(told, json.dumps(result).encode())
    except BaseException as error:
        os.write(told, json.dumps({"error": _said(error)}).encode())
    finally:
        os._exit(0)


async def _guarded(work: Work, life: int) -> dict[str, Any]:
    asyncio.get_running_loop().add_reader(life, os._exit, 1)  # it becomes readable when the parent is gone
    return await work()


async def _work(name: str, make_engine: MakeEngine, jobs: int, transactions: int, seconds: float) -> dict[str, Any]:
    made = make_engine()
    engine = made if isinstance(made, AsyncEngine) else await made
    counts: Counter[str] = Counter()
    errors: list[str] = []
    mistakes: list[str] = []

    async def client(number: int) -> None:
        for _ in range(number, jobs, _CLIENTS):
            try:
                mistake = await _job(engine, f"{name} {number}", transactions)
            except Exception as error:
                counts[_kind(error)] += 1
                errors.append(_said(error))
            else:
                counts[WRONG if mistake else OK] += 1
                mistakes.append(mistake)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*map(client, range(_CLIENTS)))
    # A row of another process is the more striking one.
    mistakes = sorted(filter(None, mistakes), key=lambda each: f"got '{name}" in each)
    return {"counts": counts, "error": (errors or [""])[0], "mistake": (mistakes or [""])[0]}


async def _job(engine: AsyncEngine, who: str, transactions: int) -> str:
    """Run one job; what was wrong with its rows is returned, "" if nothing was."""
    # A service has its own queries: each client sends texts that no other sends, and sends them again and again.
    queries = {what: text(f"select '{who}, {what} ' || :number") for what in ("page", "line")}
    async with engine.connect() as connection:
        for number in map(str, range(transactions)):
            for what in ("page", "line", "page"):
                wanted = f"{who}, {what} {number}"
                got = await connection.scalar(queries[what], {"number": number})
                if got != wanted:
                    return f"asked for {wanted!r} and got {got!r}"
            await connection.commit()
    return ""


def _cause(error: BaseException) -> BaseException:
    """The driver's own exception behind SQLAlchemy's."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def _kind(error: BaseException) -> str:
    return type(_cause(error)).__name__


def _said(error: BaseException) -> str:
    return f"{_kind(error)}: {str(_cause(error)).splitlines()[0] if str(_cause(error)) else ''}"
