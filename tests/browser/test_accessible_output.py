"""One output of each kind that the course makes, in JupyterLab, as axe-core sees it in the light and the dark theme."""

from collections.abc import Iterator

import nbformat
import pytest
from notebook_page import THEMES, JupyterLab, NotebookPage
from playwright.sync_api import Browser, expect

NOTEBOOK = "every_output.ipynb"
CELLS = {
    "verdicts": """\
from course_lib.exercises.verdicts import _HEADINGS, Call, Case, Outcome
case = Case("f('a')", "'b'", "<class 'str'>")
for status in _HEADINGS:
    display(Outcome("99.1", status, "What to do next, with `code` in it.", None, case, note="A note."))
display(Outcome("99.1", "error", "It raised.", traceback="line 1\\nValueError: no", call=Call("f('a')")))""",
    "hint, solution, pending": """\
from course_lib.exercises.url_conversion import q1
display(q1.hint(1), q1.solution(), q1.check(1))""",
    "prediction": """\
from course_lib.teaching import predict
guess = predict("How many connections does a pool of 2 open?", [1, 2, 3])
guess""",
    "comparison": """\
display(guess.compare(2), guess.compare("a dozen"))
guess.choose(2)
display(guess.compare(2))""",
    "progress": "from course_lib.board import board\nawait board()",
    "machine": """\
from course_lib.doctor import Examination, Finding
Examination([
    Finding("Python", "fine", "3.11"),
    Finding("PostgreSQL", "missing", "not found", "Run `make env`."),
    Finding("PgBouncer", "optional", "not found", "Run `make env`."),
])""",
    "budget board": "from course_lib.pools.board import budget_board\nbudget_board()",
    "monitor": """\
from course_lib.pools.monitor import PoolMonitor
PoolMonitor("postgresql+asyncpg://app@127.0.0.1/shop", pool_size=2, max_overflow=1)""",
    "monitor without widgets": """\
from IPython.display import HTML
from course_lib.pools._monitor_view import MonitorNumbers, as_html
from course_lib.pools._recording import Snapshot
cells = [("U", 1, 100), ("I", 2, 101), ("D", 3, 102), ("C", None, None), ("O", 4, 103), ("", None, None)]
HTML(as_html("Pool monitor", MonitorNumbers(seconds=1.0, message="Stopped."), cells, 4))""",
    "timeline": """\
from course_lib.pools._recording import ConnectionLife, Lease, Recording, Wait
from course_lib.pools._run_result import RequestOutcome, RunResult
from course_lib.pools.charts import curve_chart, timeline_chart
lives = (ConnectionLife(1, 0, 100, opened=0.0, leases=(Lease(1, "a", 0.0, 0.5),)),)
seen = Recording(1.0, 1, 1, lives, (Wait("a", 0.0, 0.0, "served"), Wait("b", 0.1, 0.6, "timed out", "TimeoutError")))
outcomes = (RequestOutcome("a", 0.0, 0.0, 0.5, "ok"), RequestOutcome("b", 0.1, 0.5, 0.0, "timed out", "TimeoutError"))
run = RunResult("A run", outcomes, 1.0, seen)
timeline_chart(run)""",
    "curve": 'curve_chart({"Erlang C": ([10, 50, 90], [1, 2, 9])}, title="A curve", x_label="load (%)", y_label="ms")',
    "run": "run",
    "server view": """\
from course_lib.pools.server_view import Backend, ServerView
backend = Backend(100, "shop", "app", "pool", "idle in transaction", 1.5, "Client: ClientRead", "SELECT 1", 1, "a")
display(ServerView([backend, backend]), ServerView())""",
    "review": """\
from course_lib.review.report import Report
from course_lib.review.rules import RULES, Finding as Found
found = tuple(Found(rule, ("gap", "cannot_tell", "ok")[at % 3], "Seen in `q`.") for at, rule in enumerate(RULES))
Report("database.py", True, "", found, 15)""",
    "fire drill": """\
from course_lib._drill_load import Answer, Phase, Planned
from course_lib._drill_result import ConfigurationRun, DrillResult
answers = tuple(Answer(Planned(at / 10, "calm", "read", at), 0.01, "served") for at in range(9))
calm = Phase("calm", "Nothing happens.", 0.0, 1.0)
drill = DrillResult((ConfigurationRun("complete", (calm,), answers, 0.0),), "9 requests.")
display(drill, drill.chart())""",
}


@pytest.fixture
def page(browser: Browser, jupyterlab: JupyterLab) -> Iterator[NotebookPage]:
    """A notebook with one output of each kind."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, jupyterlab.folder / NOTEBOOK)
    opened = NotebookPage(browser, jupyterlab.address(NOTEBOOK))
    opened.run_all()
    yield opened
    opened.page.close()


def test_axe_finds_nothing_in_either_theme(page: NotebookPage) -> None:
    """No violation of WCAG or of good practice in any output; and axe saw all of them."""
    assert page.error_outputs() == []
    outputs = page.page.locator(".jp-Notebook .jp-CodeCell:has(.jp-OutputArea-output)")
    expect(outputs).to_have_count(len(CELLS))
    for theme in THEMES:
        page.use_theme(theme)
        passed, violations = page.axe()
        assert violations == [], theme
        assert {"button-name", "color-contrast", "image-alt", "label", "role-img-alt", "td-headers-attr"} <= passed
    assert page.problems == []
