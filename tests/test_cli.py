"""Does the `course` command do what it says, from a terminal's side?"""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner, Result

from course_lib import standing_server
from course_lib.cli import app
from course_lib.servers import ServerError

COURSE = shutil.which("course", path=str(Path(sys.executable).parent))
DB_COMMANDS = ("start", "stop", "status", "url", "psql")
COMMANDS = [[], ["doctor"], ["lab"], ["progress"], ["db"], *(["db", each] for each in DB_COMMANDS)]


def course(*arguments: str, home: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the installed command, as a learner does."""
    assert COURSE is not None, "the command `course` is not installed beside this Python"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "COURSE_"))}
    return subprocess.run(
        [COURSE, *arguments],
        env=kept | {"COURSE_HOME": str(home), "COLUMNS": "80"} | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A course of one lesson."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Start\n\n**Time:** 10 minutes"},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"exercise": "00.1", "role": "check"},
            "source": "1",
            "outputs": [],
            "execution_count": None,
        },
    ]
    folder = tmp_path / "course" / "notebooks"
    folder.mkdir(parents=True)
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    (folder / "00_start_here.ipynb").write_text(text)
    return folder.parent


class Database:
    """`course db` with a home of its own; in this process, which is quicker, but for `psql`, which replaces it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str) -> Result:
        """Run one of its commands."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COURSE_HOME", str(self.home))
            patch.setattr("course_lib.folders.data_folder", lambda: self.home)
            return CliRunner().invoke(app, ["db", *arguments])

    def json(self, *arguments: str) -> Any:
        """Run one of its commands, and read the JSON."""
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """`course db` after `course db start`; stopped afterwards."""
    made = Database(tmp_path_factory.mktemp("home of db"))
    begun = made.run("start")
    assert begun.exit_code == 0, begun.output
    yield made
    assert made.run("stop").exit_code == 0


# The command as a whole


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_everywhere(command: list[str]) -> None:
    """Does each command explain itself?"""
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0 and "Usage:" in shown.output and len(shown.output) > 200


def test_help_is_quick() -> None:
    """Is nothing heavy imported before a command needs it?"""
    heavy = "{'sqlalchemy', 'sqlmodel', 'asyncpg', 'psutil', 'ipywidgets', 'course_lib.servers', 'course_lib.doctor'}"
    code = f"import course_lib.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_version(tmp_path: Path) -> None:
    """Does --version print the installed version?"""
    shown = course("--version", home=tmp_path)
    assert shown.returncode == 0 and shown.stdout == f"course {version('async-database-course')}\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["doctor", "--nonsense"], ["lab", "--port", "0"], ["lab", "--ip=0.0.0.0"], ["db", "nonsense"]],
    ids=" ".join,
)
def test_misuse(arguments: list[str]) -> None:
    """Does misuse give 2 and a message, and start nothing?"""
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 2 and shown.stderr and "Traceback" not in shown.output


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Stopped."),
        (ServerError("No room. Free some."), 1, "course: No room. Free some."),
        (FileNotFoundError("No lessons."), 1, "course: No lessons."),
        (
            PermissionError(13, "Denied", "/srv/x"),
            1,
            "course: /srv/x: Denied. `course doctor` checks folders and disk.",
        ),
    ],
)
def test_errors_reach_a_person(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str) -> None:
    """Is there one way for what goes wrong, also in a subcommand: a line on stderr, a code, no traceback?"""

    def fail() -> None:
        raise error

    monkeypatch.setattr(standing_server, "running", fail)
    shown = CliRunner().invoke(app, ["db", "status"])
    assert shown.exit_code == code and shown.stderr.strip() == message and shown.stdout == ""


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does an error of ours keep its traceback?"""

    def fail() -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(standing_server, "running", fail)
    assert isinstance(CliRunner().invoke(app, ["db", "status"]).exception, RuntimeError)


# course doctor


def test_doctor_json(tmp_path: Path) -> None:
    """Is the JSON whole, and nothing else on stdout?"""
    shown = course("doctor", "--json", home=tmp_path)
    found = json.loads(shown.stdout)
    assert shown.returncode == 0 and found["ready"] is True
    assert {"name", "status", "seen", "fix", "detail"} == set(found["findings"][0])


