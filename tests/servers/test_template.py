"""The cluster template: made once, by whoever comes first, and made anew when it is damaged."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_helpers import Kernel, value, wait_until

from course_lib.servers import DiskFullError, PostgresServer, find_postgres
from course_lib.servers._accounts import server_account
from course_lib.servers._diagnosis import disk_full_error
from course_lib.servers._folders import base_folder
from course_lib.servers._template import ensure_template, is_whole


@pytest.fixture
def template() -> Path:
    account = server_account()
    return ensure_template(find_postgres(), base_folder(account), account)


def test_it_is_made_once(template: Path) -> None:
    first = template.stat().st_ino
    account = server_account()
    assert ensure_template(find_postgres(), base_folder(account), account) == template
    assert template.stat().st_ino == first
    assert template.name.startswith(find_postgres().version)


def test_it_holds_no_password_and_lets_nobody_in(template: Path) -> None:
    # No role has a password: nothing that looks like one is in the table of roles.
    for table in (template / "global").iterdir():
        assert b"SCRAM-SHA-256$" not in table.read_bytes()
    rules = [line.split() for line in (template / "pg_hba.conf").read_text().splitlines()]
    assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"reject"}


def test_two_processes_that_make_it_at_once_both_get_a_server(open_folder: Path) -> None:
    code = """
        print("ready", flush=True)
        sys.stdin.read(0)
        server = asyncio.run(PostgresServer.start())
        print(asyncio.run(value(server.url, "SELECT 7")), flush=True)
        asyncio.run(server.stop())
    """
    kernels = [Kernel(code, COURSE_HOME=str(open_folder)) for _ in range(2)]
    assert [kernel.rest().split() for kernel in kernels] == [["ready", "7"], ["ready", "7"]]
    templates = list((open_folder / "cache" / "postgres" / "templates").iterdir())
    assert [path.name for path in templates if path.name.startswith("making-")] == []
    assert len(templates) == 1


def _lose_a_file(template: Path) -> None:
    (template / "base" / "1" / "PG_VERSION").unlink()


def _cut_a_file(template: Path) -> None:
    os.truncate(template / "global" / "pg_control", 100)


def _spoil_a_file(template: Path) -> None:
    # Its size stays the same, so only PostgreSQL itself can see it.
    with (template / "global" / "pg_control").open("r+b") as file:
        file.write(b"\xff" * 512)


def _lose_the_mark(template: Path) -> None:
    (template / "course-template.json").write_text(json.dumps({"files": 1})[:-1])


@pytest.mark.parametrize("damage", [_lose_a_file, _cut_a_file, _spoil_a_file, _lose_the_mark])
async def test_a_damaged_template_is_made_anew(template: Path, damage: object) -> None:
    damage(template)  # type: ignore[operator]
    async with PostgresServer() as server:
        assert await value(server.url, "SELECT 1") == 1
    assert is_whole(template, server_account())
    assert not list(template.parent.glob("making-*"))


@pytest.fixture
def small_disk(open_folder: Path) -> Iterator[Path]:
    """A file system of 8 MB, by root; for others a limit on the size of files has to do."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "none", str(open_folder)], check=True)
    yield open_folder
    subprocess.run(["umount", str(open_folder)], check=True)


if os.geteuid() == 0:

    async def test_a_full_disk_while_the_template_is_made(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COURSE_HOME", str(small_disk))
        with pytest.raises(DiskFullError, match=r"No space left on device.*MB are free.*COURSE_HOME"):
            await PostgresServer.start()
        assert [path for path in small_disk.rglob("*") if path.is_file()] == []

    async def test_a_full_disk_while_the_template_is_copied(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        monkeypatch.setenv("COURSE_HOME", str(small_disk))
        await (await PostgresServer.start()).stop()
        # Room for the template, not for a server.
        room = shutil.disk_usage(small_disk).used + 6_000_000
        subprocess.run(["mount", "-o", f"remount,size={room}", str(small_disk)], check=True)
        with pytest.raises(DiskFullError, match=r"No space left on device"):
            await PostgresServer.start()
        assert list((small_disk / "cache" / "postgres" / "servers").iterdir()) == []


def test_a_limit_on_the_size_of_files_is_explained(open_folder: Path, template: Path) -> None:
    shutil.rmtree(open_folder / "cache", ignore_errors=True)
    kernel = Kernel(
        f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
        try:
            asyncio.run(PostgresServer.start())
        except ServerError as error:
            print(type(error).__name__, error)
        """,
    )
    said = kernel.rest()
    assert said.startswith("DiskFullError")
    assert "ulimit -f" in said
    servers = base_folder(server_account()) / "servers"
    assert wait_until(
        lambda: not any((path / "prepare.log").exists() and not (path / "log").exists() for path in servers.iterdir()),
        2,
    )


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_the_systems_words_for_a_full_disk_are_known(words: str, tmp_path: Path) -> None:
    error = disk_full_error(f"cp: error writing 'x': {words}", 1, tmp_path)
    assert error is not None
    assert words in str(error)
    assert disk_full_error("cp: cannot stat 'x'", 1, tmp_path) is None
