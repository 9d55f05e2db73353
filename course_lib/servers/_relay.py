"""The thread behind FaultProxy: it accepts clients and does the harm asked of it.

Everything here runs in the relay's own event loop. A cell that blocks the learner's loop does not stall it.
"""

import asyncio
import itertools
import socket
import threading
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from course_lib.servers._errors import ServerError
from course_lib.servers._flow import Flow, Network, Side, Totals
from course_lib.servers._sockets import BACKLOG, Port, reset_on_close, silence, unacknowledged, unsilence

T = TypeVar("T")
_PATIENCE = 10.0  # seconds to wait for the relay's thread, which needs milliseconds
_DELAYED_ACK = 0.25  # seconds; Linux acknowledges within 0.2 s at the latest, mostly within 0.04 s
_ACK_LOOKS = 50


class Relay:
    """A listening port, its flows, and the thread that serves them.

    Args:
        target: host and port of the server.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.port = Port()
        # The selector loop everywhere: Windows' default one has no sockets to set options on.
        self.loop = asyncio.SelectorEventLoop()
        self.network = Network(self.loop, target)
        self._numbers = itertools.count(1)
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._is_stopping = False
        self._closing: asyncio.Task[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.thread = threading.Thread(target=self._run, name="course-fault-proxy", daemon=True)
        self.thread.start()
        try:
            self.call(self.adjust())
        except BaseException:
            self.stop()
            raise

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the relay's loop, from any other thread, and wait until its effects are there.

        Raises:
            ServerError: the thread does not answer.
        """
        try:
            answer = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:
            coroutine.close()
            raise ServerError("The fault proxy was stopped. Make a new one.") from None
        try:
            return answer.result(_PATIENCE)
        except TimeoutError:
            answer.cancel()
            raise ServerError("The fault proxy does not answer any more. Stop it and make a new one.") from None

    async def adjust(self, **changes: object) -> None:
        """Change conditions and let them take effect at once, also for bytes that are under way."""
        for name, value in changes.items():
            setattr(self.network.conditions, name, value)
        self.network.free_at = [0.0, 0.0]
        await self._listen()
        for flow in list(self.network.flows.values()):
            for side in (flow.client, flow.server):
                if "seed" in changes:
                    side.reseed()
                side.deliver()
        if "idle_limit" in changes:
            # Idle time counts from now on: the limit is new to flows that were there before it.
            for flow in self.network.flows.values():
                flow.idle_since()
                flow.last_seen = self.loop.time()
            self._sweep()

    async def point_to(self, target: tuple[str, int]) -> None:
        """Lead new connections to another server."""
        self.network.target = target

    async def tap(self) -> None:
        """Keep copies of all bytes from now on, and forget those kept before."""
        self.network.tap = []

    async def tapped(self) -> list[tuple[bool, bytes]] | None:
        """What was kept, with whether a client sent it; None if nothing was to be kept."""
        return None if self.network.tap is None else list(self.network.tap)

    async def cut(self, count: int | None) -> int:
        """Reset the ``count`` oldest connections (None: all) and return how many there were."""
        chosen = list(self.network.flows.values())[:count]
        for flow in chosen:
            flow.end(reset=True)
        self.network.totals.cut += len(chosen)
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next round
        return len(chosen)

    async def drop_all(self) -> int:
        """Make all connections black holes and return how many there were."""
        chosen = list(self.network.flows.values())
        kept = [sock for flow in chosen for sock in flow.drop()]
        # What was sent just before must be acknowledged first, or the kernel would send it again and again. Those
        # packets would reach the peer, and its keepalive timer would take them for signs of life.
        for _ in range(_ACK_LOOKS):
            if not any(map(unacknowledged, kept)):
                break
            await asyncio.sleep(_DELAYED_ACK / _ACK_LOOKS)
        for sock in kept:
            silence(sock)
        return len(chosen)

    async def counted(self) -> tuple[Totals, int]:
        """A copy of the totals, and the number of connections that are open and not dropped."""
        return replace(self.network.totals), len(self.network.flows)

    def stop(self) -> None:
        """Close everything and end the thread. A second call does nothing; it may come from any thread."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self.loop.call_soon_threadsafe(self._begin_to_close)
        if threading.current_thread() is not self.thread:
            self.thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def _begin_to_close(self) -> None:
        # The loop itself refers to its tasks only weakly.
        self._closing = self.loop.create_task(self._close())

    async def _listen(self) -> None:
        """Open or close the listening port, and let it answer new clients or not."""
        if self.network.conditions.refusing:
            await self._stop_listening()
            return
        if self._listener is None:
            try:
                self._listener = self.port.listen()
            except OSError as error:
                raise ServerError(
                    f"Port {self.port.number} was taken by another program while the fault proxy refused connections "
                    f"({error.strerror}). Stop the proxy and make a new one."
                ) from None
            self._server = await self.loop.create_server(self._new_client, sock=self._listener, backlog=BACKLOG)
        if self.network.conditions.new_connections_hang:
            silence(self._listener)
        else:
            unsilence(self._listener)

    async def _stop_listening(self) -> None:
        server = self._server
        if server is None or self._listener is None:
            return
        # A client that is half-way through being accepted has to be through before the server closes: asyncio fails
        # an assertion in its transport otherwise, and drops it open (seen with Python 3.13.0).
        self.loop.remove_reader(self._listener)
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        self._server = self._listener = None

    def _new_client(self) -> Side:
        return Flow(self.network, next(self._numbers)).client

    def _sweep(self) -> None:
        """Make black holes of the flows that were idle for too long, now and at regular times from now on."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        limit = self.network.conditions.idle_limit
        if limit is None:
            return
        for flow in list(self.network.flows.values()):
            if self.loop.time() - flow.idle_since() > limit:
                for sock in flow.drop():
                    silence(sock)
        self._sweeper = self.loop.call_later(max(limit / 20, 0.005), self._sweep)

    async def _close(self) -> None:
        try:
            if self._sweeper is not None:
                self._sweeper.cancel()
            await self._stop_listening()
            self.port.release()
            # A client may be half-way through being accepted: it becomes a flow within two rounds of the loop.
            for _ in range(3):
                self._end_all()
                await asyncio.sleep(0)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)
            self._end_all()
            for kept in self.network.dropped:
                reset_on_close(kept)
                kept.close()
            # The transports close their sockets in the loop's next round.
            await asyncio.sleep(0)
        finally:
            self.loop.stop()

    def _end_all(self) -> None:
        for flow in list(self.network.flows.values()):
            flow.end()
