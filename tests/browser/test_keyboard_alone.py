"""A learner without a mouse: from the open notebook to a guess, an answer and its verdict, by keys alone."""

from notebook_page import PATIENCE, JupyterLab, NotebookPage
from playwright.sync_api import Browser, expect

from course_lib.lessons import cell_source

LESSON = "00_start_here.ipynb"
ENOUGH = 40  # presses of a key; the lesson has about twenty cells
ACTIVE = "() => jupyterapp.shell.currentWidget.content.activeCell.model"
FOCUS = "() => [document.activeElement.tagName, document.activeElement.innerText]"


class Keys:
    """The keyboard, and what a learner sees of where it is: the active cell and the focus."""

    def __init__(self, lesson: NotebookPage) -> None:
        self.page = lesson.page

    def press(self, *keys: str) -> None:
        """Press these keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def role(self) -> str | None:
        """The role of the active cell in its exercise, if it has one."""
        found: str | None = self.page.evaluate(f"({ACTIVE})().getMetadata('role') ?? null")
        return found

    def source(self) -> str:
        """The source of the active cell."""
        return str(self.page.evaluate(f"({ACTIVE})().sharedModel.getSource()"))

    def until(self, key: str, role: str = "", text: str = "") -> None:
        """Press a key until the active cell has this role and holds this text."""
        for _ in range(ENOUGH):
            if self.role() == (role or None) and text in self.source():
                return
            self.press(key)
        raise AssertionError(f"{ENOUGH} times {key} did not lead to the cell with {role or text}")


def test_keys_alone_make_a_guess_and_solve_an_exercise(browser: Browser, jupyterlab: JupyterLab) -> None:
    """No click, and no focus set by the test: run, choose a guess, edit, check, read "Correct"."""
    lesson = NotebookPage(browser, jupyterlab.address(LESSON))
    page, keys = lesson.page, Keys(lesson)
    keys.until("Shift+Enter", text="= predict(")
    keys.press("Control+Enter")  # this one stays on the cell
    guesses = page.locator(".jp-Notebook .jp-CodeCell.jp-mod-active .jp-OutputArea-output").get_by_role("button")
    expect(guesses).not_to_have_count(0, timeout=PATIENCE)
    first = guesses.first.inner_text()
    for _ in range(ENOUGH):
        keys.press("Tab")
        if page.evaluate(FOCUS) == ["BUTTON", first]:
            break
    width, style = page.evaluate(
        "() => { const s = getComputedStyle(document.activeElement); return [s.outlineWidth, s.outlineStyle] }"
    )
    assert (float(width.removesuffix("px")) >= 2, style) == (True, "solid")
    keys.press("Enter")
    expect(page.locator(".jp-OutputArea", has_text="Predict:").first).to_contain_text(f"Your guess: {first}")
    expect(guesses.first).to_have_attribute("aria-pressed", "true")

    keys.press("Escape", "ArrowDown")  # back to the notebook, and on
    keys.until("Shift+Enter", "starter")
    solution = cell_source("00.1", "solution")
    assert solution
    keys.press("Enter", "Control+A")
    page.keyboard.insert_text(solution)
    assert keys.source() == solution
    keys.press("Shift+Enter")
    keys.until("ArrowDown", "check")
    keys.press("Control+Enter")
    verdict = page.locator(".jp-Notebook .jp-CodeCell.jp-mod-active .jp-OutputArea").get_by_role("status")
    expect(verdict).to_contain_text("Correct", timeout=PATIENCE)
    assert lesson.error_outputs() == []
    assert lesson.problems == []
    page.close()
