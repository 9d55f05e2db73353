"""`course review`, as it is typed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

COMMAND = [sys.executable, "-c", "from course_lib.cli import app; app()", "review"]
GAPS = (
    "from sqlalchemy.ext.asyncio import create_async_engine\n"
    "engine = create_async_engine('postgresql+asyncpg://localhost/app', pool_size=9, pool_pre_ping=True)\n"
)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def commands(pid: int) -> list[str]:
    """The command lines of what a process started; those that end meanwhile are left out."""
    found = []
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            found.append(" ".join(each.cmdline()))
    return found


def test_exit_codes_and_forms(tmp_path: Path) -> None:
    path = tmp_path / "database.py"
    path.write_text(GAPS)
    done = run(path, "--json", "--budget", "9")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert {one["rule"] for one in found["findings"]} == {"recycles", "pool-bounded"}
    assert (found["budget"], found["gaps"], found["ran"]) == (9, 2, True)
    path.write_text(GAPS.replace("pool_pre_ping=True", "pool_pre_ping=True, pool_recycle=100"))
    done = run(path, "--markdown")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("## Review of the database configuration\n")


def test_what_can_not_run_is_2_with_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path / "absent.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no file" in done.stderr
    done = run(tmp_path / "absent.py", "--json")
    assert (done.returncode, json.loads(done.stdout)["ran"]) == (2, False)
    assert run(tmp_path / "absent.py", "--budget", "0").returncode == 2


def test_ctrl_c_ends_it_with_130(tmp_path: Path) -> None:
    (tmp_path / "database.py").write_text("while True:\n    pass\n")
    process = subprocess.Popen(
        [*COMMAND, str(tmp_path / "database.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not any("_sandbox_supervisor" in each for each in commands(process.pid)):
        time.sleep(0.05)
        assert process.poll() is None
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), err
    assert err.strip() == "Stopped."
    assert time.monotonic() - began < 8
