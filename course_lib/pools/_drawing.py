"""The drawing itself, with matplotlib's object interface: no global state, nothing that differs between two runs."""

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.markers import CARETRIGHTBASE
from matplotlib.patches import Patch
from PIL import Image, ImageColor, ImageDraw

from course_lib.pools._recording import ConnectionLife
from course_lib.pools._rows import Level, Timeline

_GROUND, _INK, _FAINT = "#fbfbf9", "#1b1b1b", "#c9c9c4"
_BLUE, _ORANGE, _RED, _GREEN, _PURPLE = "#0072b2", "#e69f00", "#d55e00", "#009e73", "#8a4f7d"
_BARS: dict[str, dict[str, Any]] = {
    "holding": {"facecolor": _BLUE, "edgecolor": _BLUE},
    "waiting": {"facecolor": "#fbe3b0", "edgecolor": _ORANGE, "hatch": "/////"},
    "timed out": {"facecolor": "#f6d3c3", "edgecolor": _RED, "hatch": "xxxxx"},
}
_ENDS = {"timed out": ("X", _RED), "failed": ("v", _INK)}
_MARKS = {"opened": (">", _GREEN), "invalidated": ("X", _RED), "closed": ("s", _INK)}
# A bar without an end runs off the edge; the arrow says so to those who see no colour.
_GOES_ON = (CARETRIGHTBASE, _INK)
_CURVES = (
    {"color": _BLUE, "linestyle": "-", "marker": "o"},
    {"color": _RED, "linestyle": "--", "marker": "s"},
    {"color": _GREEN, "linestyle": ":", "marker": "^"},
    {"color": _PURPLE, "linestyle": "-.", "marker": "D"},
    {"color": _INK, "linestyle": (0, (1, 3)), "marker": "v"},
)
_WIDTH = 8.0
_DPI = 100
_SMALL = 8
_LABELLED_ROWS = 24
_PADDING = 0.1  # inches
_CORNER = 14  # pixels
_COLOURS = 96  # enough for flat colours with smooth edges, and half of the size
_SHADES = 8  # from clear to opaque, along a rounded corner


def draw_timeline(timeline: Timeline, title: str) -> bytes:
    """Three pictures above each other on one time axis: requests, numbers, connections. Returns a PNG."""
    requests = min(3.4, max(0.7, 0.14 * len(timeline.rows)))
    lives = min(2.2, max(0.5, 0.2 * len(timeline.connections)))
    figure = _figure(requests + lives + 2.6)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[requests, 1.0, lives])
    top.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_INK)
    _draw_requests(top, timeline)
    _draw_numbers(middle, timeline)
    _draw_lives(bottom, timeline)
    bottom.set_xlabel("seconds", fontsize=9, color=_INK)
    bottom.set_xlim(0, timeline.seconds or 1)
    for axes in (top, middle, bottom):
        _plain(axes)
    figure.align_ylabels()
    return _png(figure)


