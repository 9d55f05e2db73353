"""FaultProxy: a bad network between an engine and a server, on loopback, switched while traffic runs."""

import math
import os
import socket
import weakref
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from course_lib.servers._errors import ServerError
from course_lib.servers._flow import Conditions
from course_lib.servers._relay import Relay
from course_lib.servers._sockets import HOST, can_silence

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ProxyCounters:
    """What a FaultProxy has counted since it started.

    Attributes:
        open: connections that are open now and not dropped.
        accepted: connections that clients made.
        cut: connections that were cut.
        dropped: connections that became black holes.
        round_trips: answers of the server after a client had sent something, over all connections.
        bytes_to_server: bytes that clients sent.
        bytes_to_client: bytes that the server sent.
    """

    open: int
    accepted: int
    cut: int
    dropped: int
    round_trips: int
    bytes_to_server: int
    bytes_to_client: int

    def __sub__(self, earlier: "ProxyCounters") -> "ProxyCounters":
        """What came in between two readings; `open` is the change."""
        return ProxyCounters(**{name: count - getattr(earlier, name) for name, count in asdict(self).items()})


class FaultProxy:
    """A TCP proxy on loopback that delays, narrows, cuts, drops and refuses connections to a server.

    ``async with FaultProxy(server.url) as proxy: engine = create_async_engine(proxy.url)``. It runs in a thread
    of its own, so it belongs to no event loop, and its methods are ordinary ones: call them from anywhere, at
    any time. A fault is in force when the method returns. Faults add up until `normal()` ends them. The bytes
    pass unchanged, so TLS works through it.

    Args:
        target: the URL of the server (or pooler), with a loopback host and a port.
    Raises:
        ValueError: the target is not such a URL.
    """

    def __init__(self, target: URL | str) -> None:
        self._target = _checked_target(target)
        self._relay: Relay | None = None
        self._finalizer: weakref.finalize[..., FaultProxy] | None = None

    @classmethod
    async def start(cls, target: URL | str) -> Self:
        """Make a proxy and start it. Argument and errors as for the class and for ``async with``."""
        return await cls(target).__aenter__()

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            ServerError: it runs already, nothing listens at the target, or no port is free.
        """
        if self._relay is not None:
            raise ServerError("This fault proxy is started already. Stop it first, or make another FaultProxy.")
        host, port = self._target.host or HOST, self._target.port or 0
        try:
            socket.create_connection((host, port), timeout=2).close()
        except OSError as error:
            raise ServerError(
                f"Nothing answers at {host}:{port} ({error.strerror or error}), so there is nothing to put a fault "
                "proxy in front of. Start the server first, and give the proxy `server.url`."
            ) from None
        try:
            relay = Relay((host, port))
        except OSError as error:
            raise ServerError(
                f"The fault proxy got no port on {HOST} ({error.strerror}). Stop other programs."
            ) from None
        self._relay = relay
        # Also runs when nobody refers to the proxy any more, and at the end of the interpreter.
        self._finalizer = weakref.finalize(self, _stop, relay, os.getpid())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close all connections and the port, and end the thread. A second call does nothing."""
        # Nothing is awaited here, so that a cancelled task cannot leave half of it behind.
        if self._finalizer is not None:
            self._finalizer()
        self._relay = self._finalizer = None

    def __repr__(self) -> str:
        where = f"{self._target.host}:{self._target.port}"
        if self._relay is None:
            return f"<FaultProxy to {where}, not running>"
        return f"<FaultProxy {HOST}:{self.port} to {where}, {self._relay.network.conditions.in_words()}>"

    @property
    def url(self) -> URL:
        """The target's URL, password and all, but with the proxy's host and port."""
        return self._target.set(host=HOST, port=self.port)

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1. It stays the same until `stop()`, through all faults."""
        return self._require_running().port.number

    @property
    def drops_packets(self) -> bool:
        """Whether a black hole leaves TCP packets unacknowledged, as a real one does.

        True on Linux, but for kernels that refuse a packet filter to an ordinary user: keepalive probes and
        TCP_USER_TIMEOUT on either side then notice it. Elsewhere the proxy only stops reading, so bytes hang as they
        should, but the kernel goes on answering probes.
        """
        return can_silence()

    def counters(self) -> ProxyCounters:
        """What was counted so far; the difference of two readings is what came in between."""
        relay = self._require_running()
        totals, open_now = relay.call(relay.counted())
        return ProxyCounters(open=open_now, **asdict(totals))

    def delay(self, round_trip: float, *, jitter: float = 0.0, seed: int = 0) -> None:
        """Make the network slow, for all connections.

        Args:
            round_trip: seconds for there and back; half of it each way. Making a connection takes one more, as
                TCP's handshake does.
            jitter: up to so many seconds more for each piece of data, in each direction, evenly distributed. The
                order of bytes stays.
            seed: of the jitter; the nth connection gets the same sequence for the same seed.
        Raises:
            ValueError: a time is negative or not finite.
        """
        self._adjust(
            round_trip=_checked("round_trip", round_trip, "seconds"),
            jitter=_checked("jitter", jitter, "seconds"),
            seed=seed,
        )

    def limit_bandwidth(self, bytes_per_second: float | None) -> None:
        """Limit what all connections together carry in each direction; None ends the limit.

        Raises:
            ValueError: the limit is not a positive number.
        """
        if bytes_per_second is not None:
            _checked("bytes_per_second", bytes_per_second, "bytes per second", positive=True)
        self._adjust(bandwidth=bytes_per_second)

    def cut(self, count: int | None = None) -> int:
        """Reset connections at once, on both sides (RST), as a crashed router or a firewall that rejects does.

        Args:
            count: how many, the oldest first; None cuts all.
        Returns:
            How many were cut. New connections work.
        Raises:
            ValueError: the count is negative.
        """
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise ValueError(f"`count` is {count!r}. Give a number of connections, 0 or more, or None for all.")
        relay = self._require_running()
        return relay.call(relay.cut(count))

    def black_hole(self, *, new_connections: Literal["work", "hang"] = "work") -> int:
        """Drop all established connections silently: no FIN, no RST, no byte in either direction any more.

        They stay dropped for good, as with a NAT gateway or load balancer that has forgotten them. The call takes
        up to 0.25 s: bytes passed on just before are acknowledged first. Each dropped connection keeps its backend
        on the server, until the server itself gives up or the proxy stops.

        Args:
            new_connections: "work", or "hang": nobody answers them, until `normal()`.
        Returns:
            How many connections were dropped.
        Raises:
            ValueError: `new_connections` is neither.
        """
        if new_connections not in ("work", "hang"):
            raise ValueError(f'`new_connections` is {new_connections!r}. Give "work" or "hang".')
        self._adjust(new_connections_hang=new_connections == "hang")
        relay = self._require_running()
        return relay.call(relay.drop_all())

    def drop_idle(self, seconds: float | None) -> None:
        """Let each connection become a black hole once no packet has come for so long; None ends it.

        NAT gateways and load balancers do that after minutes, e.g. 350 s at AWS
        (https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html). On Linux
        keepalive probes count as packets, as they do there.

        Args:
            seconds: the idle time, from now or from the last packet; precise to about 5 %.
        Raises:
            ValueError: the time is not a positive number.
        """
        if seconds is not None:
            _checked("seconds", seconds, "seconds", positive=True)
        self._adjust(idle_limit=seconds)

    def refuse(self) -> None:
        """Refuse new connections at once: the port is closed until `normal()`. Established ones go on."""
        self._adjust(refusing=True)

    def point_to(self, target: URL | str) -> None:
        """Lead new connections to another server, as an impostor on the way can; established ones stay.

        The proxy's `url` stays what it was: the clients notice nothing of it.

        Raises:
            ValueError: the target is no URL of a server on this machine.
        """
        other, relay = _checked_target(target), self._require_running()
        relay.call(relay.point_to((other.host or HOST, other.port or 0)))

    def record(self) -> None:
        """Keep a copy of all bytes from now on, in memory, as anyone on the way can. What was kept is forgotten."""
        relay = self._require_running()
        relay.call(relay.tap())

    def seen(self, sender: Literal["client", "server"] | None = None) -> bytes:
        """The bytes since `record()`, in the order in which they came.

        Args:
            sender: only what clients sent, or only what the server sent; None for both.
        Raises:
            ServerError: nothing is recorded.
        """
        relay = self._require_running()
        if (kept := relay.call(relay.tapped())) is None:
            raise ServerError("This fault proxy records nothing. Call `record()` before the traffic that you want.")
        return b"".join(data for by_client, data in kept if sender in (None, "client" if by_client else "server"))

    def normal(self) -> None:
        """End all faults. Connections that became black holes stay dropped; new ones work."""
        blank = Conditions()
        self._adjust(**{name: getattr(blank, name) for name in blank.__slots__})

    def _adjust(self, **changes: object) -> None:
        relay = self._require_running()
        relay.call(relay.adjust(**changes))

    def _require_running(self) -> Relay:
        if self._relay is None:
            raise ServerError(
                "This fault proxy is not running. Use `async with FaultProxy(server.url) as proxy:` or "
                "`proxy = await FaultProxy.start(server.url)`."
            )
        return self._relay


def _stop(relay: Relay, process: int) -> None:
    # A forked child has a copy of the object, but neither the thread nor the right to end it.
    if os.getpid() == process:
        relay.stop()


def _checked_target(target: URL | str) -> URL:
    advice = "Give the URL of a server on this machine, e.g. `server.url`."
    try:
        url = make_url(target)
    except (ArgumentError, ValueError, TypeError):
        # The text itself may hold a password, so it is not repeated.
        raise ValueError(f"The target of the fault proxy is not a database URL. {advice}") from None
    if url.host not in _LOOPBACK:
        raise ValueError(f"The fault proxy works on loopback only, and its target's host is {url.host!r}. {advice}")
    if url.port is None:
        raise ValueError(f"The target of the fault proxy has no port. {advice}")
    return url


def _checked(name: str, value: float, unit: str, *, positive: bool = False) -> float:
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not number or value < 0 or (positive and value == 0):
        wanted = "above 0" if positive else "0 or more"
        raise ValueError(f"`{name}` is {value!r}. Give a number of {unit}, {wanted}.")
    return value
