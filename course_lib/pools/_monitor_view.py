"""What the monitor shows, without any widget: the cells of the slots, the lines of the log, text and static HTML."""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from course_lib._tables import html_table, text_table
from course_lib.pools._recording import LiveConnection, PoolEvent, Snapshot
from course_lib.pools._run_result import readable

NAMES = {
    "U": "in use",
    "I": "idle",
    "O": "in use, overflow",
    "C": "connecting",
    "D": "dead",
    "": "not opened",
}
_WORDS = {
    "opened": "opened",
    "invalidated": "lost",
    "soft invalidated": "marked as old",
    "detached": "left the pool",
    "closed": "closed",
}
_SHOWN_ONE_BY_ONE = 3
Cell = tuple[str, int | None, int | None]


@dataclass(frozen=True)
class MonitorNumbers:
    """The numbers that a monitor shows.

    Args:
        running: whether its workload runs.
        pool: the pool in numbers of connections; None before the first start and after the end.
        served: requests that got a connection and their result, since the last start.
        timed_out: requests that gave up because the pool had no connection for them in time.
        errors: requests that failed in another way.
        throughput: served requests per second, over the last few seconds.
        p95_wait: seconds that 95 % of the last requests at most waited, those that gave up included; NaN without any.
        seconds: since the last start, or from it to the end.
        message: what the monitor is doing, or why it ended.
    """

    running: bool = False
    pool: Snapshot | None = None
    served: int = 0
    timed_out: int = 0
    errors: int = 0
    throughput: float = 0.0
    p95_wait: float = math.nan
    seconds: float = 0.0
    message: str = "Not started."

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Label and value of each number, for a table."""
        rows = []
        if self.pool is not None:
            now = self.pool
            rows = [
                ("in use", str(now.in_use)),
                ("idle", str(now.idle)),
                ("open beyond the pool size", str(now.overflow)),
                ("dead", str(now.dead)),
                ("waiting", str(now.waiting)),
            ]
        return [
            *rows,
            ("served", str(self.served)),
            ("timed out", str(self.timed_out)),
            ("errors", str(self.errors)),
            ("served per second", f"{self.throughput:,.0f}"),
            ("p95 wait", milliseconds(self.p95_wait)),
        ]


def milliseconds(seconds: float) -> str:
    """Such as "12 ms"; a dash for NaN."""
    return "–" if math.isnan(seconds) else f"{readable(1000 * seconds)} ms"


class Slots:
    """Gives each connection a place and lets it stay there, so that a picture of them can be followed."""

    def __init__(self) -> None:
        self._places: list[int | None] = []

    def arrange(self, live: Iterable[LiveConnection], pool: Snapshot) -> list[Cell]:
        """The cells from the first place to the last: a letter (see `NAMES`), the connection's number, its PID.

        A place at or behind the pool's size is an overflow place. It is emptied into a free one of the first.

        Args:
            live: the connections that are open now.
            pool: the pool's numbers at the same time.
        """
        mine = {each.number: each for each in live if not each.stray}
        size = pool.size or len(mine)  # 0 or None: without a limit
        places = [number if number in mine else None for number in self._places]
        for new in sorted(set(mine) - set(places)):
            place = places.index(None) if None in places else len(places)
            places[place : place + 1] = [new]
        places += [None] * (max(size, pool.limit or 0) - len(places))
        for place in range(size, len(places)):
            if places[place] is not None and None in places[:size]:
                places[places.index(None)], places[place] = places[place], None
        while len(places) > max(size, pool.limit or 0) and places[-1] is None:
            places.pop()
        self._places = places
        cells: list[Cell] = []
        # The pool counts a connection as in use from the moment it begins to open it.
        coming = max(0, pool.in_use - sum(1 for each in mine.values() if each.who is not None))
        dead = max(0, pool.dead - sum(1 for each in mine.values() if each.state == "dead" and each.who is None))
        for place, number in enumerate(places):
            if number is not None:
                each = mine[number]
                letter = "D" if each.state == "dead" else "I" if each.who is None else "U" if place < size else "O"
                cells.append((letter, number, each.pid))
            elif coming:
                coming -= 1
                cells.append(("C", None, None))
            elif dead:
                dead -= 1
                cells.append(("D", None, None))
            else:
                cells.append(("", None, None))
        return cells


def log_lines(events: Iterable[PoolEvent], timeout: float, shift: float = 0.0) -> list[str]:
    """One line for each thing worth reading; many of the same kind share a line.

    Checkouts, returns and served requests are left out: there are hundreds of them in a second.

    Args:
        events: what is new, oldest first.
        timeout: the pool's, in seconds.
        shift: seconds to add to each event's time.
    """
    groups: dict[tuple[str, str | None], list[PoolEvent]] = {}
    for each in events:
        if each.kind in _WORDS or each.kind == "timed out":
            groups.setdefault((each.kind, each.detail), []).append(each)
    lines: list[tuple[float, str]] = []
    for (kind, detail), same in groups.items():
        last = same[-1].at + shift
        if kind == "timed out":
            many = f"{len(same)} requests" if len(same) > 1 else "1 request"
            lines.append((last, f"{many} timed out: no connection within {timeout:.1f} s"))
            continue
        because = f" ({detail})" if detail else ""
        if len(same) > _SHOWN_ONE_BY_ONE:
            lines.append((last, f"{_WORDS[kind]} {len(same)} connections{because}"))
            continue
        for each in same:
            pid = "" if each.pid is None else f", PID {each.pid}"
            lines.append((each.at + shift, f"{_WORDS[kind]} connection {each.connection}{pid}{because}"))
    return [f"{time:7.2f} s  {words}" for time, words in sorted(lines)]


def _slots(cells: Sequence[Cell]) -> str:
    return f"Slots: {', '.join(NAMES[letter] for letter, _, _ in cells)}"


def as_text(title: str, numbers: MonitorNumbers, cells: Sequence[Cell]) -> str:
    """The monitor where widgets don't run: the same text for the same numbers and slots."""
    if numbers.pool is None and not numbers.seconds:
        return f"{title}\n{_slots(cells)}\n{numbers.message}"
    table = text_table(("measure", "value"), numbers.rows)
    return f"{title}\n{_slots(cells)}\n{numbers.message}\n{table}"


