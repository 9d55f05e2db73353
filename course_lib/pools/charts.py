"""Pictures of pools: the timeline of requests and connections, and curves. Each says in words what it shows.

A picture is a small PNG on a light ground of its own: no single ink reaches a contrast of 4.5:1 on both white and
JupyterLab's dark ground, and SVG is not shown in a notebook that is not trusted yet: an <svg> in HTML is cut out there,
and HTML is preferred to the PNG beside it, so that nothing would be left. Colours are those that people
with any colour vision tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/); hatches, line styles and markers
say the same once more.
"""

import html
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.pools._recording import PoolError, Recording
from course_lib.pools._run_result import RunResult, readable
from course_lib.pools.recorder import PoolRecorder

__all__ = ["Chart", "Curve", "curve_chart", "timeline_chart", "waiting_curve"]

_COLUMNS = 90
_UNIT = re.compile(r"\(([^()]{1,12})\)$")
Curve = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, repr=False)
class Chart:
    """A picture and the words that say the same; a notebook shows both.

    Args:
        title: what it shows.
        findings: what can be seen in it, in a sentence or two; the picture's text alternative.
        png: the picture.
    """

    title: str
    findings: str
    png: bytes

    def __repr__(self) -> str:
        return f"{self.title}. {self.findings}"

    @property
    def text(self) -> str:
        """Title and findings in lines of at most 90 characters, which a cell's output shows whole."""
        return _wrapped(repr(self))

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The picture as a notebook shows it: data and metadata by MIME type, the text alternative among both."""
        import base64

        picture = base64.b64encode(self.png).decode("ascii")
        # JupyterLab gives a picture of kind image/png no alternative text; an <img> in HTML keeps its own.
        page = f'<img alt="{html.escape(repr(self))}" src="data:image/png;base64,{picture}">'
        data = {"image/png": picture, "text/html": page, "text/plain": self.text}
        return data, {"image/png": {"alt": repr(self)}}

    def _ipython_display_(self) -> None:
        # An alternative text is not seen, so the findings follow as text that everybody reads.
        from IPython.display import display

        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        words = {"text/html": f"<p>{html.escape(self.findings)}</p>", "text/plain": _wrapped(self.findings)}
        display(words, raw=True)  # type: ignore[no-untyped-call]


def timeline_chart(source: RunResult | Recording | PoolRecorder, *, title: str | None = None) -> Chart:
    """Draw who waited, who held a connection and who timed out, the pool's limits, and each connection's life.

    Args:
        source: the result of a run, or what a recorder saw.
        title: the picture's title; that of the run by default.
    Returns:
        The picture, with its findings in words.
    Raises:
        PoolError: there is nothing to draw.
    """
    from course_lib.pools._drawing import draw_timeline
    from course_lib.pools._rows import to_timeline

    if isinstance(source, RunResult):
        recording, title = source.recording, title or source.title
    elif isinstance(source, PoolRecorder):
        recording = source.recording()
    else:
        recording = source
    outcomes = source.outcomes if isinstance(source, RunResult) else ()
    failed = {each.name: each.end for each in outcomes if each.status == "failed"}
    timeline = to_timeline(recording, failed)
    if not timeline.rows and not recording.connections:
        raise PoolError("There is nothing to draw yet: no request and no connection was recorded.")
    title = title or "Pool timeline"
    return Chart(title, timeline.findings(), draw_timeline(timeline, title))


def waiting_curve(
    curves: Mapping[str, Curve],
    *,
    title: str = "Waiting time against utilisation",
    target: float | None = None,
    of: str = "mean wait",
) -> Chart:
    """Draw waiting times against utilisation, several curves in one picture.

    Args:
        curves: for each name, such as "Erlang C", "simulation" and "measured": utilisations (0 to 1) and waits in
            seconds, equally many.
        title: the picture's title.
        target: a wait in seconds to draw as a line.
        of: what the waits are, e.g. "p95 wait".
    Returns:
        The picture, with its findings in words.
    Raises:
        PoolError: there is no curve, a curve's lists differ in length, or a value is not a finite number.
    """
    percent = {name: ([100 * x for x in xs], [1000 * y for y in ys]) for name, (xs, ys) in curves.items()}
    return curve_chart(
        percent,
        title=title,
        x_label="utilisation (%)",
        y_label=f"{of} (ms)",
        line=None if target is None else 1000 * target,
        line_label="" if target is None else f"target {readable(1000 * target, 3)} ms",
    )


def curve_chart(
    curves: Mapping[str, Curve],
    *,
    title: str,
    x_label: str,
    y_label: str,
    line: float | None = None,
    line_label: str = "",
    log_y: bool = False,
) -> Chart:
    """Draw one or several curves, each with a colour, a line style and a marker of its own.

    Args:
        curves: for each name its x and y values, equally many.
        title: the picture's title.
        x_label: the name and unit of x.
        y_label: the name and unit of y.
        line: a y value to mark with a level line.
        line_label: what that value is.
        log_y: whether y has a logarithmic scale.
    Returns:
        The picture, with its findings in words: where each curve begins, ends, is highest and crosses the line. A unit
        in brackets at the end of a label, as in "wait (ms)", follows each number.
    Raises:
        PoolError: there is no curve, a curve's lists differ in length, or a value is not a finite number.
    """
    from course_lib.pools._drawing import draw_curves

    if not curves:
        raise PoolError("There is no curve to draw. Give at least one name with its x and y values.")
    clean: dict[str, tuple[list[float], list[float]]] = {}
    for name, (xs, ys) in curves.items():
        clean[name] = [float(x) for x in xs], [float(y) for y in ys]
        if len(clean[name][0]) != len(clean[name][1]) or not clean[name][0]:
            raise PoolError(f"The curve {name!r} has {len(xs)} x and {len(ys)} y values. It needs equally many.")
        if not all(math.isfinite(value) for side in clean[name] for value in side):
            raise PoolError(f"The curve {name!r} has a value that is not a finite number. Leave such points out.")
    sentences = [
        _describe(name, *curve, _unit(x_label), _unit(y_label), line, line_label) for name, curve in clean.items()
    ]
    picture = draw_curves(clean, title, x_label, y_label, line, line_label, log_y)
    return Chart(title, " ".join([f"{y_label} against {x_label}.", *sentences]), picture)


def _describe(
    name: str, xs: list[float], ys: list[float], x_unit: str, y_unit: str, line: float | None, line_label: str
) -> str:
    points = sorted(zip(xs, ys, strict=True))
    highest = max(points, key=lambda point: point[1])

    def told(point: tuple[float, float]) -> str:
        peak = ", its peak" if point == highest and len({y for _, y in points}) > 1 else ""
        return f"{readable(point[1])}{y_unit} at {readable(point[0], 3)}{x_unit}{peak}"

    words = f"{name}: {told(points[0])}"
    if len(points) > 1:
        comma = "," if "peak" in words else ""
        words = f"{name}: from {told(points[0])}{comma} to {told(points[-1])}"
        words += f", with {told(highest)}" if highest not in (points[0], points[-1]) else ""
    if line is not None:
        above = next((x for x, y in points if y > line), None)
        words += "; never above " if above is None else "; above "
        words += line_label or f"{readable(line, 3)}{y_unit}"
        words += "" if above is None else f" from {readable(above, 3)}{x_unit} on"
    return f"{words}."


def _unit(label: str) -> str:
    found = _UNIT.search(label)
    return f" {found[1]}" if found else ""


def _wrapped(words: str) -> str:
    return textwrap.fill(words, _COLUMNS, break_long_words=False, break_on_hyphens=False)
