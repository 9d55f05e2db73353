"""`predict` and `expect_error`: do they show what was measured, and fail when a demo stops failing?"""

import asyncio

import pytest

from course_lib.servers import MissingBinaryError
from course_lib.teaching import ExpectedErrorMissing, _skip_cell, expect_error, predict, skip_what_is_missing


def test_the_expected_error_is_shown_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with expect_error(ValueError, match="literal") as caught:
        int("x")
    assert isinstance(caught.error, ValueError)
    assert capsys.readouterr().out == "ValueError: invalid literal for int() with base 10: 'x'\n"


async def test_it_works_around_await(capsys: pytest.CaptureFixture[str]) -> None:
    with expect_error((TimeoutError, ValueError), show=False):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)
    assert capsys.readouterr().out == ""


def test_no_error_fails_the_cell() -> None:
    with pytest.raises(ExpectedErrorMissing, match="nothing was raised"), expect_error(ValueError):
        pass


def test_another_error_is_passed_on() -> None:
    with pytest.raises(KeyError), expect_error(ValueError):
        raise KeyError("other")


def test_another_message_fails_the_cell() -> None:
    with pytest.raises(ExpectedErrorMissing, match="lacks 'sslmode'"), expect_error(ValueError, match="sslmode"):
        raise ValueError("something else")


def test_a_password_in_the_message_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    with expect_error(ValueError):
        raise ValueError("can't reach postgresql://app:hunter2@db.example/shop")
    assert "hunter2" not in capsys.readouterr().out


def test_a_long_message_is_broken_at_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    words = "word " * 60
    with expect_error(ValueError):
        raise ValueError(words)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 96
    assert " ".join(lines).count("word") == 60


async def test_a_guess_survives_running_its_cell_again() -> None:
    """Shift+Enter after a click runs the predict cell once more, before the next one."""
    predict("Asked again?", ["yes", "no"]).choose("yes")
    again = predict("Asked again?", ["yes", "no"])
    assert again.guess == "yes"
    assert again._buttons().chosen == "yes"
    assert predict("Asked again?", ["other", "answers"]).guess is None


def test_a_measurement_that_nobody_offered_is_shown_all_the_same() -> None:
    shown = repr(predict("Which colour?", ["red", "blue"]).compare("green"))
    assert "green" in shown
    assert "None of the answers" in shown


async def test_a_guess_is_shown_beside_the_measurement() -> None:
    guess = predict("How many connections are there?", [0, 5])
    assert "none" in repr(guess.compare(0))
    guess.choose(5)
    surprise = repr(guess.compare(0))
    assert "A surprise" in surprise
    assert "Your guess  5" in surprise
    assert "Measured    0" in surprise
    guess.choose("0")
    assert "As you predicted" in repr(guess.compare(0))
    await asyncio.gather(*guess._saving)


def test_a_guess_that_is_no_option_is_refused() -> None:
    with pytest.raises(ValueError, match="Choose one of: 0, 5"):
        predict("How many?", [0, 5]).choose(7)


def test_a_prediction_has_buttons_and_a_text_for_where_there_are_none() -> None:
    guess = predict("How <many>?", ["none", "five"])
    bundle = guess._repr_mimebundle_()
    assert bundle["text/plain"] == "Predict: How <many>?\n  - none\n  - five"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    buttons = guess._buttons()
    assert (buttons.question, buttons.options, buttons.chosen) == ("How <many>?", ["none", "five"], "")
    buttons.chosen = "five"
    assert guess.guess == "five"
    assert "Your guess: five" in buttons.said
    guess.choose("none")
    assert (buttons.chosen, buttons.said.partition(".")[0]) == ("none", "Your guess: none")


def _skipped(monkeypatch: pytest.MonkeyPatch, *, postgres: bool, pgbouncer: bool, asked: bool) -> list[str]:
    """Which of two kinds of cells are skipped on a machine that has this."""

    def find_postgres() -> None:
        if not postgres:
            raise MissingBinaryError("No PostgreSQL was found.")

    monkeypatch.setattr("course_lib.servers.find_postgres", find_postgres)
    monkeypatch.setattr("course_lib.servers.find_pgbouncer", lambda: "a program" if pgbouncer else None)
    skip_what_is_missing(pgbouncer=asked)
    kinds = ("PostgreSQL", "PgBouncer")
    return [kind for kind in kinds if _skip_cell([f"# needs {kind}\n", "x = 1\n"]) != [f"# needs {kind}\n", "x = 1\n"]]


def test_only_what_is_missing_is_skipped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("course_lib.teaching._missing", set())
    assert _skipped(monkeypatch, postgres=True, pgbouncer=True, asked=True) == []
    assert _skipped(monkeypatch, postgres=True, pgbouncer=False, asked=False) == []
    assert capsys.readouterr().out == ""
    assert _skipped(monkeypatch, postgres=True, pgbouncer=False, asked=True) == ["PgBouncer"]
    said = capsys.readouterr().out
    assert said.startswith("No PgBouncer was found on this machine. Get it: ")
    assert "pgbouncer" in said
    assert said.count("\n") == 1
    assert _skip_cell(["# needs PgBouncer\n"]) == ['print("Skipped: this cell needs PgBouncer.")\n']
    assert _skip_cell(["x = 1  # needs PgBouncer\n"]) == ["x = 1  # needs PgBouncer\n"]
    assert _skipped(monkeypatch, postgres=False, pgbouncer=True, asked=True) == ["PostgreSQL", "PgBouncer"]
    assert "'# needs PostgreSQL' are skipped" in capsys.readouterr().out
    assert _skipped(monkeypatch, postgres=True, pgbouncer=True, asked=True) == []
