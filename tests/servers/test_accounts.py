"""The server runs as an ordinary account, wherever the course is installed and whoever starts it."""

import contextlib
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

import psutil
import pytest
from server_helpers import Kernel, family, value, wait_until

from course_lib.servers import PostgresServer, ServerError, _folders, find_postgres
from course_lib.servers._accounts import server_account
from course_lib.servers._folders import base_folder, runnable_binaries

IS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")


async def test_no_process_and_no_file_of_the_server_belongs_to_root(server: PostgresServer) -> None:
    expected = NOBODY.pw_uid if IS_ROOT else os.geteuid()
    assert {process.uids().effective for process in family(server.data_folder)} == {expected}
    assert {path.lstat().st_uid for path in (server.data_folder, *server.data_folder.rglob("*"))} == {expected}
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in server.data_folder.iterdir()}
    assert all(mode & 0o077 == 0 for mode in modes)


async def test_the_account_can_be_chosen_and_a_wrong_one_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_POSTGRES_USER", "daemon")
    if IS_ROOT:
        async with PostgresServer() as server:
            uids = {process.uids().effective for process in family(server.data_folder)}
            assert uids == {pwd.getpwnam("daemon").pw_uid}
            assert await value(server.url, "SELECT 1") == 1
        for name, reason in (("no-such-account", "there is no such account"), ("root", "it is root too")):
            monkeypatch.setenv("COURSE_POSTGRES_USER", name)
            with pytest.raises(ServerError, match=f"{reason}.*Set COURSE_POSTGRES_USER"):
                await PostgresServer.start()
    else:
        assert server_account() is None


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_an_ordinary_user_with_an_odd_umask(open_folder: Path, umask: int) -> None:
    """With no COURSE_HOME, a HOME that is read-only and a TMPDIR with a space in its name."""
    if IS_ROOT:
        os.chown(open_folder, NOBODY.pw_uid, NOBODY.pw_gid)
    binaries = runnable_binaries(find_postgres(), server_account())
    kernel = Kernel(
        f"""
        os.umask({umask})
        os.environ.pop("COURSE_HOME")
        server = asyncio.run(PostgresServer.start(tls=True))
        print(asyncio.run(value(server.url, "SELECT 7")), server.ca_file.is_file())
        print(os.getuid(), flush=True)
        print(server.data_folder, flush=True)
        asyncio.run(server.stop())
        """,
        uid=NOBODY.pw_uid if IS_ROOT else None,
        HOME="/proc",
        XDG_CACHE_HOME="",
        TMPDIR=str(open_folder),
        COURSE_POSTGRES_BIN=str(binaries.folder),
    )
    lines = kernel.rest().splitlines()
    assert lines[0] == "7 True", lines
    assert int(lines[1]) == (NOBODY.pw_uid if IS_ROOT else os.geteuid())
    folder = Path(lines[2])
    assert folder.is_relative_to(open_folder)
    assert not folder.exists()
    assert stat.S_IMODE((open_folder / f"async-database-course-{lines[1]}").stat().st_mode) == 0o700


async def test_an_installation_that_the_account_cannot_read(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a virtual environment below /root is: closed to everybody else."""
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    source = find_postgres().folder.parent
    if not (source / "lib").is_dir() or not (source / "share").is_dir():
        source = source.resolve()
    shutil.copytree(source, closed / "postgres", symlinks=True)
    monkeypatch.setenv("COURSE_POSTGRES_BIN", str(closed / "postgres" / "bin"))
    async with PostgresServer(tls=True) as server:
        assert await value(server.url, "SELECT 7") == 7
        programs = set()
        for process in family(server.data_folder):
            with contextlib.suppress(psutil.NoSuchProcess):  # one that had just done its work
                if "postgres" in process.name():
                    programs.add(Path(process.exe()).parent)
    shelf = base_folder(server_account()) / "binaries"
    if IS_ROOT:
        copies = [folder for folder in shelf.iterdir() if folder / "bin" in programs]
        assert len(copies) == 1
        assert copies[0].stat().st_uid == 0
        assert not any(path.stat().st_mode & 0o022 for path in copies[0].rglob("*") if not path.is_symlink())
        inode = copies[0].stat().st_ino
        async with PostgresServer() as again:
            assert await value(again.url, "SELECT 8") == 8
        assert copies[0].stat().st_ino == inode, "it is copied once"
        shutil.rmtree(copies[0])
    else:
        assert programs == {closed / "postgres" / "bin"}
        assert not shelf.exists()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_folder_that_somebody_else_prepared_is_not_used(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, or a folder that others can write, at the predictable place in the shared temporary folder."""
    monkeypatch.delenv("COURSE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    monkeypatch.setattr(_folders, "_SHARED", ())
    trap = open_folder / f"async-database-course-{os.geteuid()}"
    account = server_account()
    assert base_folder(account) == trap
    shutil.rmtree(trap)
    elsewhere = open_folder / "elsewhere"
    elsewhere.mkdir()
    trap.symlink_to(elsewhere)
    with pytest.raises(ServerError, match=r"not a folder of this user.*COURSE_HOME"):
        base_folder(account)
    assert list(elsewhere.iterdir()) == []
    trap.unlink()
    trap.mkdir()
    trap.chmod(0o777)
    with pytest.raises(ServerError, match=r"others can write to it"):
        base_folder(account)


def test_a_closed_home_of_root_is_neither_used_nor_opened(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    monkeypatch.delenv("COURSE_HOME")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    base = base_folder(server_account())
    if IS_ROOT:
        assert base.parent == open_folder
        assert list(home.iterdir()) == []
    else:
        assert base.is_relative_to(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert wait_until(base.is_dir, 1)
