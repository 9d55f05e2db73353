"""Does each lesson keep to its template, and render alike wherever it is opened?"""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from conventions import (
    CLOSING,
    EMPTY_WORDS,
    EXERCISE_HEADING,
    NEED,
    OBJECTIVE_END,
    OBJECTIVES,
    PROJECT,
    TIME,
    lesson_names,
)
from markdown_it import MarkdownIt
from markdown_it.token import Token
from nbformat import NotebookNode

EACH_LESSON = pytest.mark.parametrize("name", lesson_names())
MARKDOWN = MarkdownIt("commonmark").enable("table")
ROLE_NAME = re.compile(r"\{[a-z][a-z:-]*\}$")
LOADS_CODE = {"script", "style", "iframe", "object", "embed", "link", "form"}


def cells(name: str) -> list[NotebookNode]:
    return nbformat.read(PROJECT / "solutions" / f"{name}.ipynb", as_version=4).cells


def blocks(name: str) -> list[Token]:
    """The blocks of all Markdown cells, in order."""
    return [token for cell in cells(name) if cell.cell_type == "markdown" for token in MARKDOWN.parse(cell.source)]


def headings(tokens: list[Token]) -> list[tuple[int, str]]:
    return [
        (int(token.tag[1]), text.content) for token, text in itertools.pairwise(tokens) if token.type == "heading_open"
    ]


def section(name: str, title: str) -> list[Token]:
    """The blocks below one H2, up to the next."""
    found: list[Token] = []
    inside = False
    tokens = blocks(name)
    for token, text in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and token.tag in ("h1", "h2") and text is not None:
            inside = text.content == title
        elif inside:
            found.append(token)
    return found


def inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in (token.children or [])]


def links(tokens: list[Token]) -> list[tuple[str, str]]:
    """Each Markdown link's target and words."""
    found, target, words = [], "", ""
    for token in inline(tokens):
        if token.type == "link_open":
            target, words = str(token.attrs["href"]), ""
        elif token.type == "link_close":
            found.append((target, words.strip()))
        else:
            words += token.content
    return found


class Tags(HTMLParser):
    """Collects the HTML tags in a lesson's Markdown."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def html_tags(tokens: list[Token]) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    for token in [*tokens, *inline(tokens)]:
        if token.type in ("html_block", "html_inline"):
            parser.feed(token.content)
    return parser.found


def test_there_is_prose() -> None:
    """Do the guards below have lessons to read?"""
    assert lesson_names()


@EACH_LESSON
def test_begins_with_promise_time_and_need(name: str) -> None:
    """Does the first cell say what the lesson is, promises, takes and needs?"""
    first = [token for token in MARKDOWN.parse(cells(name)[0].source) if token.type == "inline"]
    title, promise, time, need = (token.content for token in first[:4])
    assert headings(MARKDOWN.parse(cells(name)[0].source))[0] == (1, title)
    assert not title[0].isdigit()
    assert len(promise) > 20 and promise.endswith(".") and not promise.startswith("**")
    assert TIME.fullmatch(time)
    assert NEED.match(need)


@EACH_LESSON
def test_objectives_name_their_exercises(name: str) -> None:
    """Does each objective end with the exercise that proves it, and is each exercise named?"""
    bullets = [token.content for token in section(name, OBJECTIVES) if token.type == "inline"]
    assert any(token.type == "bullet_list_open" for token in section(name, OBJECTIVES))
    items, inside = [], False
    for token in section(name, OBJECTIVES):
        if token.type in ("list_item_open", "list_item_close"):
            inside = token.type == "list_item_open"
        elif token.type == "inline" and inside:
            items.append(token.content)
    assert items and bullets
    named: set[str] = set()
    for item in items:
        ending = OBJECTIVE_END.search(item)
        assert ending, item
        named.update(ending.group(1).split(", "))
    assert named == {cell.metadata.exercise for cell in cells(name) if "exercise" in cell.metadata}


@EACH_LESSON
def test_ends_with_the_closing_sections(name: str) -> None:
    """Are the closing sections there, in order and last, with a recap table and official links?"""
    titles = [text for level, text in headings(blocks(name)) if level == 2]
    assert titles[0] == OBJECTIVES
    assert tuple(titles[-len(CLOSING) :]) == CLOSING
    assert any(token.type == "table_open" for token in section(name, "Recap"))
    assert any(target.startswith("https://") for target, _ in links(section(name, "Further reading")))
    for title in CLOSING:
        assert any(token.type == "inline" for token in section(name, title)), f"{title} is empty"


@EACH_LESSON
def test_headings_are_in_order(name: str) -> None:
    """Is there one H1, at the top, no level left out, and no heading twice?"""
    found = headings(blocks(name))
    levels = [level for level, _ in found]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), found
    assert len({text for _, text in found}) == len(found), "a heading is there twice: links to it are ambiguous"


@EACH_LESSON
def test_each_exercise_has_its_heading(name: str) -> None:
    """Does a heading with the exercise's id stand between the exercise before it and its own answer cell?"""
    awaiting: list[str] = []
    for cell in cells(name):
        if cell.cell_type == "markdown":
            for level, text in headings(MARKDOWN.parse(cell.source)):
                if heading := EXERCISE_HEADING.match(text):
                    assert level in (2, 3)
                    awaiting.append(heading.group(1))
        elif cell.metadata.get("role") == "solution":
            assert awaiting == [cell.metadata.exercise]
            awaiting = []
    assert awaiting == []


