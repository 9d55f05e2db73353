"""What the fault proxy asks of the kernel: RST instead of FIN, real silence, and a port that stays its own."""

import contextlib
import ctypes
import errno
import socket
import struct
import sys
from typing import Protocol

HOST = "127.0.0.1"
BACKLOG = 512  # connections that may wait to be accepted
_ATTACH_FILTER, _DETACH_FILTER = 26, 27  # SO_ATTACH_FILTER and SO_DETACH_FILTER; the socket module lacks them
_RETURN = 0x06  # BPF_RET | BPF_K: keep this many bytes of the packet
_SEGMENTS_IN = 140  # offset of tcpi_segs_in in Linux's struct tcp_info
_TRIES = 20


class AnySocket(Protocol):
    """What a socket and asyncio's view of one have in common."""

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None: ...
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def reset_on_close(sock: AnySocket) -> None:
    """Make the next close send RST, so that the peer's next use fails at once."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(sock: AnySocket) -> bool:
    """Let the kernel drop each packet that arrives for this socket, unacknowledged, as if the cable were cut.

    A packet filter that keeps nothing does it on Linux (man 7 socket, SO_ATTACH_FILTER). It needs no privileges, but
    some kernels refuse it to everybody but root (seen: EPERM).

    Returns:
        Whether it works here. If not, the peer's bytes are acknowledged until its window is full, and its
        keepalive probes are answered.
    """
    if sys.platform != "linux":
        return False
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    except OSError:
        return False
    return True


def can_silence() -> bool:
    """Whether `silence` works on this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        return silence(sock)


def unsilence(sock: AnySocket) -> None:
    """Let packets through again."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # there was no filter
            sock.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)


def unacknowledged(sock: socket.socket) -> int:
    """How many bytes that were sent here the peer has not acknowledged; 0 where the kernel does not tell."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import termios

    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def segments_received(sock: AnySocket) -> int:
    """How many TCP packets came for this socket, keepalive probes included; 0 where the kernel does not tell."""
    if sys.platform != "linux":
        return 0
    try:
        information = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SEGMENTS_IN + 4)
    except OSError:
        return 0
    return int.from_bytes(information[_SEGMENTS_IN:], sys.byteorder)


class Port:
    """A free port on loopback that can stop listening and start again without being lost to another program."""

    def __init__(self) -> None:
        for _ in range(_TRIES):
            self._reserve = self._bound(0)
            self.number: int = self._reserve.getsockname()[1]
            if sys.platform != "linux":
                # Other systems do not let a second socket share the port, so it is free while nobody listens.
                self._reserve.close()
                return
            try:
                # Another program that listens on all addresses would take the port for itself.
                self.listen().close()
                return
            except OSError:
                self._reserve.close()
        raise OSError(errno.EADDRINUSE, "no free port on 127.0.0.1")

    def listen(self) -> socket.socket:
        """A new socket that listens on the port.

        Raises:
            OSError: another program has taken the port.
        """
        sock = self._bound(self.number)
        try:
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
        return sock

    def release(self) -> None:
        """Give the port back."""
        self._reserve.close()

    @staticmethod
    def _bound(number: int) -> socket.socket:
        # asyncio sets TCP_NODELAY only where the protocol is named.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.setblocking(False)
            if sys.platform != "win32":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((HOST, number))
        except OSError:
            sock.close()
            raise
        return sock
