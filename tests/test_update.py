"""`course update`, with real clones: is everything of the learner's there afterwards, whatever happened in between?"""

import copy
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course_lib import update as module
from course_lib._lock import locked
from course_lib._update_git import Clone, UpdateError
from course_lib._update_notebook import NotANotebookError, carry_over
from course_lib.update import Update, unfinished, update

Cells = list[dict[str, Any]]
COURSE = Path(sys.executable).with_name("course")


def markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def code(name: str, text: str, **metadata: str) -> dict[str, Any]:
    made = {"cell_type": "code", "id": name, "metadata": metadata, "source": text}
    return made | {"outputs": [], "execution_count": None}


def exercise(number: str, starter: str) -> Cells:
    name = number.replace(".", "-")
    return [
        code(f"answer-{name}", starter, exercise=number, role="starter", starter=starter),
        code(f"check-{name}", f"check({number})", exercise=number, role="check"),
    ]


def notebook(cells: Cells) -> bytes:
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def sources(data: bytes) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(data)["cells"]]


LESSON: Cells = [
    markdown("title", "# First"),
    code("demo", "port = 5432"),
    markdown("story", "A story."),
    *exercise("00.1", "def one(): ..."),
    markdown("middle", "In the middle."),
    *exercise("00.2", "def two(): ..."),
    markdown("end", "The end."),
]


class World:
    """A bare repository on disk, the author's clone of it, and the learner's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.author, self.learner = folder, folder / "author", folder / "learner"
        self.work = self.learner / "work"
        self.git(folder, "init", "-q", "--bare", "-b", "main", "course.git")
        self.git(folder, "clone", "-q", "course.git", "author")
        self.publish(
            {
                ".gitignore": b"/work/\n",
                "README.md": b"the first readme\n",
                "requirements.lock": b"one\n",
                "notebooks/00_first.ipynb": notebook(LESSON),
                "notebooks/01_second.ipynb": notebook([markdown("t", "# Second"), *exercise("01.1", "x = ...")]),
            }
        )
        self.git(folder, "clone", "-q", "course.git", "learner")

    def git(self, where: Path, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(where), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def publish(self, files: dict[str, bytes | None]) -> None:
        for name, data in files.items():
            path = self.author / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if data is None else path.write_bytes(data)
        self.git(self.author, "add", "-A")
        self.git(self.author, "commit", "-q", "-m", "a version")
        self.git(self.author, "push", "-q", "origin", "HEAD")

    def learn(self, change: Callable[[Cells], object], name: str = "00_first") -> bytes:
        """Change the learner's notebook, and return its file."""
        path = self.learner / "notebooks" / f"{name}.ipynb"
        cells = json.loads(path.read_bytes())["cells"]
        change(cells)
        path.write_bytes(notebook(cells))
        return path.read_bytes()

    def read(self, name: str = "00_first") -> list[str]:
        return sources((self.learner / "notebooks" / f"{name}.ipynb").read_bytes())

    def update(self) -> Update:
        return update(self.learner, self.work)

    def is_new(self) -> bool:
        return self.git(self.learner, "rev-parse", "HEAD") == self.git(self.author, "rev-parse", "HEAD")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """No configuration of this machine's; nobody to ask."""
    for name in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", os.devnull)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.invalid")
    folder = tmp_path / "world"
    folder.mkdir()
    made = World(folder)
    monkeypatch.setenv("COURSE_WORK", str(made.work))
    return made


def answered(cells: Cells) -> None:
    """An answer, a note behind the story, an own experiment at the end, a changed demo, outputs, an empty cell."""
    cells[3]["source"] = "def one(): return 1"
    cells[4]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "Correct"}]
    cells[1]["source"] = "port = 5433"
    cells.insert(3, markdown("mine", "My note."))
    cells.append(code("try", "print('mine')"))
    cells.append(code("empty", ""))


def later(edit: Callable[[Cells], object] = lambda cells: None) -> bytes:
    """The next version of the lesson: another title, a new cell before the story, and what else is asked for."""
    cells = copy.deepcopy(LESSON)
    cells[0] = markdown("title", "# First, better")
    cells.insert(2, code("fresh", "print('new')"))
    edit(cells)
    return notebook(cells)


