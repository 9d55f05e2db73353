"""What PostgreSQL's own words mean, and the error that a person gets for them."""

import re
import shutil
import signal
from pathlib import Path

from course_lib.servers._errors import DiskFullError, PortTakenError, ServerError, SettingError

_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large|not enough space on the disk")
_NOTHING = 500_000  # bytes; less free room than this is a full disk
_PORT = re.compile(r"could not bind|could not create any TCP/IP sockets")
_SETTING = re.compile(r'(?:FATAL|LOG|ERROR):\s+(.*?parameter "(?P<name>[\w.]+)".*)')


def start_error(log: str, port: int, folder: Path, *, status: int | None = None) -> ServerError:
    """The error for a server that ended while it started.

    Args:
        log: what it wrote since it was started.
        port: the port it was to listen on.
        folder: where its files are, for the free room in megabytes.
        status: the exit status of the program, where it is known.
    """
    full = disk_full_error(log, status, folder)
    if full is not None:
        return full
    if _PORT.search(log):
        return PortTakenError(
            f"Port {port} on 127.0.0.1 is in use by another program. Leave `port` out to get a free one, or "
            f"stop the other program (`lsof -i :{port}` shows it)."
        )
    setting = _SETTING.search(log)
    if setting is not None:
        reason = setting.group(1)
        return SettingError(
            f"PostgreSQL refuses the setting {setting.group('name')!r}: {reason}. Correct it or leave it out; "
            "https://www.postgresql.org/docs/current/runtime-config.html lists all settings."
        )
    return ServerError(
        f"PostgreSQL ended while it started. The end of its log:\n{tail(log)}\n"
        "Check the settings you gave; `course doctor` checks the installation."
    )


def disk_full_error(output: str, status: int | None, folder: Path) -> DiskFullError | None:
    """The error for a full disk, an exhausted quota or a limit on file size; None if it is none of them."""
    found = _FULL.search(output)
    # A program that exceeds the limit on file size is killed by SIGXFSZ and says nothing itself.
    killed = getattr(signal, "SIGXFSZ", None)
    free = shutil.disk_usage(folder).free if folder.exists() else None
    if found is not None:
        reason = found.group(0)
    elif status is not None and killed is not None and status in (-killed, 128 + killed):
        reason = "File too large"
    elif free is not None and free < _NOTHING:
        # A full disk has no room for the words of the program that met it.
        reason = "No space left on device"
    else:
        return None
    if reason == "File too large":
        return DiskFullError(
            f"The server's files could not be written: {reason}. This process has a limit on the size of a file "
            "(`ulimit -f` shows it). Raise it to 16 MB or more and start again."
        )
    megabytes = (free or 0) // 1_000_000
    return DiskFullError(
        f"The server's files could not be written: {reason}; {megabytes} MB are free in {str(folder)!r}. "
        "A server needs about 80 MB. Free some room, or set COURSE_HOME to a folder with room."
    )


def tail(log: str, lines: int = 12) -> str:
    """The last ``lines`` lines of a log."""
    return "\n".join(log.strip().splitlines()[-lines:])
