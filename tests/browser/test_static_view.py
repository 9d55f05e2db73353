"""What stands in the stored notebooks where no widget and no JupyterLab is: VS Code, the classic notebook, GitHub."""

import base64
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from nbformat import NotebookNode
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path for folder in ("notebooks", "solutions") for path in (ROOT / folder).glob("*.ipynb"))
EACH_NOTEBOOK = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[f"{each.parent.name}/{each.stem}" for each in NOTEBOOKS]
)
# MyST's own: directives as fences of colons or of backticks, roles, targets, comments, substitutions and front matter.
MYST = {
    "directive": re.compile(r"^\s*(?::{3,}|`{3,}\s*\{)", re.MULTILINE),
    "role": re.compile(r"\{[a-z][a-z:_-]*\}`[^`]"),
    "target": re.compile(r"^\([\w-]+\)=\s*$", re.MULTILINE),
    "comment": re.compile(r"^%", re.MULTILINE),
    "cell break": re.compile(r"^\+\+\+", re.MULTILINE),
    "substitution": re.compile(r"\{\{.*?\}\}"),
    "option": re.compile(r"^:[a-z-]+:\s", re.MULTILINE),
}
# GitHub and VS Code keep these in Markdown, and JupyterLab's sanitizer too.
KEPT_TAGS = {"details", "summary", "kbd", "br", "sub", "sup", "code"}
# Attributes that leave nothing behind where they are stripped.
KEPT_ATTRIBUTES = {"open"}
# Outputs in HTML hold no script, style sheet, frame or vector picture, which renderers cut out.
OUTPUT_TAGS = {
    *("a", "b", "br", "caption", "code", "div", "em", "i", "p", "pre", "span", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr"),
}
LEAST_WORDS = 8
# Captions of tables that the sentence before them has introduced.
TABLE_NAME = re.compile(r"\s*(This machine|Your progress)")


@cache
def read(path: Path) -> NotebookNode:
    """A stored notebook."""
    return nbformat.read(path, 4)


def outputs(path: Path, kind: str) -> Iterator[tuple[str, NotebookNode]]:
    """Each stored output of this kind, with the place where it stands."""
    for number, cell in enumerate(read(path).cells):
        for output in cell.get("outputs", []):
            if kind in output.get("data", {}):
                yield f"{path.parent.name}/{path.stem}, cell {number}", output


def prose(path: Path) -> Iterator[tuple[str, str]]:
    """The text of each Markdown cell, with the place where it stands."""
    for number, cell in enumerate(read(path).cells):
        if cell.cell_type == "markdown":
            yield f"{path.parent.name}/{path.stem}, cell {number}", cell.source


def words(text: str) -> list[str]:
    """The words and numbers of a text; signs between them may differ."""
    return re.findall(r"\w+", text)


def without_code(source: str) -> str:
    """A Markdown text without its code, in which anything may stand."""
    lines = source.splitlines()
    for token in MarkdownIt("commonmark").parse(source):
        if token.type in ("fence", "code_block") and token.map and not token.info.startswith("{"):
            lines[slice(*token.map)] = [""] * (token.map[1] - token.map[0])
    return re.sub(r"(?<![`}])(`{1,2})(?!`).+?(?<!`)\1(?!`)", "", "\n".join(lines), flags=re.DOTALL)


def test_there_is_something_to_look_at() -> None:
    """Thirteen lessons twice, hundreds of texts, and outputs of both kinds?"""
    assert len(NOTEBOOKS) == 26
    assert sum(1 for path in NOTEBOOKS for _ in prose(path)) > 500
    assert sum(1 for path in NOTEBOOKS for _ in outputs(path, "text/html")) > 100
    assert sum(1 for path in NOTEBOOKS for _ in outputs(path, "image/png")) > 10


@EACH_NOTEBOOK
def test_no_myst_is_left(path: Path) -> None:
    """Does each text consist of what every renderer of Markdown knows?"""
    found = [
        f"{where}: {name} {match[0]!r}"
        for where, source in prose(path)
        for name, pattern in MYST.items()
        if (match := pattern.search(without_code(source)))
    ]
    assert found == []


@pytest.mark.parametrize(
    "left",
    [
        *("::: {note}\nText\n:::", "```{note}\nText\n```", "````{tip} A\nText\n````", "See {doc}`02_url`.", "(place)="),
        *("% a comment", "+++", "{{ name }}", ":class: wide\n"),
    ],
)
def test_the_guard_would_see_it(left: str) -> None:
    """Does each form of MyST get caught, also between paragraphs?"""
    source = without_code(f"A text with `code`.\n\n{left}\n\nMore.")
    assert any(pattern.search(source) for pattern in MYST.values())


@EACH_NOTEBOOK
def test_markdown_holds_only_html_that_renderers_keep(path: Path) -> None:
    """Is each tag in the prose one that GitHub, VS Code and the classic notebook show, and is each closed?"""
    for where, source in prose(path):
        text = without_code(source)
        page = BeautifulSoup(text, "html.parser")
        for tag in page.find_all(True):
            assert tag.name in KEPT_TAGS, f"{where}: <{tag.name}>"
            assert set(tag.attrs) <= KEPT_ATTRIBUTES, f"{where}: {tag.attrs}"
            if tag.name != "br":
                opened, closed = text.count(f"<{tag.name}"), text.count(f"</{tag.name}>")
                assert opened == closed, f"{where}: <{tag.name}>"
        for detail in page.find_all("details"):
            assert detail.find("summary"), f"{where}: details without a summary"


@EACH_NOTEBOOK
def test_pictures_in_markdown_say_what_they_show(path: Path) -> None:
    """Does each picture in the prose have an alternative text of some words?"""
    for where, source in prose(path):
        for token in MarkdownIt("commonmark").parse(source):
            for child in token.children or []:
                if child.type == "image":
                    assert len(words(child.content)) >= LEAST_WORDS, f"{where}: {child.content!r}"


@EACH_NOTEBOOK
def test_html_outputs_say_the_same_as_text(path: Path) -> None:
    """Where HTML is not shown, is no word lost? And does it hold only what renderers keep?"""
    for where, output in outputs(path, "text/html"):
        page = BeautifulSoup(output.data["text/html"], "html.parser")
        tags = {tag.name for tag in page.find_all(True)}
        assert tags <= OUTPUT_TAGS, f"{where}: {tags - OUTPUT_TAGS}"
        for picture in page.find_all(role="img"):
            picture.string = picture["aria-label"]
        plain = words(output.data.get("text/plain", ""))
        shown = words(TABLE_NAME.sub("", page.get_text(" "), count=1))
        missing = [each for each in shown if each not in plain]
        assert missing == [], where


@EACH_NOTEBOOK
def test_picture_outputs_say_what_they_show(path: Path) -> None:
    """Does each picture have words that hold its numbers, and does the same text stand below it for everybody?"""
    cells = read(path).cells
    for where, output in outputs(path, "image/png"):
        plain, alternative = output.data["text/plain"], output.metadata["image/png"]["alt"]
        assert "<Figure" not in plain, where
        assert words(plain) == words(alternative), where
        assert len(words(plain)) >= LEAST_WORDS, where
        assert re.search(r"\d", plain), where
        beside = next(cell.outputs for cell in cells if output in cell.get("outputs", []))
        below = beside[beside.index(output) + 1].data["text/plain"]
        assert " ".join(words(plain)).endswith(" ".join(words(below))), where
        with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
            assert picture.width >= 600, where


@pytest.mark.parametrize("path", NOTEBOOKS[-13:], ids=lambda path: path.stem)
def test_each_stored_solution_is_correct(path: Path) -> None:
    """Was each solution found right when the outputs were stored? A build on a busy machine may say "Not yet"."""
    checks = [cell for cell in read(path).cells if cell.metadata.get("role") == "check"]
    shown = [output for cell in checks for output in cell.outputs if "data" in output]
    said = [output.data["text/plain"].partition("\n")[0] for output in shown]
    assert said == ["✔ Correct"] * len(checks)
