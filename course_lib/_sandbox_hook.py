"""The sandbox's audit hook: the layer that works wherever Python does.

It sees what Python code does through Python's own functions (https://docs.python.org/3/library/audit_events.html),
not what C code or ctypes does. On Linux the kernel's layers stand behind it; elsewhere it is most of what there is.
"""

import errno
import os
import socket
from collections.abc import Callable, Collection, Sequence
from typing import Any

_STARTS = frozenset(
    ("subprocess.Popen", "os.fork", "os.forkpty", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
)
_SIGNALS = frozenset(("os.kill", "os.killpg"))
_ADDRESSES = frozenset(("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"))
_NAMES = frozenset(
    ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "socket.sethostname")
)
# Landlock says nothing about these (landlock(7), "Current limitations"), so they are looked at everywhere.
_ATTRIBUTES = frozenset(("os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr", "os.chflags"))
_CHANGES = frozenset(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.mkfifo", "os.mknod"))
_PAIRS = frozenset(("os.rename", "os.link"))
_READS = frozenset(("os.listdir", "os.scandir", "os.chdir"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


def refusal_of_address(address: object, ports: Collection[int] | None) -> str | None:
    """Why the sandbox does not let a program use a socket address; None when it may.

    Args:
        address: as it is given to `socket.connect`.
        ports: the allowed ports; None for all.
    """
    # Subclasses could show another value here than the one that the socket gets.
    if type(address) is not tuple or len(address) not in (2, 4):
        return "it is no address of TCP on this machine"
    host, port = address[:2]
    if not is_loopback(host):
        return "it is not 127.0.0.1 or ::1"
    if type(port) is not int or (ports is not None and port not in ports):
        return "this port is not among the allowed ones"
    return None


def is_loopback(host: object) -> bool:
    """Whether ``host`` is an address of the loopback interface, or the name localhost."""
    if type(host) is bytes:
        host = host.decode("ascii", "replace")
    if type(host) is not str:
        return False
    if host == "localhost":
        return True
    try:
        # Shorter forms such as 127.1 are refused with everything else that this function does not read.
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    except (OSError, ValueError):
        pass
    try:
        return socket.inet_pton(socket.AF_INET6, host) == bytes(15) + b"\x01"
    except (OSError, ValueError):
        return False


def make_hook(
    folder: str, readable: Sequence[str], ports: Collection[int] | None, *, may_fork: bool, guards_files: bool
) -> Callable[[str, tuple[Any, ...]], None]:
    """The hook for `sys.addaudithook`.

    Args:
        folder: where the program may write; a real path.
        readable: what it may read besides, as real paths.
        ports: the loopback ports that it may use; None for all.
        may_fork: whether it may start processes and send signals.
        guards_files: whether to look at files as well, where nothing in the kernel does.
    """
    # Kept here, since the program can replace what it finds in modules.
    real, is_folder, decode, separator, own_pid = os.path.realpath, os.path.isdir, os.fsdecode, os.sep, os.getpid()
    roots = (folder, *readable, *_DEVICES)

    def inside(path: Any, allowed: Sequence[str]) -> bool:
        if type(path) is int:
            return True  # an open file
        try:
            path = real(decode(path))
        except TypeError:
            return False
        return any(path == root or path.startswith(root.rstrip(separator) + separator) for root in allowed)

    def refuse(what: str, why: str) -> None:
        # With a number, as the kernel's own: asyncio looks at it.
        raise PermissionError(errno.EACCES, f"The sandbox does not allow {what}: {why}")

    def hook_files(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = bool(flags & _WRITING) if type(flags) is int else any(letter in (mode or "") for letter in "wax+")
            # An open folder elsewhere would be a start for paths that this hook does not see.
            only_own = writes or (mode is None and type(path) is not int and is_folder(path))
            if not inside(path, (folder, "/dev/null") if only_own else roots):
                refuse("this file", "it is outside the program's folder")
        elif event == "sqlite3.connect":
            if arguments[0] not in (":memory:", b":memory:", "") and not inside(arguments[0], (folder,)):
                refuse("this database", "it is outside the program's folder")
        elif event in _READS:
            if not inside(arguments[0] if arguments[0] is not None else ".", roots):
                refuse("this folder", "it is outside what the program may read")
        elif event == "os.symlink":
            if not inside(arguments[1], (folder,)):
                refuse("this link", "it is outside the program's folder")
        elif (event in _CHANGES and not inside(arguments[0], (folder,))) or (
            event in _PAIRS and not (inside(arguments[0], (folder,)) and inside(arguments[1], (folder,)))
        ):
            refuse("this change", "it is outside the program's folder")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _ADDRESSES:
            address = arguments[1]
            if event == "socket.sendmsg" and address is None:
                return  # to the peer it is connected with
            why = refusal_of_address(address, ports)
            if why is not None:
                refuse("this connection", why)
        elif event in _NAMES:
            name = arguments[0]
            if type(name) is tuple:
                name = name[0]
            if name is not None and not is_loopback(name):
                refuse("a look-up of this name", "it is not localhost")
        elif not may_fork and (event in _STARTS or (event in _SIGNALS and arguments[0] != own_pid)):
            refuse("this", "the program may neither start processes nor signal others")
        elif event in _ATTRIBUTES and not inside(arguments[0], (folder,)):
            refuse("this change", "it is outside the program's folder")
        elif guards_files:
            hook_files(event, arguments)

    return hook
