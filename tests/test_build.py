"""Does the build make the right notebooks, the same each time, and refuse what must not be published?"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat import NotebookNode, v4
from typer.testing import CliRunner, Result

from course_lib import build, lessons
from course_lib._build_run import CellFailure, private_patterns, refuse_leaks, tidy_outputs
from course_lib._build_source import BuildError, read_source
from course_lib.build import Course, build_lesson, differences, strays

LESSONS = Path(__file__).parent / "data" / "lessons"
HEAD = "---\nkernelspec:\n  display_name: Python 3 (ipykernel)\n  language: python\n  name: python3\n---\n\n# Title\n\n"
FENCE = "```"


def code(source: str, **metadata: str) -> str:
    lines = [f"{key}: {value}" for key, value in metadata.items()]
    header = ["---", *lines, "---"] if lines else []
    return "\n".join([f"{FENCE}{{code-cell}} ipython3", *header, source, FENCE, "", ""])


def exercise(identity: str, *roles: str) -> str:
    return "".join(code(f"x = '{role}'", exercise=f'"{identity}"', role=role) for role in roles)


def write_lesson(folder: Path, body: str, name: str = "00_only") -> tuple[Course, Path]:
    (folder / "lessons").mkdir(exist_ok=True)
    path = folder / "lessons" / f"{name}.md"
    path.write_text(HEAD + body, encoding="utf-8")
    return Course(folder / "lessons"), path


def command(*arguments: object) -> Result:
    """Run the command as the shell would, in this process."""
    return CliRunner().invoke(build.app, [str(word) for word in arguments], catch_exceptions=False)


def contents(course: Course) -> dict[str, bytes]:
    return {str(path.relative_to(course.root)): path.read_bytes() for path in sorted(course.root.rglob("*.*"))}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Both fixture lessons, built once."""
    root = tmp_path_factory.mktemp("original course")
    shutil.copytree(LESSONS, root / "lessons")
    course = Course(root / "lessons")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", "from the author's shell")
        assert all(build_lesson(course, path) for path in sorted(course.lessons.glob("*.md")))
    return course


@pytest.fixture
def course(original: Course, tmp_path: Path) -> Course:
    """A copy of the built course that a test may change."""
    shutil.copytree(original.root, tmp_path / "copy")
    return Course(tmp_path / "copy" / "lessons")


def read(course: Course, folder: str, name: str = "00_first") -> NotebookNode:
    return nbformat.read(course.root / folder / f"{name}.ipynb", as_version=4)


