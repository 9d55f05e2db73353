"""Does the board say the right thing for each kind of fleet, follow its sliders, and read well without them?"""

import re
from typing import Any

import pytest

from course_lib.pools.board import budget_board

WIDGET = "application/vnd.jupyter.widget-view+json"


def said(**settings: int) -> str:
    return repr(budget_board(**settings))


@pytest.mark.parametrize(
    ("settings", "verdict", "first"),
    [
        ({"instances": 2, "workers": 2}, "Fits", "What comes next: waiting. The server has room"),
        (
            {"instances": 3, "workers": 2},
            "Fits",
            "What comes next: a deploy. Under full load, one more instance makes 120",
        ),
        ({"instances": 4, "workers": 2}, "Does not fit", "What breaks first: a burst. 6 of 8 processes"),
        ({"instances": 10, "workers": 2}, "Does not fit", "19 of 20 processes can fill their pool_size"),
        ({"instances": 1, "workers": 1, "max_overflow": 95}, "Does not fit", "a burst. 0 of 1 process can"),
        ({"pool_size": 0}, "Does not fit", "Its pool has no limit"),
        ({"max_overflow": -1}, "Does not fit", "Its pool has no limit"),
        ({"max_connections": 20, "reserved": 20}, "Does not fit", "the very first connection"),
    ],
)
def test_says_what_breaks_first_or_comes_next(settings: dict[str, int], verdict: str, first: str) -> None:
    text = said(**settings)
    assert f"\n{verdict}.\n" in text
    assert first in text.splitlines()[-1]
    assert ("What comes next: " in text) == (verdict == "Fits")


def test_the_processes_that_fit_are_as_many_as_it_says() -> None:
    """Are the numbers in the words those of the sum?"""
    board = budget_board(max_connections=50, reserved=5, instances=7, workers=3, pool_size=2, max_overflow=3)
    full = int(re.findall(r"a burst. (\d+) of 21", repr(board))[0])
    assert full * 5 <= 45 < (full + 1) * 5
    assert ("connections, all pools full", "105") in board.settings.rows
    assert ("connections, all full, one more instance", "120") in board.settings.rows


@pytest.mark.parametrize(
    "wrong", [{"instances": 0}, {"max_overflow": -2}, {"workers": 1.5}, {"pool_size": -1}, {"max_connections": True}]
)
def test_refuses_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        budget_board(**wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        budget_board().set(**wrong)


def test_shows_text_and_html_beside_the_widget() -> None:
    """Can the verdict be read where no widget runs?"""
    board = budget_board(instances=4)
    bundle = board._repr_mimebundle_()
    assert WIDGET in bundle
    assert bundle["text/plain"] == repr(board)
    for words in ("instances 4", "Does not fit", "What breaks first", "each process may open at most"):
        assert words in bundle["text/plain"]
        assert words in bundle["text/html"]
    assert "`" not in bundle["text/plain"] + bundle["text/html"]


NAMES = ["max_connections", "reserved", "instances", "workers", "pool_size", "max_overflow"]


def test_verdict_follows_the_sliders() -> None:
    """What the browser does when a slider moves: it sets `values`."""
    board = budget_board(instances=4)
    sliders = board._sliders()
    assert list(sliders.ranges) == NAMES == list(sliders.values)
    assert "Does not fit" in sliders.said

    def move(**changes: int) -> None:
        sliders.values = {**sliders.values, **changes}

    move(max_overflow=0)
    assert board.settings.max_overflow == 0
    assert "Does not fit" not in sliders.said and "Fits" in sliders.said
    assert ">40<" in sliders.numbers
    move(reserved=50)
    move(max_connections=40)
    assert "`reserved`" not in sliders.said and "Reserve less" in sliders.said
    move(pool_size=0)
    assert "Reserve less" in sliders.said


def test_sliders_follow_the_code() -> None:
    board = budget_board()
    sliders = board._sliders()
    board.set(instances=2000, max_connections=5000)
    assert (sliders.values["instances"], sliders.values["max_connections"]) == (2000, 5000)
    assert sliders.ranges["instances"] == [1, 2000]
    assert "4000" in sliders.numbers
    with pytest.raises(TypeError):
        board.set(threads=3)
    assert board.settings.instances == 2000
