"""Does the board say the right thing for each kind of fleet, follow its sliders, and read well without them?"""

import re
from typing import Any

import pytest

from course_lib.pools.board import BudgetBoard, budget_board

WIDGET = "application/vnd.jupyter.widget-view+json"


def said(**settings: int) -> str:
    return repr(budget_board(**settings))


@pytest.mark.parametrize(
    ("settings", "verdict", "first"),
    [
        ({"instances": 2, "workers": 2}, "Fits", "Nothing on the server, even with one more instance"),
        ({"instances": 3, "workers": 2}, "Fits", "one more instance makes 120 connections"),
        ({"instances": 4, "workers": 2}, "Does not fit", "A burst: 6 of 8 processes"),
        ({"instances": 10, "workers": 2}, "Does not fit", "19 of 20 processes can fill their pool_size"),
        ({"pool_size": 0}, "Does not fit", "its pool has no limit"),
        ({"max_overflow": -1}, "Does not fit", "its pool has no limit"),
        ({"max_connections": 20, "reserved": 20}, "Does not fit", "The first connection is refused"),
    ],
)
def test_says_what_breaks_first(settings: dict[str, int], verdict: str, first: str) -> None:
    text = said(**settings)
    assert f"\n{verdict}.\n" in text
    assert first in text.split("Breaks first: ")[1]


def test_the_processes_that_fit_are_as_many_as_it_says() -> None:
    """Are the numbers in the words those of the sum?"""
    board = budget_board(max_connections=50, reserved=5, instances=7, workers=3, pool_size=2, max_overflow=3)
    full = int(re.findall(r"A burst: (\d+) of 21", repr(board))[0])
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
    for words in ("instances 4", "Does not fit", "Breaks first", "most connections for each process"):
        assert words in bundle["text/plain"]
        assert words in bundle["text/html"]
    assert "`" not in bundle["text/plain"] + bundle["text/html"]


def widgets(board: BudgetBoard) -> tuple[dict[str, Any], Any]:
    box = board._sliders()
    *sliders, answer = box.children
    return {slider.description: slider for slider in sliders}, answer


def test_verdict_follows_the_sliders() -> None:
    board = budget_board(instances=4)
    sliders, answer = widgets(board)
    assert list(sliders) == ["max_connections", "reserved", "instances", "workers", "pool_size", "max_overflow"]
    assert "Does not fit" in answer.value
    sliders["max_overflow"].value = 0
    assert board.settings.max_overflow == 0
    assert "Does not fit" not in answer.value and "Fits" in answer.value
    sliders["reserved"].value, sliders["max_connections"].value = 50, 40
    assert "`reserved`" not in answer.value and "Reserve less" in answer.value
    sliders["pool_size"].value = 0
    assert "Reserve less" in answer.value


def test_sliders_follow_the_code() -> None:
    board = budget_board()
    sliders, answer = widgets(board)
    board.set(instances=2000, max_connections=5000)
    assert (sliders["instances"].value, sliders["max_connections"].value) == (2000, 5000)
    assert "4000" in answer.value
    with pytest.raises(TypeError):
        board.set(threads=3)
    assert board.settings.instances == 2000
