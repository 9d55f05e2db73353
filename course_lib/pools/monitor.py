"""PoolMonitor: a live picture of a pool under a load that the viewer controls, in a notebook.

It shows what is there: a real engine, real requests, and what `PoolRecorder` sees of them.
"""

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from weakref import WeakValueDictionary

import anywidget
import traitlets
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.pools._monitor_engine import make_engine, pool_of, url_of
from course_lib.pools._monitor_run import MonitorRun, Picture, Settings
from course_lib.pools._monitor_view import Cell, MonitorNumbers, as_html, as_text
from course_lib.pools._recording import PoolError

__all__ = ["MonitorNumbers", "PoolMonitor"]

_HERE = Path(__file__).parent
_LOG_LINES = 50
_QUEUE_SHOWN = 30
# Name, label, unit, least, most, step.
_SLIDERS = (
    ("pool_size", "Pool size", "", 1, 20, 1),
    ("max_overflow", "Max overflow", "", 0, 20, 1),
    ("timeout", "Pool time-out", "s", 0.1, 5.0, 0.1),
    ("concurrency", "Concurrency", "", 1, 60, 1),
    ("hold", "Hold time", "s", 0.0, 1.0, 0.01),
)
_OF_THE_POOL = ("pool_size", "max_overflow", "timeout")
_monitors: WeakValueDictionary[URL, "PoolMonitor"] = WeakValueDictionary()


