"""What all tests share: the learner's folders are temporary, so that no test touches real progress or work."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def course_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Progress of each test goes to a folder of its own; caches stay shared, since they only save time."""
    home = tmp_path / "course home"
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "work"))
    monkeypatch.setattr("course_lib.folders.data_folder", lambda: home)
    monkeypatch.setattr("course_lib.exercises.progress.data_folder", lambda: home)
    return home
