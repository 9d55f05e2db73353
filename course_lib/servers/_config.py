"""postgresql.conf and pg_hba.conf of one server."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

from course_lib.servers._errors import SettingError
from course_lib.servers.certificates import ANYONE, ServerTLS

Setting = str | int | float | bool

# What keeps a throw-away server small and quick. The learner's settings come after it and win.
_DEFAULTS: dict[str, Setting] = {
    "shared_buffers": "16MB",
    # Files in the data folder instead of /dev/shm: they go with the folder, and /dev/shm is tiny in containers.
    "dynamic_shared_memory_type": "mmap",
    "max_wal_size": "32MB",
    "min_wal_size": "2MB",
    # The data lives as long as the kernel does. A crash of the server alone loses nothing without fsync.
    "fsync": False,
    "full_page_writes": False,
    # No replication, so no processes for it.
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "max_logical_replication_workers": 0,
    "log_checkpoints": False,
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # GMT is built in; UTC by name needs the time zone files, which slim containers lack.
    "timezone": "GMT",
    "log_timezone": "GMT",
}
# These decide where the server is, who reaches it and where its log goes.
_OURS = {
    "listen_addresses": "",
    "port": "Use the argument `port` of PostgresServer.",
    "unix_socket_directories": "",
    "data_directory": "",
    "config_file": "",
    "hba_file": "",
    "ident_file": "",
    "external_pid_file": "",
    "logging_collector": "`server.log()` gives the log.",
    "log_destination": "`server.log()` gives the log.",
    "ssl": "Use the argument `tls` of PostgresServer.",
    "ssl_cert_file": "Use the argument `tls` of PostgresServer.",
    "ssl_key_file": "Use the argument `tls` of PostgresServer.",
    "ssl_ca_file": "Use the argument `tls` of PostgresServer.",
}


def check_settings(settings: Mapping[str, object]) -> dict[str, Setting]:
    """Check names and types of settings; PostgreSQL itself judges the values when it starts.

    Raises:
        SettingError: a name is malformed or reserved, or a value is of a type no setting has.
    """
    checked: dict[str, Setting] = {}
    for name, value in settings.items():
        if not re.fullmatch(r"[a-z_][a-z0-9_.]*", name):
            raise SettingError(f"{name!r} is not the name of a PostgreSQL setting. Names look like `max_connections`.")
        if name in _OURS:
            raise SettingError(f"The setting {name!r} is chosen by the course. {_OURS[name]}".strip())
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise SettingError(
                f"The setting {name!r} is {value!r}, a {type(value).__name__}. Give a text such as '300ms', a "
                "number, or True or False."
            )
        if isinstance(value, str) and any(ord(character) < 32 for character in value):
            raise SettingError(f"The setting {name!r} holds a line break or control character. Remove it.")
        checked[name] = value
    return checked


def access_rules(superuser: str, tls: ServerTLS | None) -> str:
    """The text of pg_hba.conf. The course's own way in comes first, so that no rule can lock it out.

    Raises:
        SettingError: a rule is not one line.
    """
    rules = ANYONE if tls is None else tls.access
    if any(not isinstance(rule, str) or len(rule.splitlines()) != 1 for rule in rules):
        raise SettingError("`access` takes rules of one line each, such as 'hostssl all all 127.0.0.1/32 cert'.")
    return "".join(f"{rule}\n" for rule in (f"host all {superuser} 127.0.0.1/32 scram-sha-256", *rules))


def render(settings: Mapping[str, Setting], folder: Path, tls: ServerTLS | None) -> str:
    """The text of postgresql.conf. The port comes on the command line, since a taken one is replaced."""
    ours: dict[str, Setting] = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "hba_file": str(folder / "pg_hba.conf"),
        "logging_collector": False,
        "log_destination": "stderr",
        "ssl": tls is not None,
    }
    if tls is not None:
        ours |= {"ssl_cert_file": str(folder / "server.pem"), "ssl_key_file": str(folder / "server.key")}
        ours["ssl_ca_file"] = "" if tls.client_ca is None else str(folder / "client_ca.pem")
    merged = {**_DEFAULTS, **settings, **ours}
    return "".join(f"{name} = {_literal(value)}\n" for name, value in merged.items())


def _literal(value: Setting) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value).replace("\\", "\\\\").replace("'", "''")
    return f"'{text}'"