CARRIED = [
    *("# First, better", "port = 5433", "print('new')", "A story.", "My note.", "def one(): return 1", "check(00.1)"),
    *("In the middle.", "def two(): ...", "check(00.2)", "The end.", "print('mine')"),
]


# The everyday


def test_a_plain_pull_refuses_and_course_update_does_it(world: World) -> None:
    """The reason for all this: git refuses; afterwards the new lesson holds what the learner wrote, and a copy all."""
    mine = world.learn(answered)
    world.publish({"notebooks/00_first.ipynb": later(), "README.md": b"the second readme\n"})
    assert subprocess.run(["git", "-C", world.learner, "pull", "-q"], capture_output=True).returncode != 0
    done = world.update()
    assert world.is_new() and world.read() == CARRIED and done.commits == 1 and not done.packages
    (file,) = done.files
    assert (file.path, file.answers, file.left) == ("notebooks/00_first.ipynb", ("00.1",), ())
    assert file.copy == "work/updates/1/notebooks/00_first.ipynb"
    assert (world.learner / file.copy).read_bytes() == mine
    assert "answers put back: 00.1; 2 cells of your own put back; 1 cell kept with your changes" in file.happened
    assert (world.learner / "README.md").read_text() == "the second readme\n"
    assert world.git(world.learner, "status", "--porcelain") == "M notebooks/00_first.ipynb"
    assert not unfinished(world.work)


def test_nothing_new_touches_nothing(world: World) -> None:
    mine = world.learn(answered)
    done = world.update()
    assert done.commits == 0 and done.files == [] and not world.work.exists()
    assert (world.learner / "notebooks/00_first.ipynb").read_bytes() == mine


def test_a_notebook_that_the_new_version_leaves_alone_stays(world: World) -> None:
    mine = world.learn(answered)
    world.publish({"requirements.lock": b"two\n"})
    done = world.update()
    assert world.is_new() and done.packages and [file.copy for file in done.files] == [None]
    assert (world.learner / "notebooks/00_first.ipynb").read_bytes() == mine


def test_two_updates_keep_both_copies(world: World) -> None:
    first = world.learn(answered)
    world.publish({"notebooks/00_first.ipynb": later()})
    world.update()
    second = world.learn(lambda cells: cells[8].update(source="def two(): return 2"))
    world.publish({"notebooks/00_first.ipynb": later(lambda cells: cells.pop(2))})
    done = world.update()
    assert done.files[0].answers == ("00.1", "00.2") and "def two(): return 2" in world.read()
    copies = [world.work / "updates" / each / "notebooks/00_first.ipynb" for each in "12"]
    assert [path.read_bytes() for path in copies] == [first, second]


def test_only_outputs_leave_the_new_version_as_it_came(world: World) -> None:
    world.learn(lambda cells: cells[1].update(execution_count=3))
    world.publish({"notebooks/00_first.ipynb": later()})
    assert "nothing of yours but outputs" in world.update().files[0].happened
    assert world.git(world.learner, "status", "--porcelain") == ""


def test_other_files_of_the_course_and_untracked_ones(world: World) -> None:
    """The learner's readme, a notebook of the same name as a new lesson, a staged change, a removed file."""
    (world.learner / "README.md").write_text("my readme\n")
    (world.learner / "notebooks/02_third.ipynb").write_text("mine, not a lesson")
    (world.learner / "notebooks/01_second.ipynb").unlink()
    world.learn(answered)
    world.git(world.learner, "add", "notebooks/00_first.ipynb")
    world.learn(lambda cells: cells[4].update(source="def one(): return 'later'"))
    new = notebook([markdown("t", "# Third")])
    files = {"README.md": b"new\n", "notebooks/02_third.ipynb": new, "notebooks/00_first.ipynb": later()}
    world.publish(files | {"notebooks/01_second.ipynb": notebook([markdown("t", "# Second, better")])})
    done = {file.path: file for file in world.update().files}
    kept = world.work / "updates/1"
    assert (kept / "README.md").read_text() == "my readme\n"
    assert (kept / "notebooks/02_third.ipynb").read_text() == "mine, not a lesson"
    assert "def one(): return 1" in sources((kept / "notebooks/00_first.ipynb.staged").read_bytes())
    assert "def one(): return 'later'" in world.read()
    assert (world.learner / "notebooks/02_third.ipynb").read_bytes() == new
    assert "You had removed it" in done["notebooks/01_second.ipynb"].happened
    assert world.is_new() and world.read("01_second") == ["# Second, better"]


