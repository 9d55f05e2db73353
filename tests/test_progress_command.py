"""`course progress` from a terminal: what it shows, what it asks, and its exit codes."""

import asyncio
import json
import os
import select
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from course_lib import progress_command
from course_lib.cli import app
from course_lib.exercises import progress

COURSE = Path(sys.executable).with_name("course")
LEARN = "## What you will learn\n\n- Do `one` thing (exercise 00.1)\n- Do both (exercises 00.1, 00.2)\n\n## Next"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one lesson with two exercises and two objectives."""
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": f"# Start\n\n{LEARN}"}]
    for each in ("00.1", "00.2"):
        cells.append({"cell_type": "code", "metadata": {"exercise": each, "role": "check"}, "source": "1"})
    folder = tmp_path / "course" / "notebooks"
    folder.mkdir(parents=True)
    (folder / "00_start.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}))
    monkeypatch.setenv("COURSE_ROOT", str(folder.parent))
    monkeypatch.setenv("COLUMNS", "100")
    return folder.parent


def run(*words: str, typed: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["progress", *words], input=typed)


def solve(*exercises: str, status: str = "correct") -> None:
    for each in exercises:
        asyncio.run(progress.record(each, status, None))


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at the terminal."""
    monkeypatch.setattr(progress_command, "_is_terminal", lambda: True)


def test_objectives() -> None:
    """Which are reached, which begun; and the same as JSON."""
    solve("00.1")
    solve("00.2", status="not_yet")
    shown = run("--objectives")
    assert shown.exit_code == 0 and "1 of 2 exercises solved, 1 of 2 objectives reached" in shown.stdout
    lines = {line.split("│")[1].strip(): line for line in shown.stdout.splitlines() if line.startswith("│")}
    assert "✔ reached" in lines["Do one thing"] and "✎ begun" in lines["Do both"]
    (lesson,) = json.loads(run("--json").stdout)["lessons"]
    assert lesson["objectives"] == [
        {"text": "Do `one` thing", "solved": ["00.1"], "tried": [], "untried": [], "reached": True},
        {"text": "Do both", "solved": ["00.1"], "tried": ["00.2"], "untried": [], "reached": False},
    ]


def test_objectives_of_the_next_lesson_only() -> None:
    assert "Do both" in run().stdout
    solve("00.1", "00.2")
    assert "Do both" not in run().stdout and "Do both" in run("--objectives").stdout


def test_a_damaged_file_is_told(course_home: Path) -> None:
    course_home.mkdir()
    (course_home / "progress.sqlite").write_text("no database" * 1000)
    shown = run()
    assert shown.exit_code == 0 and "progress.damaged.1.sqlite" in "".join(shown.stdout.split("\n"))


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(
    ("typed", "code", "left"), [("y\n", 0, ["00.2"]), ("n\n", 1, ["00.1", "00.2"]), ("\n", 1, None)]
)
async def test_reset_asks(typed: str, code: int, left: list[str] | None) -> None:
    for each in ("00.1", "00.2"):
        await progress.record(each, "correct", None)
    shown = await asyncio.to_thread(run, "reset", "00.1", typed=typed)
    assert shown.exit_code == code and "Forget your progress in exercise 00.1?" in shown.stderr
    assert sorted(await progress.standings()) == (left or ["00.1", "00.2"])
    assert ("Nothing was changed." in shown.stderr) == bool(code)


def test_reset_without_a_terminal_is_refused() -> None:
    """Nobody to ask: 2, and nothing done; --yes does it, and says where the old progress is."""
    solve("00.1", "00.2")
    for words in (["reset", "--all"], ["reset", "00.1"]):
        shown = run(*words, typed="y\n")
        assert shown.exit_code == 2 and "--yes" in shown.stderr and shown.stdout == ""
    done = json.loads(run("reset", "--all", "--yes", "--json").stdout)
    assert done["reset"] == ["00.1", "00.2"] and done["removed"] == 2
    assert json.loads(run("--json").stdout)["solved"] == 0
    assert "2 entries added; 0 were there already." in run("import", done["backup"]).stdout
    shown = run("reset", "00.1", "-y")
    assert "Reset: 00.1. Your answers in the notebooks stay as they are." in shown.stdout
    assert "none of it was tried" in run("reset", "00.1", "-y").stdout


