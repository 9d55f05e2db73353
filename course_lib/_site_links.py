"""Where a lesson's links and pictures lead on the site."""

import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bs4 import BeautifulSoup, Tag

README = "README.md"
README_PAGE = "readme.html"
_LESSON = re.compile(r"(?:notebooks|solutions)/(\d\d_[a-z0-9_]+)\.ipynb")


class SiteError(Exception):
    """The site can't be made; the message says what is wrong, where, and what to do."""


@dataclass
class Links:
    """The files of the course that pages point to; collected while the pages are made.

    Args:
        root: The course's folder.
        lessons: The names of all lessons, such as "02_url_conversion".
    """

    root: Path
    lessons: frozenset[str]
    sources: dict[str, str] = field(default_factory=dict)  # the file, from the root -> its page
    pictures: dict[str, bytes] = field(default_factory=dict)  # the file on the site -> what it holds

    def rewrite(self, soup: BeautifulSoup, place: str) -> None:
        """Let each link and picture of one document point to its place on the site.

        Args:
            soup: The document.
            place: The file that it was written in, from the root: "notebooks/02_url_conversion.ipynb".

        Raises:
            SiteError: a link leads to nothing, or out of the course.
        """
        for link in soup.find_all("a", href=True):
            target = self._page(str(link["href"]), place)
            if target is None:
                link.unwrap()
            else:
                link["href"] = target
        # The README's pictures lie in a folder of the same name; in lessons, what begins so was written by us.
        made = ("data:",) if place == README else ("data:", "pictures/")
        for picture in soup.find_all(["img", "source"]):
            for name in ("src", "srcset"):
                if name in picture.attrs and not str(picture[name]).startswith(made):
                    picture[name] = self._picture(str(picture[name]), place)
        for picture in soup.find_all("img"):
            _describe(picture, place)

    def _page(self, address: str, place: str) -> str | None:
        """Return where a link leads on the site; None for a folder, which has no page."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc or not parts.path:
            return address
        target = self._target(parts.path, place)
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        if (lesson := _LESSON.fullmatch(target)) and lesson.group(1) in self.lessons:
            return f"{lesson.group(1)}.html{fragment}"
        if target == README:
            return f"{README_PAGE}{fragment}"
        if (self.root / target).is_dir():
            return None
        return self.sources.setdefault(target, f"file_{target.replace('/', '_')}.html")

    def _picture(self, address: str, place: str) -> str:
        if urlsplit(address).scheme or urlsplit(address).netloc:
            raise SiteError(f"{place}: the picture {address} lies on another server. Put it into the course.")
        target = self._target(address, place)
        name = f"pictures/{quote(target.replace('/', '_'))}"
        self.pictures[unquote(name)] = (self.root / target).read_bytes()
        return name

    def _target(self, path: str, place: str) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(path)))
        if target.startswith(("../", "/")) or not (self.root / target).exists():
            raise SiteError(f"{place}: the link to {path} leads to no file of the course. Correct it.")
        return target


def _describe(picture: Tag, place: str) -> None:
    if not str(picture.get("alt", "")).strip():
        raise SiteError(f"{place}: the picture {picture.get('src')} has no alt text. Write what it shows.")