def test_a_lesson_that_is_gone_and_one_with_a_new_name(world: World) -> None:
    world.learn(answered)
    mine = world.learn(lambda cells: cells[1].update(source="x = 1"), "01_second")
    gone = {"notebooks/00_first.ipynb": None, "notebooks/00_begin.ipynb": later(), "notebooks/01_second.ipynb": None}
    world.publish(gone)
    first, second = world.update().files
    assert world.read("00_begin") == CARRIED and "is now notebooks/00_begin.ipynb" in first.happened
    assert "no longer has it" in second.happened
    assert (world.work / "updates/1/notebooks/01_second.ipynb").read_bytes() == mine
    assert not (world.learner / "notebooks/01_second.ipynb").exists()


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"nbformat": 3}', b'<<<<<<< HEAD\n{"cells": []}', b"\xff"])
def test_a_file_that_is_no_notebook_is_kept_as_a_copy(world: World, broken: bytes) -> None:
    (world.learner / "notebooks/00_first.ipynb").write_bytes(broken)
    world.publish({"notebooks/00_first.ipynb": later()})
    done = world.update()
    assert world.is_new() and world.read()[0] == "# First, better"
    if broken not in (b"", b"{"):  # those are the beginning of the new version: nothing is lost with them
        assert (world.learner / str(done.files[0].copy)).read_bytes() == broken


# What stands in the way


def refused(world: World, match: str) -> None:
    """It says why, and nothing is touched."""
    before = {path: path.read_bytes() for path in world.learner.rglob("*.ipynb")}
    with pytest.raises(UpdateError, match=match):
        world.update()
    assert {path: path.read_bytes() for path in world.learner.rglob("*.ipynb")} == before


def test_no_clone(world: World) -> None:
    shutil.rmtree(world.learner / ".git")
    refused(world, "is no git clone")


def test_a_folder_inside_another_repository(world: World) -> None:
    inner = world.learner / "inner"
    (inner / ".git").mkdir(parents=True)  # not a repository: git finds the one around it
    with pytest.raises(UpdateError, match="belongs to another repository"):
        update(inner, world.work)