@pytest.mark.parametrize("words", [[], ["00.1", "--all"], ["00.9", "--yes"], ["--yes"], ["nonsense", "--yes"]])
def test_reset_misused(words: list[str]) -> None:
    shown = run("reset", *words)
    assert shown.exit_code == 2 and shown.stdout == "" and shown.stderr.startswith("course: ")


def test_export_and_import(tmp_path: Path) -> None:
    """To a file and to the terminal, from a file and from standard input; an existing file only after --yes."""
    solve("00.1")
    target = tmp_path / "mine.json"
    assert "1 entry written to" in run("export", str(target)).stdout
    text = target.read_text()
    assert run("export", "-").stdout == text and json.loads(text)["version"] == 1
    target.write_text("precious")
    shown = run("export", str(target), typed="y\n")
    assert shown.exit_code == 2 and "Replace it?" in shown.stderr and target.read_text() == "precious"
    assert json.loads(run("export", str(target), "--yes", "--json").stdout)["replaced"] is True
    assert target.read_text() == text and [each.name for each in tmp_path.glob("*.json")] == ["mine.json"]
    assert json.loads(run("import", "-", "--json", typed=text.encode()).stdout) == {"added": 0, "known": 1, "note": ""}


@pytest.mark.usefixtures("somebody")
def test_export_asks_before_it_replaces(tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    target.write_text("precious")
    assert run("export", str(target), typed="n\n").exit_code == 1 and target.read_text() == "precious"
    assert run("export", str(target), typed="y\n").exit_code == 0 and "attempts" in target.read_text()


def test_bad_files(tmp_path: Path) -> None:
    """A folder, a missing file, no export: the code, a line on stderr, no traceback."""
    (tmp_path / "bad.json").write_text("{}")
    for words, code in (
        (["export", str(tmp_path)], 2),
        (["export", str(tmp_path / "none" / "x.json")], 1),
        (["import", str(tmp_path / "none.json")], 1),
        (["import", str(tmp_path)], 1),
        (["import", str(tmp_path / "bad.json")], 1),
    ):
        shown = run(*words)
        assert shown.exit_code == code and shown.stderr.startswith("course: ") and shown.stdout == "", words


def test_a_file_of_another_shape(course_home: Path) -> None:
    course_home.mkdir()
    sqlite3.connect(course_home / "progress.sqlite").execute("create table attempt (something text)").connection.close()
    shown = run("export", "-")
    assert shown.exit_code == 1 and "can't be used: no such column" in shown.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_ctrl_c_at_the_question(root: Path, tmp_path: Path) -> None:
    """On a real terminal: the question, Ctrl-C, 130, one line."""
    import pty

    ours, theirs = pty.openpty()
    environment = os.environ | {"COURSE_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        [COURSE, "progress", "reset", "--all"],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    ) as process:
        os.close(theirs)
        shown, deadline, typed = b"", time.monotonic() + 30, 0.0
        while time.monotonic() < deadline:
            # Again after a second: Python's readline misses a Ctrl-C between its prompt and its wait for a key.
            if b"[y/N]" in shown and time.monotonic() - typed > 1:
                os.write(ours, b"\x03")
                typed = time.monotonic()
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                shown += os.read(ours, 1000)
            except OSError:  # the other end is closed
                break
        os.close(ours)
    assert process.returncode == 130 and b"Stopped." in shown and b"Traceback" not in shown


@pytest.mark.parametrize("words", [["reset"], ["export"], ["import"]])
def test_help(words: list[str]) -> None:
    shown = run(*words, "--help")
    assert shown.exit_code == 0 and "Usage:" in shown.output and len(shown.output) > 200
