"""One notebook becomes the body of one page: nbconvert renders its cells, the rest is fitted to the site here."""

import struct
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, NavigableString, PageElement
from nbconvert.exporters import TemplateExporter
from nbformat import NotebookNode, v4
from pygments.lexers import get_lexer_for_filename  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]
from traitlets.config import Config

from course_lib._build_run import CellFailure, private_patterns, refuse_leaks
from course_lib._site_links import README, README_PAGE, Links, SiteError
from course_lib.lessons import Lesson, cell_source

TEMPLATES = Path(__file__).with_name("_site_template")
#: What can be shown without a kernel, the best first. A live widget is none of them: its text stands for it.
SHOWN = ("image/png", "text/html", "text/markdown", "text/plain")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = frozenset({*_HEADINGS, "p", "li", "pre", "td", "th", "caption", "div", "summary", "br", "dt", "dd"})
_NOT_SEARCHED = frozenset({"solution", "verdict", "label"})
_NEW: Any = v4  # its functions carry no annotations


@dataclass(frozen=True)
class Section:
    """What stands under one heading, up to the next.

    Args:
        level: The heading's level, from 1.
        anchor: The heading's id; empty for the page's title.
        heading: Its text.
        text: What can be searched: no solution, and nothing that a check says of one.
        exercise: The id of the exercise that it sets, or None.
    """

    level: int
    anchor: str
    heading: str
    text: str
    exercise: str | None = None


@dataclass(frozen=True)
class Page:
    """One page of the site.

    Args:
        name: Its file.
        title: The text of its H1.
        body: Its content as HTML.
        promise: What stands under the title up to the first bold line or heading, as HTML.
        sections: All its sections, the title's first.
        pictures: The pictures in it, by their file.
        lesson: The lesson that it shows, or None.
    """

    name: str
    title: str
    body: str
    promise: str
    sections: tuple[Section, ...]
    pictures: dict[str, bytes]
    lesson: Lesson | None = None

    @property
    def exercises(self) -> tuple[Section, ...]:
        """The sections that set an exercise."""
        return tuple(section for section in self.sections if section.exercise)


def lesson_page(lesson: Lesson, root: Path, links: Links) -> Page:
    """Return the page of one lesson, from its executed notebook.

    Args:
        lesson: The lesson.
        root: The course's folder.
        links: Where links lead.

    Raises:
        SiteError: the notebook is missing or broken, holds something private, or can't be shown whole.
    """
    place = f"solutions/{lesson.name}.ipynb"
    notebook = _read(root / place, place)
    # The site has its own way to the neighbouring lessons, above the page's end.
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != "navigation"]
    try:
        refuse_leaks(notebook, private_patterns(root, TEMPLATES.parent.parent))
    except CellFailure as failure:
        raise SiteError(f"{place}, cell {failure.index + 1}: {failure}") from failure
    for number, cell in enumerate(notebook.cells, start=1):
        _prepare(cell, f"{place}, cell {number}")
    return _page(notebook, f"{lesson.name}.html", place, links, lesson)


def readme_page(root: Path, links: Links) -> Page:
    """Return the README as a page.

    Raises:
        SiteError: there is none, or a link in it leads to nothing.
    """
    try:
        text = (root / README).read_text(encoding="utf-8")
    except OSError as error:
        raise SiteError(f"{README} can't be read: {error.strerror}. The site takes its title from it.") from error
    return _page(_NEW.new_notebook(cells=[_NEW.new_markdown_cell(text)]), README_PAGE, README, links)


