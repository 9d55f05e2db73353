"""A board with sliders: whether a fleet's pools fit on one server, and if not, what breaks first."""

import html
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from course_lib._tables import html_table, marked_up, text_table
from course_lib.pools._numbers import whole
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
        """What happens first as the load grows, in one or two sentences."""
        verdict = self.verdict
        if verdict is None:
            return "The first connection is refused: `reserved` leaves nothing for the application."
        if not self.pool_size or self.max_overflow < 0:
            return "A burst in one process: its pool has no limit and opens connections until the server refuses."
        kept = self.pool_size * verdict.processes
        if kept > verdict.available:
            full = verdict.available // self.pool_size
            return (
                f"The kept connections, without any overflow: {full} of {verdict.processes} processes can fill "
                "their `pool_size`; further ones get `too many clients`."
            )
        if not verdict.fits:
            full = verdict.available // (self.pool_size + self.max_overflow)
            return (
                f"A burst: {full} of {verdict.processes} processes can open all their overflow; "
                "further ones get `too many clients`."
            )
        deploy = self.with_one_more_instance
        if deploy > verdict.available:
            return (
                f"A deploy under full load: one more instance makes {deploy} connections, and the server has "
                f"{verdict.available} for them."
            )
        return (
            "Nothing on the server, even with one more instance. A process that has "
            f"{self.pool_size + self.max_overflow} connections in use lets the next request wait in its own pool."
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
            ("most connections for each process", str(verdict.per_process)),
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
        return [*said, f"Breaks first: {self.breaks_first}"]


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
        return f"<p>{html.escape(settings)}</p>{self._verdict()}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # Text and HTML stand for the sliders wherever widgets don't run: GitHub, nbval, an exported page.
        return {**self._sliders()._repr_mimebundle_(), "text/plain": repr(self), "text/html": self._repr_html_()}

    def _verdict(self) -> str:
        cells = [[html.escape(cell) for cell in row] for row in self.settings.rows]
        first, *others = (marked_up(each) for each in self.settings.sentences)
        said = "".join(f"<p>{each}</p>" for each in (f"<strong>{first}</strong>", *others))
        return html_table(_CAPTION, _HEADINGS, cells) + said

    def _sliders(self) -> Any:
        import ipywidgets  # here, so that the library is quick to import where no notebook runs

        answer = ipywidgets.HTML(self._verdict())
        sliders = {
            name: ipywidgets.IntSlider(
                value=getattr(self.settings, name),
                min=minimum,
                max=max(maximum, getattr(self.settings, name)),
                description=name,
                style={"description_width": "9em"},
                layout={"width": "30em", "max_width": "100%"},
            )
            for name, (minimum, maximum) in _SLIDERS.items()
        }

        def follow() -> None:
            answer.value = self._verdict()
            for name, slider in sliders.items():
                value = getattr(self.settings, name)
                slider.max = max(slider.max, value)
                if slider.value != value:
                    slider.value = value

        def moved(change: dict[str, Any]) -> None:
            name = change["owner"].description
            if getattr(self.settings, name) != change["new"]:
                self.set(**{name: change["new"]})

        for slider in sliders.values():
            slider.observe(moved, names="value")
        # Only the board that was shown last follows `set`; otherwise each display would add one more.
        self._observers = [follow]
        return ipywidgets.VBox([*sliders.values(), answer])


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
