"""Do the pictures hold what was recorded, alike each time, small, and with words that say the same?"""

import io
import json
import struct
from pathlib import Path

import pytest
from PIL import Image

from course_lib.pools._recording import ConnectionLife, Lease, PoolError, Recording, Wait
from course_lib.pools._rows import to_timeline
from course_lib.pools._run_result import RequestOutcome, RunResult, readable
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
    outcomes = (RequestOutcome("b", 0.1, 0.4, 0.5, "failed", "ValueError", end=0.6),)
    return RunResult("A run", outcomes, 1.0, recording())


def colours(chart: Chart) -> set[tuple[int, int, int]]:
    """The colours of a picture."""
    picture = Image.open(io.BytesIO(chart.png)).convert("RGBA").convert("RGB")
    return {colour for _, colour in picture.getcolors(100_000)}


def close_to(colour: tuple[int, int, int], found: set[tuple[int, int, int]]) -> bool:
    """Whether a picture has this colour or one that the eye takes for it."""
    return any(max(abs(a - b) for a, b in zip(colour, each, strict=True)) <= 12 for each in found)


def test_rows_hold_bars_and_ends() -> None:
    """Is each request a row, in the order of coming, with its waits and leases and the way it ended?"""
    timeline = to_timeline(recording(), failed={"b": 0.6})
    ends = {row.name: row.end for row in timeline.rows}
    assert list(ends) == ["a", "b", "leak", "c", "d"]
    assert ends == {"a": "ok", "b": "failed", "leak": "ok", "c": "timed out", "d": "ok"}
    bars = {row.name: [(bar.kind, bar.begin, bar.end) for bar in row.bars] for row in timeline.rows}
    assert bars["b"] == [("waiting", 0.1, 0.5), ("holding", 0.5, 1.0)]
    assert bars["c"] == [("timed out", 0.2, 0.7)]
    assert bars["d"] == [("waiting", 0.9, 1.0)]
    assert [(row.name, row.failed_at) for row in timeline.rows if row.failed_at is not None] == [("b", 0.6), ("c", 0.7)]
    assert [(row.name, bar.kind) for row in timeline.rows for bar in row.bars if bar.open] == [("d", "waiting")]


def test_levels_count_what_is_in_use_and_waits() -> None:
    """Do the numbers over time follow from leases and waits?"""
    timeline = to_timeline(recording())
    assert timeline.in_use == ((0.0, 1), (0.1, 2), (0.5, 2), (0.8, 1), (1.0, 0))
    assert timeline.waiting == ((0.0, 0), (0.1, 1), (0.2, 2), (0.5, 1), (0.7, 0), (0.9, 1))
    assert timeline.share_of_time_at(2) == pytest.approx(0.7)


def leak() -> RunResult:
    """A request that failed early and never gave its connection back."""
    lives = (ConnectionLife(1, 0, 100, opened=-1.0, leases=(Lease(1, "leak", 0.0, None),)),)
    outcomes = (RequestOutcome("leak", 0.0, 0.0, 0.2, "failed", "ValueError", end=0.2),)
    return RunResult("A leak", outcomes, 1.0, Recording(1.0, 1, 1, lives, (Wait("leak", 0.0, 0.0, "served"),)))


