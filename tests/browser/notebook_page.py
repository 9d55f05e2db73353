"""A notebook in JupyterLab as a person uses it: run cells, type an answer, read what comes out."""

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

PATIENCE = 90_000  # milliseconds; the machine that runs this may be slow and busy


@dataclass(frozen=True)
class JupyterLab:
    """A running JupyterLab over a copy of the notebooks.

    Args:
        base: its address, without a path.
        token: what it asks for.
        folder: the copy that it serves.
    """

    base: str
    token: str
    folder: Path

    def address(self, notebook: str) -> str:
        """The page that shows a notebook alone."""
        return f"{self.base}/lab/tree/{notebook}?reset&token={self.token}"  # reset: no other notebook is restored


class NotebookPage:
    """One open notebook.

    Args:
        browser: the browser to open it in.
        address: the page that shows the notebook.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 1000})
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.goto(address)
        self._await_kernel()

    def _await_kernel(self) -> None:
        # Cells that run before the kernel is there open a dialog that asks for one.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=PATIENCE)

    def run_all(self) -> None:
        """Run all cells from the menu and wait until the last one has a number."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        last = self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").last
        expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=PATIENCE)

    def cell(self, text: str, *, index: int = 0) -> Locator:
        """The code cell whose source holds *text*."""
        editor = self.page.locator(".jp-InputArea-editor", has_text=text)
        return self.page.locator(".jp-Notebook .jp-CodeCell").filter(has=editor).nth(index)

    def type_into(self, cell: Locator, source: str) -> None:
        """Replace the cell's source, as somebody does who selects all and types."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(source)

    def run(self, cell: Locator) -> Locator:
        """Run one cell and wait until it has finished; gives its output area."""
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=PATIENCE)
        expect(prompt).not_to_have_text(before, timeout=PATIENCE)
        return cell.locator(".jp-OutputArea")

    def error_outputs(self) -> list[str]:
        """The text of each traceback on the page."""
        selector = ".jp-Notebook .jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"
        return self.page.locator(selector).all_inner_texts()

    def use_theme(self, name: str) -> None:
        """Switch to "JupyterLab Light" or "JupyterLab Dark"."""
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)

    def picture(self, path: Path, element: Locator | None = None) -> None:
        """Take a screenshot of the page, or of one element."""
        (element or self.page).screenshot(path=path)
