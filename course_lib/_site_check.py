"""Is a site whole? Each page is read as a browser would, and each link, anchor, picture and resource is followed."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_CODE = frozenset({"pre", "code", "script", "style", "textarea", "title"})
#: A paragraph ends where one of these begins, whatever the page says: https://html.spec.whatwg.org/#the-p-element
_NOT_IN_P = frozenset(
    {"address", "article", "aside", "details", "div", "dl", "fieldset", "figure", "footer", "form", "header", "hr"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "main", "nav", "ol", "p", "pre", "section", "table", "ul"}
)
_LOADED = {"script": "src", "link": "href", "img": "src", "source": "src", "iframe": "src", "object": "data",
           "embed": "src", "video": "src", "audio": "src", "track": "src", "use": "href", "input": "src"}  # fmt: skip
_LOADING_CSS = re.compile(r"@import|url\(\s*['\"]?(?!data:)", re.IGNORECASE)
_LEFT_OVER = {
    "MyST": re.compile(r"\{[a-z][a-z-]*\}`|\{code-cell\}|^:::|^\+\+\+|^```|^---$", re.MULTILINE),
    "Markdown": re.compile(r"\]\(|!\[|^#{1,6} \S", re.MULTILINE),
    "HTML": re.compile(r"</[a-z]+>|<(?:a|b|br|code|details|div|em|i|img|kbd|p|span|strong|summary|table)\b[^<>]*>"),
}


@dataclass
class _Reader(HTMLParser):
    """What one page holds and where it leads."""

    page: str
    problems: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def say(self, text: str) -> None:
        line, column = self.getpos()
        self.problems.append(f"{self.page}:{line}:{column + 1}: {text}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if len(values) < len(attrs):
            self.say(f"<{tag}> has an attribute twice.")
        if tag in _NOT_IN_P and "p" in self.open:
            self.say(f"<{tag}> stands in a paragraph.")
        if tag not in _VOID:
            self.open.append(tag)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if name := values.get("id"):
            self.ids.append(name)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "form":
            self.links.append(values.get("action", ""))
        if tag == "img" and not values.get("alt", "").strip():
            self.say("a picture has no alt text.")
        if tag == "html" and not values.get("lang"):
            self.say("the page does not name its language.")
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self._note_loaded(tag, values)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def _note_loaded(self, tag: str, values: dict[str, str]) -> None:
        if (source := values.get(_LOADED.get(tag, ""))) is not None:
            self.loaded.append(source)
        elif tag == "script":
            self.say("a script stands in the page itself.")
        if "srcset" in values:
            self.loaded += [part.split()[0] for part in values["srcset"].split(",") if part.strip()]
        if _LOADING_CSS.search(values.get("style", "")):
            self.say("a style loads something.")
        for name in values:
            if name.startswith("on"):
                self.say(f"<{tag}> has a script in {name}.")

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            self.say(f"</{tag}> closes what is never open.")
        elif not self.open or self.open[-1] != tag:
            self.say(f"</{tag}> closes <{self.open[-1] if self.open else 'nothing'}>.")
            if tag in self.open:
                while self.open.pop() != tag:
                    pass
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open and _LOADING_CSS.search(data):
            self.say("a style loads something.")
        self.prose.append("\0" if _CODE.intersection(self.open) else data)

    def finish(self) -> None:
        """Judge the page as a whole."""
        self.close()
        for tag in self.open:
            self.problems.append(f"{self.page}: <{tag}> is never closed.")
        for tag in ("h1", "main", "title"):
            if self.counts.get(tag) != 1:
                self.problems.append(f"{self.page}: it has {self.counts.get(tag, 0)} <{tag}>, and has to have one.")
        for above, level in zip(self.levels, self.levels[1:], strict=False):
            if level > above + 1:
                self.problems.append(f"{self.page}: a heading of level {level} follows one of level {above}.")
        for name in sorted({name for name in self.ids if self.ids.count(name) > 1}):
            self.problems.append(f"{self.page}: the id {name} occurs twice.")
        for what, pattern in _LEFT_OVER.items():
            if found := pattern.search("".join(self.prose)):
                self.problems.append(f"{self.page}: {what} is left over: {found.group()!r}.")


def problems(folder: Path) -> list[str]:
    """Return what is wrong with a site, one line each; an empty list when nothing is.

    Looked for: broken HTML, links and anchors that lead nowhere, pictures without alt text, anything that would be
    loaded from elsewhere, and markup that was not rendered.

    Args:
        folder: The site.
    """
    pages: dict[str, _Reader] = {}
    found: list[str] = []
    for path in sorted(folder.rglob("*.html")):
        name = path.relative_to(folder).as_posix()
        reader = pages[name] = _Reader(name)
        reader.feed(path.read_text(encoding="utf-8"))
        reader.finish()
        found += reader.problems
    for path in sorted(folder.rglob("*.css")):
        if _LOADING_CSS.search(path.read_text(encoding="utf-8")):
            found.append(f"{path.name}: it loads something.")
    for name, page in pages.items():
        found += [f"{name}: {said}" for address in page.links if (said := _follow(address, name, pages, folder))]
        found += [f"{name}: {said}" for address in page.loaded if (said := _load(address, name, folder))]
    return found if pages else [f"There is no page in {folder}."]


def _follow(address: str, name: str, pages: dict[str, _Reader], folder: Path) -> str | None:
    parts = urlsplit(address)
    if parts.scheme in ("http", "https", "mailto"):
        return None
    if parts.scheme or parts.netloc or parts.path.startswith("/"):
        return f"the link to {address} leads out of the site."
    target = (Path(name).parent / unquote(parts.path)).as_posix() if parts.path else name
    if target not in pages:
        return None if (folder / target).is_file() else f"the link to {address} leads to no page."
    if parts.fragment and not {parts.fragment, unquote(parts.fragment)}.intersection(pages[target].ids):
        return f"the link to {address} leads to no heading of that page."
    return None


def _load(address: str, name: str, folder: Path) -> str | None:
    parts = urlsplit(address)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc or parts.path.startswith("/"):
        return f"{address} would be loaded from elsewhere."
    return None if (folder / Path(name).parent / unquote(parts.path)).is_file() else f"{address} is missing."
