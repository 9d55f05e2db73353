"""The command that takes whole lessons: what it says when it can't."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from course_lib import lesson_pictures, pictures


def test_a_lesson_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Is the wrong name said, with the right ones, before anything starts?"""
    ran = CliRunner().invoke(lesson_pictures.app, [str(tmp_path / "shots"), "02", "99"])
    assert ran.exit_code == 2
    assert "There is no lesson '99'" in ran.output
    assert not (tmp_path / "shots").exists()


def test_without_a_browser_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Is the reason told, and no folder left?"""
    monkeypatch.setattr(pictures.shutil, "which", lambda name: None)
    ran = CliRunner().invoke(lesson_pictures.app, [str(tmp_path / "shots")])
    assert ran.exit_code == 1
    assert "Install your system's package `chromium`" in ran.output
    assert not (tmp_path / "shots").exists()
