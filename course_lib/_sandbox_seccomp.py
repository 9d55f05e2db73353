"""A seccomp filter for the sandbox: what Landlock leaves open and no program here needs.

It refuses sockets other than TCP, new namespaces, memory outside the address space limit and ways to reach other
processes. Python's own work, threads, asyncio and subprocesses go on. Linux on x86_64 and aarch64 only; see
https://docs.kernel.org/userspace-api/seccomp_filter.html.
"""

import errno
import os
import struct

# Architecture (linux/audit.h), the numbers of the calls that are treated by name below, and those refused outright:
# ptrace, process_vm_*, kcmp; SysV and POSIX queues and shared memory; keyrings; namespaces; bpf, perf, userfaultfd;
# opening files by handle; memory that is a file.
_MACHINES: dict[str, tuple[int, dict[str, int], tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "sendto": 44, "sendmsg": 46, "sendmmsg": 307, "clone": 56, "clone3": 435,
            "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "prlimit": 302,
        },
        (101, 310, 311, 312, 29, 30, 64, 68, 240, 248, 249, 250, 272, 308, 321, 298, 323, 304, 319),
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "sendto": 206, "sendmsg": 211, "sendmmsg": 269, "clone": 220, "clone3": 435,
            "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "prlimit": 261,
        },
        (117, 270, 271, 272, 194, 196, 190, 186, 180, 217, 218, 219, 97, 268, 280, 241, 282, 265, 279),
    ),
}  # fmt: skip
# The same on both: io_uring, which does what it is asked without this filter; memfd_secret; pidfd_getfd.
_NEVER = (425, 426, 427, 447, 438)
_PIDFD_SEND_SIGNAL = 424
_X32 = 0x40000000  # x86_64 has a second set of numbers from here
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWUSER and the others (linux/sched.h)
_MSG_FASTOPEN = 0x20000000  # connects while it sends, past Landlock's ports

# Instructions of the classic BPF machine (linux/filter.h).
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW = (_RETURN, 0, 0, 0x7FFF0000)
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_Instruction = tuple[int, int, int, int]  # code, skip if true, skip if false, value


def build(own_pid: int | None) -> bytes | None:
    """The filter as an array of `struct sock_filter`, or None on a machine whose call numbers are not known here.

    Args:
        own_pid: the only process id that signals may go to; None where something else guards the others.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or struct.calcsize("P") != 8:
        return None
    architecture, numbers, never = machine
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        _refuse(errno.EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        _refuse(errno.ENOSYS),
        # Without clone3 libraries fall back to clone, whose flags a filter can see.
        *_on(numbers["clone3"], [_refuse(errno.ENOSYS)]),
        *_on(numbers["socket"], _only_tcp()),
        # Its own limits only.
        *_on(numbers["prlimit"], [_argument(0), (_EQUAL, 0, 1, 0), _ALLOW, _refuse(errno.EPERM)]),
        *_on(numbers["clone"], _without_bits(0, _NEW_NAMESPACES, errno.EPERM)),
        *_on(numbers["sendto"], _without_bits(3, _MSG_FASTOPEN, errno.EACCES)),
        *_on(numbers["sendmsg"], _without_bits(2, _MSG_FASTOPEN, errno.EACCES)),
        *_on(numbers["sendmmsg"], _without_bits(3, _MSG_FASTOPEN, errno.EACCES)),
    ]
    for number in (*never, *_NEVER):
        program += _on(number, [_refuse(errno.EPERM)])
    if own_pid is not None:
        own = [_argument(0), (_EQUAL, 0, 1, own_pid), _ALLOW, _refuse(errno.EPERM)]
        for name in ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
            program += _on(numbers[name], own)
        program += _on(_PIDFD_SEND_SIGNAL, [_refuse(errno.EPERM)])
    program.append(_ALLOW)
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _refuse(number: int) -> _Instruction:
    return (_RETURN, 0, 0, 0x00050000 | number)


def _argument(position: int) -> _Instruction:
    # The lower half: all arguments looked at are 32 bits wide for the kernel too.
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * position)


def _on(number: int, block: list[_Instruction]) -> list[_Instruction]:
    """Run ``block``, which has to return, for one call; the call's number stays loaded for the others."""
    return [(_EQUAL, 0, len(block), number), *block]


def _without_bits(position: int, bits: int, error: int) -> list[_Instruction]:
    return [_argument(position), (_AND, 0, 0, bits), (_EQUAL, 0, 1, 0), _ALLOW, _refuse(error)]


def _only_tcp() -> list[_Instruction]:
    return [
        _argument(0), (_EQUAL, 1, 0, 2), (_EQUAL, 0, 6, 10),  # AF_INET, AF_INET6
        _argument(1), (_AND, 0, 0, 0xF), (_EQUAL, 0, 3, 1),  # SOCK_STREAM
        _argument(2), (_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, 6),  # any protocol, or TCP and not MPTCP
        _refuse(errno.EACCES), _ALLOW,
    ]  # fmt: skip
