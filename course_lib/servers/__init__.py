"""Real database servers for the lessons: started on demand, on loopback only, gone when the kernel is gone."""

from course_lib.servers._errors import (
    DiskFullError,
    MissingBinaryError,
    NoOpenSSLError,
    PortTakenError,
    ServerCrashedError,
    ServerError,
    SettingError,
)
from course_lib.servers.binaries import PgBouncerBinary, PostgresBinaries, find_pgbouncer, find_postgres
from course_lib.servers.faults import FaultProxy, ProxyCounters
from course_lib.servers.pgbouncer import PgBouncer
from course_lib.servers.postgres import PostgresServer
from course_lib.servers.scratch import ScratchFolder

__all__ = [
    "DiskFullError",
    "FaultProxy",
    "MissingBinaryError",
    "NoOpenSSLError",
    "PgBouncer",
    "PgBouncerBinary",
    "PortTakenError",
    "PostgresBinaries",
    "PostgresServer",
    "ProxyCounters",
    "ScratchFolder",
    "ServerCrashedError",
    "ServerError",
    "SettingError",
    "find_pgbouncer",
    "find_postgres",
]