def test_no_git(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    refused(world, "git was not found")


def test_no_upstream_and_no_branch(world: World) -> None:
    world.git(world.learner, "branch", "--unset-upstream")
    refused(world, "follows no branch")
    world.git(world.learner, "checkout", "-q", "--detach")
    refused(world, "No branch is checked out")


def test_offline_says_no_password(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port on loopback; the password in the address isn't repeated."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world.learn(answered)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    world.git(world.learner, "remote", "set-url", "origin", f"http://me:example-pw@127.0.0.1:{port}/c.git")
    with pytest.raises(UpdateError, match=r"can't be reached \(.+\)\. Are you online") as caught:
        world.update()
    assert "example-pw" not in str(caught.value)


def test_own_commits_and_the_way_out_of_them(world: World) -> None:
    """It refuses, and what it advises works: the commit is kept, and its answers are carried over."""
    world.learn(answered)
    world.git(world.learner, "commit", "-q", "-a", "-m", "my answers")
    world.publish({"notebooks/00_first.ipynb": later()})
    with pytest.raises(UpdateError, match="has 1 commit that the course does not have") as caught:
        world.update()
    base = str(caught.value).partition("`git reset ")[2].partition("`")[0]
    world.git(world.learner, "branch", "my-commits")
    world.git(world.learner, "reset", "-q", base)
    assert world.update().files[0].answers == ("00.1",) and world.read() == CARRIED
    assert world.git(world.learner, "log", "-1", "--format=%s", "my-commits") == "my answers"


def test_a_conflict_that_is_left(world: World) -> None:
    """After `git stash`, `git pull`, `git stash pop`; and in the middle of a merge of one's own."""
    world.learn(lambda cells: cells[0].update(source="# Mine"))
    world.publish({"notebooks/00_first.ipynb": later()})
    for words in (["stash", "-q"], ["pull", "-q"]):
        world.git(world.learner, *words)
    subprocess.run(["git", "-C", world.learner, "stash", "pop", "-q"], capture_output=True)
    refused(world, r"A conflict is left in notebooks/00_first\.ipynb")
    (world.learner / ".git/MERGE_HEAD").write_text("x")
    refused(world, "A merge of yours is not finished")


def test_another_git_and_another_update(world: World) -> None:
    (world.learner / ".git/index.lock").touch()
    refused(world, r"remove .*index\.lock")
    (world.learner / ".git/index.lock").unlink()
    with locked(Clone(world.learner).lock_file(), seconds=0):
        refused(world, "Another `course update` is running")


def test_git_refuses_in_the_middle_and_all_is_put_back(world: World) -> None:
    """A folder of the learner's stands where the new version wants a file; and a file where it wants a folder."""
    mine = world.learn(answered)
    (world.learner / "new").write_text("a file of mine")
    world.publish({"notebooks/00_first.ipynb": later(), "new/thing.txt": b"x"})
    with pytest.raises((UpdateError, OSError)):
        world.update()
    assert (world.learner / "notebooks/00_first.ipynb").read_bytes() == mine and not world.is_new()
    (world.learner / "new").unlink()
    (world.learner / "new/thing.txt").mkdir(parents=True)
    with pytest.raises(UpdateError, match=r"thing\.txt is a folder"):
        world.update()
    shutil.rmtree(world.learner / "new")
    hook = world.learner / ".git/refs/heads/main.lock"
    hook.touch()  # git can't write the branch at the very end
    with pytest.raises(UpdateError, match="could not bring the course forward"):
        world.update()
    assert (world.learner / "notebooks/00_first.ipynb").read_bytes() == mine and not unfinished(world.work)
    hook.unlink()
    world.update()
    assert world.is_new() and world.read() == CARRIED


# Interrupted


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it but what would clean up files that nothing was done with."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(7))
def test_interrupted_at_each_step_and_finished_by_a_second_run(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int, after: bool
) -> None:
    """Before and after each step that changes a file: the second run ends where one run would have."""
    mine = world.learn(answered)
    (world.learner / "README.md").write_text("mine\n")
    world.publish({"notebooks/00_first.ipynb": later(), "README.md": b"new\n", "more.txt": b"more\n"})
    steps = iter(range(100))

    def breaking(work: Callable[..., Any], counts: Callable[..., bool]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            due = counts(*arguments) and next(steps) == step
            if due and not after:
                raise Killed
            result = work(*arguments, **named)
            if due:
                raise Killed
            return result

        return run

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", breaking(module._write, lambda *arguments: True))
        patch.setattr(Clone, "run", breaking(Clone.run, lambda clone, verb, *rest: verb in ("checkout", "merge")))
        with pytest.raises(Killed):
            world.update()
    world.update()
    assert world.is_new() and world.read() == CARRIED and not unfinished(world.work)
    assert (world.learner / "README.md").read_text() == "new\n"
    copies = {path.read_bytes() for path in world.work.rglob("*") if path.is_file()}
    assert {mine, b"mine\n"} <= copies
    assert world.update().commits == 0 and world.read() == CARRIED


@pytest.mark.parametrize("offline", [False, True], ids=["online", "offline"])
def test_git_killed_in_its_middle(world: World, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    """Half of the new version is in the folder, one file of it torn, the branch is still the old one.

    The second run finishes; where it can't reach the course, it leaves the old version whole, with the learner's work.
    """
    mine = world.learn(answered)
    world.publish({"notebooks/00_first.ipynb": later(), "README.md": b"the second readme\n", "more.txt": b"more\n"})
    run = Clone.run

    def killed(clone: Clone, *arguments: str, **named: Any) -> bytes:
        if arguments[0] != "merge":
            return run(clone, *arguments, **named)
        (world.learner / "more.txt").write_bytes(b"more\n")
        (world.learner / "README.md").write_bytes(b"the sec")
        (world.learner / "notebooks/00_first.ipynb").write_bytes(later()[:200])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Clone, "run", killed)
        with pytest.raises(Killed):
            world.update()
    if offline:
        world.git(world.learner, "remote", "set-url", "origin", str(world.folder / "nowhere"))
        assert world.update().finished
        assert world.git(world.learner, "status", "--porcelain") == "M notebooks/00_first.ipynb"
        assert (world.learner / "notebooks/00_first.ipynb").read_bytes() == mine
        return
    done = world.update()
    assert done.finished and world.is_new() and world.read() == CARRIED
    assert {file.path for file in done.files} == {"notebooks/00_first.ipynb"}


def test_what_the_learner_writes_after_an_interruption_is_not_written_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = world.learn(answered)
    world.publish({"notebooks/00_first.ipynb": later()})
    with monkeypatch.context() as patch:
        patch.setattr(module, "_carry", lambda *arguments: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            world.update()
    since = world.learn(lambda cells: cells[4].update(source="def one(): return 'again'"))
    world.git(world.learner, "remote", "set-url", "origin", str(world.folder / "nowhere"))  # and offline by now
    done = world.update()
    assert done.finished and "can't be reached" in done.note and "changed it after" in done.files[0].happened
    assert (world.learner / "notebooks/00_first.ipynb").read_bytes() == since
    assert (world.work / "updates/1/notebooks/00_first.ipynb").read_bytes() == mine


# What is carried over


def carried(mine: Callable[[Cells], object], theirs: Callable[[Cells], object]) -> tuple[list[str], list[str]]:
    """The cells of the merged lesson, and what is only in the copy."""
    learner, new = copy.deepcopy(LESSON), copy.deepcopy(LESSON)
    mine(learner)
    theirs(new)
    done = carry_over(notebook(LESSON), notebook(learner), notebook(new))
    names = [cell["id"] for cell in json.loads(done.data)["cells"]]
    assert len(set(names)) == len(names)
    return sources(done.data), done.left


def replace_story(cells: Cells) -> None:
    cells[2] = markdown("story 2", "A better story.")


def test_an_own_cell_follows_a_cell_that_was_rewritten_in_its_place() -> None:
    cells, left = carried(lambda cells: cells.insert(3, markdown("mine", "My note.")), replace_story)
    assert cells[2:4] == ["A better story.", "My note."] and left == []


def test_an_own_cell_whose_cell_is_gone_is_only_in_the_copy() -> None:
    cells, left = carried(lambda cells: cells.insert(3, markdown("mine", "My note.")), lambda cells: cells.pop(2))
    assert "My note." not in cells and left == ["the cell that begins 'My note.'"]


def test_a_lesson_s_cell_changed_by_both_is_the_lesson_s() -> None:
    cells, left = carried(lambda cells: cells[2].update(source="Mine."), replace_story)
    assert cells[2] == "A better story." and left == ["the cell that begins 'Mine.'"]


def test_an_exercise_that_is_asked_otherwise_shows_its_new_starter() -> None:
    def ask_otherwise(cells: Cells) -> None:
        cells[3:5] = exercise("00.1", "def first(number): ...")

    cells, left = carried(lambda cells: cells[3].update(source="def one(): return 1"), ask_otherwise)
    assert cells[3] == "def one(): return 1" and left == []
    assert "The course changed exercise 00.1" in cells[4] and "def first(number): ..." in cells[4]


def test_exercises_that_were_numbered_anew_keep_their_answers() -> None:
    def number_anew(cells: Cells) -> None:
        fresh = [*exercise("00.1", "def zero(): ..."), *exercise("00.2", "def one(): ...")]
        cells[3:8] = [*fresh, *exercise("00.3", "def two(): ...")]

    def answer_both(cells: Cells) -> None:
        cells[3]["source"], cells[6]["source"] = "def one(): return 1", "def two(): return 2"

    cells, left = carried(answer_both, number_anew)
    assert cells[3:9:2] == ["def zero(): ...", "def one(): return 1", "def two(): return 2"] and left == []


def test_an_exercise_that_is_gone_leaves_its_answer_in_the_copy() -> None:
    def drop(cells: Cells) -> None:
        del cells[6:8]

    cells, left = carried(lambda cells: cells[6].update(source="def two(): return 2"), drop)
    assert "def two(): return 2" not in cells and left == ["the answer to 00.2"]


def test_a_pasted_copy_of_an_answer_stays_beside_it() -> None:
    def paste(cells: Cells) -> None:
        cells[3]["source"] = "def one(): return 1"
        cells.insert(5, copy.deepcopy(cells[3]) | {"id": "pasted", "source": "def one(): return 'first try'"})

    cells, left = carried(paste, replace_story)
    assert cells[3:6] == ["def one(): return 1", "check(00.1)", "def one(): return 'first try'"] and left == []


def test_an_editor_that_drops_the_ids_doubles_nothing() -> None:
    def strip(cells: Cells) -> None:
        cells[3]["source"] = "def one(): return 1"
        cells.insert(3, markdown("mine", "My note."))
        for cell in cells:
            del cell["id"]

    assert carried(strip, replace_story) == carried(lambda cells: (strip, strip(cells)), replace_story)
    cells, left = carried(strip, replace_story)
    assert len(cells) == len(LESSON) + 1 and "def one(): return 1" in cells and "My note." in cells and left == []


def test_cells_that_are_moved_or_removed_come_back_in_the_lesson_s_order() -> None:
    cells, left = carried(lambda cells: (cells.reverse(), cells.pop(0)), replace_story)
    assert cells == ["# First", "port = 5432", "A better story.", *sources(notebook(LESSON))[3:]] and left == []


@pytest.mark.parametrize("cells", [[None], ["x"], [{"cell_type": "code", "source": 1}], [{"source": ""}], 7])
def test_strange_notebooks_are_none(cells: Any) -> None:
    with pytest.raises(NotANotebookError):
        carry_over(notebook(LESSON), notebook(cells), notebook(LESSON))


def test_the_course_s_own_lessons_are_carried_whole() -> None:
    """Each lesson with all exercises solved, an own cell behind each third cell, under a new version: all is there."""
    project = Path(__file__).parents[1]
    tried = 0
    for path in sorted((project / "notebooks").glob("[0-9]*.ipynb")):
        base = path.read_bytes()
        learner, new = json.loads(base)["cells"], json.loads(base)["cells"]
        answers = [cell for cell in learner if cell["metadata"].get("role") == "starter"]
        for number, cell in enumerate(answers):
            cell["source"] = f"answer = {number}"
        for index in range(len(learner) - 1, 0, -3):
            learner.insert(index, markdown(f"mine-{index}", f"note {index}"))
        new[0]["source"] = "# Another title"
        done = carry_over(base, notebook(learner), notebook(new))
        assert sources(done.data) == ["# Another title", *sources(notebook(learner))[1:]] and not done.left
        assert len(done.answers) == len(answers) and not done.changed
        tried += len(answers)
    assert tried > 30


# The command


def test_the_command(world: World) -> None:
    """Table, JSON, exit codes, and nothing on stdout when it refuses."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"COURSE_ROOT": str(world.learner), "COLUMNS": "250"}
        return subprocess.run(
            [COURSE, "update", *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    world.learn(answered)
    world.publish({"notebooks/00_first.ipynb": later(), "requirements.lock": b"two\n"})
    shown = run()
    assert shown.returncode == 0 and shown.stderr == "", shown.stderr
    for words in ("answers put back: 00.1", "Updated by 1 change", "make env", "Reload Notebook from Disk"):
        assert words in " ".join(shown.stdout.split())
    as_json = json.loads(run("--json").stdout)
    assert as_json["commits"] == 0 and as_json["files"] == [] and as_json["old"] == as_json["new"]
    assert "The course is up to date" in run().stdout
    shutil.rmtree(world.folder / "course.git")
    refusal = run("--json")
    assert refusal.returncode == 1 and refusal.stdout == "" and "Are you online?" in refusal.stderr
    assert run("nonsense").returncode == 2
