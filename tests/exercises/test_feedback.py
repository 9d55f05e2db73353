"""Panels: is everything escaped, masked and readable in any theme?"""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.exercises.feedback import _BARS, Panel, masked


class Tags(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


@given(st.text(), st.text(), st.text())
def test_no_value_becomes_an_element(heading: str, value: str, code: str) -> None:
    page = parsed(Panel(heading, value, rows=((heading, value),), code=code, after=value)._repr_html_())
    assert page.tags <= {"div", "p", "strong", "table", "tbody", "tr", "th", "td", "code", "pre"}


def test_markup_in_a_value_is_shown_as_it_is() -> None:
    page = parsed(Panel("Not yet", "x", rows=(("Got", "<class 'str'> <script>alert(1)</script>"),))._repr_html_())
    assert "<class 'str'> <script>alert(1)</script>" in page.text
    assert "script" not in page.tags


def test_passwords_are_masked_unless_the_check_made_them_up() -> None:
    url = "postgresql://app:hunter@2@db.example/shop"
    hidden = Panel("Not yet", url, rows=(("Got", url),), code=url, after=url)
    for shown in (repr(hidden), hidden._repr_html_()):
        assert "hunter" not in shown
        assert "app:***@db.example" in shown
    assert "hunter@2" in repr(Panel("Not yet", "", rows=(("Got", url),), reveal=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see a://u:p@h and b+c://v:q@i", "see a://u:***@h and b+c://v:***@i"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("a://u:p@ss/w#rd@h:5432/d", "a://u:***@h:5432/d"),
        ("no address: at all @ home", "no address: at all @ home"),
        ("postgresql://app@tenant:example-pw@h/d", "postgresql://app@tenant:***@h/d"),
        ("postgresql://app@h:5432/d", "postgresql://app@h:5432/d"),
        ("postgresql://h/d?user=app&Password=pw1&x=1", "postgresql://h/d?user=app&Password=***&x=1"),
        ('f"{scheme}://{user}:{quote(password)}@{host}"', 'f"{scheme}://{user}:{quote(password)}@{host}"'),
    ],
)
def test_masking(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_the_verdict_comes_first_in_words() -> None:
    panel = Panel("Not yet", "Because.", "wrong")
    assert repr(panel).splitlines()[0].endswith("Not yet")
    assert parsed(panel._repr_html_()).text.startswith("✎ Not yet")
    assert 'role="status"' in panel._repr_html_()


def test_text_has_no_colour_of_its_own_and_bars_stand_out_from_both_themes() -> None:
    """WCAG 2.2 asks 3:1 of a graphical part (1.4.11); the text inherits the theme's contrast."""
    assert not re.search(r"(?<![-\w])color:", Panel("A", "b", rows=(("c", "d"),), code="e")._repr_html_())
    for bar in _BARS.values():
        fallback = bar.split("#")[1][:6]
        for page in ("ffffff", "111111"):
            assert contrast(fallback, page) >= 3, (bar, page)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_nothing_in_a_panel_differs_from_run_to_run() -> None:
    text = "<object object at 0x7fc001> on 127.0.0.1:25062/check_0123456789ab failed (_ssl.c:1006)"
    shown = repr(Panel("Not yet", text, rows=(("Got", text),), code=text, after=text))
    for varying in ("0x7fc001", "25062", "0123456789ab", "1006"):
        assert varying not in shown
    assert "127.0.0.1:…/check_… failed" in shown


def test_a_huge_value_is_cut() -> None:
    assert len(repr(Panel("Not yet", "", rows=(("Got", "x" * 1_000_000),)))) < 1000