class PoolMonitor(anywidget.AnyWidget):
    """A live picture of a connection pool: its slots, the queue in front of them, counters, and a log.

    Given a URL it makes an engine of its own with the settings of its sliders, makes another one when a slider of the
    pool is moved, and disposes of each. Given an engine, it drives that engine as it is: a pool keeps its size for
    life, so those sliders are fixed, and what the pool has open stays open afterwards.

    Start it with its button or with `start`. It ends with its button, with `stop`, after `seconds`, when another
    monitor on the same database is made, when it is closed, when its engine is disposed of, or when the server is gone.
    While a cell runs without `await`, nothing moves.

    Where widgets don't run (GitHub, an exported page), a still picture stands for it. A cell that ends with
    ``await monitor.run(seconds=1)`` puts one of a real run there.

    Args:
        target: the async URL of a database, or an AsyncEngine.
        pool_size: connections that the pool keeps, 1 to 20; with an engine, it is the engine's.
        max_overflow: how many more it opens at most, 0 to 20. SQLAlchemy does not tell it, so with an engine say what
            it was created with; otherwise the picture shows overflow slots only as they appear.
        timeout: seconds that a request waits for a connection, 0.1 to 5; with an engine, it is the engine's.
        concurrency: how many workers send requests, each one after the other, 1 to 60.
        hold: seconds that each request keeps its connection after its query, 0 to 1.
        seconds: after this time a run ends by itself.
        engine_options: for `create_async_engine`, such as ``pool_pre_ping=True``; with a URL only.
    Raises:
        PoolError: the target is neither, a setting is out of range, or an option does not fit.
    """

    _esm = (_HERE / "monitor.js").read_text("utf-8")
    _css = (_HERE / "monitor.css").read_text("utf-8")

    pool_size = traitlets.Int(5).tag(sync=True)
    max_overflow = traitlets.Int(0, allow_none=True).tag(sync=True)
    timeout = traitlets.Float(1.0).tag(sync=True)
    concurrency = traitlets.Int(10).tag(sync=True)
    hold = traitlets.Float(0.1).tag(sync=True)
    sliders: Any = traitlets.List().tag(sync=True)
    picture = traitlets.Dict().tag(sync=True)
    lines: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        target: AsyncEngine | URL | str,
        *,
        pool_size: int | None = None,
        max_overflow: int | None = None,
        timeout: float | None = None,
        concurrency: int = 10,
        hold: float = 0.1,
        seconds: float = 60.0,
        **engine_options: Any,
    ) -> None:
        _check_seconds(seconds)
        self._engine = target if isinstance(target, AsyncEngine) else None
        self._url = url_of(target)
        self._options = engine_options
        self._seconds = seconds
        self._run: MonitorRun | None = None
        self._task: asyncio.Task[None] | None = None
        self._numbers = MonitorNumbers()
        self._cells: list[Cell] = []
        self._still: tuple[str, MonitorNumbers, list[Cell]] | None = None
        given = {"pool_size": pool_size, "max_overflow": max_overflow, "timeout": timeout}
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self._engine is not None:
            if set(values) - {"max_overflow"} or engine_options:
                raise PoolError(
                    "An engine keeps the pool that it was created with, so only `max_overflow` can be told here. "
                    "Give the URL instead, and the monitor makes an engine with the settings that you choose."
                )
            values = {"max_overflow": max_overflow, **pool_of(self._engine)}
        self._fixed = self._engine is not None
        self._ready = False
        try:
            super().__init__(
                **values,
                concurrency=concurrency,
                hold=hold,
                sliders=[[*each, self._fixed and each[0] in _OF_THE_POOL] for each in _SLIDERS],
            )
        except traitlets.TraitError as error:
            raise PoolError(str(error)) from None
        self._ready = True
        if self._engine is None:
            self._make_engine(self._settings())  # so that a wrong URL or option is told now; it connects to nothing
        other = _monitors.get(self._url)
        if other is not None:
            other._end("Stopped: another monitor of the same database was made.")
        self.on_msg(self._told)
        self._show(Picture(self._numbers, [], [], []))

    # --- what a person calls ---

    def start(self) -> None:
        """Start the workload, in the event loop that runs now. Does nothing while it runs.

        Raises:
            PoolError: no event loop runs, as outside of a notebook cell or coroutine.
        """
        if self._task is not None and not self._task.done():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise PoolError(
                "A monitor needs a running event loop: call start() in a notebook cell or in a coroutine."
            ) from None
        other = _monitors.get(self._url)
        before = None
        if other is not None and other is not self:
            other._end("Stopped: another monitor of the same database was started.")
            before = other._task
        _monitors[self._url] = self
        self.lines = []
        self._still = None
        self._show(Picture(MonitorNumbers(running=True, message="Starting."), [], [], []))
        self._run = MonitorRun(self._make_engine, not self._fixed, self._settings, self._show, self._seconds)
        self._task = loop.create_task(_after(before, self._run), name="pool monitor")

    async def stop(self) -> None:
        """Stop the workload and wait until every connection of it is given back. Does nothing when it is stopped."""
        self._end("Stopped.")
        await _finished(self._task)

    async def run(self, seconds: float = 1.0) -> Self:
        """Run the workload for a short time, stop it, and keep its last picture for where widgets don't run.

        A run that is under way ends first. The numbers differ from run to run, so a cell that ends with
        ``await monitor.run(seconds=1)`` carries the tag `nbval-ignore-output`.

        Args:
            seconds: how long; connecting takes a part of it.
        Returns:
            The monitor, so that the cell shows it.
        Raises:
            PoolError: `seconds` is not a positive number.
        """
        _check_seconds(seconds)
        await self.stop()
        self.start()
        try:
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=seconds)
            numbers, cells = self._numbers, self._cells
        finally:
            await self.stop()
        if numbers.pool is not None:  # otherwise it has ended by itself, and its message says why
            told = f"Recorded in a run of {numbers.seconds:.1f} s."
            self._still = self._title(), replace(numbers, running=False, message=told), cells
        return self

    def snapshot(self) -> MonitorNumbers:
        """The numbers that it shows now, at most a tenth of a second old."""
        return self._numbers

    def close(self) -> None:
        """Stop, and remove the widget from the page."""
        if getattr(self, "_run", None) is not None:
            self._end("Stopped: the monitor was closed.")
        super().close()

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        # Text and still picture stand for the widget wherever it does not run: GitHub, nbval, an exported page.
        title, numbers, cells = self._shown()
        size = self.pool_size if numbers.pool is None else numbers.pool.size or len(cells)
        view = {"version_major": 2, "version_minor": 1, "model_id": self.model_id}
        page = as_html(title, numbers, cells, size)
        return {"application/vnd.jupyter.widget-view+json": view, "text/plain": repr(self), "text/html": page}, {}

    # --- the rest is private ---

    @traitlets.validate(*(each[0] for each in _SLIDERS))
    def _in_range(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        least, most = next(each[3:5] for each in _SLIDERS if each[0] == name)
        if self._fixed and name in _OF_THE_POOL:
            if self._ready:
                raise traitlets.TraitError(f"`{name}` belongs to the engine that was given, and stays as it is.")
        elif value is None or not least <= value <= most:
            raise traitlets.TraitError(f"`{name}` is {value!r}, and goes from {least} to {most}.")
        return value

    @traitlets.observe("pool_size", "max_overflow", "concurrency", "hold", "timeout")
    def _redraw(self, change: object) -> None:
        if self._ready and not self._numbers.running:
            self._show(Picture(self._numbers, [], [], []))

    def _told(self, widget: object, content: Any, buffers: object) -> None:
        """What the button says."""
        wanted = content.get("do") if isinstance(content, dict) else None
        if wanted == "start":
            self.start()
        elif wanted == "stop":
            self._end("Stopped.")

    def _end(self, reason: str) -> None:
        if self._run is not None:
            self._run.stop(reason)

    def _settings(self) -> Settings:
        return Settings(self.pool_size, self.max_overflow, self.timeout, self.concurrency, self.hold)

    def _slots(self) -> int:
        return self.pool_size + max(0, self.max_overflow or 0)

    def _shown(self) -> tuple[str, MonitorNumbers, list[Cell]]:
        title, numbers, cells = self._still or (self._title(), self._numbers, self._cells)
        return title, numbers, cells or [("", None, None)] * self._slots()

    def _make_engine(self, settings: Settings) -> AsyncEngine:
        if self._engine is not None:
            return self._engine
        sizes = {"pool_size": settings.pool_size, "max_overflow": settings.max_overflow}
        return make_engine(self._url, self._options, **sizes, pool_timeout=settings.timeout)

    def _show(self, picture: Picture) -> None:
        self._numbers, self._cells = picture.numbers, picture.cells
        numbers, pool = picture.numbers, picture.numbers.pool
        with self.hold_sync():  # both in one message
            self.picture = {
                "running": numbers.running,
                "message": numbers.message,
                "left": max(0, round(self._seconds - numbers.seconds)),
                "size": self.pool_size if pool is None else pool.size,
                "limit": self._slots(),
                "rows": numbers.rows if pool is not None or numbers.seconds else [],
                "cells": picture.cells,
                "queue": picture.queue[:_QUEUE_SHOWN],
                "waiting": 0 if pool is None else pool.waiting,
            }
            if picture.log:
                self.lines = [*self.lines, *picture.log][-_LOG_LINES:]

    def _title(self) -> str:
        overflow = "" if self.max_overflow is None else f" + {self.max_overflow} overflow"
        return (
            f"Pool monitor: {self.pool_size} connections{overflow}, {self.concurrency} concurrent requests, "
            f"each holds for {1000 * self.hold:.0f} ms and waits at most {self.timeout:.1f} s"
        )


def _check_seconds(seconds: float) -> None:
    if not (seconds > 0 and math.isfinite(seconds)):
        raise PoolError(f"`seconds` is a positive number, and {seconds!r} is not.")


async def _finished(task: asyncio.Task[None] | None) -> None:
    # A task of another event loop cannot be awaited; it ends by itself within its next tick.
    if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
        await asyncio.wait({task})


async def _after(before: asyncio.Task[None] | None, run: MonitorRun) -> None:
    await _finished(before)
    await run.run()