@EACH_LESSON
def test_pictures_have_words(name: str) -> None:
    """Does every picture have alt text, and come from this repository?"""
    tokens = blocks(name)
    pictures = [(str(token.attrs["src"]), token.content) for token in inline(tokens) if token.type == "image"]
    pictures += [(attrs.get("src") or "", attrs.get("alt") or "") for tag, attrs in html_tags(tokens) if tag == "img"]
    for source, words in pictures:
        assert len(words.strip()) > 5, source
        if not source.startswith("data:image/"):
            assert not urlsplit(source).scheme and not source.startswith("//"), source
            assert (PROJECT / "notebooks" / unquote(source)).is_file(), source


@EACH_LESSON
def test_links_lead_somewhere_and_say_where(name: str) -> None:
    """Do internal links exist, are external ones https, and do all have meaningful words?"""
    found = links(blocks(name))
    assert found
    bare = [token.content for token in inline(blocks(name)) if token.type == "text" and "https://" in token.content]
    assert bare == [], "GitHub makes links of bare addresses: write [words](address), or put them in backticks"
    for target, words in found:
        assert len(words) > 3 and words.lower().rstrip(".") not in EMPTY_WORDS, (target, words)
        assert "://" not in words and not words.startswith("www."), words
        parts = urlsplit(target)
        if parts.scheme or target.startswith("//"):
            assert parts.scheme == "https" and parts.netloc, target
        elif parts.path:
            for folder in ("notebooks", "solutions"):
                assert (PROJECT / folder / unquote(parts.path)).exists(), target
        else:
            anchors = {text.replace(" ", "-") for _, text in headings(blocks(name))}
            assert unquote(parts.fragment) in anchors, target


@EACH_LESSON
def test_plain_markdown_only(name: str) -> None:
    """Is there nothing that only MyST renders, that loads code, or that sits in HTML links?"""
    tokens = blocks(name)
    assert not [token.info for token in tokens if token.type == "fence" and token.info.startswith("{")]
    assert not [token.content for token in tokens if token.type == "inline" and token.content.startswith(":::")]
    for before, after in zip(inline(tokens), inline(tokens)[1:], strict=False):
        assert not (after.type == "code_inline" and before.type == "text" and ROLE_NAME.search(before.content))
    tags = html_tags(blocks(name))
    assert not [tag for tag, _ in tags if tag in LOADS_CODE]
    assert not [attrs for _, attrs in tags if any(key == "style" or key.startswith("on") for key in attrs)]
    assert not [attrs for tag, attrs in tags if tag == "a"], "write links in Markdown"


@EACH_LESSON
def test_outputs_load_nothing(name: str) -> None:
    """Do stored outputs show without the network?"""
    for cell in cells(name):
        for output in cell.get("outputs", []):
            html = str(output.get("data", {}).get("text/html", ""))
            parser = Tags()
            parser.feed(html)
            assert not [attrs for tag, attrs in parser.found if tag in LOADS_CODE - {"style"}], cell.id
            loaded = [attrs.get("src") or "" for _, attrs in parser.found if "src" in attrs]
            assert all(source.startswith("data:") for source in loaded), cell.id


def test_the_authored_files_are_in_one_place() -> None:
    """Is every Markdown file in lessons/ a lesson?"""
    assert all(re.fullmatch(r"\d\d_[a-z_]+", name) for name in lesson_names())
    assert Path(PROJECT / "lessons").is_dir()
