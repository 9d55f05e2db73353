"""The work folder: is what a learner wrote there safe, and does nothing lead out of it?"""

from pathlib import Path

import pytest

from course_lib import work
from course_lib.work import WorkFolderError, find_work, read_work, show_work, template, work_file, work_folder


def test_a_file_is_made_once(tmp_path: Path) -> None:
    """Made if absent; what the learner wrote stays, whatever the cell says when it runs again."""
    made = work_file("notes/plan.md", "first\n")
    assert made.state == "made" and made.path == tmp_path / "work" / "notes" / "plan.md"
    made.path.write_text("mine\n")
    again = work_file("notes/plan.md", "second\n")
    assert again.state == "kept" and again.read_text() == "mine\n"
    assert [path.name for path in made.path.parent.iterdir()] == ["plan.md"]


def test_replacing_keeps_each_old_one() -> None:
    """Asked to replace, it keeps what stood there under the next free number; the same text replaces nothing."""
    work_file("database.py", "one\n")
    second = work_file("database.py", "two\n", replace=True)
    third = work_file("database.py", "three\n", replace=True)
    same = work_file("database.py", "three\n", replace=True)
    assert (second.backup, third.backup, same.state) == ("work/database.1.py", "work/database.2.py", "kept")
    assert sorted((path.name, path.read_text()) for path in work_folder().iterdir()) == [
        ("database.1.py", "one\n"),
        ("database.2.py", "two\n"),
        ("database.py", "three\n"),
    ]


def test_shown_without_any_folder_of_this_machine(tmp_path: Path) -> None:
    """Do text, repr and errors name the file below work/ only?"""
    made = work_file("database.py", "x = 1\n")
    assert str(made) == "work/database.py"
    assert repr(made) == "work/database.py (made now; it is yours to change)"
    assert repr(work_file("database.py", "")) == "work/database.py (was there already, and stays as it is)"
    assert repr(work_file("database.py", "", replace=True)).endswith("what stood there is work/database.1.py)")
    assert show_work(tmp_path / "elsewhere" / "database.py") == "database.py"


def test_a_name_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A learner may give the object, its path, or its name with or without work/, in any current folder."""
    made = work_file("database.py", "x = 1\n")
    monkeypatch.chdir(tmp_path)
    for given in (made, made.path, str(made), "work/database.py", "database.py"):
        assert read_work(given) == "x = 1\n"
        assert find_work(given).samefile(made.path)
    assert Path(made).read_text() == "x = 1\n"


def test_templates_are_the_default() -> None:
    """Without a text, the course's own is taken; for other names the error lists what there is."""
    assert work_file("database.py").read_text() == template("database.py")
    assert work_file("relational-db-agent/SKILL.md").read_text().startswith("---\nname: relational-db-agent\n")
    with pytest.raises(WorkFolderError, match=r"no text for work/other\.py.*database\.py, relational-db-agent/SKILL"):
        work_file("other.py")
    work_file("other.py", "x = 1\n")
    assert work_file("other.py").state == "kept"
    changed = work_file("database.py", "x = 1\n", replace=True)
    assert changed.state == work_file("database.py", replace=True).state == "replaced"
    assert work_file("database.py").read_text() == template("database.py")


@pytest.mark.parametrize("name", ["../database.py", "/srv/database.py", "", "a/../../b", "work", "C:\\x", "..\\x"])
def test_nothing_is_written_outside(name: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="leads out of the work folder"):
        work_file(name, "x")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read-only disk, no rights, a file in the way: one sentence, what to do, and no path of this machine."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(WorkFolderError, match=r"work/database\.py can't be made: read-only file system") as caught:
            work_file("database.py", "x")
    assert "COURSE_WORK" in str(caught.value) and str(tmp_path) not in str(caught.value)
    (tmp_path / "work").write_text("a file stands where the folder would be")
    with pytest.raises(WorkFolderError, match=r"can't be made: (file exists|not a directory)"):
        work_file("database.py", "x")


def test_a_full_disk_leaves_no_half_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written whole is not there, so that the next run makes it."""

    class Full:
        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    work_folder().mkdir()
    path = work_folder() / "database.py"

    def opened(self: Path, *_: object) -> Full:
        self.touch()
        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(WorkFolderError, match="no space left"):
            work_file("database.py", "x")
    assert not path.exists()


def test_a_folder_in_the_way_and_files_that_cannot_be_read() -> None:
    (work_folder() / "database.py").mkdir(parents=True)
    with pytest.raises(WorkFolderError, match="is a folder"):
        work_file("database.py", "x")
    with pytest.raises(WorkFolderError, match=r"work/missing\.py is not there"):
        read_work("missing.py")
    latin = work_file("latin.py", "x")
    latin.path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(WorkFolderError, match=r"not UTF-8 \(byte 6\)"):
        latin.read_text()
    with pytest.raises(WorkFolderError, match="can't be read"):
        read_work("database.py")


def test_the_folder_is_the_courses_own_without_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside notebooks/, and COURSE_WORK in its place where that is set."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.delenv("COURSE_WORK")
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    assert work_folder() == tmp_path / "work"
    monkeypatch.setenv("COURSE_WORK", "~/my work")
    assert work_folder() == Path.home() / "my work"


def test_the_tests_write_into_no_real_folder() -> None:
    """Is this very test's folder a temporary one, and git told to look away from the real one?"""
    root = Path(work.__file__).resolve().parents[1]
    assert not work_folder().resolve().is_relative_to(root)
    assert "/work/" in (root / ".gitignore").read_text().split()