def draw_curves(
    curves: Mapping[str, tuple[list[float], list[float]]],
    title: str,
    x_label: str,
    y_label: str,
    line: float | None,
    line_label: str,
    log_y: bool,
) -> bytes:
    """Several curves in one picture. Returns a PNG."""
    figure = _figure(3.6)
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_INK)
    for index, (name, (xs, ys)) in enumerate(curves.items()):
        style: dict[str, Any] = _CURVES[index % len(_CURVES)]
        points = sorted(zip(xs, ys, strict=True))
        every = max(1, len(points) // 12)
        axes.plot(*zip(*points, strict=True), label=name, markersize=5, linewidth=1.8, markevery=every, **style)
    if line is not None:
        axes.axhline(line, color=_INK, linewidth=1.2, linestyle=(0, (6, 2)))
        axes.annotate(
            line_label,
            (0.01, line),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=_SMALL,
            color=_INK,
        )
    if log_y:
        axes.set_yscale("log")
    axes.set_xlabel(x_label, fontsize=9, color=_INK)
    axes.set_ylabel(y_label, fontsize=9, color=_INK)
    axes.grid(True, color=_FAINT, linewidth=0.6)
    axes.legend(fontsize=9, frameon=False, loc="best", labelcolor=_INK)
    _plain(axes)
    return _png(figure)


def _draw_requests(axes: Any, timeline: Timeline) -> None:
    for position, row in enumerate(timeline.rows):
        for bar in sorted(row.bars, key=lambda each: each.kind != "holding"):
            # A request that holds one connection and waits for another shows both, one below the other.
            half = bar.kind != "holding" and any(
                other.kind == "holding" and other.begin < bar.end and bar.begin < other.end for other in row.bars
            )
            axes.barh(
                position + (0.19 if half else 0.0),
                bar.end - bar.begin,
                left=bar.begin,
                height=0.36 if half else 0.74,
                linewidth=0.4,
                **_BARS[bar.kind],
            )
            if bar.open:
                axes.plot(bar.end, position, clip_on=False, zorder=4, **_marker(*_GOES_ON))
        if row.failed_at is not None:
            axes.plot(row.failed_at, position, clip_on=False, zorder=5, **_marker(*_ENDS[row.end]))
    axes.set_ylim(len(timeline.rows) - 0.4, -0.6)
    labels = [row.name.removeprefix("request ") for row in timeline.rows]
    step = 1 if len(labels) <= _LABELLED_ROWS else -(-len(labels) // 10)
    axes.set_yticks(range(0, len(labels), step), labels[::step], fontsize=7)
    axes.set_ylabel("requests", fontsize=9, color=_INK)
    kinds = {bar.kind for row in timeline.rows for bar in row.bars}
    ends = {row.end for row in timeline.rows}
    keys: list[Any] = [
        Patch(**{"linewidth": 0.4, **style}, label="waiting in vain" if kind == "timed out" else kind)
        for kind, style in _BARS.items()
        if kind in kinds
    ]
    keys += [Line2D([], [], label=name, **_marker(*style)) for name, style in _ENDS.items() if name in ends]
    if any(bar.open for row in timeline.rows for bar in row.bars):
        keys.append(Line2D([], [], label="goes on", **_marker(*_GOES_ON)))
    _legend(axes, keys)


def _draw_numbers(axes: Any, timeline: Timeline) -> None:
    for levels, name, style in (
        (timeline.in_use, "in use", {"color": _BLUE, "linewidth": 1.8}),
        (timeline.waiting, "waiting", {"color": "#a86f00", "linewidth": 1.5, "linestyle": (0, (1, 1))}),
    ):
        moments, numbers = _steps(levels, timeline.seconds)
        axes.step(moments, numbers, where="post", label=name, **style)
    highest = max(number for levels in (timeline.in_use, timeline.waiting) for _, number in levels)
    limits: dict[str, int | None] = {"pool size": timeline.size or None, "limit": timeline.limit}
    if timeline.size == timeline.limit:
        limits = {"pool size = limit": timeline.limit}
    for (name, value), dashes in zip(limits.items(), ((0, (6, 2)), (0, (3, 1, 1, 1))), strict=False):
        if value is not None:
            axes.axhline(value, color=_INK, linewidth=1.1, linestyle=dashes, label=f"{name} {value}")
            highest = max(highest, value)
    axes.set_ylim(0, highest * 1.12 + 0.3)
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    axes.set_ylabel("how many", fontsize=9, color=_INK)
    _legend(axes, axes.get_legend_handles_labels()[0])


def _draw_lives(axes: Any, timeline: Timeline) -> None:
    end = timeline.seconds
    for position, life in enumerate(timeline.connections):
        begin = max(0.0, life.opened or 0.0)
        closed = end if life.closed is None else life.closed
        axes.plot([begin, closed], [position, position], color=_INK, linewidth=1.0, solid_capstyle="butt", zorder=1)
        for lease in life.leases:
            until = end if lease.end is None else lease.end
            axes.barh(
                position,
                until - max(0.0, lease.begin),
                left=max(0.0, lease.begin),
                height=0.6,
                facecolor=_BLUE,
                edgecolor=_GROUND,
                linewidth=0.5,
                zorder=2,
            )
            if lease.end is None:
                axes.plot(end, position, clip_on=False, zorder=4, **_marker(*_GOES_ON))
        for name, moment in _marks(life):
            axes.plot(moment, position, clip_on=False, zorder=5, **_marker(*_MARKS[name]))
    axes.set_ylim(len(timeline.connections) - 0.4, -0.6)
    step = 1 if len(timeline.connections) <= 12 else -(-len(timeline.connections) // 8)
    numbers = [str(life.number) for life in timeline.connections]
    axes.set_yticks(range(0, len(numbers), step), numbers[::step], fontsize=7)
    axes.set_ylabel("connections", fontsize=9, color=_INK)
    keys: list[Any] = [
        Patch(facecolor=_BLUE, edgecolor=_BLUE, label="leased"),
        Line2D([], [], color=_INK, linewidth=1.0, label="open and idle"),
    ]
    seen = {name for life in timeline.connections for name, _ in _marks(life)}
    keys += [Line2D([], [], label=name, **_marker(*style)) for name, style in _MARKS.items() if name in seen]
    _legend(axes, keys)


def _marks(life: ConnectionLife) -> list[tuple[str, float]]:
    """What happened to a connection within the picture. An invalidated one is closed at once: one mark says both."""
    last = ("closed", life.closed) if life.invalidated is None else ("invalidated", life.invalidated)
    return [(name, moment) for name, moment in (("opened", life.opened), last) if moment is not None and moment >= 0]


def _marker(shape: str | int, colour: str) -> dict[str, Any]:
    return {
        "linestyle": "",
        "marker": shape,
        "color": colour,
        "markersize": 5.5,
        "markeredgecolor": _GROUND,
        "markeredgewidth": 0.4,
    }


def _steps(levels: tuple[Level, ...], end: float) -> tuple[list[float], list[int]]:
    return [moment for moment, _ in levels] + [end], [number for _, number in levels] + [levels[-1][1]]


def _figure(height: float) -> Figure:
    height += 2 * _PADDING
    left, bottom = _PADDING / _WIDTH, _PADDING / height
    layout = ConstrainedLayoutEngine(rect=(left, bottom, 1 - 2 * left, 1 - 2 * bottom))
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor=_GROUND, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Any) -> None:
    axes.set_facecolor(_GROUND)
    axes.tick_params(colors=_INK, labelsize=_SMALL)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_INK)


def _legend(axes: Any, keys: list[Any]) -> None:
    axes.legend(
        handles=keys,
        fontsize=_SMALL,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.015, 1.03),
        labelcolor=_INK,
        handlelength=1.8,
        borderaxespad=0.3,
    )


