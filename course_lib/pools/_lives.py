"""From the ring's entries to connections with their leases, and to events that people read.

An entry is a tuple, which is the cheapest thing to make: the time (`perf_counter`), the kind, the `Life` of the
connection or None, who did it, since when ("returned": the checkout; "served", "timed out" and "failed": the request),
and what else there is to know ("returned": when it was reset; otherwise the class of an error, or None).
"""

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.pool import ConnectionPoolEntry

from course_lib.pools._recording import ConnectionLife, Lease, PoolEvent

Entry = tuple[Any, ...]


class Life:
    """What is known about one physical connection. It keeps no connection alive."""

    __slots__ = ("engine", "holder", "leases", "number", "opened", "pid", "record", "reset", "since", "stray")

    def __init__(
        self,
        number: int,
        engine: int,
        opened: float | None,
        pid: int | None,
        record: weakref.ref[ConnectionPoolEntry],
    ) -> None:
        self.number = number
        self.engine = engine
        self.opened = opened
        self.pid = pid
        self.record = record
        self.leases = 0  # of a StaticPool's connection, which may have many
        self.holder: str | None = None
        self.since = 0.0 if opened is None else opened
        self.reset: float | None = None
        self.stray = False


def to_events(entry: Entry, index: int, start: float) -> Iterator[PoolEvent]:
    """The events that people read: one for most entries, two for a return with its reset.

    Args:
        entry: an entry of the ring.
        index: how many entries were made before it.
        start: the moment from which times count.
    """
    time, kind, life, who, since, more = entry
    about = {
        "connection": None if life is None else life.number,
        "pid": None if life is None else life.pid,
        "who": who,
    }
    if kind == "returned" and more is not None:
        yield PoolEvent(2 * index, more - start, "reset", **about)
    detail = None if kind == "returned" else more
    seconds = None if since is None else time - since
    yield PoolEvent(2 * index + 1, time - start, kind, seconds=seconds, detail=detail, **about)


def lives_of(ring: Sequence[Entry], open_now: Sequence[Life], start: float) -> tuple[ConnectionLife, ...]:
    """Put the events of each connection together.

    Args:
        ring: the entries, oldest first.
        open_now: the connections that are open now, some of which may have no entry any more.
        start: the moment from which times count.
    """
    lives: dict[int, Life] = {life.number: life for life in open_now}
    leases: dict[int, list[Lease]] = {life.number: [] for life in open_now}
    out: dict[int, list[tuple[str | None, float]]] = {}
    ends: dict[str, dict[int, float]] = {"invalidated": {}, "closed": {}}
    for time, kind, life, who, since, _ in ring:
        if life is None:
            continue
        at = time - start
        number = life.number
        lives[number] = life
        kept = leases.setdefault(number, [])
        current = out.setdefault(number, [])
        if kind == "checked out":
            current.append((who, at))
        elif kind == "returned":
            match = next((pair for pair in current if pair[0] == who), current[0] if current else None)
            if match is not None:
                current.remove(match)
                kept.append(Lease(number, match[0], match[1], at))
            elif since is not None:  # its checkout has left the ring
                kept.append(Lease(number, who, since - start, at))
        elif kind in ends:
            kept += [Lease(number, holder, begin, at) for holder, begin in current]
            current.clear()
            ends[kind][number] = at
    for number, current in out.items():
        leases[number] += [Lease(number, holder, begin, None) for holder, begin in current]
    for life in open_now:
        if life.holder is not None and not out.get(life.number):
            leases[life.number].append(Lease(life.number, life.holder, life.since - start, None))
    return tuple(
        ConnectionLife(
            number=number,
            engine=life.engine,
            pid=life.pid,
            opened=None if life.opened is None else life.opened - start,
            invalidated=ends["invalidated"].get(number),
            closed=ends["closed"].get(number),
            leases=tuple(leases.get(number, ())),
        )
        for number, life in sorted(lives.items())
    )
