"""The connections through a FaultProxy: bytes that wait their turn, and the ends that a connection can meet."""

import asyncio
import contextlib
import random
import socket
from collections import deque
from dataclasses import dataclass, field

from course_lib.servers._sockets import reset_on_close, segments_received, silence

_WINDOW = 1 << 20  # bytes under way in one direction of one connection before the sender has to wait
_STEP = 0.02  # seconds of bandwidth that one piece takes


@dataclass(slots=True)
class Conditions:
    """The faults that hold now. Times in seconds, bandwidth in bytes per second (None: no limit)."""

    round_trip: float = 0.0
    jitter: float = 0.0
    seed: int = 0
    bandwidth: float | None = None
    idle_limit: float | None = None
    new_connections_hang: bool = False
    refusing: bool = False

    def in_words(self) -> str:
        """The faults in force, for a repr."""
        faults = []
        if self.round_trip or self.jitter:
            faults.append(f"round trip {self.round_trip * 1000:g} ms")
        if self.bandwidth is not None:
            faults.append(f"{self.bandwidth:g} bytes/s")
        if self.idle_limit is not None:
            faults.append(f"drops connections idle for {self.idle_limit:g} s")
        if self.new_connections_hang:
            faults.append("new connections hang")
        if self.refusing:
            faults.append("refuses new connections")
        return ", ".join(faults) or "no fault"


@dataclass(slots=True)
class Totals:
    """What the relay has counted since it started."""

    accepted: int = 0
    cut: int = 0
    dropped: int = 0
    round_trips: int = 0
    bytes_to_server: int = 0
    bytes_to_client: int = 0


@dataclass(slots=True)
class Network:
    """What all flows of a relay share.

    Attributes:
        loop: the relay's event loop, the only one that touches a flow.
        target: host and port of the server.
        conditions: the faults in force.
        totals: what was counted.
        flows: the flows that are neither over nor dropped, oldest first.
        dropped: the sockets of dropped flows.
        free_at: when each direction can carry the next byte (the loop's time): to the client, to the server.
        tap: copies of the bytes that came, with whether a client sent them; None while nobody listens.
    """

    loop: asyncio.AbstractEventLoop
    target: tuple[str, int]
    conditions: Conditions = field(default_factory=Conditions)
    totals: Totals = field(default_factory=Totals)
    flows: dict[int, "Flow"] = field(default_factory=dict)
    dropped: list[socket.socket] = field(default_factory=list)
    free_at: list[float] = field(default_factory=lambda: [0.0, 0.0])
    tap: list[tuple[bool, bytes]] | None = None


