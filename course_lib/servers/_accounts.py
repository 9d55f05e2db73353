"""The account that PostgreSQL runs under when the course itself runs as root.

PostgreSQL refuses to run as root. An ordinary user needs nothing of this: `server_account()` is None then.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_lib.servers._errors import ServerError

_reached: set[tuple["Account", Path]] = set()  # not asked again: each server's start would ask five times
# `nobody` exists everywhere; the others are for containers that map only a few accounts.
_USUAL_ACCOUNTS = ("nobody", "postgres", "_postgres", "daemon")


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """The account to drop to: ``COURSE_POSTGRES_USER``, else `nobody`, else another usual one.

    Returns:
        None when this process is not root, so that nothing has to be dropped.
    Raises:
        ServerError: the account asked for does not exist or is root, or none can be used.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    return _usable_account(os.environ.get("COURSE_POSTGRES_USER"))


@lru_cache(maxsize=4)
def _usable_account(chosen: str | None) -> Account:
    """The account, once it has run a program; what was found is not tried again in this process, an error is."""
    import pwd

    reasons = []
    for name in (chosen,) if chosen else _USUAL_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            reasons.append(f"{name}: there is no such account")
            continue
        if entry.pw_uid == 0:
            reasons.append(f"{name}: it is root too")
            continue
        account = Account(name, entry.pw_uid, entry.pw_gid)
        try:
            # In a container with few mapped accounts an account can have a name and still be unusable.
            subprocess.run(["/bin/sh", "-c", ":"], check=True, cwd="/", **run_as(account))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons.append(f"{name}: {error}")
            continue
        return account
    raise ServerError(
        "PostgreSQL does not run as root, and no unprivileged account could be used instead "
        f"({'; '.join(reasons)}). Set COURSE_POSTGRES_USER to the name of an ordinary account of this machine, "
        "or start JupyterLab as an ordinary user."
    )


def run_as(account: Account | None) -> dict[str, Any]:
    """Keyword arguments that make `subprocess` run a private, detached program as ``account``.

    The own session keeps Jupyter's interrupt, a SIGINT to the kernel's process group, away from it.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    arguments: dict[str, Any] = {"start_new_session": True, "umask": 0o077}
    if account is not None:
        arguments |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return arguments


def environment(icu_data: Path | None = None) -> dict[str, str]:
    """The environment for PostgreSQL's programs: English messages, and none of the caller's PG* variables."""
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")
    variables = {name: os.environ[name] for name in kept if name in os.environ}
    variables["PATH"] = os.pathsep.join(filter(None, ["/usr/bin", "/bin", os.environ.get("PATH")]))
    variables["LC_ALL"] = "C"
    if icu_data is not None:
        variables["ICU_DATA"] = str(icu_data)
    return variables


def can_reach(account: Account | None, path: Path) -> bool:
    """Whether ``account`` can enter the folder (or execute the program) at ``path``."""
    if account is None:
        return os.access(path, os.X_OK)
    if (account, path) in _reached:
        return True
    # Asking a process of that account also sees access lists and mount options.
    command = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
    if subprocess.run(command, check=False, cwd="/", **run_as(account)).returncode != 0:
        return False
    _reached.add((account, path))
    return True
