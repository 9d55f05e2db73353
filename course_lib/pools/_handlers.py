"""The event handlers of one engine: they run inside each checkout, so they do as little as they can."""

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from course_lib.pools._lives import Life
from course_lib.pools._recording import LiveConnection, State

Listener = Callable[..., None]


class _OfThread(threading.local):
    """What is kept for each thread: its name, which `threading.current_thread` takes long to find out."""

    def __init__(self) -> None:
        self.name = threading.current_thread().name


_of_thread = _OfThread()


def thread_name() -> str:
    """The name of the current thread, as it was when it was asked for first."""
    return _of_thread.name


def current_name() -> str:
    """The name of the current asyncio task, or of the thread where no task runs."""
    try:
        return asyncio.current_task().get_name()  # type: ignore[union-attr]
    except (RuntimeError, AttributeError):
        return thread_name()


def backend_pid(driver_connection: Any) -> int | None:
    """The process ID of the server's backend, from the drivers that know it: asyncpg, psycopg and psycopg2."""
    for holder, name in (
        (driver_connection, "get_server_pid"),
        (getattr(driver_connection, "info", None), "backend_pid"),
        (driver_connection, "get_backend_pid"),
    ):
        found = getattr(holder, name, None)
        if found is not None:
            return int(found() if callable(found) else found)
    return None


def is_closed(driver_connection: Any) -> bool:
    """Whether the driver knows that the connection is closed; False for drivers that cannot tell."""
    found = getattr(driver_connection, "is_closed", None)
    if found is None:
        found = getattr(driver_connection, "closed", False)
    return bool(found() if callable(found) else found)


