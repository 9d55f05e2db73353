"""The live monitor in JupyterLab: driven from the keyboard, and compared with what PostgreSQL says."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from notebook_page import PATIENCE, JupyterLab, NotebookPage
from playwright.sync_api import Browser, Locator, expect

NOTEBOOK = "monitor_test.ipynb"
CELLS = (
    """\
import asyncio
from course_lib.pools.monitor import PoolMonitor
from course_lib.pools.server_view import server_view
from course_lib.servers import PostgresServer
server = await PostgresServer.start(max_connections=20)""",
    """\
monitor = PoolMonitor(server.url, pool_size=2, max_overflow=0, timeout=0.5, concurrency=12, hold=0.3)
monitor""",
    """\
seen = [each for each in await server_view(server) if each.application_name == "pool monitor"]
print("PIDs", *sorted(each.pid for each in seen))
print("busy", sum(each.state in ("active", "idle in transaction") for each in seen))""",
    """\
await asyncio.sleep(2)
print("slept")""",
    """\
print("left", len(await server_view(server)), "tasks", sum("monitor" in t.get_name() for t in asyncio.all_tasks()))""",
    "await server.stop()",
)


# The least contrast between a text and what is behind it, over all texts of the monitor; WCAG 2.2, success criterion
# 1.4.3. Colours may be transparent, so they are laid over each other from the page up.
LEAST_CONTRAST = """
root => {
  const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = (top, below) => {
    const [r, g, b, a = 1] = top;
    return [r, g, b].map((value, index) => value * a + below[index] * (1 - a));
  };
  const luminance = colour => {
    const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.map(value => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    const layers = [];
    for (; node; node = node.parentElement) layers.unshift(parse(getComputedStyle(node).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const ratios = [...root.querySelectorAll("*")]
    .filter(node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()))
    .map(node => {
      const ground = behind(node);
      const ink = over(parse(getComputedStyle(node).color), ground);
      const [dark, light] = [luminance(ink), luminance(ground)].sort((one, other) => one - other);
      return (light + 0.05) / (dark + 0.05);
    });
  return [ratios.length, Math.min(...ratios)];
}
"""
# How wide the ring around the part with the focus is, its line, and whether it has the colour of the text.
FOCUS_RING = """
node => {
  const { outlineWidth, outlineStyle, outlineColor } = getComputedStyle(node);
  return [outlineWidth, outlineStyle, outlineColor === getComputedStyle(node.closest(".cpm")).color];
}
"""


class Face:
    """The monitor's parts on the page."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.button = root.get_by_role("button")
        self.spoken = root.get_by_role("status")
        self.log = root.get_by_role("log", name="Event log")

    def slider(self, name: str) -> Locator:
        """The slider with this label."""
        return self.root.get_by_role("slider", name=name)

    def counter(self, name: str) -> Locator:
        """The value beside a counter's name."""
        return self.root.locator(f"[data-row='{name}'] dd")

    def number(self, name: str) -> int:
        """The same as a number."""
        return int(self.counter(name).inner_text())

    def cells(self, state: str) -> Locator:
        """The slots in this state."""
        return self.root.locator(f".cpm-cell[data-state='{state}']")

    def pids(self) -> list[int]:
        """The backends' process IDs, as the slots show them."""
        shown = self.root.locator(".cpm-cell[data-pid]").all()
        return sorted(int(each.get_attribute("data-pid") or 0) for each in shown)


@pytest.fixture
def page(browser: Browser, jupyterlab: JupyterLab) -> Iterator[NotebookPage]:
    """A notebook with a monitor, all its cells run but the last."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, jupyterlab.folder / NOTEBOOK)
    opened = NotebookPage(browser, jupyterlab.address(NOTEBOOK))
    opened.run(opened.cell(CELLS[0].splitlines()[-1]))
    yield opened
    opened.run(opened.cell(CELLS[-1]))
    opened.page.close()


def numbers(output: Locator, name: str) -> list[int]:
    """The numbers in the line of the output that begins with this word."""
    found = re.search(rf"^{name}(.*)$", output.inner_text(), re.MULTILINE)
    assert found is not None, output.inner_text()
    return [int(each) for each in re.findall(r"\d+", found[1])]


def test_a_learner_drives_the_monitor_from_the_keyboard(page: NotebookPage, tmp_path: Path) -> None:
    """Slider, start, a queue that grows, time-outs, the server's own numbers beside it, both themes, stop."""
    showing = page.run(page.cell("monitor = PoolMonitor("))
    face = Face(showing.get_by_role("group", name="Pool monitor"))
    expect(face.button).to_have_text("▶ Start")
    expect(face.cells("")).to_have_count(2)

    size = face.slider("Pool size")
    size.focus()
    page.page.keyboard.press("ArrowLeft")
    expect(face.root.locator(".cpm-pool .cpm-title")).to_have_text("Pool: 1 slot")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    expect(size).to_have_attribute("aria-valuetext", "3")
    expect(face.cells("")).to_have_count(3)
    face.button.focus()
    page.page.keyboard.press("Enter")
    expect(face.button).to_have_text("■ Stop")

    expect(face.cells("U")).to_have_count(3)
    expect(face.root.locator(".cpm-waiting .cpm-title")).to_have_text("Waiting: 9")
    expect(face.root.locator(".cpm-chip")).to_have_count(9)
    expect(face.counter("timed out")).not_to_have_text("0")
    expect(face.log).to_contain_text("no connection within 0.5 s")

    output = page.run(page.cell("seen = ["))
    assert numbers(output, "PIDs") == face.pids()
    assert len(face.pids()) == 3
    assert numbers(output, "busy") == [face.cells("U").count()]

    # While a cell awaits, the picture goes on.
    waiting = page.cell("asyncio.sleep(2)")
    waiting.locator(".cm-content").click()
    page.page.keyboard.press("Control+Enter")
    prompt = waiting.locator(".jp-InputPrompt")
    expect(prompt).to_have_text("[*]:")
    before = face.number("served")
    expect(face.counter("served")).not_to_have_text(str(before))
    expect(prompt).to_have_text("[*]:", timeout=100)
    for theme in ("Light", "Dark"):
        page.use_theme(f"JupyterLab {theme}")
        expect(page.page.locator("#jupyterlab-splash")).to_have_count(0)
        page.picture(tmp_path / f"monitor-{theme.lower()}.png", face.root)
        for part in (face.button, size, face.log):
            part.focus()
            assert part.evaluate(FOCUS_RING) == ["3px", "solid", True]
        texts, contrast = face.root.evaluate(LEAST_CONTRAST)
        assert texts > 30
        assert contrast >= 4.5
    expect(waiting.locator(".jp-OutputArea")).to_contain_text("slept", timeout=PATIENCE)
    expect(face.spoken).to_contain_text("3 in use")  # it speaks every five seconds only, so this comes late

    face.button.focus()
    page.page.keyboard.press("Space")
    expect(face.button).to_have_text("▶ Start")
    expect(face.spoken).to_contain_text("Stopped.")
    assert face.number("timed out") > 0
    left = page.run(page.cell('print("left"'))
    assert numbers(left, "left") == [0, 0]
    assert page.error_outputs() == []
    assert page.problems == []
