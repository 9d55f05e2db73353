"""The warm process of a worker: everything that checks import is imported once, each exercise gets a fork of it.

`course_lib.grade._grader` starts it as `python -c`. It reads jobs from its standard input and writes verdicts to its
standard output, each a JSON text behind its length. It is trusted, and still confined: it cannot read the solutions or
the submissions, since a database's superuser can read what its server can.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import secrets
import select
import shutil
import signal
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from course_lib import _sandbox_supervisor, sandbox
from course_lib.grade._isolation import confine_files, leave_network, take_short_addresses
from course_lib.grade._messages import receive, send

_MOST_REQUESTS = 50_000
_LONGEST_REQUEST = 1 << 20
# Python programs that an answer starts run the `sitecustomize` there.
_SITE = Path(__file__).with_name("_site")


def main() -> None:
    """Serve until the standard input ends."""
    jobs = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    # A local cluster's processes are started with it blocked; an answer may want it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    settings = receive(jobs)
    assert settings is not None
    zygote = None
    try:
        zygote = Zygote(settings, jobs.fileno())
        send(answers, {"ready": True, "layers": zygote.layers})
        while (job := receive(jobs)) is not None:
            send(answers, zygote.grade(job))
    finally:
        if zygote is not None:
            zygote.close()


class Zygote:
    """Grades one exercise at a time."""

    def __init__(self, settings: dict[str, Any], jobs: int) -> None:
        self._jobs = jobs
        self._scratch = Path(settings["scratch"])
        self._memory = int(settings["memory"])
        self._readable = [str(Path(path)) for path in settings["readable"]]
        self._libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        from course_lib.grade import _child, _integrity, _remote
        from course_lib.grade._broker import Broker

        self._child, self._remote = _child, _remote
        self.exercises = _warm()
        from course_lib.servers._instance import find_ground
        from course_lib.servers.binaries import find_pgbouncer

        self._ground = find_ground(tls=False)
        self._pooler = find_pgbouncer()
        take_short_addresses()
        files = confine_files(self._ground, [*self._libraries, *self._readable], self._scratch)
        self.layers = [*leave_network(), *files]
        self._broker = Broker(self._scratch)
        self._broker.warm_up()
        self._import = _integrity.GuardedImport()
        self._fingerprint = _integrity.Fingerprint()
        gc.collect()
        gc.freeze()  # a collection in a fork would touch, and so copy, all of this process's memory

    def close(self) -> None:
        """End the servers."""
        self._broker.close()

    def grade(self, job: dict[str, Any]) -> dict[str, Any]:
        """Grade one exercise in a fork."""
        folder = Path(tempfile.mkdtemp(dir=self._scratch, prefix="answer-"))
        try:
            self._child.keep_work({name: bytes.fromhex(data) for name, data in job.get("files", {}).items()}, folder)
            account = sandbox._free_account()
            if account is not None:
                sandbox._hand_over(folder, account)
            report = self._run(job, folder, account)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        verdict = self._judge(job, report)
        self._broker.settle(keep=verdict["status"] != "refused")
        return verdict

    def _run(self, job: dict[str, Any], folder: Path, account: int | None) -> dict[str, Any]:
        self._token = secrets.token_hex(16)
        token = self._token
        configuration = {
            "program": "",
            "folder": str(folder),
            "readable": self._readable,
            "libraries": self._libraries,
            "ports": None,
            "environment": sandbox._environment()
            | {"HOME": str(folder), "TMPDIR": str(folder), "COURSE_HOME": str(folder / "course")}
            | {"COURSE_WORK": str(folder / "work"), "PYTHONDONTWRITEBYTECODE": "1"}
            | {"PYTHONPATH": str(_SITE)},
            "seconds": float(job["seconds"]),
            "memory": self._memory,
            "output": 1 << 20,
            "result": 1 << 18,
            "file_size": 64,
            "processes": 96,
            "may_fork": True,  # checks do, and so do some right answers; all of it is confined alike
            "account": account,
            "linux": True,
            "namespaces": True,
            "landlock": True,
        }
        ends = {name: os.pipe() for name in ("control", "report", "question", "answer")}
        supervisor = os.fork()
        if supervisor == 0:
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                os.dup2(ends["control"][0], 0)
                os.dup2(ends["report"][1], 1)
                for name in ("control", "report"):
                    for end in ends[name]:
                        os.close(end)
                os.close(ends["question"][0])
                os.close(ends["answer"][1])
                os.setsid()

                def prepare() -> None:
                    tempfile.tempdir = None
                    ask = self._remote.make_ask(5, 6)
                    self._remote.use_broker(ask, self._ground, self._pooler, folder)

                def run(out_of_memory: Any) -> None:
                    exercise = self.exercises[job["exercise"]]
                    self._child.grade(job, exercise, self._fingerprint, self._import, token, prepare, out_of_memory)

                _sandbox_supervisor.supervise(configuration, run, (ends["question"][1], ends["answer"][0]))
            finally:
                os._exit(70)
        for name, end in (("control", 0), ("report", 1), ("question", 1), ("answer", 0)):
            os.close(ends[name][end])
        try:
            return self._attend(ends["report"][0], ends["question"][0], ends["answer"][1])
        finally:
            for name, end in (("control", 1), ("report", 0), ("question", 0), ("answer", 1)):
                os.close(ends[name][end])
            os.waitpid(supervisor, 0)

    def _attend(self, report: int, question: int, answer: int) -> dict[str, Any]:
        """Wait for the report, and serve the check's requests until then."""
        import marshal

        data, asked, count = b"", b"", 0
        poll = select.poll()
        for descriptor in (report, question, self._jobs):
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, event in poll.poll():
                if descriptor == self._jobs:
                    if event & ~select.POLLIN or not event:
                        raise SystemExit(0)  # the worker has gone
                    poll.unregister(self._jobs)
                elif descriptor == question:
                    more = os.read(question, 1 << 16)
                    asked += more
                    if not more or len(asked) > _LONGEST_REQUEST or count > _MOST_REQUESTS:
                        poll.unregister(question)
                        continue
                    while b"\n" in asked:
                        line, _, asked = asked.partition(b"\n")
                        count += 1
                        self._reply(line, answer)
                else:
                    more = os.read(report, 1 << 16)
                    data += more
                    if not more:
                        whole = len(data) >= 8 and len(data) == 8 + struct.unpack("=Q", data[:8])[0]
                        return dict(marshal.loads(data[8:])) if whole else {"error": "no report", "reason": "error"}

    def _reply(self, line: bytes, answer: int) -> None:
        try:
            request = json.loads(line)
            said = self._broker.handle(request) if isinstance(request, dict) else {"error": "not a request"}
        except (ValueError, RecursionError):
            said = {"error": "not a request"}
        data = json.dumps(said).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(answer, data) :]

    def _judge(self, job: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        base = {"seconds": round(float(report.get("seconds", 0.0)), 3), "layers": report.get("layers", [])}
        base["output"] = report.get("stdout", b"")[:2000].decode(errors="replace")
        base["errors"] = report.get("stderr", b"")[-2000:].decode(errors="replace")
        reason = report["reason"]
        for line in report.get("result", b"").splitlines():
            token, _, text = line.decode(errors="replace").partition(" ")
            if secrets.compare_digest(token.encode(), self._token.encode()) and reason in ("ended", "time"):
                with contextlib.suppress(ValueError, RecursionError):
                    return {**base, **json.loads(text)}
        if report.get("error") is not None:
            return base | _verdict("grader_error", f"The exercise could not be run: {report['error']}")
        told = {
            "time": ("timed_out", f"It did not end within {job['seconds']:g} seconds, so it was stopped."),
            "memory": ("error", f"It used more than {self._memory} MB of memory, so it was stopped."),
            "output": ("error", "It wrote more than 1 MB of output, so it was stopped."),
            "signal": ("error", "Its process was ended by a signal."),
            "ended": ("error", "Its process ended before the check had finished: the answer asked Python to exit."),
        }
        return base | _verdict(*told.get(reason, ("grader_error", f"The sandbox said {reason}.")))


def _verdict(status: str, message: str) -> dict[str, Any]:
    return {"status": status, "message": message, "misconception": None}


def _warm() -> dict[str, Any]:
    """Import what checks and answers use; returns all exercises, by id."""
    import course_lib.exercises
    from course_lib.exercises import progress
    from course_lib.exercises.core import Exercise

    async def keep_nothing(*_: Any) -> str:
        return ""

    progress.record = keep_nothing  # type: ignore[assignment]
    progress.record_guess = keep_nothing  # type: ignore[assignment]
    found = {}
    for module in pkgutil.iter_modules(course_lib.exercises.__path__):
        for value in vars(importlib.import_module(f"course_lib.exercises.{module.name}")).values():
            if isinstance(value, Exercise):
                found[value.id] = value
    for name in (
        "aiosqlite", "asyncpg", "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite",
        "sqlalchemy.ext.asyncio", "sqlmodel.ext.asyncio.session", "trustme", "pydantic_settings", "alembic.command",
        "fastapi", "httpx", "packaging.requirements", "importlib.metadata", "unittest.mock", "uuid", "zoneinfo",
        "concurrent.futures.thread", "encodings.idna", "stringprep", "course_lib.review", "course_lib.work",
    ):  # fmt: skip
        importlib.import_module(name)
    asyncio.run(asyncio.sleep(0))
    random.seed()
    return found