def _png(figure: Figure) -> bytes:
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    picture = Image.open(drawn).convert("RGB")
    picture = picture.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    _round_corners(picture)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


def _round_corners(picture: Image.Image) -> None:
    """Cut the corners round, so that on a dark page the light ground looks like a card that somebody laid there."""
    # Four times as large and back again, for smooth edges.
    disc = Image.new("L", (8 * _CORNER, 8 * _CORNER))
    ImageDraw.Draw(disc).ellipse((0, 0, 8 * _CORNER - 1, 8 * _CORNER - 1), fill=_SHADES)
    disc = disc.resize((2 * _CORNER, 2 * _CORNER), Image.Resampling.BOX)
    card = Image.new("L", picture.size, _SHADES)
    for x, right in ((0, 0), (_CORNER, picture.width - _CORNER)):
        for y, lower in ((0, 0), (_CORNER, picture.height - _CORNER)):
            card.paste(disc.crop((x, y, x + _CORNER, y + _CORNER)), (right, lower))
    # Behind the picture's own colours, the palette gets the ground once for each shade.
    shades = Image.frombytes("P", picture.size, card.point(lambda shade: _COLOURS + shade).tobytes())
    picture.paste(shades, mask=card.point(lambda shade: 255 * (shade < _SHADES)))
    own = (picture.getpalette() or [])[: 3 * _COLOURS]
    picture.putpalette([*own, *[0] * (3 * _COLOURS - len(own)), *ImageColor.getrgb(_GROUND) * _SHADES])
    picture.info["transparency"] = bytes([255] * _COLOURS + [255 * shade // _SHADES for shade in range(_SHADES)])
