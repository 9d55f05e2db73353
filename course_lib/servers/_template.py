"""The cluster template: what `initdb` makes, made once per PostgreSQL version and copied for each server."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from course_lib.servers._accounts import Account, environment, run_as
from course_lib.servers._diagnosis import disk_full_error
from course_lib.servers._errors import ServerError
from course_lib.servers._folders import private_folder
from course_lib.servers.binaries import PostgresBinaries

SUPERUSER = "postgres"
LEARNER = "learner"
DATABASE = "course"

# 1 MB segments instead of 16 MB make the copy smaller. Every login method is `reject` and no role has a
# password, so the template holds no secret and nobody could log in to it: a server gets its own
# passwords and its own pg_hba.conf. "C" as locale is there on every machine.
_INITDB = (
    f"--no-sync --no-instructions --auth=reject --encoding=UTF8 --no-locale --wal-segsize=1 --username={SUPERUSER}"
).split()
# In single-user mode each line is a statement. pg_monitor lets the learner see all of pg_stat_activity.
# A database is 300 files, which each server copies: of the three that initdb makes, one becomes the learner's
# and template0, which only other encodings would need, goes.
_SQL = f"""\
CREATE ROLE {LEARNER} LOGIN
GRANT pg_monitor TO {LEARNER}
ALTER DATABASE postgres RENAME TO {DATABASE}
ALTER DATABASE {DATABASE} OWNER TO {LEARNER}
ALTER DATABASE template0 IS_TEMPLATE false
DROP DATABASE template0
"""
_MARK = "course-template.json"
_TIMEOUT = 300.0  # seconds; initdb needs one on an ordinary machine, and a loaded classroom server is slow


def template_folder(binaries: PostgresBinaries, base: Path) -> Path:
    """Where the template of this PostgreSQL lies, or will lie."""
    # The number counts changes to how it is made.
    recipe = f"4{_INITDB}{_SQL}{binaries.program('postgres').stat().st_size}"
    mark = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    return base / "templates" / f"{binaries.version}-{platform.machine()}-{mark}"


def ensure_template(binaries: PostgresBinaries, base: Path, account: Account | None) -> Path:
    """Return the folder of a whole template; make it if there is none or if it is damaged.

    It is made beside its final place and renamed, so two processes at once do no harm: one of them wins.

    Raises:
        DiskFullError: there is no room for it.
        ServerError: `initdb` failed; the message has its last lines.
    """
    template = template_folder(binaries, base)
    if is_whole(template, account):
        return template
    making = private_folder(base / "templates", "making-")
    try:
        if account is not None:
            os.chown(making, account.uid, account.gid)
        _make(binaries, making / "data", account)
        try:
            # Onto another's whole template this fails, and has to: a server may be copying it just now.
            (making / "data").rename(template)
        except OSError:
            if not is_whole(template, account):
                discard_template(template)
                (making / "data").rename(template)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return template


def discard_template(template: Path) -> None:
    """Take a template away at once, so that nobody copies one that is half removed."""
    if template.exists():
        trash = private_folder(template.parent, "making-")
        try:
            template.rename(trash / "data")
        except FileNotFoundError:
            pass
        finally:
            shutil.rmtree(trash, ignore_errors=True)


def is_whole(template: Path, account: Account | None) -> bool:
    """Whether the template is complete: cleaners of temporary folders remove single old files."""
    try:
        owner = template.lstat().st_uid
        if account is not None and owner != account.uid:
            return False
        expected = json.loads((template / _MARK).read_text())
    except (OSError, ValueError):
        return False
    return bool(expected == _inventory(template))


def _inventory(folder: Path) -> dict[str, int]:
    files = size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name != _MARK:
                files += 1
                size += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - hundreds of files: speed
    return {"files": files, "bytes": size}


def _make(binaries: PostgresBinaries, data: Path, account: Account | None) -> None:
    initdb = [str(binaries.program("initdb")), *_INITDB, "-D", str(data)]
    _run(initdb, binaries, data, account, "")
    # The checkpoint at its end then removes used WAL segments instead of keeping them: fewer bytes to copy.
    options = ["-c", "exit_on_error=on", "-c", "wal_recycle=off", "-c", "min_wal_size=2MB"]
    single = [str(binaries.program("postgres")), "--single", "-F", "-D", str(data), *options, "template1"]
    _run(single, binaries, data, account, _SQL)
    controldata = binaries.program("pg_controldata")
    known = _run([str(controldata), "-D", str(data)], binaries, data, account, "") if controldata.is_file() else ""
    _slim(data, known)
    inventory = json.dumps(_inventory(data))
    # "x" follows no link: as root this writes into a folder of an unprivileged account.
    with (data / _MARK).open("x") as file:
        file.write(inventory)


def _slim(data: Path, control: str) -> None:
    """Take away what PostgreSQL makes again when it needs it: a quarter of the files, nearly a third of the bytes.

    Free space maps and visibility maps are hints (https://www.postgresql.org/docs/current/storage-fsm.html and
    storage-vm.html: a missing bit says "look at the page"), and of the WAL a cluster that was shut down reads only
    the segment of its last checkpoint.

    Args:
        data: the cluster's folder.
        control: what `pg_controldata` says of it; without that, all WAL is kept.
    """
    needed = re.search(r"REDO WAL file:\s*([0-9A-F]{24})$", control, re.MULTILINE)
    for parent, _, names, descriptor in os.fwalk(data):  # by descriptors: follows no link, also as root
        for name in names:
            hint = re.fullmatch(r"\d+_(fsm|vm)", name)
            segment = Path(parent).name == "pg_wal" and re.fullmatch(r"[0-9A-F]{24}", name)
            if hint or (segment and needed and name != needed[1]):
                os.unlink(name, dir_fd=descriptor)


def _run(command: list[str], binaries: PostgresBinaries, data: Path, account: Account | None, text: str) -> str:
    where = data.parent
    try:
        result: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            check=False,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=where,
            env=environment(binaries.icu_data),
            timeout=_TIMEOUT,
            **run_as(account),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerError(f"The cluster template could not be made: {error}") from error
    if result.returncode == 0:
        return result.stdout
    full = disk_full_error(result.stdout, result.returncode, where)
    if full is not None:
        raise full
    lines = "\n".join(result.stdout.strip().splitlines()[-8:])
    raise ServerError(
        f"The cluster template could not be made: `{Path(command[0]).name}` ended with {result.returncode}. "
        f"Its last lines:\n{lines}\nRun `course doctor` to check this installation."
    )
