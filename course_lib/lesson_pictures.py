"""Pictures of whole lessons in JupyterLab, light and dark, for people to look at: one tall PNG each.

All cells are run first. `python -m course_lib.lesson_pictures FOLDER` takes all lessons, or those that are named.
"""

import io
import signal
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, ViewportSize, expect

from course_lib.lessons import Lesson, lessons
from course_lib.pictures import Notebook, PictureError, find_chromium, running_browser, running_jupyterlab

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
_VIEW: ViewportSize = {"width": 1100, "height": 4000}  # as tall as JupyterLab draws without trouble
_PATIENCE = 900_000  # milliseconds, for all cells of a lesson; the machine may be slow and busy
_SETTLED = 500  # milliseconds: what a new theme or a scrolled page still draws
_ALL_RAN = """
() => {
  const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].map(each => each.innerText);
  const failed = document.querySelector("[data-mime-type='application/vnd.jupyter.error']");
  return prompts.every(each => !each.includes("*")) && (failed || /\\d/.test(prompts.at(-1)));
}
"""
_AREA = "document.querySelector('.jp-WindowedPanel-outer')"
app = typer.Typer(add_completion=False)


def take_lessons(
    folder: Path, chosen: list[Lesson], *, tell: Callable[[str], None] = lambda line: None
) -> list[tuple[Path, int]]:
    """Run each lesson and take it in both themes.

    Args:
        folder: Where the pictures go; made if it is not there.
        chosen: The lessons.
        tell: Called with a line before each lesson.

    Returns:
        Each file, with its height in pixels.

    Raises:
        PictureError: there is no browser, JupyterLab did not start, or a cell failed.
    """
    path = find_chromium()
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="course-pictures-")))
        address, browser = stack.enter_context(running_jupyterlab(home)), stack.enter_context(running_browser(path))
        for number, lesson in enumerate(chosen, 1):
            tell(f"{number} of {len(chosen)}: {lesson.name}")
            page = browser.new_page(viewport=_VIEW)
            Notebook(page, address.format(lesson.name))
            page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
            page.wait_for_function(_ALL_RAN, timeout=_PATIENCE)
            failures = page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()
            if failures:
                raise PictureError(f"A cell of {lesson.name} failed:\n{failures[0]}")
            for name, theme in THEMES.items():
                page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
                expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme, timeout=_PATIENCE)
                file = folder / f"{lesson.name}-{name}.png"
                made.append((file, _take(page, file)))
            page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
            page.close()
    return made


def _take(page: Page, file: Path) -> int:
    """Take the whole notebook, part by part, and put the parts below each other; returns the height in pixels."""
    whole, seen = page.evaluate(f"(({{ scrollHeight, clientHeight }}) => [scrollHeight, clientHeight])({_AREA})")
    box = page.locator(".jp-WindowedPanel-outer").bounding_box()
    if box is None:
        raise PictureError("The notebook is not on the page. Try again.")
    picture = Image.new("RGB", (round(box["width"]), whole))
    for top in range(0, whole, seen):
        at = min(top, max(0, whole - seen))  # the last part overlaps the one before it
        page.evaluate(f"top => {{ {_AREA}.scrollTop = top }}", at)
        page.wait_for_timeout(_SETTLED)
        part = page.screenshot(clip={**box, "height": min(seen, whole)})
        picture.paste(Image.open(io.BytesIO(part)), (0, at))
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG")
    return picture.height


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="LESSON", help="02, or 02_url_conversion.")] = None,
) -> None:
    """Run each lesson in JupyterLab, and take a picture of it in the light and in the dark theme."""
    known = lessons()
    chosen = [each for each in known if not names or {each.name, each.name[:2]} & set(names)]
    wrong = [name for name in names or [] if not any(name in (each.name, each.name[:2]) for each in known)]
    if wrong:
        raise typer.BadParameter(f"There is no lesson {wrong[0]!r}. Lessons: {', '.join(each.name for each in known)}.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started ends too
    try:
        made = take_lessons(folder, chosen, tell=lambda line: typer.echo(line, err=True))
    except KeyboardInterrupt:
        typer.echo("Interrupted. The pictures that were taken are kept.", err=True)
        raise typer.Exit(130) from None
    except (PictureError, PlaywrightError, AssertionError, OSError) as error:
        typer.echo(str(error).partition("Aria snapshot")[0], err=True)  # that is the whole page, in hundreds of lines
        raise typer.Exit(1) from None
    for file, height in made:
        typer.echo(f"{file.name}: {height} pixels tall, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    app()