def test_a_failure_stands_where_it_was_raised_and_a_leak_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is the mark at the error and not at the end of the run, and does a bar without an end say so by its shape?"""
    from course_lib.pools import _drawing

    drawn: list[tuple[object, object]] = []
    marker = _drawing._marker
    monkeypatch.setattr(
        _drawing, "_marker", lambda shape, colour: drawn.append((shape, colour)) or marker(shape, colour)
    )
    chart = timeline_chart(leak())
    (row,) = to_timeline(leak().recording, {"leak": 0.2}).rows
    assert (row.failed_at, row.bars[-1].end, row.bars[-1].open) == (0.2, 1.0, True)
    assert drawn.count(_drawing._GOES_ON) == 3  # the request, its key in the legend, and the connection
    assert chart.findings.endswith(
        "The longest lease, of leak, took 1,000 ms and had not ended. At the end 1 connection was not given back."
    )


def test_findings_say_what_the_picture_shows() -> None:
    """Do the words carry the numbers: served, timed out, waits, use of the pool, the longest lease?"""
    assert timeline_chart(result()).findings == (
        "5 requests in 1 s: 3 were served, 1 timed out and 1 failed. Half of them waited at most 100 ms, the "
        "longest wait was 500 ms. At most 2 connections were in use at once; the pool was at its limit of 2 for 70 % "
        "of the time. The longest lease, of leak, took 700 ms."
    )


def test_the_picture_is_small_deterministic_and_has_its_own_ground() -> None:
    """Is it the same each time, well below 100 kB, and in the colours that its legend names?"""
    chart = timeline_chart(result())
    assert chart.png == timeline_chart(result()).png
    assert len(chart.png) < 30_000
    found = colours(chart)
    for colour in (GROUND, (0, 114, 178), (230, 159, 0), (213, 94, 0), (27, 27, 27)):
        assert close_to(colour, found), colour
    assert b"tEXt" not in chart.png  # no software, no date, no path


def test_the_picture_is_a_card_with_round_corners() -> None:
    """Is it opaque but for its corners, which let a dark page through, with nothing drawn near its edge?"""
    picture = Image.open(io.BytesIO(timeline_chart(result()).png)).convert("RGBA")
    right, lower = picture.width - 1, picture.height - 1
    assert {picture.getpixel(corner)[3] for corner in ((0, 0), (right, 0), (0, lower), (right, lower))} == {0}
    counts = picture.getchannel("A").histogram()
    assert counts[255] > 0.998 * picture.width * picture.height
    assert sum(1 for count in counts if count) > 4  # smooth edges
    without_edge = picture.getchannel("A").crop((14, 0, right - 13, picture.height))
    assert without_edge.getextrema() == (255, 255)
    edge = picture.convert("RGB").crop((0, 14, 8, lower - 13)).getcolors()
    assert len(edge) == 1 and close_to(GROUND, {edge[0][1]})


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
    assert set(data) == {"image/png", "text/html", "text/plain"}
    assert metadata["image/png"]["alt"] == repr(chart) == f"A run. {chart.findings}"
    assert " ".join(data["text/plain"].split()) == repr(chart)
    assert max(len(line) for line in data["text/plain"].splitlines()) <= 90
    assert len(json.dumps(data)) < 50_000
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    chart._ipython_display_()
    assert [list(each) for each in shown] == [["image/png", "text/html", "text/plain"], ["text/html", "text/plain"]]
    assert shown[1]["text/html"] == f"<p>{chart.findings}</p>"
    assert " ".join(shown[1]["text/plain"].split()) == chart.findings


def test_curves_and_their_words() -> None:
    """Does a curve chart name each curve, its ends, and where it crosses the target?"""
    chart = waiting_curve(
        {"Erlang C": ([0.5, 0.9, 0.7], [0.01, 0.2, 0.03]), "measured": ([0.5, 0.7], [0.012, 0.02])}, target=0.05
    )
    assert chart.findings == (
        "mean wait (ms) against utilisation (%). Erlang C: from 10 ms at 50 % to 200 ms at 90 %, its peak; above "
        "target 50 ms from 90 % on. measured: from 12 ms at 50 % to 20 ms at 70 %, its peak; never above target 50 ms."
    )
    assert len(chart.png) < 30_000
    assert (
        chart.png
        == waiting_curve(
            {"Erlang C": ([0.5, 0.9, 0.7], [0.01, 0.2, 0.03]), "measured": ([0.5, 0.7], [0.012, 0.02])}, target=0.05
        ).png
    )
    width, height = struct.unpack(">II", chart.png[16:24])
    assert (width, height) == (800, 380)


def test_readable_numbers() -> None:
    """Are numbers as people write them: whole when they are large, short when they are small?"""
    numbers = {
        1249.6: "1,250",
        31.4: "31",
        9.96: "10",
        1.0: "1",
        0.397: "0.4",
        0.0931: "0.09",
        0.00042: "0.00042",
        0: "0",
    }
    assert {value: readable(value) for value in numbers} == numbers
    assert [readable(value, 3) for value in (12.25, 0.95, 99.95, 2497)] == ["12.2", "0.95", "100", "2,497"]


def test_words_of_curves_have_readable_numbers_and_the_peak() -> None:
    """Are numbers whole or short, with their units, and is a peak in the middle told with its place?"""
    curves = {"refused": ([0, 2.5, 12.25], [0.397, 1249.6, 31.4]), "none": ([0, 1], [0, 0]), "one": ([1], [2])}
    assert curve_chart(curves, title="t", x_label="time (s)", y_label="wait (ms)", line=5).findings == (
        "wait (ms) against time (s). refused: from 0.4 ms at 0 s to 31 ms at 12.2 s, with 1,250 ms at 2.5 s, its peak; "
        "above 5 ms from 2.5 s on. none: from 0 ms at 0 s to 0 ms at 1 s; never above 5 ms. one: 2 ms at 1 s; "
        "never above 5 ms."
    )
    assert "12 at 1" in curve_chart({"a": ([1, 2], [12, 3])}, title="t", x_label="x", y_label="y").findings


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
