"""Pages for people: feedback for each learner, and the report of the class."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.grade._marking import Result
from course_lib.grade._results import as_csv, as_json, as_junit, slug, write_whole
from course_lib.grade._submissions import shown

WORDS = {
    "correct": "correct",
    "not_yet": "not yet",
    "not_attempted": "not attempted",
    "error": "an error in the answer",
    "timed_out": "out of time",
    "checker_error": "the check failed",
    "refused": "refused",
    "missing": "no answer found",
    "grader_error": "could not be run",
}
_UNTRIED = ("not_attempted", "missing", "checker_error", "grader_error")
_MOST_SHARED = 12


@dataclass(frozen=True)
class _Picture:
    title: str
    text: str
    data: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def write_all(results: Sequence[Result], output: Path, version: str) -> dict[str, Path]:
    """Write all results into a folder.

    Returns:
        The files, by what they are.
    """
    import json

    from jinja2 import Environment, FileSystemLoader

    pages = Environment(loader=FileSystemLoader(Path(__file__).parent / "_pages"), autoescape=True)
    feedback = output / "feedback"
    feedback.mkdir(parents=True, exist_ok=True)
    template = pages.get_template("feedback.html.j2")
    for result in results:
        write_whole(feedback / f"{slug(result.learner)}.html", _text(template.render(result=result, words=WORDS)))
    files = {name: output / name for name in ("grades.csv", "grades.json", "junit.xml", "report.html")}
    write_whole(files["grades.csv"], _text(as_csv(results)))
    write_whole(files["grades.json"], json.dumps(as_json(results, version), indent=1))
    write_whole(files["junit.xml"], as_junit(results))
    report = pages.get_template("report.html.j2").render(
        results=results,
        earned=sum(result.points for result in results),
        possible=sum(result.possible for result in results),
        pictures=_pictures(results),
        slugs={result.learner: slug(result.learner) for result in results},
    )
    write_whole(files["report.html"], _text(report))
    return files | {"feedback": feedback}


def _text(text: str) -> str:
    # A message can hold half of a surrogate pair, which no file can.
    return text.encode("utf-8", "replace").decode("utf-8")


def _pictures(results: Sequence[Result]) -> list[_Picture]:
    if not any(result.marks for result in results):
        return []
    return [_points(results), _attempts(results), *_misconceptions(results)]


def _points(results: Sequence[Result]) -> _Picture:
    shares = [result.points / result.possible for result in results if result.possible]
    bins = [min(int(share * 10), 9) for share in shares]
    counts = [bins.count(index) for index in range(10)]
    labels = [f"{index * 10}–{index * 10 + 10} %" for index in range(10)]
    text = f"Of {len(shares)} learners, {sum(share == 1 for share in shares)} have all points."
    data = _bars(labels, [("learners", counts)], "learners")
    rows = [(label, str(count)) for label, count in zip(labels, counts, strict=True)]
    return _Picture("Points", text, data, ("Share of the points", "Learners"), rows)


def _attempts(results: Sequence[Result]) -> _Picture:
    tried: Counter[str] = Counter()
    solved: Counter[str] = Counter()
    titles: dict[str, str] = {}
    for result in results:
        for mark in result.marks:
            titles[mark.exercise] = mark.title
            tried[mark.exercise] += mark.status not in _UNTRIED
            solved[mark.exercise] += mark.status == "correct"
    names = sorted(titles)
    hardest = min(names, key=lambda name: solved[name] / tried[name] if tried[name] else 1)
    text = (
        f"Attempted and solved by exercise. The hardest is {hardest}: {solved[hardest]} of {tried[hardest]} solved it."
    )
    data = _bars(names, [("attempted", [tried[n] for n in names]), ("solved", [solved[n] for n in names])], "learners")
    rows = [(f"{name} {titles[name]}", str(tried[name]), str(solved[name])) for name in names]
    return _Picture("Attempts by exercise", text, data, ("Exercise", "Attempted", "Solved"), rows)


def _misconceptions(results: Sequence[Result]) -> list[_Picture]:
    shared = Counter(
        f"{mark.exercise} {mark.misconception}" for result in results for mark in result.marks if mark.misconception
    )
    if not shared:
        return []
    most = shared.most_common(_MOST_SHARED)
    text = f"The misconception that most share is {most[0][0]}: {most[0][1]} learners."
    data = _bars([name for name, _ in most], [("learners", [count for _, count in most])], "learners")
    rows = [(name, str(count)) for name, count in most]
    return [_Picture("Most shared misconceptions", text, data, ("Misconception", "Learners"), rows)]


def _bars(labels: Sequence[str], series: Sequence[tuple[str, Sequence[int]]], unit: str) -> str:
    """Horizontal bars as a PNG, in Base64."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = 0.8 + 0.28 * len(labels) * len(series)
    figure = Figure(figsize=(8, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    width = 0.8 / len(series)
    for index, (name, values) in enumerate(series):
        places = [place + index * width for place in range(len(labels))]
        axes.barh(places, values, height=width, label=name, color=("#1a5fb4", "#e5a50a")[index])
    # A dollar sign begins a formula there.
    shown_labels = [shown(label).replace("$", r"\$") for label in labels]
    axes.set_yticks([place + (len(series) - 1) * width / 2 for place in range(len(labels))], shown_labels)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(series) > 1:
        axes.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=96)
    return base64.b64encode(out.getvalue()).decode()
