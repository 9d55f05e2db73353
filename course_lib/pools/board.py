"""A board with sliders: whether a fleet's pools fit on one server, and if not, what breaks first."""

import html
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from course_lib._tables import html_table, marked_up, text_table
from course_lib.pools._numbers import counted, whole
from course_lib.pools.sizing import BudgetVerdict, check_budget

__all__ = ["BudgetBoard", "Settings", "budget_board"]

_CAPTION = "Connection budget"
_HEADINGS = ("measure", "number")
# Where each slider ends. A greater value, given in code, moves the end of its own slider.
_SLIDERS = {
    "max_connections": (1, 500),
    "reserved": (0, 50),
    "instances": (1, 50),
    "workers": (1, 16),
    "pool_size": (0, 50),
    "max_overflow": (-1, 50),
}


@dataclass(frozen=True)
class Settings:
    """What the budget depends on; arguments as for `course_lib.pools.sizing.check_budget`.

    Args:
        max_connections: the server's setting.
        reserved: connections that the pools must leave alone.
        instances: machines or containers.
        workers: processes on each instance.
        pool_size: as in ``create_async_engine``; 0 means no limit.
        max_overflow: as in ``create_async_engine``; -1 means no limit.
    """

    max_connections: int = 100
    reserved: int = 3
    instances: int = 3
    workers: int = 2
    pool_size: int = 5
    max_overflow: int = 10

    def __post_init__(self) -> None:
        for name, (minimum, _) in _SLIDERS.items():
            whole(name, getattr(self, name), minimum=minimum)

    @property
    def verdict(self) -> BudgetVerdict | None:
        """Whether the pools fit; None when the server has nothing left for them."""
        return None if self.reserved >= self.max_connections else check_budget(**asdict(self))

    @property
    def breaks_first(self) -> str:
        """What happens first as the load grows, in one or two sentences that go on after a colon."""
        verdict = self.verdict
        if verdict is None:
            return "the very first connection. `reserved` leaves nothing for the application."
        if not self.pool_size or self.max_overflow < 0:
            return "a burst in one process. Its pool has no limit and opens connections until the server refuses."
        kept = self.pool_size * verdict.processes
        if kept > verdict.available:
            full = verdict.available // self.pool_size
            return (
                f"the kept connections, without any overflow. {full} of {counted(verdict.processes, 'process')} can "
                "fill their `pool_size`; further ones get `too many clients`."
            )
        most = self.pool_size + self.max_overflow
        if not verdict.fits:
            full = verdict.available // most
            return (
                f"a burst. {full} of {counted(verdict.processes, 'process')} can open all their overflow; "
                "further ones get `too many clients`."
            )
        deploy = self.with_one_more_instance
        if deploy > verdict.available:
            return (
                f"a deploy. Under full load, one more instance makes {deploy} connections, and the server has "
                f"{verdict.available} for them."
            )
        return (
            "waiting. The server has room even for one more instance, and a process that has "
            f"{counted(most, 'connection')} in use lets the next request wait in its own pool."
        )

    @property
    def with_one_more_instance(self) -> int:
        """Connections with all pools full while a deploy runs one more instance."""
        return (self.pool_size + self.max_overflow) * self.workers * (self.instances + 1)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The numbers behind the verdict: label and value."""
        verdict = self.verdict
        if verdict is None:
            return [("connections for the pools", "0")]
        limited = verdict.wanted < float("inf")
        return [
            ("connections for the pools", str(verdict.available)),
            ("processes, each with a pool", str(verdict.processes)),
            ("each process may open at most", str(verdict.per_process)),
            (
                "connections kept open by all pools",
                str(self.pool_size * verdict.processes) if self.pool_size else "no limit",
            ),
            ("connections, all pools full", str(verdict.wanted) if limited else "no limit"),
            ("connections, all full, one more instance", str(self.with_one_more_instance) if limited else "no limit"),
        ]

    @property
    def sentences(self) -> list[str]:
        """The verdict, the sum behind it, and what breaks first."""
        verdict = self.verdict
        if verdict is None:
            said = ["Does not fit.", "`reserved` is as large as `max_connections`, or larger. Reserve less."]
        else:
            said = ["Fits." if verdict.fits else "Does not fit.", verdict.message]
        next_thing = "What comes next" if verdict is not None and verdict.fits else "What breaks first"
        return [*said, f"{next_thing}: {self.breaks_first}"]


class BudgetBoard:
    """Six sliders above a verdict that follows them; as text wherever widgets don't run. Made by `budget_board`.

    Args:
        settings: where the sliders stand at first.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._observers: list[Callable[[], None]] = []

    def set(self, **changes: int) -> None:
        """Move sliders: the way without a mouse, and that of a test.

        Args:
            changes: the settings to change, by name.

        Raises:
            ValueError: a value is out of range.
            TypeError: there is no such setting.
        """
        self.settings = replace(self.settings, **changes)
        for tell in self._observers:
            tell()

    def __repr__(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in asdict(self.settings).items())
        said = "\n".join(each.replace("`", "") for each in self.settings.sentences)
        return f"{_CAPTION}: {settings}\n{text_table(_HEADINGS, self.settings.rows)}\n{said}"

    def _repr_html_(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in asdict(self.settings).items())
        return f"<p>{html.escape(settings)}</p>{self._numbers()}{self._said()}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # Text and HTML stand for the sliders wherever widgets don't run: GitHub, nbval, an exported page.
        bundle = self._sliders()._repr_mimebundle_()
        shown = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**(shown or {}), "text/plain": repr(self), "text/html": self._repr_html_()}

    def _numbers(self) -> str:
        cells = [[html.escape(cell) for cell in row] for row in self.settings.rows]
        return html_table(_CAPTION, _HEADINGS, cells)

    def _said(self) -> str:
        first, *others = (marked_up(each) for each in self.settings.sentences)
        return "".join(f"<p>{each}</p>" for each in (f"<strong>{first}</strong>", *others))

    def _sliders(self) -> Any:
        from course_lib.pools._board_widget import Sliders  # here: quick to import where no notebook runs

        sliders = Sliders(
            values=asdict(self.settings), ranges=self._ranges(), numbers=self._numbers(), said=self._said()
        )

        def follow() -> None:
            with sliders.hold_sync():
                sliders.ranges = self._ranges()
                sliders.values = asdict(self.settings)
                sliders.numbers, sliders.said = self._numbers(), self._said()

        def moved(change: dict[str, Any]) -> None:
            if change["new"] != asdict(self.settings):
                self.set(**change["new"])

        sliders.observe(moved, names="values")
        # Only the board that was shown last follows `set`; otherwise each display would add one more.
        self._observers = [follow]
        return sliders

    def _ranges(self) -> dict[str, list[int]]:
        values = asdict(self.settings)
        return {name: [least, max(most, values[name])] for name, (least, most) in _SLIDERS.items()}


def budget_board(
    *,
    max_connections: int = 100,
    reserved: int = 3,
    instances: int = 3,
    workers: int = 2,
    pool_size: int = 5,
    max_overflow: int = 10,
) -> BudgetBoard:
    """Make a board on which sliders set a fleet and the verdict follows.

    Args:
        max_connections: the server's setting.
        reserved: connections that the pools must leave alone.
        instances: machines or containers.
        workers: processes on each instance.
        pool_size: as in ``create_async_engine``; 0 means no limit.
        max_overflow: as in ``create_async_engine``; -1 means no limit.

    Returns:
        The board, which a notebook displays.

    Raises:
        ValueError: a value is no whole number or out of range.
    """
    return BudgetBoard(Settings(max_connections, reserved, instances, workers, pool_size, max_overflow))