def source_page(path: str, name: str, root: Path, links: Links) -> Page:
    """Return a page with the text of one file of the course.

    Args:
        path: The file, from the root.
        name: The page's file.
        root: The course's folder.
        links: Where links lead.

    Raises:
        SiteError: the file is not text.
    """
    try:
        text = (root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: a lesson or the README links to it, but it can't be shown as text.") from error
    try:
        language = get_lexer_for_filename(path).aliases[0]
    except (ClassNotFound, IndexError):
        language = "text"
    fence = "`" * max(3, 1 + max((len(run) for run in _runs(text, "`")), default=0))
    cell = _NEW.new_markdown_cell(f"# `{path}`\n\n{fence}{language}\n{text.rstrip()}\n{fence}")
    return _page(_NEW.new_notebook(cells=[cell]), name, path, links)


def _runs(text: str, character: str) -> Iterator[str]:
    return (run for run in "".join(each if each == character else " " for each in text).split())


def _read(path: Path, place: str) -> NotebookNode:
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except FileNotFoundError as error:
        raise SiteError(f"{place} is missing. Run `make notebooks`.") from error
    except (OSError, ValueError) as error:
        raise SiteError(f"{place} can't be read as a notebook. Run `make notebooks`.") from error
    return notebook


def _prepare(cell: NotebookNode, place: str) -> None:
    """Give a cell what the template needs; raise SiteError for what a page can't show."""
    if cell.metadata.get("role") == "solution":
        starter = cell_source(cell.metadata["exercise"], "starter")
        if starter is None:
            raise SiteError(f"{place}: exercise {cell.metadata['exercise']} has no starter. Run `make notebooks`.")
        cell.metadata["starter"] = starter
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            raise SiteError(f"{place}: it ended in {output.ename}. Mend the lesson and run `make notebooks`.")
        if output.output_type == "stream":
            continue
        kind = next((kind for kind in SHOWN if kind in output.data), None)
        if kind is None:
            raise SiteError(f"{place}: an output has no text, HTML or PNG. Give its object a `text/plain`.")
        if kind == "image/png":
            about = output.metadata.setdefault("image/png", {})
            if not str(about.get("alt") or "").strip():
                raise SiteError(f"{place}: a picture has no alt text. Give its output the metadata `alt`.")
            about.setdefault("width", _png_size(output.data[kind])[0])
            about.setdefault("height", _png_size(output.data[kind])[1])


def _png_size(encoded: str) -> tuple[int, int]:
    """Return width and height in pixels, from the header: https://www.w3.org/TR/png-3/#11IHDR."""
    width, height = struct.unpack(">II", b64decode(encoded)[16:24])
    return width, height


class _CellExporter(TemplateExporter):
    """nbconvert's walk through the cells with our template. Its HTMLExporter reads each page again to mend it."""

    output_mimetype = "text/html"
    file_extension = ".html"


@cache
def _exporter() -> _CellExporter:
    config = Config()
    config.NbConvertBase.display_data_priority = list(SHOWN)
    config.ExtractOutputPreprocessor.enabled = True
    config.ExtractOutputPreprocessor.extract_output_types = {"image/png"}
    return _CellExporter(  # type: ignore[no-untyped-call]
        config=config, template_name=TEMPLATES.name, extra_template_basedirs=[str(TEMPLATES.parent)]
    )


def _page(notebook: NotebookNode, name: str, place: str, links: Links, lesson: Lesson | None = None) -> Page:
    resources = {"unique_key": Path(name).stem, "output_files_dir": "pictures"}
    html, used = _exporter().from_notebook_node(notebook, resources=resources)
    soup = BeautifulSoup(html, "html.parser")
    links.rewrite(soup, place.replace("solutions/", "notebooks/"))
    titles = soup.find_all("h1")
    if len(titles) != 1:
        raise SiteError(f"{place}: it has {len(titles)} headings of level 1. A page has one.")
    _name_headings(soup)
    _fit_tables(soup)
    return Page(
        name=name,
        title=_text(titles[0]),
        promise=_promise(titles[0]),
        sections=tuple(_sections(soup, lesson)),
        pictures=dict(used.get("outputs") or {}),
        lesson=lesson,
        body=str(soup).strip(),
    )


def _name_headings(soup: BeautifulSoup) -> None:
    """Give each heading an id of its own, the one that JupyterLab gives it, and no link inside of it."""
    taken: set[str] = set()
    for heading in soup.find_all(_HEADINGS):
        for link in heading.find_all("a", class_="anchor-link"):
            link.decompose()
        wanted = str(heading.get("id") or _text(heading).replace(" ", "-"))
        name, count = wanted, 1
        while name in taken:
            count += 1
            name = f"{wanted}-{count}"
        taken.add(name)
        heading["id"] = name


def _fit_tables(soup: BeautifulSoup) -> None:
    """Let each table scroll by itself where it is wider than the page."""
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "scroll"}))


def _promise(title: Tag) -> str:
    promise = title.find_next_sibling("p")
    return promise.decode_contents() if promise is not None else ""


def _sections(soup: BeautifulSoup, lesson: Lesson | None) -> Iterator[Section]:
    heading: Tag | None = None
    parts: list[str] = []
    for child in [*soup.children, None]:
        starts = isinstance(child, Tag) and child.name in _HEADINGS
        if (starts or child is None) and heading is not None:
            yield _section(heading, parts, lesson)
        if starts:
            heading, parts = child, []  # type: ignore[assignment]
        elif child is not None:
            parts.append(_text(child))


def _section(heading: Tag, parts: list[str], lesson: Lesson | None) -> Section:
    level, text = int(heading.name[1]), _text(heading)
    ids = lesson.exercises if lesson is not None else ()
    return Section(
        level=level,
        anchor="" if level == 1 else str(heading["id"]),
        heading=text,
        text=" ".join(" ".join(parts).split()),
        exercise=next((each for each in ids if text.startswith(f"Exercise {each}:")), None),
    )


def _text(node: PageElement) -> str:
    """Return what can be read in an element, without solutions, on one line."""
    return " ".join(_raw_text(node).split())


def _raw_text(node: PageElement) -> str:
    if isinstance(node, NavigableString):
        return "" if isinstance(node, Comment) else str(node)
    if not isinstance(node, Tag) or _NOT_SEARCHED.intersection(node.get_attribute_list("class")):
        return ""
    inner = "".join(_raw_text(child) for child in node.children)
    return f" {inner} " if node.name in _BLOCKS else inner
