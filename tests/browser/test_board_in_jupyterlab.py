"""The budget board in JupyterLab: what a screen reader is told, the keyboard, and a focus that can be seen."""

from collections.abc import Iterator

import nbformat
import pytest
from notebook_page import JupyterLab, NotebookPage
from playwright.sync_api import Browser, expect

NOTEBOOK = "board.ipynb"
MAKE = "from course_lib.pools.board import budget_board\n\nboard = budget_board(instances=4)\nboard"
ASK = 'print(board.settings.max_overflow, "overflow")'
SET = "board.set(instances=60)"
NAMES = ["max_connections", "reserved", "instances", "workers", "pool_size", "max_overflow"]


@pytest.fixture
def page(browser: Browser, jupyterlab: JupyterLab) -> Iterator[NotebookPage]:
    """A notebook with a board."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (MAKE, ASK, SET)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, jupyterlab.folder / NOTEBOOK)
    opened = NotebookPage(browser, jupyterlab.address(NOTEBOOK))
    yield opened
    opened.page.close()


def test_a_learner_moves_the_boards_sliders_from_the_keyboard(page: NotebookPage) -> None:
    """Names in the accessibility tree, a visible focus, and a verdict that is read out and follows."""
    showing = page.run(page.cell("board = budget_board("))
    expect(showing.get_by_role("slider")).to_have_count(len(NAMES))
    for name in NAMES:
        expect(showing.get_by_role("slider", name=name, exact=True)).to_have_count(1)
    verdict = showing.get_by_role("status")
    expect(verdict).to_contain_text("What breaks first: a burst. 6 of 8 processes")

    overflow = showing.get_by_role("slider", name="max_overflow", exact=True)
    overflow.press("ArrowLeft")
    expect(overflow).to_have_value("9")
    outline = overflow.evaluate("each => { const s = getComputedStyle(each); return [s.outlineStyle, s.outlineWidth] }")
    assert outline == ["solid", "3px"]
    for _ in range(2):
        overflow.press("ArrowLeft")
    expect(verdict).to_contain_text("What comes next: a deploy.")
    expect(page.run(page.cell("board.settings"))).to_contain_text("7 overflow")

    page.run(page.cell("board.set("))
    expect(showing.get_by_role("slider", name="instances", exact=True)).to_have_value("60")
    expect(verdict).to_contain_text("Run at most 97 processes")
    assert not page.problems
