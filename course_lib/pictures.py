"""Make the pictures of the README from the running course: real JupyterLab, real lessons, the system's Chromium.

Each picture is taken of a lesson's own cells, as a reader would see them. What it shows is the same each time; the
numbers in it are those of the run. The files are replaced together, and only when all have come out well.
"""

import base64
import io
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import typer
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from course_lib.lessons import course_root

LARGEST = 200_000  # bytes: a README is read on slow lines too
_PATIENCE = 90_000  # milliseconds; the machine may be slow and busy
_START_SECONDS = 60
_END_SECONDS = 20
_MARGIN = 4  # pixels of the page around what is shown
_TRIES = 40
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Nothing outside of this machine is asked for, by whatever part of the browser.
_OPTIONS = ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
_VIEW: ViewportSize = {"width": 960, "height": 1400}  # taken at twice its size, for sharp letters
# An answer to exercise 04.3 that misunderstands one of the numbers.
_ANSWER = '''\
def pool_snapshot(engine):
    """Return the pool's state in numbers of connections."""
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": pool.overflow(),
    }'''
app = typer.Typer(add_completion=False)


class PictureError(Exception):
    """A picture can't be made; the message says what happened and what to do."""


class Notebook:
    """A lesson, open in JupyterLab: a page of the browser, and the lesson's address."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.set_default_timeout(_PATIENCE)
        page.goto(address)
        # Cells that run before the kernel is there open a dialog that asks for one.
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=_PATIENCE)
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
        page.add_style_tag(content=".jp-cell-toolbar { display: none !important; }")

    def cell(self, text: str) -> Locator:
        """Return the first code cell whose source holds this text."""
        editor = self.page.locator(".jp-InputArea-editor", has_text=text)
        return self.page.locator(".jp-Notebook .jp-CodeCell").filter(has=editor).first

    def run(self, text: str) -> Locator:
        """Run the first cell that holds this text, wait for its end, and return its output.

        Raises:
            PictureError: the cell failed.
        """
        cell = self.cell(text)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=_PATIENCE)
        failure = cell.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
        if failure.count():
            raise PictureError(f"The cell with {text!r} failed:\n{failure.first.inner_text()}")
        return cell.locator(".jp-OutputArea").first

    def picture(self, *parts: Locator) -> bytes:
        """Take a PNG of these parts and of what lies between them."""
        self.page.mouse.move(0, 0)
        parts[0].evaluate("node => node.scrollIntoView({block: 'center'})")
        boxes = [box for part in parts if (box := part.bounding_box())]
        left, top = (min(box[side] for box in boxes) - _MARGIN for side in ("x", "y"))
        right = max(box["x"] + box["width"] for box in boxes) + _MARGIN
        bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
        return self.page.screenshot(clip={"x": left, "y": top, "width": right - left, "height": bottom - top})


def pool_monitor(lesson: Notebook) -> bytes:
    """Lesson 04's monitor with more requests than its pool can serve, when the first have given up."""
    for text in ("from course_lib.pools.monitor import", "server = await PostgresServer.start("):
        lesson.run(text)
    root = lesson.run("monitor = PoolMonitor(").get_by_role("group", name="Pool monitor")
    for slider, steps in (("Concurrency", 12), ("Hold time", 16)):
        root.get_by_role("slider", name=slider).focus()
        for _ in range(steps):
            lesson.page.keyboard.press("ArrowRight")
    root.get_by_role("button").click()
    root.get_by_role("button").evaluate("node => node.blur()")
    expect(root.get_by_role("log").get_by_text("no connection within").nth(1)).to_be_visible(timeout=_PATIENCE)
    # A picture counts if the same is true before and after it.
    at_work = "root => [15, 5].join() === ['.cpm-chip', '.cpm-cell:is([data-state=U], [data-state=O])']"
    at_work += ".map(each => root.querySelectorAll(each).length).join()"
    for _ in range(_TRIES):
        before = root.evaluate(at_work)
        taken = lesson.picture(root)
        if before and root.evaluate(at_work):
            root.get_by_role("button").click()  # its load would slow the next picture down
            return taken
    raise PictureError("The monitor never showed 15 waiting requests. The machine may be too busy: try again.")


def feedback(lesson: Notebook) -> bytes:
    """Exercise 04.3 with a misunderstanding in the answer, and what its check says."""
    answer = lesson.cell("def pool_snapshot(")
    answer.locator(".cm-content").click()
    lesson.page.keyboard.press("Control+A")
    lesson.page.keyboard.insert_text(_ANSWER)
    lesson.run("def pool_snapshot(")
    told = lesson.run("await q3.check(pool_snapshot)")
    expect(told).to_contain_text(re.compile("Not yet.*starts at minus", re.DOTALL))
    return lesson.picture(answer.locator(".jp-InputArea-editor"), told.locator(".jp-OutputArea-output"))


def leak_timeline(lesson: Notebook) -> bytes:
    """Lesson 05's first chart, as the lesson drew it: two leaks, and everybody after them times out."""
    for text in ("from course_lib.pools.workload", "server = await PostgresServer.start(", "guess_leak = predict("):
        lesson.run(text)
    source = lesson.run("found = await leaked_session(").locator("img").first.get_attribute("src") or ""
    return base64.b64decode(source.partition(",")[2])


