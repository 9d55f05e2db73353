"""One PgBouncer on disk and in memory: its configuration, its process, and what its words mean."""

import contextlib
import math
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import psutil  # type: ignore[import-untyped]

from course_lib.servers._accounts import Account, can_reach, server_account
from course_lib.servers._diagnosis import disk_full_error, tail
from course_lib.servers._errors import MissingBinaryError, PortTakenError, ServerError, SettingError
from course_lib.servers._folders import base_folder, remove_abandoned
from course_lib.servers._guarded import HOST, Guarded
from course_lib.servers.binaries import PgBouncerBinary

Setting = str | int | float | bool
CONSOLE_USER = "console"

# One line for each connection would be most of the log where every request opens its own.
_DEFAULTS: dict[str, Setting] = {"log_connections": False, "log_disconnections": False, "log_stats": False}
# These decide where it is, who reaches it and where its log goes.
_OURS = {
    "listen_addr": "",
    "listen_port": "Use the argument `port` of PgBouncer.",
    "unix_socket_dir": "",
    "auth_type": "",
    "auth_file": "",
    "admin_users": "",
    "pool_mode": "Use the argument `mode` of PgBouncer.",
    "logfile": "`bouncer.log()` gives the log.",
    "pidfile": "",
    "user": "",
}
_SINCE = {"max_prepared_statements": (1, 21)}  # https://www.pgbouncer.org/changelog.html
_ALL_SETTINGS = "https://www.pgbouncer.org/config.html lists all settings."
_PORT = re.compile(r"cannot listen on .*?: (?:bind|listen)\(\)")
_UNKNOWN = re.compile(r"unknown parameter: pgbouncer/(\w+)")
_VALUE = re.compile(r'invalid value "(.*)" for parameter (\w+) in configuration')


def check_settings(settings: Mapping[str, object], binary: PgBouncerBinary) -> dict[str, Setting]:
    """Check names and types of settings; PgBouncer itself judges the values when it starts.

    Raises:
        SettingError: a name is malformed, reserved or too new for this version, or a value is of a wrong type.
    """
    checked: dict[str, Setting] = {}
    for name, value in settings.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise SettingError(f"{name!r} is not the name of a PgBouncer setting. Names look like `max_client_conn`.")
        if name in _OURS:
            raise SettingError(f"The setting {name!r} is chosen by the course. {_OURS[name]}".strip())
        since = _SINCE.get(name)
        if since is not None and binary.release < since:
            raise SettingError(
                f"PgBouncer {binary.version} does not know {name!r}: it came with version "
                f"{'.'.join(map(str, since))}. Leave it out, or install a newer PgBouncer."
            )
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise SettingError(
                f"The setting {name!r} is of the type {type(value).__name__}. Give a text, a number, or True or False."
            )
        if isinstance(value, str) and any(ord(character) < 32 for character in value):
            raise SettingError(f"The setting {name!r} holds a line break or control character. Remove it.")
        checked[name] = value
    return checked


def find_place(binary: PgBouncerBinary) -> tuple[Path, Account | None]:
    """Find the folder of servers and the account for the program, and tidy up after servers that died.

    Raises:
        ServerError: something is missing; the subclasses say what.
    """
    account = server_account()
    if not can_reach(account, binary.path):
        raise MissingBinaryError(
            f"The account {account.name if account else 'of this user'!r} cannot run {str(binary.path)!r}, and "
            "PgBouncer does not run as root. Install it for all users, or start JupyterLab as an ordinary user."
        )
    base = base_folder(account)
    remove_abandoned(base)
    return base, account


class PgBouncerInstance(Guarded):
    """A PgBouncer's folder with the supervisor that guards it. Making one starts nothing yet.

    Args:
        place: from `find_place`.
        binary: the program.
        settings: checked settings, pool mode among them.
        server_port: the port of the PostgreSQL server behind it, on loopback.
        secrets: the SCRAM secret of each user, as PostgreSQL stores it.
    """

    name = "PgBouncer"

    def __init__(
        self,
        place: tuple[Path, Account | None],
        binary: PgBouncerBinary,
        settings: Mapping[str, Setting],
        server_port: int,
        secrets: Mapping[str, str],
    ) -> None:
        base, account = place

        def files(folder: Path) -> dict[str, bytes]:
            return {
                "settings.ini": _render(settings, server_port, folder).encode(),
                "users.txt": _users(secrets).encode(),
            }

        super().__init__(base, files, binary.path, None, account)

    def is_ready(self, pid: int, log: str) -> bool:
        """Whether it listens: it says so in its log."""
        return f"[{pid}] LOG process up:" in log

    def send_signal(self, mode: Literal["fast", "immediate"]) -> None:
        """End it at once, whatever the mode: TERM does it before 1.23, QUIT since then."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.terminate()
            self.process.send_signal(signal.SIGQUIT)

    def start_error(self, log: str, port: int) -> ServerError:
        """The error for a PgBouncer that ended while it started."""
        full = disk_full_error(log, None, self.folder)
        if full is not None:
            return full
        if _PORT.search(log):
            return PortTakenError(
                f"Port {port} on {HOST} is in use by another program. Leave `port` out to get a free one, or "
                f"stop the other program (`lsof -i :{port}` shows it)."
            )
        unknown = _UNKNOWN.search(log)
        if unknown is not None:
            return SettingError(
                f"This PgBouncer does not know the setting {unknown[1]!r}. Correct the name or leave it out; "
                f"{_ALL_SETTINGS} Each came with some version."
            )
        value = _VALUE.search(log)
        if value is not None:
            return SettingError(f"PgBouncer refuses the value {value[1]!r} for {value[2]!r}. {_ALL_SETTINGS}")
        return ServerError(
            f"PgBouncer ended while it started. The end of its log:\n{tail(log)}\n"
            "Check the settings you gave; `pgbouncer --version` in a terminal shows whether the program runs."
        )


def _render(settings: Mapping[str, Setting], server_port: int, folder: Path) -> str:
    """The text of pgbouncer.ini but for the port, which comes last: a taken one is replaced."""
    ours: dict[str, Setting] = {
        "listen_addr": HOST,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(folder / "users.txt"),
        "admin_users": CONSOLE_USER,
    }
    lines = (f"{name} = {_literal(value)}" for name, value in {**_DEFAULTS, **settings, **ours}.items())
    return "\n".join(["[databases]", f"* = host={HOST} port={server_port}", "[pgbouncer]", *lines, ""])


def _literal(value: Setting) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _users(secrets: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return "".join(f"{quoted(name)} {quoted(secret)}\n" for name, secret in secrets.items())
