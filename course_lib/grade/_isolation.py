"""What the warm process does with itself before it takes a job: a network of its own, and few files."""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import _sandbox_hook, _sandbox_linux, _sandbox_program

if TYPE_CHECKING:
    from course_lib.servers._instance import Ground

_NETWORK, _USERS = 0x40000000, 0x10000000  # CLONE_NEWNET and CLONE_NEWUSER (linux/sched.h)
_WRITABLE_SYSTEM = ("/dev/null", "/dev/shm", "/proc")  # noqa: S108 - what PostgreSQL and the supervisor write
_READABLE_SYSTEM = ("/etc/passwd", "/etc/group", "/etc/login.defs", "/proc", "/sys", "/dev")


def leave_network() -> list[str]:
    """Move to a network with nothing but loopback in it. Returns the layer's name; none where the system refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group, is_root = os.geteuid(), os.getegid(), os.geteuid() == 0
    if libc.unshare(_NETWORK | (0 if is_root else _USERS)) != 0:
        return []
    if not is_root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        # SIOCGIFFLAGS and SIOCSIFFLAGS (netdevice(7)): set IFF_UP.
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(plain, 0x8913, request))[1]
        fcntl.ioctl(plain, 0x8914, struct.pack("16sh22x", b"lo", flags | 1))
    return ["network"]


def confine_files(ground: "Ground", readable: Iterable[str], scratch: Path) -> list[str]:
    """Close all files but those that Python, the servers and the checks need.

    Args:
        ground: what the servers stand on.
        readable: folders to read besides.
        scratch: the folder to write to.
    Returns:
        The layer's name; nothing where the kernel has no Landlock.
    """
    if not _sandbox_linux.landlock_version():
        return []
    rules = _sandbox_linux.Landlock(None)
    own = [sys.prefix, sys.base_prefix, *readable, str(ground.binaries.folder.parent)]
    if ground.binaries.icu_data:
        own.append(str(ground.binaries.icu_data))
    rules.allow(Path(path) for path in (*_sandbox_program._SYSTEM, *_READABLE_SYSTEM, *own))
    rules.allow((Path(path) for path in (*_WRITABLE_SYSTEM, scratch, ground.base)), write=True)
    # Python looks for course_lib by the names in the folder above it. What the files there hold stays closed.
    rules.allow([Path(_sandbox_program.__file__).parents[1]], names_only=True)
    _sandbox_linux.forbid_new_privileges()
    rules.enforce()
    return ["worker's files"]


def take_short_addresses() -> None:
    """The check of 02.2 connects to 127.1, loopback under a name that no certificate has."""
    narrow = _sandbox_hook.is_loopback

    def wider(host: object) -> bool:
        return narrow(host) or (type(host) in (str, bytes) and host in ("127.1", b"127.1"))

    _sandbox_hook.is_loopback = wider
