"""A notebook in JupyterLab as a person uses it: run cells, type an answer, read what comes out."""

import re
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

PATIENCE = 90_000  # milliseconds; the machine that runs this may be slow and busy
LONG_PATIENCE = 300_000  # milliseconds, for all cells of a lesson
# What JupyterLab itself reports as an error.
NOT_OURS: tuple[re.Pattern[str], ...] = ()
# What stands where a widget should be, as long as it is not there or can't be.
NO_WIDGET = re.compile(r"Loading widget|Error (?:displaying|creating|rendering) widget|Widget not found", re.IGNORECASE)
# JupyterLab gives every other output the name of its kind.
WIDGETS = ".jp-Notebook .jp-OutputArea-output:not([data-mime-type])"
# What the course puts on the page: its texts, tables, panels, pictures and widgets. The rest is JupyterLab's.
OURS = (
    ".jp-Notebook .jp-MarkdownOutput",
    ".jp-Notebook .jp-OutputArea-output[data-mime-type='text/html']",
    ".jp-Notebook .jp-OutputArea-output[data-mime-type^='image/']",
    WIDGETS,
)
# JupyterLab's themes tell a link from the text around it by its colour alone.
JUPYTERLABS_OWN = ("link-in-text-block",)
THEMES = ("JupyterLab Light", "JupyterLab Dark")
_WIDGET = "application/vnd.jupyter.widget-view+json"
# All cells have run, or one has failed, and the rest will not run.
_ALL_RAN = """
() => {
  const cells = [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")];
  const prompts = cells.map(each => each.querySelector(".jp-InputPrompt").innerText);
  const failed = document.querySelector(".jp-Notebook [data-mime-type='application/vnd.jupyter.error']");
  return prompts.every(each => !each.includes("*")) && (failed || /\\d/.test(prompts.at(-1)));
}
"""
_FIND_CELL = """
([exercise, role]) => jupyterapp.shell.currentWidget.content.widgets.findIndex(
  ({ model }) => model.getMetadata("exercise") === exercise && model.getMetadata("role") === role
)
"""
_WIDGETS_SENT = """
kind => jupyterapp.shell.currentWidget.content.widgets
  .filter(({ model }) => model.type === "code")
  .flatMap(({ model }) => model.outputs.toJSON())
  .filter(output => output.data && kind in output.data).length
"""
_SOURCE = "index => jupyterapp.shell.currentWidget.content.widgets[index].model.sharedModel.getSource()"


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
        self.page.on("console", self._told)
        self.page.goto(address)
        self._await_kernel()

    def _await_kernel(self) -> None:
        # Cells that run before the kernel is there open a dialog that asks for one.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=PATIENCE)

    def _told(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(known.search(message.text) for known in NOT_OURS):
            self.problems.append(f"{message.text} ({message.location.get('url', '')})")

    def run_all(self) -> None:
        """Run all cells from the menu and wait until the last one has a number, or one has failed."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.page.wait_for_function(_ALL_RAN, timeout=LONG_PATIENCE)

    def cell(self, text: str, *, index: int = 0) -> Locator:
        """The code cell whose source holds *text*."""
        editor = self.page.locator(".jp-InputArea-editor", has_text=text)
        return self.page.locator(".jp-Notebook .jp-CodeCell").filter(has=editor).nth(index)

    def exercise_cell(self, exercise: str, role: str) -> Locator:
        """The cell of an exercise that is its "starter" or its "check", as the notebook's metadata says."""
        index = self.page.evaluate(_FIND_CELL, [exercise, role])
        assert index >= 0, f"{exercise} has no {role} cell"
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def source(self, cell: Locator) -> str:
        """The whole source of a cell; its editor draws only the lines in view."""
        cells = self.page.locator(".jp-Notebook .jp-Cell")
        index = cells.evaluate_all("(all, one) => all.indexOf(one)", cell.element_handle())
        return str(self.page.evaluate(_SOURCE, index))

    def widgets(self) -> tuple[int, list[str]]:
        """How many widgets the kernel sent to be displayed, and the text of each that is on the page and visible."""
        shown = self.page.locator(WIDGETS)
        texts = [each.inner_text() for each in shown.all() if each.is_visible()]
        return int(self.page.evaluate(_WIDGETS_SENT, _WIDGET)), texts

    def end_kernels(self) -> None:
        """Shut down the server's kernels, which end what their cells started."""
        self.page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")

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
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name, timeout=PATIENCE)

    def axe(self) -> tuple[set[str], list[str]]:
        """What axe-core says of the course's own parts: the rules that were kept, and each violation in a line."""
        # axe takes all that a body without height "hides" as invisible, and would not look at its colours.
        self.page.add_style_tag(content="body { overflow: visible !important; }")
        here = [each for each in OURS if self.page.locator(each).count()]
        options = {"resultTypes": ["violations"], "rules": {rule: {"enabled": False} for rule in JUPYTERLABS_OWN}}
        found = Axe().run(self.page, {"include": [[each] for each in here]}, options).response
        told = [
            f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
        return {rule["id"] for rule in found["passes"]}, told

    def picture(self, path: Path, element: Locator | None = None) -> None:
        """Take a screenshot of the page, or of one element."""
        (element or self.page).screenshot(path=path)
