"""Do the pictures hold what was recorded, alike each time, small, and with words that say the same?"""

import io
import json
import struct
from pathlib import Path

import pytest
from PIL import Image

from course_lib.pools._recording import ConnectionLife, Lease, PoolError, Recording, Wait
from course_lib.pools._rows import to_timeline
from course_lib.pools._run_result import RequestOutcome, RunResult
from course_lib.pools.charts import Chart, curve_chart, timeline_chart, waiting_curve

GROUND = (251, 251, 249)


def recording() -> Recording:
    """Two connections and four requests: one served at once, one after a wait, one timed out, one still waiting."""
    return Recording(
        seconds=1.0,
        size=1,
        limit=2,
        connections=(
            ConnectionLife(1, 0, 100, opened=0.0, leases=(Lease(1, "a", 0.0, 0.5), Lease(1, "b", 0.5, 1.0))),
            ConnectionLife(2, 0, 101, opened=0.1, invalidated=0.8, closed=0.8, leases=(Lease(2, "leak", 0.1, 0.8),)),
        ),
        waits=(
            Wait("a", 0.0, 0.0, "served"),
            Wait("b", 0.1, 0.5, "served"),
            Wait("c", 0.2, 0.7, "timed out", "TimeoutError"),
            Wait("d", 0.9, None, "waiting"),
        ),
    )


def result() -> RunResult:
    """The same as a run, in which request b failed with a connection in its hand."""
    outcomes = (RequestOutcome("b", 0.1, 0.4, 0.5, "failed", "ValueError"),)
    return RunResult("A run", outcomes, 1.0, recording())


def colours(chart: Chart) -> set[tuple[int, int, int]]:
    """The colours of a picture."""
    picture = Image.open(io.BytesIO(chart.png)).convert("RGB")
    return {colour for _, colour in picture.getcolors(100_000)}


def close_to(colour: tuple[int, int, int], found: set[tuple[int, int, int]]) -> bool:
    """Whether a picture has this colour or one that the eye takes for it."""
    return any(max(abs(a - b) for a, b in zip(colour, each, strict=True)) <= 12 for each in found)


def test_rows_hold_bars_and_ends() -> None:
    """Is each request a row, in the order of coming, with its waits and leases and the way it ended?"""
    timeline = to_timeline(recording(), failed=("b",))
    ends = {row.name: row.end for row in timeline.rows}
    assert list(ends) == ["a", "b", "leak", "c", "d"]
    assert ends == {"a": "ok", "b": "failed", "leak": "ok", "c": "timed out", "d": "ok"}
    bars = {row.name: [(bar.kind, bar.begin, bar.end) for bar in row.bars] for row in timeline.rows}
    assert bars["b"] == [("waiting", 0.1, 0.5), ("holding", 0.5, 1.0)]
    assert bars["c"] == [("timed out", 0.2, 0.7)]
    assert bars["d"] == [("waiting", 0.9, 1.0)]


def test_levels_count_what_is_in_use_and_waits() -> None:
    """Do the numbers over time follow from leases and waits?"""
    timeline = to_timeline(recording())
    assert timeline.in_use == ((0.0, 1), (0.1, 2), (0.5, 2), (0.8, 1), (1.0, 0))
    assert timeline.waiting == ((0.0, 0), (0.1, 1), (0.2, 2), (0.5, 1), (0.7, 0), (0.9, 1))
    assert timeline.share_of_time_at(2) == pytest.approx(0.7)


def test_findings_say_what_the_picture_shows() -> None:
    """Do the words carry the numbers: served, timed out, waits, use of the pool, the longest lease?"""
    assert timeline_chart(result()).findings == (
        "5 requests in 1.00 s: 3 were served, 1 timed out and 1 failed. Half of them waited at most 100 ms, the "
        "longest wait was 500 ms. At most 2 connections were in use at once; the pool was at its limit of 2 for 70 % "
        "of the time. The longest lease, of leak, took 700 ms."
    )


