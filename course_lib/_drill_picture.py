"""The picture of a fire drill: for each configuration requests per second above, and how long answers took below."""

import math
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from course_lib._drill_result import ConfigurationRun, DrillResult
from course_lib.pools._drawing import _BLUE, _FAINT, _INK, _RED, _SMALL, _figure, _legend, _marker, _plain, _png

_BIN = 0.25  # seconds
_FAILED: dict[str, Any] = {"facecolor": "#f6d3c3", "edgecolor": _RED, "hatch": "xxxxx", "linewidth": 0.3}
_SERVED: dict[str, Any] = {"facecolor": _BLUE, "edgecolor": _BLUE, "linewidth": 0.3}


def draw(result: DrillResult) -> bytes:
    """Draw all configurations above each other on one axis of time. Returns a PNG."""
    figure = _figure(0.6 + 2.9 * len(result.runs))
    rows = figure.subplots(
        2 * len(result.runs), 1, sharex=True, squeeze=False, height_ratios=[1.25, 1] * len(result.runs)
    )
    axes = [row[0] for row in rows]
    bins = [_binned(run) for run in result.runs]
    highest = max(served + failed for counts in bins for _, served, failed in counts)
    slowest = max((each.seconds for run in result.runs for each in run.answers), default=1.0)
    for number, run in enumerate(result.runs):
        above, below = axes[2 * number : 2 * number + 2]
        _draw_counts(above, run, bins[number], highest)
        _draw_times(below, run, slowest)
    end = result.runs[0].phases[-1].end
    axes[-1].set_xlim(0, end)
    axes[-1].set_xlabel("seconds; each request where it was due", fontsize=9, color=_INK)
    for each in axes:
        _plain(each)
        for phase in result.runs[0].phases[1:]:
            each.axvline(phase.begin, color=_INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
    figure.align_ylabels()
    return _png(figure)


def _binned(run: ConfigurationRun) -> list[tuple[float, float, float]]:
    """For each bin of time its begin, and how many were served and failed per second of it."""
    end = run.phases[-1].end
    counts = [[0, 0] for _ in range(max(1, math.ceil(end / _BIN)))]
    for answer in run.answers:
        counts[int(answer.planned.start / _BIN)][not answer.served] += 1
    return [(index * _BIN, served / _BIN, failed / _BIN) for index, (served, failed) in enumerate(counts)]


def _draw_counts(axes: Any, run: ConfigurationRun, bins: list[tuple[float, float, float]], highest: float) -> None:
    begins, served, failed = zip(*bins, strict=True)
    axes.bar(begins, served, width=_BIN, align="edge", **_SERVED)
    axes.bar(begins, failed, width=_BIN, align="edge", bottom=served, **_FAILED)
    axes.set_ylim(0, 1.25 * highest or 1)
    axes.set_ylabel("per second", fontsize=9, color=_INK)
    axes.set_title(run.name, loc="left", fontsize=10, fontweight="bold", color=_INK)
    for phase in run.phases:
        axes.annotate(
            phase.name,
            ((phase.begin + phase.end) / 2, 0.99),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=_SMALL,
            color=_INK,
        )
    _legend(axes, [Patch(**_SERVED, label="served"), Patch(**_FAILED, label="failed")])


def _draw_times(axes: Any, run: ConfigurationRun, slowest: float) -> None:
    for served, marker in ((True, ("o", _BLUE)), (False, ("x", _RED))):
        points = [(each.planned.start, 1000 * each.seconds) for each in run.answers if each.served is served]
        style = _marker(*marker) | {"markersize": 2.5 if served else 4}
        if not served:
            style.pop("markeredgecolor")  # a cross consists of its edge
            style["markeredgewidth"] = 0.8
        axes.plot(*(zip(*points, strict=True) if points else ((), ())), **style)
    axes.set_yscale("log")
    axes.set_ylim(1, 2000 * slowest)
    axes.grid(True, axis="y", color=_FAINT, linewidth=0.6)
    axes.set_ylabel("ms", fontsize=9, color=_INK)
    keys = [Line2D([], [], label="served after", **_marker("o", _BLUE))]
    keys.append(
        Line2D([], [], label="failed after", **{**_marker("x", _RED), "markeredgecolor": _RED, "markeredgewidth": 1})
    )
    _legend(axes, keys)