# The file, the lesson, and who takes it there.
PICTURES: tuple[tuple[str, str, Callable[[Notebook], bytes]], ...] = (
    ("pool-monitor.png", "04_connection_pooling", pool_monitor),
    ("feedback.png", "04_connection_pooling", feedback),
    ("leak-timeline.png", "05_pool_exhaustion", leak_timeline),
)


def make_pictures(folder: Path, *, tell: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Take all pictures, then put them into a folder.

    Args:
        folder: Where they go; made if it is not there.
        tell: Called with a line before each step.

    Returns:
        The files.

    Raises:
        PictureError: there is no browser, JupyterLab did not start, a cell failed, or a picture is too large.
        FileNotFoundError: the course's folder was not found.
    """
    path = find_chromium()
    taken, opened = dict[str, bytes](), dict[str, Notebook]()
    tell("starting JupyterLab and Chromium")
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="course-pictures-")))
        address, browser = stack.enter_context(running_jupyterlab(home)), stack.enter_context(running_browser(path))
        for number, (name, lesson, take) in enumerate(PICTURES, 1):
            tell(f"{number} of {len(PICTURES)}: {name}, from {lesson}")
            if lesson not in opened:
                page = browser.new_page(viewport=_VIEW, device_scale_factor=2)
                opened[lesson] = Notebook(page, address.format(lesson))
            taken[name] = smaller(take(opened[lesson]))
            if len(taken[name]) > LARGEST:
                raise PictureError(f"{name} has {len(taken[name]):,} bytes, more than {LARGEST:,}. Show less in it.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in taken.items():
        fresh = folder / f".{name}"
        fresh.write_bytes(data)
        fresh.replace(folder / name)
    return [folder / name for name in taken]


def smaller(png: bytes) -> bytes:
    """Return a PNG with at most 256 colours and without metadata."""
    kept = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def find_chromium() -> str:
    """Return where the system's Chromium is, or raise PictureError with what to do."""
    if path := next(filter(None, map(shutil.which, _BROWSERS)), None):
        return path
    raise PictureError("No Chromium was found. Install your system's package `chromium`, and try again.")


@contextmanager
def running_browser(path: str) -> Iterator[Browser]:
    """A headless Chromium, closed at the end."""
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=_OPTIONS) as chromium:
        yield chromium


@contextmanager
def running_jupyterlab(home: Path) -> Iterator[str]:
    """JupyterLab on loopback over a copy of the notebooks, with settings and progress of its own.

    Args:
        home: An empty folder for all that it writes.

    Yields:
        The address of a lesson, with {} for its name.

    Raises:
        PictureError: it did not start, with the end of its log.
    """
    root, token, log = course_root(), secrets.token_hex(16), home / "log"
    shutil.copytree(root / "notebooks", home / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # All cells stand in the page, also those below the window, so that they can be found.
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    own = {"COURSE_HOME", "COURSE_WORK", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"}
    environment = os.environ | {name: str(home / name) for name in own | {"JUPYTERLAB_WORKSPACES_DIR"}}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTER_TOKEN": token}
    environment |= {"COURSE_ROOT": str(root), "JUPYTER_CONFIG_PATH": str(root / "course_lib" / "jupyter")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{probe.getsockname()[1]}"
    options = {"ServerApp.ip": "127.0.0.1", "ServerApp.port": base.rpartition(":")[2], "ServerApp.port_retries": "0"}
    options |= {"ServerApp.root_dir": str(home / "notebooks"), "ServerApp.allow_root": "True"}
    options |= {"ServerApp.open_browser": "False", "LabApp.expose_app_in_browser": "True"}  # to fold the side bar away
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    with log.open("w") as output:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        # In a session of its own: Ctrl-C comes to this program alone, which then ends what it has started.
        process = subprocess.Popen(command, env=environment, start_new_session=True, **streams)
    try:
        _wait_until_up(f"{base}/api/status?token={token}", process, log)
        yield f"{base}/lab/tree/{{}}.ipynb?reset&token={token}"
    finally:
        process.terminate()  # it ends its kernels, and with them their servers
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(address: str, process: "subprocess.Popen[Any]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise PictureError(f"JupyterLab did not start within {_START_SECONDS} s:\n{log.read_text()[-2000:]}")


@app.command()
def main() -> None:
    """Take the pictures of the README from the running course and put them into pictures/."""

    interrupted: list[int] = []

    def end(number: int, frame: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)  # ending takes a moment, and must not be interrupted again
        logging.getLogger("asyncio").disabled = True  # the browser's driver is interrupted too, and would tell
        interrupted.append(number)
        raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)
    try:
        files = make_pictures(course_root() / "pictures", tell=lambda line: typer.echo(line, err=True))
    except (PictureError, PlaywrightError, AssertionError, OSError, KeyboardInterrupt) as error:
        # Ctrl-C reaches the browser as well, whose end may be told first.
        typer.echo("Interrupted. No picture was changed." if interrupted else str(error), err=True)
        raise typer.Exit(130 if interrupted else 1) from None
    for file in files:
        typer.echo(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    app()