class TestResult:
    def test_each_folder_gets_its_answer_cell(self, original: Course) -> None:
        """Do the notebooks differ in the answer alone, under one id?"""
        solution, notebook = read(original, "solutions"), read(original, "notebooks")
        assert [cell.id for cell in solution.cells] == [cell.id for cell in notebook.cells]
        pairs = zip(solution.cells, notebook.cells, strict=True)
        assert [one.id for one, other in pairs if one.source != other.source] == ["answer-00-1"]
        answer = next(cell for cell in solution.cells if cell.id == "answer-00-1")
        assert "number * 2" in answer.source
        assert answer.metadata.role == "solution"
        assert "the answer" not in (original.root / "notebooks" / "00_first.ipynb").read_text()

    def test_ids_are_valid_unique_and_independent_of_position(self, original: Course, course: Course) -> None:
        """Does a new cell at the top leave the other ids alone, and are equal cells told apart?"""
        ids = [cell.id for cell in read(original, "solutions").cells]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", identity) for identity in ids)
        lesson = course.lessons / "00_first.md"
        lesson.write_text(lesson.read_text().replace("minutes\n\n", f"minutes\n\n{code('new = 1')}", 1))
        changed = [cell.id for cell in course.fresh(lesson)[1]["solutions"].cells]
        assert [identity for identity in changed if identity in ids] == ids

    def test_nbgrader_metadata(self, original: Course) -> None:
        """Are answer and check marked as nbgrader's schema 3 wants them?"""
        for folder in ("solutions", "notebooks"):
            marked = [c.metadata.nbgrader for c in read(original, folder).cells if "nbgrader" in c.metadata]
            common = {"schema_version": 3, "solution": False, "task": False}
            assert marked == [
                common | {"grade": False, "locked": False},
                common | {"grade": True, "locked": True, "grade_id": "check-00-1", "points": 1},
            ]

    def test_outputs_are_stored_tidily(self, original: Course) -> None:
        """Are streams merged, widget views dropped and counts 1..n, in solutions alone?"""
        cells = [cell for cell in read(original, "solutions").cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in cells] == [1, 2, 3, 4, 5]
        texts = {output.name: output.text for output in cells[0].outputs}
        assert texts == {"stdout": "one\ntwo\nthree\n", "stderr": "on stderr\n"}
        assert [dict(output.data) for output in cells[1].outputs] == [{"text/plain": "a slider"}, {"text/plain": "42"}]
        assert cells[3].outputs[0].data["text/plain"] == "4"
        assert all(
            not cell.outputs and not cell.execution_count
            for cell in read(original, "notebooks").cells
            if "outputs" in cell
        )
        assert "version" not in read(original, "solutions").metadata.language_info

    def test_the_kernel_is_the_same_everywhere(self, original: Course) -> None:
        """Does nothing of the author's shell reach the kernel? (The cell itself asserts folder, home and stdin.)"""
        printed = read(original, "solutions").cells[-2].outputs[0].text
        assert printed == "['80', '1', '0', 'UTC', None]\n"

    def test_links_to_the_neighbours(self, original: Course) -> None:
        """Does each notebook end with links to the lessons that exist?"""
        assert read(original, "notebooks").cells[-1].source == "Next lesson: [01 The second lesson](01_second.ipynb)"
        last = read(original, "solutions", "01_second").cells[-1]
        assert last.source == "Previous lesson: [00 The first lesson](00_first.ipynb)"

    def test_a_second_build_changes_no_byte(self, course: Course) -> None:
        """Is an unchanged lesson written the same again, and nothing left beside it?"""
        before = contents(course)
        result = command("--lessons-dir", course.lessons, "--all")
        assert result.exit_code == 0, result.stderr
        assert contents(course) == before


