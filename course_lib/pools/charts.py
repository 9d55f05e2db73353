"""Pictures of pools: the timeline of requests and connections, and curves. Each says in words what it shows.

A picture is a small PNG on a light ground of its own: no single ink reaches a contrast of 4.5:1 on both white and
JupyterLab's dark ground, and SVG is not shown in a notebook that is not trusted yet. Colours are those that people
with any colour vision tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/); hatches, line styles and markers
say the same once more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.pools._recording import PoolError, Recording
from course_lib.pools._run_result import RunResult
from course_lib.pools.recorder import PoolRecorder

__all__ = ["Chart", "Curve", "curve_chart", "timeline_chart", "waiting_curve"]

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

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The picture as a notebook stores it: data and metadata by MIME type, the text alternative among both."""
        import base64

        picture = base64.b64encode(self.png).decode("ascii")
        return {"image/png": picture, "text/plain": repr(self)}, {"image/png": {"alt": repr(self)}}

    def _ipython_display_(self) -> None:
        # JupyterLab shows no alternative text of a picture, so the findings follow as text that everybody reads.
        from IPython.display import display

        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        display({"text/plain": self.findings}, raw=True)  # type: ignore[no-untyped-call]


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
    failed = {each.name for each in source.outcomes if each.status == "failed"} if isinstance(source, RunResult) else ()
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
        line_label="" if target is None else f"target {1000 * target:g} ms",
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
        The picture, with its findings in words: where each curve begins, ends and crosses the line.
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
    sentences = [_describe(name, *curve, line, line_label) for name, curve in clean.items()]
    picture = draw_curves(clean, title, x_label, y_label, line, line_label, log_y)
    return Chart(title, " ".join([f"{y_label} against {x_label}.", *sentences]), picture)


def _describe(name: str, xs: list[float], ys: list[float], line: float | None, line_label: str) -> str:
    points = sorted(zip(xs, ys, strict=True))
    (first_x, first_y), (last_x, last_y) = points[0], points[-1]
    words = f"{name}: {first_y:.3g} at {first_x:.3g}"
    words += f", {last_y:.3g} at {last_x:.3g}" if len(points) > 1 else ""
    if line is not None:
        above = next((x for x, y in points if y > line), None)
        words += "; never above " if above is None else "; above "
        words += line_label or f"{line:g}"
        words += "" if above is None else f" from {above:.3g} on"
    return f"{words}."