def test_doctor_without_postgres(tmp_path: Path) -> None:
    """Without PostgreSQL, and nothing on PATH: exit code 1, the fix unbroken, no colours, the table narrow enough?"""
    broken = {"COURSE_POSTGRES_BIN": "/nonexistent", "PATH": "", "NO_COLOR": "1", "COLUMNS": "44"}
    shown = course("doctor", home=tmp_path, **broken)
    assert shown.returncode == 1 and "\x1b" not in shown.stdout
    assert "Point COURSE_POSTGRES_BIN to the folder with postgres and initdb, or unset it." in shown.stdout
    table = [line for line in shown.stdout.splitlines() if line.startswith(("│", "┃", "└", "┏"))]
    assert table and max(map(len, table)) <= 44
    as_json = course("doctor", "--json", home=tmp_path, **broken)
    assert as_json.returncode == 1 and json.loads(as_json.stdout)["ready"] is False


# course progress


def test_progress(root: Path, tmp_path: Path) -> None:
    """Is the board shown, and as JSON?"""
    shown = course("progress", home=tmp_path / "home", COURSE_ROOT=str(root))
    assert shown.returncode == 0 and "Next: exercise 00.1 in lesson 00 Start." in shown.stdout
    as_json = course("progress", "--json", home=tmp_path / "home", COURSE_ROOT=str(root))
    found = json.loads(as_json.stdout)
    assert found["next"] == {"exercise": "00.1", "notebook": "00_start_here.ipynb"}
    assert found["file"] == str(tmp_path / "home" / "progress.sqlite")


def test_progress_without_the_course(tmp_path: Path) -> None:
    """Without the course's folder: exit code 1 and what to do?"""
    shown = course("progress", home=tmp_path, COURSE_ROOT=str(tmp_path))
    assert shown.returncode == 1 and shown.stderr.startswith("course: COURSE_ROOT is") and shown.stdout == ""


# course db


def test_db_runs_once(database: Database) -> None:
    """Started twice: is it said that it runs already, and is it still the same?"""
    before = database.json("status")
    again = database.run("start")
    assert again.exit_code == 0 and "It was running already." in again.stdout
    assert database.json("start") == before | {"started": False}


def test_db_keeps_the_password(database: Database) -> None:
    """Is the password only where it was asked for, and in a private file?"""
    whole = database.run("url", "--show-password").stdout.strip()
    password = whole.split(":")[2].split("@")[0]
    assert len(password) >= 16
    for arguments in (["url"], ["url", "--json"], ["status"], ["status", "--json"], ["start"], ["start", "--json"]):
        shown = database.run(*arguments)
        assert shown.exit_code == 0 and ":***@" in shown.stdout and password not in shown.output
    state = database.home / "standing_server.json"
    assert password in state.read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert password not in " ".join(psutil.Process(database.json("status")["pid"]).cmdline())


async def test_db_url_works(database: Database) -> None:
    """Does the whole URL lead to the server?"""
    url = make_url(database.run("url", "--show-password").stdout.strip())
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    assert await connection.fetchval("select current_user") == "learner"
    await connection.close()


def test_db_psql(database: Database) -> None:
    """Does psql get there with its arguments passed on, its own exit code, and whatever PG… variables are set?"""
    misleading = {"PGHOST": "198.51.100.1", "PGSSLMODE": "verify-full"}
    shown = course("db", "psql", "-X", "-tAc", "select 6 * 7", home=database.home, **misleading)
    assert (shown.returncode, shown.stdout.strip()) == (0, "42"), shown.stderr
    assert course("db", "psql", "-X", "-c", "select nonsense", home=database.home).returncode == 1


