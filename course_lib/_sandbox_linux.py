"""What the sandbox asks of the Linux kernel: namespaces, Landlock, capabilities, seccomp.

Python's standard library has no calls for these, so they go through ctypes. Sources: landlock(7), capabilities(7),
prctl(2), user_namespaces(7), and the header files linux/landlock.h and linux/capability.h.
"""

import contextlib
import ctypes
import errno
import os
import signal
import stat
import struct
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from course_lib import _sandbox_seccomp

_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWUSER, _CLONE_NEWPID = 0x10000000, 0x20000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP = 1, 4, 8, 22
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_CAP_DAC_READ_SEARCH = 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all machines
# The rights that each version of Landlock added to the first one's thirteen.
_FIRST_RIGHTS = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_DEVICES = 1 << 6 | 1 << 11
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _prctl(option: int, *arguments: int) -> None:
    values = (*arguments, 0, 0, 0, 0)[:4]
    _checked(_libc.prctl(option, *(ctypes.c_ulong(value) for value in values)))


def adopt_orphans() -> None:
    """Make this process the parent of each descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends.

    Args:
        parent: the parent's process id as seen from here; 0 when it is outside this process's namespace.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def leave_namespaces() -> bool:
    """Give this process a user namespace, and its children a process namespace. False where that is refused."""
    return int(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID)) == 0


def map_users(pid: int) -> bool:
    """Give the user namespace of ``pid`` the users that it needs, under their own numbers.

    For root these are all, for an ordinary user it is the user alone. False where that is refused.
    """
    try:
        for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
            here = Path(f"/proc/self/{kind}_map").read_text().split("\n")
            ranges = [line.split() for line in here if line]
            lines = [f"{first} {first} {count}" for first, _, count in ranges] if os.geteuid() == 0 else None
            if lines is None and kind == "gid":
                Path(f"/proc/{pid}/setgroups").write_text("deny")
            with Path(f"/proc/{pid}/{kind}_map").open("wb", buffering=0) as file:
                file.write("\n".join(lines or [f"{own} {own} 1"]).encode())
    except OSError:
        return False
    return True


def landlock_version() -> int:
    """The version of Landlock that this kernel offers; 0 where it has none or it is switched off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


class Landlock:
    """Rules that are gathered first, with the rights of the caller, and then laid on this process for good."""

    def __init__(self, ports: Collection[int] | None) -> None:
        """Begin with nothing allowed; ``ports`` are the TCP ports to allow, None for no rule about ports."""
        self.version = landlock_version()
        self._files = _FIRST_RIGHTS
        for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE)):
            self._files |= right if self.version >= since else 0
        self.guards_ports = self.version >= 4 and ports is not None
        self.guards_signals = self.version >= 6
        network = _BIND_TCP | _CONNECT_TCP if self.guards_ports else 0
        scope = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if self.guards_signals else 0
        fields = (self._files, network, scope)[: 3 if self.version >= 6 else 2 if self.version >= 4 else 1]
        attributes = struct.pack(f"={len(fields)}Q", *fields)
        size, flags = ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)
        self._rules = _checked(_libc.syscall(_CREATE_RULESET, attributes, size, flags))
        for port in ports or () if self.guards_ports else ():
            self._add(2, struct.pack("=QQ", network, port))

    def allow(self, paths: Iterable[Path], *, write: bool = False, names_only: bool = False) -> None:
        """Allow what lies at and under ``paths``; what does not exist is left out."""
        rights = _READ_FOLDER if names_only else _READ_FILE | _READ_FOLDER | _EXECUTE
        if write:
            rights = self._files & ~_MAKE_DEVICES
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
                try:
                    of_a_file = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
                    is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
                    self._add(1, struct.pack("=Qi", (rights if is_folder else rights & of_a_file), descriptor))
                finally:
                    os.close(descriptor)

    def _add(self, kind: int, rule: bytes) -> None:
        _checked(_libc.syscall(_ADD_RULE, self._rules, kind, rule, ctypes.c_uint32(0)))

    def enforce(self) -> None:
        """Lay the rules on this process; wants `forbid_new_privileges` before."""
        _checked(_libc.syscall(_RESTRICT_SELF, self._rules, ctypes.c_uint32(0)))
        os.close(self._rules)


def forbid_new_privileges() -> None:
    """Programs started from here get no rights from their files' set-user-id bits."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def filter_calls(own_pid: int | None) -> bool:
    """Install the seccomp filter; see `_sandbox_seccomp.build`. False where this machine or kernel has none."""
    program = _sandbox_seccomp.build(own_pid)
    if program is None:
        return False
    instructions = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(instructions)))
    try:
        _prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(header))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        return False
    return True


def become(account: int | None, must_read: Iterable[Path], *, may_pass_modes: bool) -> bool:
    """Give up all privileges and, as root, take on another account.

    Args:
        account: the user and group number to take on, None to stay.
        must_read: what has to be readable afterwards.
        may_pass_modes: whether to keep the one capability that reads past file modes, where ``must_read`` needs
            it: for a Python under /root. Only right when Landlock then says what may be read.
    Returns:
        Whether all of ``must_read`` can be read.
    """
    if account is not None:
        _prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(account, account, account)
        os.setresuid(account, account, account)
    # access(2) looks with the account's rights alone, whatever capabilities are left.
    readable = all(os.access(path, os.R_OK) for path in must_read)
    if readable or account is None or not may_pass_modes:
        _set_capabilities(0)
    else:
        try:
            _set_capabilities(1 << _CAP_DAC_READ_SEARCH)
            _prctl(_PR_CAP_AMBIENT, 2, _CAP_DAC_READ_SEARCH)
            readable = True
        except OSError:
            _set_capabilities(0)
    # The kernel hides /proc/self from a process that changed its account.
    _prctl(_PR_SET_DUMPABLE, 1)
    return readable


def _set_capabilities(capabilities: int) -> None:
    header = struct.pack("=Ii", 0x20080522, 0)
    data = struct.pack("=6I", *(capabilities,) * 3, 0, 0, 0)
    _checked(_libc.capset(header, data))


def descendants(pid: int) -> list[int]:
    """The process ids of all children of ``pid`` and theirs."""
    children_of = _listed_children if Path("/proc/thread-self/children").exists() else _children_by_search()
    found = [pid]
    for each in found:
        found += children_of(each)
    return found[1:]


def _listed_children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def _children_by_search() -> Callable[[int], list[int]]:
    # For kernels without CONFIG_PROC_CHILDREN. The name of a program, in brackets, can hold spaces.
    parents: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return lambda pid: [child for child, parent in parents.items() if parent == pid]


def memory_of(pids: Iterable[int], limit: int) -> int:
    """The memory of processes together (bytes); exact only near ``limit``, since exactness costs more."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    pids = list(pids)
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
    if total <= limit or len(pids) < 2:
        return total
    # Pages that a fork shares with its parent were counted twice; the proportional size counts them once.
    exact = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            exact += int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()[0]) * 1024
    return exact or total
