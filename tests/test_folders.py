"""Where Jupyter writes when the user's home can't be written."""

import os
from pathlib import Path

import pytest

from course_lib import folders


@pytest.fixture(autouse=True)
def no_jupyter_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(("JUPYTER", "COURSE_HOME", "IPYTHON", "MPLCONFIG", "XDG_")):
            monkeypatch.delenv(name)


def test_a_home_that_can_be_written_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.for_jupyter() == {}


@pytest.mark.parametrize("course_home", [None, "/dev/null/course"])
def test_without_any_place_it_says_what_to_set(course_home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/null is no folder, so that root can't write there either."""
    monkeypatch.setenv("HOME", "/dev/null")
    if course_home:
        monkeypatch.setenv("COURSE_HOME", course_home)
    with pytest.raises(OSError, match=r"can't write to /dev/null/.*Set COURSE_HOME to a folder that you can write to"):
        folders.for_jupyter()


def test_everything_goes_to_the_course_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what a variable leads to a place that can't be written; what it leads elsewhere stays there."""
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "new" / "home"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", "/dev/null/config")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    found = folders.for_jupyter()
    assert set(found) == {"JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"}
    assert all(Path(each).is_relative_to(tmp_path / "new" / "home" / "jupyter") for each in found.values())