class Watch:
    """Listens to one engine's pool, whatever pool it has at the time, and keeps no reference to the engine.

    Args:
        engine: the sync engine (that of an AsyncEngine is its `sync_engine`).
        index: the engine's place in the recorder.
        ring: where the events go, as tuples, see `_lives`.
        number: gives the next connection number.
        counts: how often each kind of event happened; counted up.
        resets: whether to listen to resets.
    """

    def __init__(
        self,
        engine: Engine,
        index: int,
        ring: deque[tuple[Any, ...]],
        number: Callable[[], int],
        counts: dict[str, int],
        resets: bool,
    ) -> None:
        self.engine: weakref.ref[Engine] = weakref.ref(engine)
        self.index = index
        self._ring = ring
        self._number = number
        self._counts = counts
        self._live: dict[int, Life] = {}
        self._emptied: dict[int, weakref.ref[ConnectionPoolEntry]] = {}
        # A sync engine blocks its thread, so the thread's name tells more there, and costs no failed look for a task.
        self._name_of = current_name if engine.dialect.is_async else thread_name
        self._shared = isinstance(engine.pool, StaticPool)
        self._listeners = self._make_listeners()
        if not (resets or self._shared):
            del self._listeners["reset"]
        for name, listener in self._listeners.items():
            event.listen(engine, name, listener)

    def detach(self) -> None:
        """Stop listening. It may be called again, and after the engine is gone."""
        engine = self.engine()
        if engine is not None:
            for name, listener in self._listeners.items():
                if event.contains(engine, name, listener):
                    event.remove(engine, name, listener)
        self._listeners = {}

    def lives(self) -> Iterator[tuple[Life, Any]]:
        """What is open now: each connection's life with the driver's connection (None for a detached one)."""
        for key, life in list(self._live.items()):
            record = life.record()
            if record is not None and record.dbapi_connection is not None and id(record.dbapi_connection) == key:
                yield life, record.driver_connection
            elif life.stray and life.holder is not None:
                yield life, None
            else:  # it went without an event: its opening failed half-way, or its pool was collected
                self._live.pop(key, None)

    def connections(self, now: float) -> list[LiveConnection]:
        """What is open now, for people."""
        found = []
        for life, driver_connection in self.lives():
            state: State = "idle" if life.holder is None else "in use"
            if driver_connection is not None and is_closed(driver_connection):
                state = "dead"
            found.append(
                LiveConnection(
                    number=life.number,
                    engine=self.index,
                    pid=life.pid,
                    state=state,
                    who=life.holder,
                    seconds=max(0.0, now - life.since),
                    stray=life.stray,
                )
            )
        return found

    def emptied(self) -> int:
        """How many places of the pool have lost their connection and have not got another yet."""
        found = 0
        for key, reference in list(self._emptied.items()):
            record = reference()
            if record is None or record.dbapi_connection is not None:
                self._emptied.pop(key, None)
            elif not record.in_use:
                found += 1
        return found

    def _make_listeners(self) -> dict[str, Listener]:
        live, counts, emptied, shared = self._live, self._counts, self._emptied, self._shared
        append, clock, name_of = self._ring.append, perf_counter, self._name_of

        def note(kind: str, life: Life | None, who: str | None = None, cause: BaseException | None = None) -> None:
            counts[kind] += 1
            append((clock(), kind, life, who, None, None if cause is None else type(cause).__name__))

        def begin(connection: Any, record: ConnectionPoolEntry, opened: float | None) -> Life:
            pid = None
            with contextlib.suppress(Exception):  # a broken driver must not break the learner's checkout
                pid = backend_pid(record.driver_connection)
            life = live[id(connection)] = Life(self._number(), self.index, opened, pid, weakref.ref(record))
            return life

        def on_connect(connection: Any, record: ConnectionPoolEntry) -> None:
            emptied.pop(id(record), None)
            note("opened", begin(connection, record, clock()), name_of())

        def on_checkout(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
            try:
                life = live[id(connection)]
            except KeyError:  # it was opened before the recorder was made
                life = begin(connection, record, None)
            life.holder = who = name_of()
            life.since = now = clock()
            counts["checked out"] += 1
            append((now, "checked out", life, who, None, None))

        def on_shared_checkout(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
            on_checkout(connection, record, proxy)
            live[id(connection)].leases += 1

        def on_checkin(connection: Any, record: ConnectionPoolEntry) -> None:
            try:
                life = live[id(connection)]
            except KeyError:
                return
            counts["returned"] += 1
            now = clock()
            append((now, "returned", life, life.holder, life.since, life.reset))
            life.holder = life.reset = None
            life.since = now

        def on_reset(connection: Any, record: ConnectionPoolEntry, state: Any) -> None:
            # Its entry is made together with that of the return, which follows at once.
            life = live.get(id(connection))
            if life is not None:
                life.reset = clock()

        def on_shared_reset(connection: Any, record: ConnectionPoolEntry, state: Any) -> None:
            # A StaticPool lends its connection to many at once, and tells of the first return only.
            life = live.get(id(connection))
            if life is None:
                return
            now = clock()
            counts["returned"] += 1
            append((now, "returned", life, name_of(), None, now))
            life.leases = max(0, life.leases - 1)
            if not life.leases:
                life.holder = None
                life.since = now

        def lose(kind: str, connection: Any, cause: BaseException | None) -> Life | None:
            life = live.get(id(connection))
            note(kind, life, None if life is None else life.holder, cause)
            return life

        def on_invalidate(connection: Any, record: ConnectionPoolEntry, cause: BaseException | None) -> None:
            life = lose("invalidated", connection, cause)
            if life is not None:
                life.leases = 0
                life.holder = None
            emptied[id(record)] = weakref.ref(record)

        def on_soft_invalidate(connection: Any, record: ConnectionPoolEntry, cause: BaseException | None) -> None:
            lose("soft invalidated", connection, cause)

        def on_close(connection: Any, record: ConnectionPoolEntry) -> None:
            lose("closed", connection, None)
            live.pop(id(connection), None)

        def on_detach(connection: Any, record: ConnectionPoolEntry) -> None:
            life = lose("detached", connection, None)
            if life is not None:
                life.stray = True

        def on_close_detached(connection: Any) -> None:
            lose("closed", connection, None)
            live.pop(id(connection), None)

        def on_disposed(engine: Engine) -> None:
            for life, _ in self.lives():
                life.stray = True
            emptied.clear()
            note("disposed", None)

        return {
            "connect": on_connect,
            "checkout": on_shared_checkout if shared else on_checkout,
            "reset": on_shared_reset if shared else on_reset,
            **({} if shared else {"checkin": on_checkin}),
            "invalidate": on_invalidate,
            "soft_invalidate": on_soft_invalidate,
            "close": on_close,
            "detach": on_detach,
            "close_detached": on_close_detached,
            "engine_disposed": on_disposed,
        }
