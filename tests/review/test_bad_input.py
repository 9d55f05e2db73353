"""Files that can't be reviewed, or that mean harm: the review ends in time, says why, and leaves nothing behind."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from course_lib.review import Report, review
from course_lib.review.running import Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNREADABLE = {
    "no Python": (b"x = 1\ndef f(:\n    pass\n", "line 2"),
    "Python 2": (b"print 'hello'\n", "line 1"),
    "not UTF-8": (b'name = "caf\xe9"\n', "UTF-8"),
    "empty": (b"", "no code"),
    "only a comment": (b'"""Nothing."""\n# here\n', "no code"),
    "binary": (b"\x7fELF\x02\x01\x00\x00\x00", "binary"),
    "10 MB": (b"#" * 10_000_000, "10.0 MB"),
    "too deep": (b"x = " + b"(" * 5000 + b")" * 5000 + b"\n", "not Python"),
}
HARMFUL = {
    "computes without end": ("while True:\n    pass\n", "did not end in time"),
    "awaits without end": ("import asyncio\nasyncio.run(asyncio.Event().wait())\n", "did not end in time"),
    "holds on": ("while True:\n    try:\n        while True: pass\n    except BaseException: pass\n", "did not end"),
    "forks": ("import os\nos.fork()\n", "start processes"),
    "starts a program": ("import subprocess\nsubprocess.run(['sleep', '60'])\n", "start processes"),
    "kills its parent": ("import os\nos.kill(os.getppid(), 9)\n", "signal others"),
    "exits": ("import sys\nsys.exit(3)\n", "SystemExit with code 3"),
    "exits at once": ("import os\nos._exit(5)\n", "exit code 5"),
    "crashes": ("import ctypes\nctypes.string_at(0)\n", "signal 11"),
    "prints megabytes": ("while True:\n    print('x' * 100_000)\n", "prints more"),
    "fills the memory": ("x = bytearray(10 ** 11)\n", "Memory"),
    "needs a package": ("import no_such_package.core\n", "'no_such_package'"),
    "connects elsewhere": ("import socket\nsocket.create_connection(('127.0.0.1', 9))\n", "sandbox"),
    "no database": ("import os\nprint(dict(os.environ))\n", "configures no database"),
    "MySQL": (
        "import sys, types\nfrom sqlalchemy import create_engine\n"
        "create_engine('mysql+pymysql://localhost/x', module=types.SimpleNamespace(paramstyle='format'))\n",
        "mysql",
    ),
    "raises": ("import json\njson.loads('{')\n", "line 2: JSONDecodeError"),
}


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, for one test. pytest's own folders are closed to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="course tests "))
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def programs() -> set[int]:
    """Python processes of this one."""
    return {each.pid for each in psutil.Process().children(recursive=True) if "python" in each.name()}


def is_refused(report: Report, reason: str) -> None:
    assert (report.ran, report.exit_code, report.findings) == (False, 2, ()), report.as_text()
    assert reason in report.reason
    assert report.reason.count("\n") == 0
    assert report.reason.endswith(".")


@pytest.mark.parametrize("case", UNREADABLE)
async def test_what_is_no_python_is_not_run(case: str, lab: Lab, tmp_path: Path) -> None:
    content, reason = UNREADABLE[case]
    (tmp_path / "database.py").write_bytes(content)
    is_refused(await review(tmp_path / "database.py", lab=lab), reason)


async def test_what_is_no_file_is_told(lab: Lab, tmp_path: Path) -> None:
    is_refused(await review(tmp_path / "absent.py", lab=lab), "There is no file")
    is_refused(await review(tmp_path, lab=lab), "is a folder")
    is_refused(await review("app.database", search_path=tmp_path, lab=lab), "There is no file")
    is_refused(await review("app.database", search_path=tmp_path / "absent", lab=lab), "There is no folder")


@pytest.mark.parametrize("case", HARMFUL)
async def test_harm_stays_inside(
    case: str, reviewed: Any, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course_lib.review.runs.IMPORT_SECONDS", 1.0)
    before = programs()
    began = time.monotonic()
    source, reason = HARMFUL[case]
    is_refused(await reviewed(source, seconds=2), reason)
    assert time.monotonic() - began < 12
    assert programs() == before
    assert list(scratch.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"database.py"}
    assert (tmp_path / "database.py").read_text() == source


async def test_a_file_that_deletes_reaches_only_its_copy(reviewed: Any, tmp_path: Path, scratch: Path) -> None:
    victim = scratch / "victim.txt"
    scratch.chmod(0o777)
    victim.write_text("kept")
    source = (
        "import os, pathlib, shutil\n"
        "shutil.rmtree(pathlib.Path(__file__).parent)\n"
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
        f"try:\n    os.remove({str(victim)!r})\nexcept OSError as error:\n    refused = error\n"
        "engine = create_async_engine('sqlite+aiosqlite:///kept.db')\n"
        "assert refused\n"
    )
    report = await reviewed(source, models="x = 1\n")
    assert report.ran, report.reason
    assert victim.read_text() == "kept"
    assert {"database.py", "models.py"} <= {path.name for path in tmp_path.iterdir()}


async def test_the_environment_of_this_process_is_not_seen(reviewed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:outside-example@127.0.0.1:1/own")
    monkeypatch.setenv("SERVICE_NAME", "seen-from-outside")
    source = (
        "import os\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
        "assert 'seen-from-outside' not in os.environ.values()\n"
        "engine = create_async_engine(os.environ['DATABASE_URL'], pool_pre_ping=True, pool_recycle=100)\n"
    )
    report = await reviewed(source)
    assert report.ran, report.reason
    assert report["survives-restart"].outcome == "ok"
    assert "outside-example" not in report.as_json()
