"""Is an untouched starter recognised as what it is, the way IPython compiles a cell?"""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from course_lib.exercises.starters import untouched

STARTER = '''\
from os import path

LIMIT = 3


async def answer(number: int) -> str:
    """Do it."""

    def inner(other):
        return path.join("a", str(other))

    return inner(number)


class Thing:
    def method(self):
        return path.sep
'''


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.setattr("course_lib.exercises.starters.cell_source", lambda exercise, role: STARTER)
    return InteractiveShell()


def test_what_the_starter_cell_makes_is_untouched(shell: InteractiveShell) -> None:
    assert shell.run_cell(STARTER).success
    assert untouched("99.1", (shell.user_ns["answer"],))
    assert untouched("99.1", (shell.user_ns["answer"], ...))
    assert untouched("99.1", (shell.user_ns["Thing"].method,))


@pytest.mark.parametrize(
    "change", [('"a"', '"b"'), ("str(other)", "repr(other)"), ("inner(number)", "inner(number + 1)")]
)
def test_a_changed_starter_is_an_attempt(shell: InteractiveShell, change: tuple[str, str]) -> None:
    assert shell.run_cell(STARTER.replace(*change)).success
    assert not untouched("99.1", (shell.user_ns["answer"],))


def test_moving_lines_or_adding_a_comment_is_no_attempt(shell: InteractiveShell) -> None:
    assert shell.run_cell("# mine\n\n" + STARTER).success
    assert untouched("99.1", (shell.user_ns["answer"],))


def test_nothing_handed_over_is_no_starter(shell: InteractiveShell) -> None:
    assert not untouched("99.1", ())
    assert not untouched("99.1", (len,))
