"""Make the course as static pages: each lesson as it ran, a contents page and a search.

The pages can be opened from the file system and load nothing from anywhere. Titles, minutes and exercises are those of
the lessons. An exercise shows its starter; the solution is folded.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from course_lib import lessons
from course_lib._site_check import problems
from course_lib._site_folder import fresh_folder
from course_lib._site_links import Links, SiteError
from course_lib._site_pages import TEMPLATES, Page, lesson_page, readme_page, source_page

COPIED = ("style.css", "page.js", "search.js")
app = typer.Typer(add_completion=False)


def build_site(folder: Path, *, on_page: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Write the whole site into an empty folder.

    Args:
        folder: Where to write.
        on_page: Called with the number of lessons done and of all lessons.

    Returns:
        The number of pages.

    Raises:
        SiteError: a lesson can't be shown, or a page came out broken; the message names each place.
        FileNotFoundError: the course's folder was not found.
    """
    root, known = lessons.course_root(), lessons.lessons()
    if not known:
        raise SiteError(f"There are no lessons in {root / 'notebooks'}. Run `make notebooks`.")
    links = Links(root, frozenset(lesson.name for lesson in known))
    readme = readme_page(root, links)
    shown: list[Page] = []
    for lesson in known:
        on_page(len(shown), len(known))
        shown.append(lesson_page(lesson, root, links))
    on_page(len(shown), len(known))
    sources = [source_page(path, name, root, links) for path, name in sorted(links.sources.items())]
    _write(folder, shown, readme, sources, links)
    if found := problems(folder):
        raise SiteError("The pages are not in order:\n" + "\n".join(found))
    return len(list(folder.glob("*.html")))


def _write(folder: Path, shown: list[Page], readme: Page, sources: list[Page], links: Links) -> None:
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )

    def write(template: str, page: Page, **values: object) -> None:
        html = templates.get_template(template).render(course=readme.title, page=page, **values)
        (folder / page.name).write_text(html, encoding="utf-8")

    around = zip([None, *shown], shown, [*shown[1:], None], strict=False)
    for previous, page, following in around:
        write("page.html.j2", page, previous=previous, following=following)
    for page in (readme, *sources):
        write("page.html.j2", page)
    minutes = sum(page.lesson.minutes or 0 for page in shown if page.lesson)
    contents = Page("index.html", readme.title, "", "", (), {})
    write(
        "contents.html.j2",
        contents,
        lessons=shown,
        introduction=f"<p>{readme.promise}</p>",
        exercises=sum(len(page.lesson.exercises) for page in shown if page.lesson),
        minutes=minutes,
        hours=round(minutes / 60),
    )
    write("search.html.j2", Page("search.html", "Search", "", "", (), {}))
    (folder / "search-index.js").write_text(_index([*shown, readme]), encoding="utf-8")
    for name in COPIED:
        shutil.copyfile(TEMPLATES / name, folder / name)
    pictures = {name: data for page in (readme, *shown) for name, data in page.pictures.items()} | links.pictures
    for name, data in pictures.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def _index(pages: list[Page]) -> str:
    """Return the search's index as a script: a page from the file system may load one, but may not read a file."""
    index = {
        "pages": [{"name": page.name, "title": page.title} for page in pages],
        "sections": [
            [number, section.anchor, section.heading, section.text]
            for number, page in enumerate(pages)
            for section in page.sections
        ],
    }
    return f"window.courseIndex = {json.dumps(index, ensure_ascii=False, separators=(',', ':'))};\n"


def _build_with_bar(folder: Path, console: Console) -> int:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("lessons", total=None)
        return build_site(folder, on_page=lambda done, total: progress.update(bar, completed=done, total=total))


@app.command()
def main(
    output: Annotated[
        Path | None, typer.Option(help="The folder to make. It is replaced as a whole.", show_default="site")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Make the pages, look for dead links and the like, and keep nothing.")
    ] = False,
) -> None:
    """Make the course as static pages that open in a browser without a server."""
    console, errors = Console(highlight=False, markup=False), Console(stderr=True, highlight=False, markup=False)
    try:
        if check:
            with tempfile.TemporaryDirectory(prefix="course-site-") as scratch:
                count = _build_with_bar(Path(scratch), errors)
            console.print(f"{count} pages: every link leads somewhere, and nothing is loaded from elsewhere.")
            return
        place = Path.cwd() / output if output is not None else lessons.course_root() / "site"
        with fresh_folder(place) as folder:
            count = _build_with_bar(folder, errors)
    except (SiteError, FileNotFoundError) as error:
        errors.print(str(error), soft_wrap=True)
        raise typer.Exit(1) from error
    console.print(f"{count} pages. Open {place / 'index.html'} in a browser.", soft_wrap=True)


if __name__ == "__main__":
    app()
