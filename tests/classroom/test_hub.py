"""JupyterHub as hosting/ configures it, on loopback, with accounts made for the test and removed after it."""

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import nbformat
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "hosting"))

from trial_hub import TrialHub, what_is_missing  # noqa: E402
from trial_learner import Learner, solution_cells, until_gone  # noqa: E402
from trial_trespass import CLOSED_TO_ALL, trespass  # noqa: E402

MISSING = what_is_missing()
whole_hub = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.fixture(scope="module")
def hub() -> Iterator[TrialHub]:
    """A Hub with two learners, who have not logged in yet."""
    with TrialHub(2) as running:
        yield running


def first_cells() -> list[str]:
    """Return lesson 00's cells as far as the first one that asks a server."""
    cells = solution_cells(nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4).cells)
    last = next(number for number, source in enumerate(cells) if "PostgresServer.start" in source)
    return cells[: last + 1]


@pytest.mark.classroom
@whole_hub
@pytest.mark.parametrize("case", ["a wrong password", "an account that is no learner's"])
def test_who_gets_in(hub: TrialHub, case: str) -> None:
    """Is the Hub closed to a wrong password, and to an account of this machine that was not let in by name?"""
    name, password = hub.accounts[0].name, hub.password
    form = {"a wrong password": (name, password[:-1]), "an account that is no learner's": ("nobody", password)}[case]
    auth = {"auth": dict(zip(("username", "password"), form, strict=True))}
    answer = httpx.post(f"{hub.url}/hub/api/users/{form[0]}/tokens", json=auth, trust_env=False, timeout=60)
    assert answer.status_code == 403


@pytest.mark.classroom
@whole_hub
async def test_two_learners_each_with_a_server_of_their_own(hub: TrialHub) -> None:
    """Do both get through lesson 00, is each out of the other's reach, and is all of it gone when they leave?"""
    async with Learner(hub, hub.accounts[0]) as one, Learner(hub, hub.accounts[1]) as other:
        for learner in (one, other):
            await learner.start_kernel()
            outputs = [await learner.run(source) for source in first_cells()]
            assert outputs[0].printed == "This cell ran.\n"
            assert "PostgreSQL 17" in outputs[-1].printed
            assert len(learner.account.servers()) == 1
            where = await learner.run("import os, course_lib.lessons\nprint(course_lib.lessons.course_root())")
            assert where.printed.strip() == str(learner.account.home / "async-database-course")

        for intruder, owner in ((one, other), (other, one)):
            reached, own = await trespass(intruder, owner)
            assert not any(reached.values()), reached
            assert {what for what, through in own.items() if not through} == CLOSED_TO_ALL

        addresses = set()
        for process in [*hub.processes(), *one.account.processes(), *other.account.processes()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                addresses |= {each.laddr.ip for each in process.net_connections() if each.status == psutil.CONN_LISTEN}
        assert addresses == {"127.0.0.1"}
        for learner in (one, other):
            home = learner.account.home
            folders = [home / name for name in ("async-database-course", ".cache", ".jupyter-run")]
            made = [path for folder in folders for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
            assert stat.S_IMODE(home.stat().st_mode) == 0o700
            assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in made), made

        await asyncio.gather(one.logout(), other.stop_server())
        assert await until_gone(one.account) == []
        assert await until_gone(other.account) == []
        for secret in (hub.password, one.token, other.token):
            assert secret not in hub.log()


@pytest.mark.skipif(sys.platform == "win32", reason="JupyterHub does not run on Windows.")
def test_a_learner_keeps_their_own_notebooks(tmp_path: Path) -> None:
    """Does a second start bring what is missing, and leave alone what the learner has changed?"""
    command = ["/bin/sh", str(ROOT / "hosting" / "start-learner.sh"), "/bin/sh", "-c", 'echo "$COURSE_ROOT"']
    environment = {"HOME": str(tmp_path), "PATH": os.defpath}
    mine = tmp_path / "async-database-course"
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert said.stdout == f"{mine}\n"
    names = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {path.name for path in (mine / "notebooks").iterdir()} == names
    assert stat.S_IMODE(mine.stat().st_mode) == 0o700
    changed, removed = sorted((mine / "notebooks").iterdir())[:2]
    changed.write_text("an answer")
    removed.unlink()
    subprocess.run(command, env=environment, check=True)
    assert changed.read_text() == "an answer"
    assert removed.read_bytes() == (ROOT / "notebooks" / removed.name).read_bytes()
    assert (mine / "solutions" / removed.name).is_file()
