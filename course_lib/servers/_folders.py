"""Where the course keeps cluster templates and the data of running servers.

A base folder holds `templates/`, `servers/` and, for root only, `binaries/`. For an ordinary user all of it is
private. For root the base belongs to root, and PostgreSQL's account may make entries of its own in the first
two, which have the sticky bit: what root prepares there cannot be renamed or replaced by that account.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from course_lib.folders import NAME, cache_folder
from course_lib.servers._accounts import Account, can_reach, environment, run_as
from course_lib.servers._errors import MissingBinaryError, ServerError
from course_lib.servers.binaries import PostgresBinaries

if sys.platform != "win32":
    import fcntl

_SHARED = ("/tmp", "/var/tmp")  # noqa: S108 - what lies there is trusted only after a look at its owner
_GRACE = 10.0  # seconds a new folder may be without a lock: its maker needs milliseconds to take it

# What an account could run; it is not tried again at each start of a server.
_tried: set[tuple[PostgresBinaries, Account]] = set()


def base_folder(account: Account | None) -> Path:
    """The first folder that this process can write and ``account`` can reach.

    Raises:
        ServerError: there is none; the message lists what was tried.
    """
    refused: list[str] = []
    for base in _bases(account, refused):
        return base
    raise ServerError(
        f"There is no folder for the server's files. Tried: {'; '.join(refused)}. "
        "Set COURSE_HOME to a folder that you can write to, with 200 MB free."
    )


def _bases(account: Account | None, refused: list[str]) -> Iterator[Path]:
    candidates = [cache_folder().absolute() / "postgres"]
    temporary = f"{NAME}-{os.geteuid()}" if sys.platform != "win32" else NAME
    candidates += [Path(folder) / temporary for folder in dict.fromkeys((tempfile.gettempdir(), *_SHARED))]
    for base in candidates:
        try:
            _prepare(base, account)
        except OSError as error:
            refused.append(f"{base} ({error.strerror or error})")
        else:
            yield base


def _prepare(base: Path, account: Account | None) -> None:
    # A folder of root's own, such as /root, stays closed: no mode of a folder above the base is changed.
    above = next(folder for folder in base.parents if folder.exists())
    if not can_reach(account, above):
        raise OSError(f"{account.name if account else 'this user'} cannot enter {above}")
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    _verify_owner(base)
    if sys.platform == "win32":
        for name in ("templates", "servers"):
            (base / name).mkdir(exist_ok=True)
        return
    base.chmod(0o700 if account is None else 0o755)
    if not can_reach(account, base):
        raise OSError(f"{account.name if account else 'this user'} cannot enter it")
    for name in ("templates", "servers"):
        folder = base / name
        folder.mkdir(exist_ok=True, mode=0o700)
        _verify_owner(folder, allow_group=True)
        if account is None:
            folder.chmod(0o700)
        else:
            os.chown(folder, 0, account.gid)
            folder.chmod(0o1770)
        # Root may write everywhere but on a read-only file system, and this says so.
        if not os.access(folder, os.W_OK):
            raise OSError("it cannot be written")


def _verify_owner(folder: Path, *, allow_group: bool = False) -> None:
    """Refuse a folder that somebody else could have put at a predictable place."""
    if sys.platform == "win32":
        return
    status = folder.lstat()
    writable_by = stat.S_IWOTH if allow_group else stat.S_IWOTH | stat.S_IWGRP
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise OSError("it is not a folder of this user")
    if status.st_mode & writable_by:
        raise OSError("others can write to it")


def private_folder(parent: Path, prefix: str) -> Path:
    """Make an empty folder with a random name that only its owner can enter, whatever the umask says."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    folder.chmod(0o700)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read (mode 0600); an existing file or link is an error."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if sys.platform != "win32":
            os.fchmod(descriptor, 0o600)
        file.write(content)


def hand_over(folder: Path, account: Account | None) -> None:
    """Give a prepared folder and what lies in it to ``account``, the folder itself last."""
    if account is not None and sys.platform != "win32":
        for entry in (*folder.iterdir(), folder):
            os.chown(entry, account.uid, account.gid, follow_symlinks=False)


