"""One run of the worker in the sandbox: the job that it gets, and the facts that come back."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from course_lib.review.copying import copy, neighbours
from course_lib.review.source import SourceFile
from course_lib.sandbox import SandboxError, run_sandboxed

IMPORT_SECONDS = 6.0
PROBE_SECONDS = 4.0
_CA_NAME = "ca.pem"
_MEMORY = 1024  # MB, for all runs of a file together
_PACKAGE = Path(__file__).parent.parent
_START = """
import importlib.util, os, runpy, sys
sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]
specification = importlib.util.spec_from_file_location("course_lib", {init!r}, submodule_search_locations=[{package!r}])
sys.modules["course_lib"] = importlib.util.module_from_spec(specification)
specification.loader.exec_module(sys.modules["course_lib"])
runpy.run_module("course_lib.review.worker", run_name="__main__", alter_sys=False)
"""


@dataclass
class Run:
    """How one run ended ("ended" by itself, or by "time", "output", "memory" or a "signal"), and its facts by name."""

    name: str
    reason: str
    exit_code: int
    seconds: float
    stdout: str
    stderr: str
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def seen(self) -> dict[str, Any]:
        """What was recorded beside the probes."""
        return self.facts.get("seen", {})

    @property
    def imported(self) -> bool:
        return "import" in self.facts and "failed" not in self.facts["import"]

    def failure(self, probe: str) -> dict[str, Any] | None:
        """The error that ended a probe, or None."""
        found: dict[str, Any] | None = self.facts.get(probe, {}).get("failed")
        return found

    def value(self, probe: str) -> dict[str, Any] | None:
        """What a probe found; None when it failed or did not run."""
        found = self.facts.get(probe)
        return found if found is not None and "failed" not in found else None

    @property
    def creation(self) -> dict[str, Any] | None:
        """The engine that the probes used."""
        return next((one for one in self.seen.get("creations", ()) if one["chosen"]), None)

    @property
    def output(self) -> str:
        """All that it printed and logged."""
        return "\n".join((self.stdout, self.stderr, self.seen.get("logged", "")))


@dataclass(frozen=True)
class Plan:
    """What one run is to do.

    Args:
        name: its name.
        probes: names of probes, in order.
        url: the URL that the file gets from outside; None: no variable of the database is set.
        form: how the URL is written; by default as SQLAlchemy renders it.
        target: where connections go that the file opens elsewhere.
        substitute: whether an engine that can't be made is made with the async driver, to go on looking.
        names_ca: whether PGSSLROOTCERT names the certificate authority, which makes asyncpg verify more.
        extra: what its probes need besides.
    """

    name: str
    probes: tuple[str, ...]
    url: URL | None
    form: str | None
    target: URL
    substitute: bool = False
    names_ca: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


async def run_plans(
    plans: Sequence[Plan],
    source: SourceFile,
    *,
    budget: int,
    seconds: float,
    ports: set[int],
    fixed: Mapping[str, str],
    authority: bytes,
    on_restart: Callable[[], Awaitable[None]],
) -> dict[str, Run]:
    """Run plans side by side, in a folder that is gone afterwards; the first one can ask for a restart.

    Where the first one shows that the file can't be run at all, the others are left off.

    Args:
        plans: what to do, the main run first.
        source: the file.
        budget: connections per process.
        seconds: each run's time limit.
        ports: loopback ports that the file may use.
        fixed: values of further variables that the file asks for.
        authority: the certificate authority (PEM) that stands in for all that the file trusts.
        on_restart: restarts the main run's server.
    Raises:
        SandboxError: nothing could be run here.
    """
    folder = Path(tempfile.mkdtemp(prefix="course-review-"))
    helper: asyncio.Task[None] | None = None
    try:
        jobs = []
        found = await asyncio.to_thread(neighbours, source.paths, source.path)
        for plan in plans:
            scratch = folder / plan.name
            await asyncio.to_thread(copy, found, scratch / "project")
            copies = {path: scratch / "project" / place for path, place in found.items()}
            (scratch / _CA_NAME).write_bytes(authority)
            jobs.append(_job(plan, source, copies, scratch, budget, ports, fixed) | {"seconds": seconds})
        at_once = (os.cpu_count() or 1) + 1
        work = {"jobs": jobs, "preload": _preloaded(source), "at_once": at_once}
        (folder / "jobs.json").write_text(json.dumps(work), encoding="utf-8")
        helper = asyncio.create_task(_answer(folder / plans[0].name, on_restart))
        finished = await run_sandboxed(
            _START.format(init=str(_PACKAGE / "__init__.py"), package=str(_PACKAGE)),
            folder=folder,
            readable=[_PACKAGE],
            ports=ports,
            environment={"PYTHONWARNINGS": "ignore"},
            seconds=seconds * (1 + len(plans) / at_once),
            memory=_MEMORY,
            result=len(plans) * (4 << 20),
            may_fork=True,  # the worker does; it forbids it to the file
        )
    finally:
        if helper is not None:
            helper.cancel()
            await asyncio.gather(helper, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    runs = {}
    for value in finished.results:
        facts = {fact["fact"]: fact for fact in value.pop("facts") if isinstance(fact.get("fact"), str)}
        run = Run(value.pop("run"), facts=facts, **value)
        if run.reason != "not needed":
            runs[run.name] = run
    if plans[0].name not in runs:
        told = finished.stderr.strip().splitlines() or [f"nothing; it was ended by its {finished.reason}"]
        raise SandboxError(f"The process that runs the file ended early. It said: {told[-1]}")
    return runs


def _preloaded(source: SourceFile) -> list[str]:
    """What is imported before the processes are forked off, since most files need it."""
    names = ["sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.ext.asyncio"]
    names += ["asyncpg", "aiosqlite", "pydantic_settings", "sqlmodel"]
    return names + [name for name in ("fastapi", "course_lib.models") if name.partition(".")[0] in source.text]


def _job(
    plan: Plan,
    source: SourceFile,
    copies: Mapping[Path, Path],
    folder: Path,
    budget: int,
    ports: set[int],
    fixed: Mapping[str, str],
) -> dict[str, Any]:
    parts, ca = plan.url or plan.target, str(folder / _CA_NAME)
    given = {
        "url": plan.form or parts.render_as_string(hide_password=False),
        "user": parts.username or "",
        "password": parts.password or "",
        "host": parts.host or "",
        "port": str(parts.port or ""),
        "database": parts.database or "",
    }
    return {
        "name": plan.name,
        "file": str(copies[source.path]),
        "module": source.module,
        "paths": [str(copies[path]) for path in source.paths],
        "roots": [str(folder / "project")],
        "scratch": str(folder),
        "give": given if plan.form is not None or plan.url is not None else None,
        "arguments": given,
        "fixed": dict(fixed),
        "target": {
            "host": plan.target.host,
            "port": plan.target.port,
            "user": plan.target.username,
            "password": plan.target.password,
            "database": plan.target.database,
        },
        "ports": sorted(ports),
        # OpenSSL, and asyncpg as libpq does, are told of the authority by a variable each.
        "environment": dict.fromkeys(("SSL_CERT_FILE", *(["PGSSLROOTCERT"] if plan.names_ca else [])), ca),
        "ca": ca,
        "probes": plan.probes,
        "budget": budget,
        "import_seconds": IMPORT_SECONDS,
        "probe_seconds": PROBE_SECONDS,
        "substitute": plan.substitute,
        "sync": makes_only_sync_engines(source),
        **plan.extra,
    }


def makes_only_sync_engines(source: SourceFile) -> bool:
    """Whether the file only makes sync engines: it is then run as SQLAlchemy runs sync code on an async driver."""
    text = source.text
    return "create_engine" in text and not any(
        word in text for word in ("create_async_engine", "AsyncEngine", "async_engine")
    )


async def _answer(folder: Path, on_restart: Callable[[], Awaitable[None]]) -> None:
    number = 1
    while True:
        asked = folder / f"restart-{number}"
        if asked.exists():
            await on_restart()
            asked.with_name(f"{asked.name}-done").touch()
            number += 1
        await asyncio.sleep(0.01)