def as_html(title: str, numbers: MonitorNumbers, cells: Sequence[Cell], size: int) -> str:
    """The same with a still picture of the slots, which takes its colours from the page around it.

    Args:
        title: the first line.
        numbers: what to show.
        cells: the slots.
        size: how many of them are not overflow.
    """
    boxes = "".join(_box(letter, place >= size) for place, (letter, _, _) in enumerate(cells))
    words = ", ".join(f"{letter} {name}" for letter, name in NAMES.items() if letter)
    key = f"Slots: {words}; an empty box is {NAMES['']}, a dashed one is an overflow slot."
    # The key is of use only to those who see the boxes; the label says the same without it.
    picture = f"<p role='img' aria-label='{html.escape(_slots(cells), quote=True)}'>{boxes}<br>{key}</p>"
    if numbers.pool is None and not numbers.seconds:
        return f"<p><strong>{html.escape(title)}</strong></p>{picture}<p>{html.escape(numbers.message)}</p>"
    rows = [(html.escape(name), html.escape(value)) for name, value in numbers.rows]
    return picture + html_table(title, ("measure", "value"), rows, html.escape(numbers.message))


def _box(letter: str, overflow: bool) -> str:
    line = "dashed" if overflow else "solid"
    return (
        f"<span style='display: inline-block; min-width: 1.6em; text-align: center; padding: 0.2em 0; "
        f"margin-right: 0.3em; border: 1px {line} currentColor; border-radius: 3px'>{letter or '&nbsp;'}</span>"
    )