def test_the_picture_is_small_deterministic_and_has_its_own_ground() -> None:
    """Is it the same each time, well below 100 kB, opaque, and in the colours that its legend names?"""
    chart = timeline_chart(result())
    assert chart.png == timeline_chart(result()).png
    assert len(chart.png) < 30_000
    found = colours(chart)
    for colour in (GROUND, (0, 114, 178), (230, 159, 0), (213, 94, 0), (27, 27, 27)):
        assert close_to(colour, found), colour
    assert b"tEXt" not in chart.png  # no software, no date, no path


def test_ink_and_ground_have_contrast() -> None:
    """Do text and lines stand out from the ground: 4.5:1 for text, 3:1 for bars and lines?"""
    from course_lib.pools import _drawing

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ground = luminance(_drawing._GROUND) + 0.05
    assert ground / (luminance(_drawing._INK) + 0.05) > 7
    for colour in (_drawing._BLUE, _drawing._RED, _drawing._GREEN, _drawing._PURPLE):
        assert ground / (luminance(colour) + 0.05) > 3, colour


def test_bars_and_curves_differ_in_more_than_colour() -> None:
    """Can somebody who sees no colour tell them apart?"""
    from course_lib.pools import _drawing

    hatches = [style.get("hatch") for style in _drawing._BARS.values()]
    assert len(set(hatches)) == len(hatches)
    shapes = [(style["marker"], str(style["linestyle"])) for style in _drawing._CURVES]
    assert len({marker for marker, _ in shapes}) == len({line for _, line in shapes}) == len(shapes)


def test_a_notebook_gets_picture_alternative_and_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does the stored output hold a PNG, the same words as its alternative, and is it plain JSON?"""
    chart = timeline_chart(result())
    data, metadata = chart.bundle()
    assert set(data) == {"image/png", "text/plain"}
    assert metadata["image/png"]["alt"] == data["text/plain"] == repr(chart) == f"A run. {chart.findings}"
    assert len(json.dumps(data)) < 50_000
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    chart._ipython_display_()
    assert [list(each) for each in shown] == [["image/png", "text/plain"], ["text/plain"]]
    assert shown[1]["text/plain"] == chart.findings


def test_curves_and_their_words() -> None:
    """Does a curve chart name each curve, its ends, and where it crosses the target?"""
    chart = waiting_curve(
        {"Erlang C": ([0.5, 0.9, 0.7], [0.01, 0.2, 0.03]), "measured": ([0.5, 0.7], [0.012, 0.02])}, target=0.05
    )
    assert chart.findings == (
        "mean wait (ms) against utilisation (%). Erlang C: 10 at 50, 200 at 90; above target 50 ms from 90 on. "
        "measured: 12 at 50, 20 at 70; never above target 50 ms."
    )
    assert len(chart.png) < 30_000
    assert (
        chart.png
        == waiting_curve(
            {"Erlang C": ([0.5, 0.9, 0.7], [0.01, 0.2, 0.03]), "measured": ([0.5, 0.7], [0.012, 0.02])}, target=0.05
        ).png
    )
    width, height = struct.unpack(">II", chart.png[16:24])
    assert (width, height) == (800, 360)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "no curve"),
        ({"a": ([1, 2], [1])}, "2 x and 1 y values"),
        ({"a": ([], [])}, "equally many"),
        ({"a": ([1.0], [float("nan")])}, "not a finite number"),
    ],
)
def test_bad_curves(curves: dict[str, tuple[list[float], list[float]]], message: str) -> None:
    """Does impossible input get a message?"""
    with pytest.raises(PoolError, match=message):
        curve_chart(curves, title="t", x_label="x", y_label="y")


def test_nothing_to_draw() -> None:
    """Does an empty recording say so?"""
    with pytest.raises(PoolError, match="nothing to draw yet"):
        timeline_chart(Recording(seconds=1.0, size=5, limit=None))


def test_matplotlib_loads_where_it_is_used() -> None:
    """Is importing the module cheap?"""
    import subprocess
    import sys

    code = "import sys, course_lib.pools.charts; print('matplotlib' in sys.modules, 'PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.split() == ["False", "False"]