def take_lock(folder: Path) -> int | None:
    """Lock a server's folder for as long as the returned descriptor, or a copy of it, is open somewhere.

    The supervisor inherits it, so a folder whose lock is free was left by a machine or a container that died.
    Unlike a process id this holds across containers too. Windows has no such lock: None.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def remove_abandoned(base: Path) -> None:
    """Remove what servers and template builds left behind that ended with their machine."""
    now = time.time()
    for folder in (*(base / "servers").glob("server-*"), *(base / "templates").glob("making-*")):
        try:
            age = now - folder.lstat().st_mtime
        except OSError:
            continue
        # A build of a template takes seconds and holds no lock.
        is_build = folder.parent.name == "templates"
        if age > 3600 if is_build else age > _GRACE and _lock_is_free(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _lock_is_free(folder: Path) -> bool:
    if sys.platform == "win32":
        # An open file cannot be renamed there, so a folder that can be renamed is in nobody's use.
        try:
            folder.rename(folder)
            (folder / "log").rename(folder / "log")
        except OSError:
            return not (folder / "log").exists()
        return True
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def runnable_binaries(binaries: PostgresBinaries, account: Account | None) -> PostgresBinaries:
    """The same PostgreSQL at a place where ``account`` can run it.

    A virtual environment below /root cannot be read by an unprivileged account. Then a copy that belongs to
    root is kept, once per version. Programs that the account reaches are used where they are.

    Raises:
        MissingBinaryError: no copy that runs could be made.
    """
    if account is None or _runs(binaries, account):
        return binaries
    refused: list[str] = []
    for base in _bases(account, refused):
        copy = _copy_of(binaries, base, refused)
        if copy is not None and _runs(copy, account):
            return copy
        refused.append(f"{base} (PostgreSQL does not run from there)")
    raise MissingBinaryError(
        f"The account {account.name} cannot run PostgreSQL in {str(binaries.folder)!r}, and no copy for it could "
        f"be made ({'; '.join(refused)}). Set COURSE_HOME to a folder that every user can enter, install "
        "PostgreSQL outside of root's home, or start JupyterLab as an ordinary user."
    )


def _runs(binaries: PostgresBinaries, account: Account) -> bool:
    if (binaries, account) in _tried:
        return True
    for name in ("postgres", "initdb"):
        command = [str(binaries.program(name)), "--version"]
        try:
            subprocess.run(
                command, check=True, capture_output=True, cwd="/", env=environment(), timeout=20, **run_as(account)
            )
        except (OSError, subprocess.SubprocessError):
            return False
    # The programs load these at run time.
    if not all(can_reach(account, binaries.folder.parent / name) for name in ("lib", "share")):
        return False
    _tried.add((binaries, account))
    return True


def _copy_of(binaries: PostgresBinaries, base: Path, refused: list[str]) -> PostgresBinaries | None:
    source = binaries.folder.parent
    status = binaries.program("postgres").stat()
    mark = hashlib.sha256(f"{source}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()[:12]
    shelf = base / "binaries"
    target = shelf / f"{binaries.version}-{mark}"
    icu = target / binaries.icu_data.relative_to(source) if binaries.icu_data else None
    copy = replace(binaries, folder=target / "bin", icu_data=icu)
    try:
        shelf.mkdir(exist_ok=True)
        _verify_owner(shelf)
        shelf.chmod(0o755)
        if target.exists():
            _verify_owner(target)
            return copy
        making = private_folder(shelf, "making-")
        try:
            (making / "bin").mkdir()
            for name in ("postgres", "initdb", "pg_controldata"):
                if binaries.program(name).is_file():
                    shutil.copy2(binaries.program(name), making / "bin")
            # Static libraries and pkg-config files serve only those who compile.
            unneeded = shutil.ignore_patterns("*.a", "pkgconfig", "pgxs")
            shutil.copytree(source / "lib", making / "lib", symlinks=True, ignore=unneeded)
            shutil.copytree(source / "share", making / "share", symlinks=True)
            for path in (making, *making.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
            making.rename(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        # Another process may have been first: its copy is as good.
        if target.is_dir() and not target.is_symlink():
            return copy
        refused.append(f"{base} ({error.strerror or error})")
        return None
    return copy
