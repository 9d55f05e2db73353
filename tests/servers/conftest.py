"""A private place for the servers of these tests, and one server for those that only look at it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_helpers import run_apart, wait_until

from course_lib.servers import PostgresServer


@pytest.fixture(scope="module")
def servers_home() -> Iterator[Path]:
    """COURSE_HOME for these tests, with a space in its path. pytest's own folders are closed to other accounts."""
    home = Path(tempfile.mkdtemp(prefix="course tests "))
    home.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(home))
        yield home
        left = list(home.glob("cache/postgres/servers/*"))
    wait_until(lambda: not any(path.exists() for path in left), 10)
    still = [str(path) for path in left if path.exists()]
    shutil.rmtree(home)
    assert not still, "servers of these tests left folders behind"


@pytest.fixture(autouse=True)
def _home(servers_home: Path) -> None:
    """Every test here uses that place."""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of one test that every account can enter."""
    folder = Path(tempfile.mkdtemp(prefix="course open "))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(servers_home: Path) -> Iterator[PostgresServer]:
    """One running server for the tests that only look at it."""
    running = run_apart(lambda: PostgresServer.start(max_connections=12, tls=True))
    yield running
    run_apart(running.stop)