class TestIncrementalBuild:
    def test_unchanged_lessons_start_no_kernel(self, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is a changed text rebuilt without running, and an unchanged lesson not at all?"""
        monkeypatch.setattr(build, "execute", lambda *_, **__: pytest.fail("a kernel was started"))
        lesson = course.lessons / "01_second.md"
        lesson.write_text(lesson.read_text().replace("one cell", "a single cell"))
        assert differences(course, lesson)
        assert build_lesson(course, lesson, always_run=False) is False
        assert differences(course, lesson) == []
        assert read(course, "solutions", "01_second").cells[1].outputs[0].text == "second\n"
        before = contents(course)
        build.main(lessons_dir=course.lessons)
        assert contents(course) == before

    def test_changed_code_is_executed(self, course: Course) -> None:
        """Does a named lesson run, by its number, and the others not?"""
        lesson = course.lessons / "01_second.md"
        lesson.write_text(lesson.read_text().replace('print("second")', 'print("changed")'))
        result = command("--lessons-dir", course.lessons, "01")
        assert result.exit_code == 0, result.stderr
        assert "01_second: executed" in result.stderr
        assert "00_first" not in result.stderr
        assert read(course, "solutions", "01_second").cells[1].outputs[0].text == "changed\n"


REFUSED_AT_RUN = {
    "an error": ("print('fine')\n1 / 0", "ZeroDivisionError: division by zero"),
    "an unknown magic": ("get_ipython().run_line_magic('nothing', '')", "UsageError: Line magic function `%nothing`"),
    "a dead kernel": ("import os\nos._exit(3)", "the kernel died"),
    "a time-out": ("while True:\n    pass", "the cell ran longer than 1 s"),
    "sys.exit": ("import sys\nsys.exit(0)", "SystemExit"),
    "input": ("input()", "does not support input requests"),
    "a path": ("import sys\nprint(sys.prefix)", "an output holds"),
}


def kernels() -> set[psutil.Process]:
    """The kernels that this process has started and that run."""
    children = psutil.Process().children(recursive=True)
    return {child for child in children if "ipykernel_launcher" in child.cmdline()}


class TestRefusals:
    @pytest.mark.parametrize(("source", "message"), REFUSED_AT_RUN.values(), ids=REFUSED_AT_RUN.keys())
    def test_at_run(self, tmp_path: Path, source: str, message: str) -> None:
        """Does what goes wrong in a kernel stop the build, name its place, write nothing and leave no process?"""
        course, lesson = write_lesson(tmp_path, code(source))
        before = kernels()  # a worker that has tested a notebook keeps its kernel
        with pytest.raises(BuildError) as caught:
            build_lesson(course, lesson, seconds=1 if "while" in source else 30)
        assert str(caught.value).startswith("00_only, cell 2 (lessons/00_only.md:10): ")
        assert message in str(caught.value)
        assert sorted(contents(course)) == ["lessons/00_only.md"]
        assert kernels() <= before

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (exercise("00.1", "starter", "check"), "cell 3 .*:18.*the solution of exercise 00.1 belongs"),
            (exercise("00.1", "starter", "solution"), "the check of exercise 00.1 is missing"),
            (exercise("00.1", "solution", "check"), "cell 2 .*:10.*the starter of exercise 00.1 belongs"),
            (exercise("00.1", "starter", "solution", "check") * 2, "00.1 is already complete"),
            (exercise("01.1", "starter", "solution", "check"), "the starter of exercise 00.1 belongs"),
            (exercise("00.2", "starter", "solution", "check"), "the starter of exercise 00.1 belongs"),
            (
                exercise("00.1", "starter") + "text\n\n" + exercise("00.1", "solution", "check"),
                "right after its starter",
            ),
            (code("x", exercise="00.1", role="starter"), "Put it in quotes"),
            (code("x", exercise='"00.1"', role="answer"), "Known roles: starter, solution, check"),
            (code("x", role="check"), "come together"),
            (code("x", tags="[raises-exception]"), "The only tag is"),
            (code("x", points="3"), r"unknown metadata \['points'\]"),
            (code("x", tags="[a"), "isn't valid YAML"),
            (code(""), "is empty"),
            (code("%matplotlib inline"), "cell 2 .*:10.*not plain Python in the cell's line 1"),
            (code("x = 1\n!ls"), "not plain Python in the cell's line 2"),
            (code("print?"), "not plain Python"),
        ],
    )
    def test_at_reading(self, tmp_path: Path, body: str, message: str) -> None:
        """Is a lesson that isn't whole refused before a kernel starts, with the place?"""
        _, lesson = write_lesson(tmp_path, body)
        with pytest.raises(BuildError, match=f"^00_only.*{message}"):
            read_source(lesson)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("---\nkernelspec:\n  name: python3\n---\n# T\n", "display_name"),
            ("# T\n", "kernel None"),
            (HEAD[:-9], "title"),
        ],
    )
    def test_no_lesson_at_all(self, tmp_path: Path, text: str, message: str) -> None:
        """Is a file without front matter or title refused with what it lacks?"""
        path = tmp_path / "00_only.md"
        path.write_text(text)
        with pytest.raises(BuildError, match=message):
            read_source(path)

    @pytest.mark.parametrize(
        ("text", "leak"),
        [
            ("File /srv/checkout/course/x.py", True),
            ("postgresql://app:hunter2@db/shop", True),
            ("redis://:hunter2@db", True),
            ("see ginger.rogers at work", True),
            ("on build-machine-7:", True),
            ("/srv/checkout/course-2/x", False),
            ("postgresql://app:***@db/shop", False),
            ("postgresql://app:example%40pw@db/shop", False),
            ("postgresql://app@db:5432/shop", False),
            ("https://docs.example.org/a:b", False),
        ],
    )
    @pytest.mark.parametrize("kind", ["stream", "html", "json"])
    def test_leaks(self, monkeypatch: pytest.MonkeyPatch, text: str, leak: bool, kind: str) -> None:
        """Is every kind of output searched for paths, names and passwords, and nothing else refused?"""
        monkeypatch.setattr("socket.gethostname", lambda: "build-machine-7")
        monkeypatch.setattr("getpass.getuser", lambda: "ginger.rogers")
        outputs = {
            "stream": v4.new_output("stream", text=text),
            "html": v4.new_output("display_data", data={"text/html": f"<b>{text}</b>"}),
            "json": v4.new_output("display_data", data={"application/json": {"value": [text]}}),
        }
        notebook = v4.new_notebook(cells=[v4.new_markdown_cell("x"), v4.new_code_cell("x", outputs=[outputs[kind]])])
        found: list[int] = []
        try:
            refuse_leaks(notebook, private_patterns(Path("/srv/checkout/course")))
        except CellFailure as failure:
            found.append(failure.index)
        assert found == ([1] if leak else [])

    def test_a_user_called_as_a_word_of_the_lessons(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Can somebody whose account is `learner`, as the lessons' role is, build them?"""
        monkeypatch.setattr("getpass.getuser", lambda: "learner")
        assert private_patterns(tmp_path)["the user's name"].search("the role 'learner'")
        (tmp_path / "lessons").mkdir()
        (tmp_path / "lessons" / "00_a.md").write_text("You are `learner`.")
        assert "the user's name" not in private_patterns(tmp_path)

    def test_a_large_notebook(self, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is a notebook over the limit refused, and is the stored one kept?"""
        monkeypatch.setattr(build, "MAX_BYTES", 900)
        before = contents(course)
        with pytest.raises(BuildError, match="Make its pictures smaller"):
            build_lesson(course, course.lessons / "00_first.md", always_run=False)
        assert contents(course) == before


def test_both_files_or_none(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are both notebooks as before when the second one can't be put in its place?"""
    before = contents(course)
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.parent.name == "notebooks":
            raise OSError("No space left on device")
        return replace(self, target)

    lesson = course.lessons / "00_first.md"
    lesson.write_text(lesson.read_text().replace("12 minutes", "13 minutes"))
    before["lessons/00_first.md"] = lesson.read_bytes()
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        build_lesson(course, lesson, always_run=False)
    assert contents(course) == before


def test_tidying_drops_nothing_between_streams() -> None:
    """Are only neighbouring streams of one name merged?"""
    stream = [v4.new_output("stream", name=name, text=name[-1]) for name in ("stdout", "stdout", "stderr", "stdout")]
    notebook = v4.new_notebook(cells=[v4.new_code_cell("x", outputs=stream)])
    tidy_outputs(notebook)
    assert [output.text for output in notebook.cells[0].outputs] == ["tt", "r", "t"]


def edit(path: Path, change: Callable[[NotebookNode], object]) -> None:
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


class TestCheck:
    def test_passes_on_what_was_built(self, course: Course) -> None:
        """Does check mode exit 0 without writing when nothing differs?"""
        before = contents(course)
        result = command("--lessons-dir", course.lessons, "--check")
        assert (result.exit_code, result.stderr) == (0, "")
        assert contents(course) == before

    def test_reports_all_drift(self, course: Course) -> None:
        """Does it exit 1 and name every lesson that differs, and the files that have no counterpart?"""
        lesson = course.lessons / "00_first.md"
        lesson.write_text(lesson.read_text().replace('print("three")', "print(3)"))
        (course.root / "notebooks" / "01_second.ipynb").rename(course.root / "notebooks" / "07_gone.ipynb")
        result = command("--lessons-dir", course.lessons, "--check")
        assert result.exit_code == 1
        assert "solutions/00_first.ipynb: the source of cell 2 ('import sys')" in result.stderr
        assert "notebooks/01_second.ipynb is not there" in result.stderr
        assert "notebooks/07_gone.ipynb has no lesson" in result.stderr
        assert strays(course) != []

    @pytest.mark.parametrize(
        ("folder", "change", "message"),
        [
            ("solutions", lambda nb: nb.cells[1].update(execution_count=None), "cell 2 was never executed"),
            ("solutions", lambda nb: nb.cells[1].outputs.append(v4.new_output("error")), "cell 2 holds an error"),
            ("solutions", lambda nb: nb.cells.pop(), "cells, the lesson"),
            ("notebooks", lambda nb: nb.cells[1].update(execution_count=4), "holds an output or an execution count"),
            ("notebooks", lambda nb: nb.cells[0].update(id="another"), "the id of cell 1"),
            ("notebooks", lambda nb: nb.cells[1].metadata.update(tags=["x"]), "the metadata of cell 2"),
            ("notebooks", lambda nb: nb.metadata.kernelspec.update(name="conda"), "the notebook's metadata"),
        ],
    )
    def test_sees(self, course: Course, folder: str, change: Callable[[NotebookNode], object], message: str) -> None:
        """Is each kind of difference found and named?"""
        edit(course.root / folder / "00_first.ipynb", change)
        (found,) = differences(course, course.lessons / "00_first.md")
        assert found.startswith(f"{folder}/00_first.ipynb")
        assert message in found

    def test_broken_file(self, course: Course) -> None:
        """Is a file that isn't a notebook reported rather than raised?"""
        (course.root / "notebooks" / "01_second.ipynb").write_text("{}")
        assert differences(course, course.lessons / "01_second.md") == ["notebooks/01_second.ipynb is not a notebook."]


def test_misuse_exits_with_2(course: Course, tmp_path: Path) -> None:
    """Are an unknown lesson and an absent folder misuse rather than a failed build?"""
    for arguments in (("--lessons-dir", course.lessons, "09"), ("--lessons-dir", tmp_path / "nowhere")):
        assert command(*arguments).exit_code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interruption_leaves_no_kernel(tmp_path: Path) -> None:
    """Does Ctrl-C end the build and its kernel, with nothing written?"""
    course, _ = write_lesson(tmp_path, code("open('running', 'w').close()\nimport time\ntime.sleep(60)"))
    words = [sys.executable, "-m", "course_lib.build", "--lessons-dir", str(course.lessons)]
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        deadline = time.monotonic() + 30
        while not list((tmp_path / "temporary").rglob("running")) and time.monotonic() < deadline:
            time.sleep(0.05)
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode not in (0, 1, 2)
    assert kernels and not any(kernel.is_running() for kernel in kernels)
    assert not list((tmp_path / "temporary").glob("course-build-*"))
    assert not (course.root / "solutions").exists()


class TestLessonsModule:
    def test_reads_the_built_notebooks(self, original: Course, monkeypatch: pytest.MonkeyPatch) -> None:
        """Are number, title, time and exercises those of the files?"""
        monkeypatch.setenv("COURSE_ROOT", str(original.root))
        first, second = lessons.lessons()
        assert first == lessons.Lesson(
            0, "00_first", "The first lesson", 12, ("00.1",), original.root / "notebooks" / "00_first.ipynb"
        )
        assert (second.number, second.minutes, second.exercises) == (1, None, ())

    def test_finds_an_exercise_s_cells(self, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is the starter the lesson's own, even after a learner saved an answer over it?"""
        monkeypatch.setenv("COURSE_ROOT", str(course.root))
        starter = lessons.cell_source("00.1", "starter")
        assert starter == "def double(number: int) -> int:\n    return ..."
        path = course.root / "notebooks" / "00_first.ipynb"
        edit(path, lambda nb: next(c for c in nb.cells if c.id == "answer-00-1").update(source="mine = 1"))
        assert lessons.cell_source("00.1", "starter") == starter
        assert "# the answer" in (lessons.cell_source("00.1", "solution") or "")
        assert lessons.cell_source("00.1", "check") == "double(2)"
        assert lessons.cell_source("00.2", "check") is None
        shutil.rmtree(course.root / "solutions")
        assert lessons.cell_source("00.1", "solution") is None

    def test_foreign_and_broken_files_are_no_lessons(self, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
        """Does a learner's own or half-saved notebook leave the list usable?"""
        monkeypatch.setenv("COURSE_ROOT", str(course.root))
        (course.root / "notebooks" / "scratch.ipynb").write_text("{}")
        (course.root / "notebooks" / "01_second.ipynb").write_text('{"cells": [')
        assert [(lesson.name, lesson.title) for lesson in lessons.lessons()] == [
            ("00_first", "The first lesson"),
            ("01_second", "01_second"),
        ]

    def test_a_wrong_course_root_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Does the error name the variable and what to do?"""
        monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=r"COURSE_ROOT is .* Set it to the course's folder"):
            lessons.course_root()

    def test_import_is_cheap(self) -> None:
        """Does importing the list of lessons load neither nbformat nor the build?"""
        script = (
            "import sys, course_lib.lessons; print(sorted({'nbformat', 'jupytext', 'nbclient'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