def test_db_psql_gives_no_password_away(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is the password in psql's environment, and not in its arguments?"""
    became: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr("course_lib.db_command.become", lambda *call: became.append(call))
    assert database.run("psql", "-c", "select 1").exit_code == 0
    ((command, environment),) = became
    assert command[1:] == ["-c", "select 1"]
    assert environment["PGPASSWORD"] in database.run("url", "--show-password").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_db_is_gone_with_its_holder(database: Database) -> None:
    """The holder was killed: is the stale state recognised, and does a new start work?"""
    before = database.json("status")
    os.kill(before["pid"], signal.SIGKILL)
    while psutil.pid_exists(before["pid"]) and psutil.Process(before["pid"]).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    shown = database.run("status")
    assert shown.exit_code == 1 and shown.stdout.startswith("Not running.")
    assert database.run("url").exit_code == 1
    after = database.json("start")
    assert after["started"] is True and after["pid"] != before["pid"]


def test_db_stop(tmp_path: Path) -> None:
    """Not started: do the others say so? Started: is it gone after stop, with its file?"""
    for command in ("url", "psql"):
        shown = Database(tmp_path).run(command)
        assert shown.exit_code == 1 and "`course db start` starts one" in shown.stderr and shown.stdout == ""
    assert Database(tmp_path).json("status") == {"running": False}
    pid = json.loads(course("db", "start", "--json", home=tmp_path).stdout)["pid"]
    stopped = course("db", "stop", home=tmp_path)
    assert stopped.returncode == 0 and stopped.stdout.startswith("Stopped")
    assert not (tmp_path / "standing_server.json").exists()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    again = Database(tmp_path).run("stop")
    assert (again.exit_code, again.stdout.strip()) == (0, "None was running.")


def test_db_says_why_it_does_not_start(tmp_path: Path) -> None:
    """Without PostgreSQL: is the holder's own message passed on?"""
    shown = course("db", "start", home=tmp_path, COURSE_POSTGRES_BIN="/nonexistent")
    assert shown.returncode == 1 and "COURSE_POSTGRES_BIN is '/nonexistent'" in shown.stderr
    assert not (tmp_path / "standing_server.json").exists()


def test_another_process_with_the_same_id_is_not_the_holder(course_home: Path) -> None:
    """A process id from before a reboot: is the time of birth looked at?"""
    course_home.mkdir()
    state = {"pid": os.getpid(), "born": 1.0, "version": "17.1", "origin": "wheel", "address": "postgresql://h/d"}
    standing_server.state_file().write_text(json.dumps(state))
    assert standing_server.running() is None
    standing_server.state_file().write_text("{")
    assert standing_server.running() is None
    state["born"] = psutil.Process().create_time()
    standing_server.state_file().write_text(json.dumps(state))
    assert standing_server.running() is not None


# course lab


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[list[str]]:
    """The programs that the command would become."""
    became: list[list[str]] = []

    def become(command: list[str], environment: object = None) -> None:
        became.append(command)

    monkeypatch.setattr("course_lib.cli.become", become)
    monkeypatch.setenv("COURSE_ROOT", str(root))
    monkeypatch.chdir(root)
    return became


def test_lab_passes_arguments_on(commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do further arguments reach JupyterLab, and does the learner's own count where both set one?"""
    monkeypatch.setattr("course_lib.cli._has_browser", lambda: True)
    shown = CliRunner().invoke(app, ["lab", "--LabApp.default_url=/lab", "--debug"])
    assert shown.exit_code == 0, shown.output
    (command,) = commands
    assert command[1:3] == ["-m", "jupyterlab"] and command[-2:] == ["--LabApp.default_url=/lab", "--debug"]
    assert sum("default_url" in each for each in command) == 1
    assert "--ServerApp.ip=127.0.0.1" in command and "--no-browser" not in command
    assert "--KernelManager.transport_encryption=auto" in command
    assert ("--allow-root" in command) == (hasattr(os, "geteuid") and os.geteuid() == 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display is a matter of Linux")
def test_lab_without_a_display(commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no browser can be: is the address printed rather than a text browser opened?"""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    shown = CliRunner().invoke(app, ["lab"])
    assert "--no-browser" in commands[0] and shown.stdout.startswith("Open the address")


def test_lab_really_starts(root: Path, tmp_path: Path) -> None:
    """Does JupyterLab take the options: quiet, on loopback, on the first lesson?"""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    jupyter = {f"JUPYTER_{each}_DIR": str(tmp_path / each) for each in ("CONFIG", "DATA", "RUNTIME")}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(COURSE), "lab", "--no-browser", "--port", str(port), "--IdentityProvider.token="],
            env=os.environ | jupyter | {"COURSE_ROOT": str(root), "COURSE_HOME": str(tmp_path)},
            stdout=output,
            stderr=output,
        )
    try:
        page = ""
        deadline = time.monotonic() + 40
        while not page:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/lab", timeout=20).read().decode()
            except urllib.error.URLError:
                time.sleep(0.1)
        listening = [each.laddr for each in psutil.Process(process.pid).net_connections() if each.status == "LISTEN"]
    finally:
        process.terminate()
        process.wait(20)
    assert "@jupyterlab/apputils-extension:announcements" in page  # among the extensions that are switched off
    assert listening and {address.ip for address in listening} == {"127.0.0.1"}
    assert "/lab/tree/notebooks/00_start_here.ipynb" in log.read_text()


async def test_the_holder_starts_no_second_server(course_home: Path) -> None:
    """Two starts at the same moment: does the second holder leave the first one's file alone?"""
    course_home.mkdir()
    standing_server.state_file().write_text("the first one's")
    with pytest.raises(FileExistsError):
        await standing_server._hold()
    assert standing_server.state_file().read_text() == "the first one's"