class Side(asyncio.Protocol):
    """One end of a flow. What arrives at this end waits here and leaves at the other."""

    def __init__(self, flow: "Flow", *, is_client: bool) -> None:
        self.flow = flow
        self.is_client = is_client
        self.transport: asyncio.Transport | None = None
        self.other: Side
        self.can_write = False
        self._waiting: deque[tuple[float, float, bytes | None]] = deque()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self.ended = False
        self.reseed()

    def reseed(self) -> None:
        """Begin the sequence of random delays anew."""
        self._random = random.Random(f"{self.flow.network.conditions.seed} {self.flow.number} {self.is_client}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.can_write = True
        if self.flow.is_over:
            transport.abort()
        elif self.is_client:
            transport.pause_reading()
            self.flow.start()

    def data_received(self, data: bytes) -> None:
        self.flow.count(self, data)
        self._add(data)
        if self._size > _WINDOW and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        # The end takes its place in the queue, behind the bytes that are still under way.
        self._add(None)
        return True

    def pause_writing(self) -> None:
        self.can_write = False

    def resume_writing(self) -> None:
        self.can_write = True
        self.other.deliver()

    def connection_lost(self, error: Exception | None) -> None:
        self.flow.lost(error)

    def discard(self) -> None:
        """Forget what is under way."""
        self._waiting.clear()
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def deliver(self) -> None:
        """Pass on what is due now, and come back when the next piece is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        network, out = self.flow.network, self.other.transport
        while self._waiting and out is not None and self.other.can_write:
            arrived, chance, data = self._waiting[0]
            now, conditions = network.loop.time(), network.conditions
            if self.is_client:
                # The kernel has shaken hands with the client already; on a real network that takes a round trip.
                arrived = max(arrived, self.flow.opened + conditions.round_trip)
            due = arrived + conditions.round_trip / 2 + conditions.jitter * chance
            if data and conditions.bandwidth is not None:
                due = max(due, network.free_at[self.is_client])
            if due > now:
                self._timer = network.loop.call_at(due, self.deliver)
                return
            self._waiting.popleft()
            if data is None:
                self.ended = True
                with contextlib.suppress(OSError):  # the other side has reset the connection meanwhile
                    out.write_eof()
                self.flow.close_if_done()
                continue
            if conditions.bandwidth is not None:
                piece = max(1, int(conditions.bandwidth * _STEP))
                if len(data) > piece:
                    self._waiting.appendleft((arrived, chance, data[piece:]))
                    data = data[:piece]
                # A timer that fires a little late may catch up, or the limit would be missed by that much.
                network.free_at[self.is_client] = (
                    max(now - _STEP, network.free_at[self.is_client]) + len(data) / conditions.bandwidth
                )
            self._size -= len(data)
            out.write(data)
            if self._size <= _WINDOW // 2 and self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def _add(self, data: bytes | None) -> None:
        network = self.flow.network
        chance = self._random.random() if network.conditions.jitter else 0.0
        self._waiting.append((network.loop.time(), chance, data))
        self._size += len(data or b"")
        if self._timer is None:
            self.deliver()


class Flow:
    """One client's connection and the connection to the server that belongs to it."""

    def __init__(self, network: Network, number: int) -> None:
        self.network = network
        self.number = number
        self.opened = self.last_seen = network.loop.time()
        self.is_over = False
        self._asked = False
        self._segments = 0
        self._lost = 0
        self._connecting: asyncio.Task[None] | None = None
        self.client = Side(self, is_client=True)
        self.server = Side(self, is_client=False)
        self.client.other, self.server.other = self.server, self.client

    def start(self) -> None:
        """Connect to the server for a client that has just come."""
        self.network.flows[self.number] = self
        self.network.totals.accepted += 1
        if self.network.conditions.new_connections_hang:
            for sock in self.drop():
                silence(sock)
        else:
            self._connecting = self.network.loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self.network.loop.create_connection(lambda: self.server, *self.network.target)
        except OSError:
            self.end(reset=True)
            return
        if not self.is_over and self.client.transport is not None:
            self.client.transport.resume_reading()
            self.client.deliver()

    def count(self, side: Side, data: bytes) -> None:
        """Count bytes that arrived. An answer after a question makes a round trip."""
        totals, size = self.network.totals, len(data)
        if self.network.tap is not None:
            self.network.tap.append((side.is_client, data))
        self.last_seen = self.network.loop.time()
        if side.is_client:
            totals.bytes_to_server += size
            self._asked = True
        else:
            totals.bytes_to_client += size
            totals.round_trips += self._asked
            self._asked = False

    def idle_since(self) -> float:
        """When a packet, even a keepalive probe without data, was last seen (the loop's time)."""
        segments = sum(segments_received(s) for s in self._sockets())
        if segments != self._segments:
            self._segments = segments
            self.last_seen = self.network.loop.time()
        return self.last_seen

    def drop(self) -> list[socket.socket]:
        """Become a black hole: the connections stay open, and nobody will ever read from or write to them.

        Returns:
            Their sockets, for the caller to silence.
        """
        # The copies keep the connections open without a FIN when the transports close their own descriptors.
        kept = [sock.dup() for sock in self._sockets()]
        self.network.dropped.extend(kept)
        self.network.totals.dropped += 1
        self.end()
        return kept

    def end(self, *, reset: bool = False) -> None:
        """Close both connections, with RST if asked. Bytes under way are lost."""
        if self.is_over:
            return
        self.is_over = True
        self.network.flows.pop(self.number, None)
        if self._connecting is not None and self._connecting is not asyncio.current_task(self.network.loop):
            self._connecting.cancel()
        for side in (self.client, self.server):
            side.discard()
            if side.transport is not None:
                if reset:
                    reset_on_close(side.transport.get_extra_info("socket"))
                side.transport.abort()

    def close_if_done(self) -> None:
        """Close, in order, once both ends have said that they send no more and everything was passed on."""
        if self.client.ended and self.server.ended:
            for side in (self.client, self.server):
                if side.transport is not None:
                    side.transport.close()

    def lost(self, error: Exception | None) -> None:
        """One end is gone: after a close in order the other will follow, after an error it is reset."""
        self._lost += 1
        if error is not None or self._lost == 2:
            self.end(reset=error is not None)

    def _sockets(self) -> list[socket.socket]:
        sides = (self.client, self.server)
        return [s.transport.get_extra_info("socket") for s in sides if s.transport and not s.transport.is_closing()]
