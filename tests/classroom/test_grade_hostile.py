# ruff: noqa: E501, S108, PTH110 - the sources of answers are what they are
"""What hostile and broken submissions get: the points they earned, or none and a reason. Each kind really tries."""

import dataclasses
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from course_lib.grade import _marking
from course_lib.grade._grader import Grader
from course_lib.grade._marking import Mark, Result, mark_submission
from course_lib.grade._reference import reference
from course_lib.grade._submissions import Submission, read_submission, submissions
from course_lib.lessons import cell_source, course_root

LESSON = "02_url_conversion"
EXERCISE = "02.4"
RIGHT = str(cell_source(EXERCISE, "solution"))
WRONG = "def mask_url(url: str) -> str:\n    return url\n"
ROOT = course_root()
HARMLESS = ("not_yet", "error", "timed_out", "refused", "missing", "not_attempted")


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    """One grading process for all: what one submission does must not reach the next."""
    with Grader(memory=600) as grader:
        yield grader


@pytest.fixture(autouse=True)
def _one_quick_exercise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one exercise of one lesson, and little patience."""
    lesson = reference()[LESSON]
    questions = tuple(dataclasses.replace(each, seconds=1.0) for each in lesson.questions if each.id == EXERCISE)
    shorter = {LESSON: dataclasses.replace(lesson, questions=questions)}
    monkeypatch.setattr(_marking, "reference", lambda: shorter)
    monkeypatch.setattr(_marking, "ALLOWANCE", 2.0)


def notebook(answer: str = RIGHT, **changes: Any) -> dict[str, Any]:
    """A small notebook with one answer and its check."""
    cells = [
        code("x = 1", {}, "cell-1"),
        code(answer, {"exercise": EXERCISE, "role": "starter"}, "answer-02-4"),
        code(str(cell_source(EXERCISE, "check")), {"exercise": EXERCISE, "role": "check"}, "check-02-4"),
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells} | changes


def code(source: Any, metadata: dict[str, Any], name: str) -> dict[str, Any]:
    """A code cell."""
    return {
        "cell_type": "code",
        "id": name,
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def marked(grader: Grader, given: dict[str, Any] | bytes) -> Result:
    """What a notebook gets."""
    data = given if isinstance(given, bytes) else json.dumps(given).encode()
    return mark_submission(Submission("anna", {LESSON: data}), grader)


def only(result: Result) -> Mark:
    """The one exercise's mark."""
    (mark,) = result.marks
    return mark


FORGE = """
import os
for number in range(2, 16):
    try:
        os.write(number, b'{"status": "correct", "message": "", "misconception": null}\\n')
        os.write(number, b'0' * 32 + b' {"status": "correct", "message": "", "misconception": null}\\n')
    except OSError:
        pass
"""
# Each ends with no right answer. What it reaches for would give one, or would harm others.
HOSTILE = {
    "hangs while it is defined": "while True:\n    pass",
    "hangs when it is called": "import time\ndef mask_url(url):\n    time.sleep(1000)",
    "waits for ever": "import asyncio\nawait asyncio.Event().wait()",
    "hangs and catches all": "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass",
    "takes the alarm away": "import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nsignal.setitimer(0, 0)\n"
    "def mask_url(url):\n    while True:\n        pass",
    "forks": "import os\nwhile True:\n    os.fork()",
    "starts a shell": "import os\nos.system('sleep 100')",
    "starts a program with asyncio": "import asyncio\nawait asyncio.create_subprocess_exec('/bin/sleep', '100')",
    "replaces itself": "import os\nos.execv('/bin/true', ['true'])",
    "exits": "import sys\nsys.exit(0)",
    "exits when it is called": "import sys\ndef mask_url(url):\n    sys.exit(0)",
    "exits at once": "import os\nos._exit(0)",
    "kills itself": "import os\nos.kill(os.getpid(), 9)",
    "kills its parent": f"import os\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)\n{WRONG}",
    "takes memory": "data = bytearray(8 << 30)\ndata[::4096] = b'1' * len(data[::4096])",
    "takes memory bit by bit": "def mask_url(url):\n    kept = []\n    while True:\n        kept.append('x' * 1_000_000)",
    "writes without end": "while True:\n    print('x' * 100_000)",
    "raises a huge text": "def mask_url(url):\n    raise ValueError('x' * 50_000_000)",
    "starts threads": f"import threading, time\nfor _ in range(30):\n    threading.Thread(target=time.sleep, args=(99,)).start()\n{WRONG}",
    "recurses": "def mask_url(url):\n    return mask_url(url)",
    "replaces the check": f"from course_lib.exercises.url_conversion import q4\nasync def fine(*a): pass\nq4._check = fine\n{WRONG}",
    "replaces the check through setattr": "from course_lib.exercises.url_conversion import q4\nasync def fine(*a): pass\n"
    f"setattr(q4, '_ch' + 'eck', fine)\n{WRONG}",
    "replaces the check through vars": "from course_lib.exercises.url_conversion import q4\nasync def fine(*a): pass\n"
    f"vars(q4)['_ch' + 'eck'] = fine\n{WRONG}",
    "replaces a method of the class": "from course_lib.exercises.url_conversion import q4\n"
    f"async def _judge(*a): pass\ntype(q4)._judge = _judge\n{WRONG}",
    "imports the checks' core": f"import course_lib.exercises.core as core\n{WRONG}",
    "imports the checks' core another way": f"from course_lib.exercises import core\n{WRONG}",
    "imports the server of the checks": f"from course_lib.exercises.lab import _server\n{WRONG}",
    "imports the grader": f"from course_lib.grade import _child\n{WRONG}",
    "patches assert": f"import builtins\nbuiltins.AssertionError = None\n{WRONG}",
    "patches with mock": f"from unittest import mock\nmock.patch('course_lib.exercises.core.run_limited').start()\n{WRONG}",
    "patches asyncio": f"import asyncio\nasyncio.wait = None\n{WRONG}",
    "patches asyncio through vars": f"import asyncio\nvars(asyncio)['wait'] = lambda *a: None\n{RIGHT}",
    "patches a library that the check uses": f"import json\nvars(json)['dumps'] = lambda *a, **k: '{{}}'\n{RIGHT}",
    "asks for sys.modules": f"import sys\nsys.modules['course_lib.exercises.core']\n{WRONG}",
    "asks for sys.modules through another": f"import logging\nlogging.sys.modules\n{WRONG}",
    "imports under a made-up name": f"m = __import__('g' + 'c')\n{WRONG}",
    "imports a made-up name": f"import importlib\nimportlib.import_module('g' + 'c')\n{WRONG}",
    "imports the checks' core by a made-up name": "import importlib\n"
    f"importlib.import_module('course_lib.exerc' + 'ises.core')\n{WRONG}",
    "lets a thread import the checks' core": "import importlib\nfrom concurrent.futures import ThreadPoolExecutor\n"
    "core = ThreadPoolExecutor().submit(importlib.import_module, 'course_lib.exerc' + 'ises.core').result()\n"
    f"core.Exercise._judge = None\n{RIGHT}",
    "asks an imported sys for its modules": f"import importlib\ns = importlib.import_module('sys')\ns.modules\n{RIGHT}",
    "asks for globals under a made-up name": f"import asyncio\ngetattr(asyncio.wait, '__glo' + 'bals__')\n{WRONG}",
    "walks frames": f"import sys\ndef mask_url(url):\n    return sys._getframe(1).f_locals\n{WRONG}",
    "walks frames with inspect": "import inspect\ndef mask_url(url):\n    return inspect.currentframe().f_back",
    "walks frames from a traceback": "def mask_url(url):\n    try:\n        1 / 0\n    except Exception as e:\n"
    "        return e.__traceback__.tb_frame.f_back",
    "uses ctypes": f"import ctypes\n{WRONG}",
    "uses the garbage collector": f"import gc\ngc.get_objects()\n{WRONG}",
    "looks for subclasses": f"().__class__.__base__.__subclasses__()\n{WRONG}",
    "formats attributes": f"'{{0.__class__.__init__}}'.format(1)\n{WRONG}",
    "runs text": f"exec('import gc')\n{WRONG}",
    "compiles text": f"compile('1', '', 'eval')\n{WRONG}",
    "reaches the builtins": f"globals()['__buil' + 'tins__']['getattr'](print, '__self' + '__').exec('1')\n{WRONG}",
    "traces": f"import sys\nsys.settrace(lambda *a: None)\n{WRONG}",
    "adds an audit hook": f"import sys\nsys.addaudithook(print)\n{WRONG}",
    "forges a verdict": f"{FORGE}{WRONG}",
    "forges a verdict and exits": f"{FORGE}os._exit(0)",
    "closes everything": f"import os\nos.closerange(0, 100)\n{WRONG}",
    "equals everything": "class All(str):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
    "    def __hash__(self): return 0\n    def __contains__(self, other): return True\ndef mask_url(url):\n    return All('x')",
    "raises the check's own verdicts": "def mask_url(url):\n    raise SystemExit('correct')",
    "returns a coroutine that never ends": "import asyncio\nasync def mask_url(url):\n    await asyncio.Event().wait()",
    "defines nothing": "pass",
    "is not Python": "def mask_url(url:\n    return",
    "holds a zero byte": f"{WRONG}\0",
    "is nested deeply": "x = " + "(" * 5000 + ")" * 5000,
    "is nested deeply without brackets": f"x = {'-' * 100_000}1\n{WRONG}",
    "is very long": "# " + "x" * 300_000 + f"\n{RIGHT}",
    "is another language": "%%bash\nexit 0",
    "reads memory": f"open('/proc/self/mem', 'rb').read(1)\n{WRONG}",
}


# Each takes its whole limit of time; two of the kind run by default.
_LONG = (
    "waits for ever", "hangs and catches all", "takes the alarm away", "starts a shell",
    "returns a coroutine that never ends", "takes memory bit by bit",
)  # fmt: skip


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.classroom] if kind in _LONG else []) for kind in HOSTILE]
)
def test_a_hostile_answer_earns_nothing_and_harms_nobody(grader: Grader, kind: str) -> None:
    """It gets no point and is told why, and the next submission is graded as if nothing had been."""
    mark = only(marked(grader, notebook(HOSTILE[kind])))
    assert mark.status in HARMLESS, mark
    assert mark.points == 0
    assert mark.message
    assert len(mark.message) <= 20_000


def test_after_all_that_an_honest_answer_gets_its_point(grader: Grader) -> None:
    """The same process has graded all of the above."""
    mark = only(marked(grader, notebook()))
    assert (mark.status, mark.points) == ("correct", 1), mark


def test_what_is_not_its_own_stays_closed(grader: Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Solutions, lessons, other submissions, this home, the environment: an answer sees nothing of them."""
    monkeypatch.setenv("GRADERS_SECRET", "example")
    other = tmp_path / "bernd" / f"{LESSON}.ipynb"
    other.parent.mkdir()
    other.write_text("an answer")
    for folder in (tmp_path, *tmp_path.parents[:2], other.parent):
        folder.chmod(0o755)
    secret = [ROOT / "solutions" / f"{LESSON}.ipynb", ROOT / "lessons" / "02_url_conversion.md", other]
    secret += [ROOT / "tests" / "answers" / "bank.py", ROOT / ".git" / "HEAD", ROOT / "README.md"]
    assert all(path.exists() for path in secret)
    source = f"""
import os
seen = [name for name in os.environ if "SECRET" in name or "GRADER" in name]
for path in {[str(path) for path in secret]!r}:
    try:
        open(path).read()
        seen.append(path)
    except OSError:
        pass
for folder in {[str(path.parent) for path in secret[:4]] + [str(Path.home()), "/tmp"]!r}:
    try:
        seen += os.listdir(folder)
    except OSError:
        pass
def mask_url(url):
    raise ValueError(f"seen: {{seen}}")
"""
    mark = only(marked(grader, notebook(source)))
    assert "seen: []" in mark.message, mark


def test_nothing_is_written_outside(grader: Grader, tmp_path: Path) -> None:
    """Progress, notebooks, temporary folders: an answer leaves no trace."""
    tmp_path.chmod(0o777)
    from course_lib.folders import data_folder

    target = tmp_path / "left behind"
    places = [
        str(target),
        str(ROOT / "notebooks" / "new.txt"),
        str(data_folder() / "progress.sqlite"),
        "/tmp/new-by-answer",
    ]
    before = {place: os.path.exists(place) for place in places}
    source = f"""
import os, pathlib
done = []
for place in {places!r}:
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "a") as file:
            file.write("x")
        done.append(place)
    except OSError:
        pass
pathlib.Path("own.txt").write_text("this is allowed")
def mask_url(url):
    raise ValueError(f"written: {{done}}")
"""
    mark = only(marked(grader, notebook(source)))
    assert "written: []" in mark.message, mark
    assert {place: os.path.exists(place) for place in places} == before


def test_the_network_is_its_own(grader: Grader) -> None:
    """A server of this machine, on loopback, is out of reach."""
    assert "network" in grader.layers
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = f"""
import socket
def mask_url(url):
    with socket.create_connection(("127.0.0.1", {port}), timeout=1):
        return "reached"
"""
        mark = only(marked(grader, notebook(source)))
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert mark.status == "error"
    assert "refused" in mark.message.lower(), mark


def moved(cells: list[Any]) -> list[Any]:
    """The check first, then the answer."""
    return [cells[2], cells[1], cells[0]]


def _version_3(given: dict[str, Any]) -> dict[str, Any]:
    cells = [{**cell, "input": cell["source"], "source": ""} for cell in given["cells"]]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}


def _with_cells(change: Callable[[list[Any]], list[Any]]) -> dict[str, Any]:
    made = notebook()
    return made | {"cells": change(made["cells"])}


FAIR: dict[str, dict[str, Any] | bytes] = {
    "as it was handed out": notebook(),
    "UTF-16": json.dumps(notebook(RIGHT + "# ä")).encode("utf-16"),
    "UTF-8 with a byte order mark": b"\xef\xbb\xbf" + json.dumps(notebook()).encode(),
    "Windows-1252": json.dumps(notebook(RIGHT + "# äöü"), ensure_ascii=False).encode("cp1252"),
    "Windows line ends": notebook(RIGHT.replace("\n", "\r\n")),
    "another kernel": notebook(
        metadata={"kernelspec": {"name": "my-env", "language": "python", "display_name": "Mine"}}
    ),
    "version 3 of the format": _version_3(notebook()),
    "lines as a list": _with_cells(lambda cells: [cells[0], {**cells[1], "source": RIGHT.splitlines(True)}, cells[2]]),
    "the check is missing": _with_cells(lambda cells: cells[:2]),
    "the check was emptied": _with_cells(lambda cells: [*cells[:2], {**cells[2], "source": ""}]),
    "the check was changed": _with_cells(lambda cells: [*cells[:2], {**cells[2], "source": "1 / 0"}]),
    "cells are reordered": _with_cells(moved),
    "cells are duplicated": _with_cells(lambda cells: [each for cell in cells for each in (cell, cell)]),
    "an older answer stands above": _with_cells(
        lambda cells: [code(WRONG, {"exercise": EXERCISE, "role": "starter"}, "answer-02-4"), *cells]
    ),
    "metadata is lost": _with_cells(lambda cells: [{**cell, "metadata": {}} for cell in cells]),
    "metadata and ids are lost": _with_cells(
        lambda cells: [{**cell, "metadata": {}, "id": f"new-{n}"} for n, cell in enumerate(cells)]
    ),
    "the answer is in a cell of its own": _with_cells(
        lambda cells: [cells[0], {**cells[1], "source": "..."}, code(RIGHT, {}, "mine"), cells[2]]
    ),
    "a helper is in another cell": _with_cells(
        lambda cells: [
            code(RIGHT.replace("def mask_url", "def helper"), {}, "mine"),
            {**cells[1], "source": "def mask_url(url: str) -> str:\n    return helper(url)"},
            cells[2],
        ]
    ),
    "with magics": notebook("%load_ext autoreload\n!ls\n" + RIGHT),
    "other cells are broken": _with_cells(
        lambda cells: [code("def (", {}, "a"), code("1 / 0", {}, "b"), code("while True: pass", {}, "c"), *cells]
    ),
    "cells of unknown kinds": _with_cells(lambda cells: [None, 7, {"cell_type": "new"}, {}, *cells]),
    "it prints and warns": notebook(
        RIGHT + "\nimport sys, warnings\nprint('x')\nwarnings.warn('y')\nprint(1, file=sys.stderr)"
    ),
}


@pytest.mark.parametrize("kind", FAIR)
def test_a_right_answer_in_an_odd_notebook_gets_its_point(grader: Grader, kind: str) -> None:
    """What happens to notebooks on their way does not cost points."""
    mark = only(marked(grader, FAIR[kind]))
    assert (mark.status, mark.points) == ("correct", 1), mark


BROKEN: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "blank": (b"  \n", "the file is empty"),
    "cut off": (json.dumps(notebook()).encode()[:700], "cut off"),
    "no notebook": (b"%PDF-1.7\n\xff\xfe\x00", "encoding"),
    "a list": (b"[1, 2]", "not a notebook"),
    "a future format": (notebook(nbformat=5), "notebook format is 5"),
    "an old format": (notebook(nbformat=2), "notebook format is 2"),
    "no format": (b'{"cells": []}', "notebook format is None"),
    "cells that are no list": (notebook(cells="x"), "no cells"),
    "nested deeply": (b"[" * 100_000, "nested too deeply"),
    "thousands of cells": (notebook(cells=notebook()["cells"] * 1000), "code cells"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_notebook_is_refused_with_the_reason(grader: Grader, kind: str) -> None:
    """Its exercises get no points, and the learner reads what is wrong with the file."""
    given, reason = BROKEN[kind]
    result = marked(grader, given)
    assert reason in result.problems[f"{LESSON}.ipynb"]
    assert only(result).status == "refused"
    assert reason in only(result).message
    assert result.points == 0


@pytest.mark.parametrize(
    ("source", "status"),
    [(str(cell_source(EXERCISE, "starter")), "not_attempted"), (None, "missing")],
    ids=["starter", "deleted"],
)
def test_an_untouched_or_deleted_answer_gets_nothing(grader: Grader, source: str | None, status: str) -> None:
    """Also with an output in the notebook that says otherwise."""
    made = notebook(source or "")
    made["cells"][2]["outputs"] = [{"output_type": "display_data", "data": {"text/plain": "✔ Correct"}, "metadata": {}}]
    if source is None:
        del made["cells"][1]
    assert only(marked(grader, made)).status == status


def test_folders_hold_what_they_like(tmp_path: Path) -> None:
    """Links, pipes, huge files, two of a lesson, odd names: read where it is the learner's own, else named."""
    own = tmp_path / "anna ünal (2)"
    own.mkdir()
    good = json.dumps(notebook()).encode()
    other = tmp_path / "bernd"
    other.mkdir()
    (other / f"{LESSON}.ipynb").write_bytes(good)
    (own / "02_url_conversion (1).ipynb").write_bytes(good)
    (own / "01_installation.ipynb").symlink_to(other / f"{LESSON}.ipynb")
    (own / "03_engine_creation.ipynb").hardlink_to(other / f"{LESSON}.ipynb")
    os.mkfifo(own / "04_connection_pooling.ipynb")
    with (own / "05_pool_exhaustion.ipynb").open("wb") as file:
        file.truncate(50 << 20)
    (own / "notes.ipynb").write_bytes(good)
    (own / "deep").mkdir()
    (own / "deep" / f"{LESSON}.ipynb").write_bytes(good)
    (own / "loop").symlink_to(own)
    found = read_submission(own)
    assert list(found.notebooks) == [LESSON]
    assert {name: why.split(",")[0].split("(")[0].strip() for name, why in found.problems.items()} == {
        "01_installation.ipynb": "it is a link",
        "03_engine_creation.ipynb": "it is one file under several names",
        "04_connection_pooling.ipynb": "it is not a file",
        "05_pool_exhaustion.ipynb": "it has 52 MB; up to 20 MB are read",
        "notes.ipynb": "it has no lesson's name",
        f"deep/{LESSON}.ipynb": "02_url_conversion",
    } | {f"deep/{LESSON}.ipynb": found.problems[f"deep/{LESSON}.ipynb"].split(",")[0].split("(")[0].strip()}
    assert "same lesson" in found.problems[f"deep/{LESSON}.ipynb"]


def test_folders_with_odd_names_are_told_apart(tmp_path: Path) -> None:
    """Names that are no text, or would be paths or formulas elsewhere."""
    for name in (b"caf\xe9", b"=cmd", b"a b", b"\xc3\xa4_.."):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    (tmp_path / ".git").mkdir()
    (tmp_path / "readme.txt").write_text("no submission")
    found = [read_submission(path) for path in submissions(tmp_path)]
    assert len(found) == 5
    assert len({each.learner for each in found}) == 5
    assert all(each.learner.encode() for each in found)
    link = next(each for each in found if each.learner == "link")
    assert "not followed" in link.problems["the folder"]


def test_servers_that_an_answer_spoils_are_replaced(grader: Grader, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer gets a connection to a real server; what it leaves there does not reach the next learner."""
    lesson = reference()["03_engine_creation"]
    question = next(each for each in lesson.questions if each.id == "03.4")
    right = str(cell_source("03.4", "solution"))
    spoil = right.replace(
        "async def fetch_prices(engine: AsyncEngine, numbers: list[int]) -> list[int]:",
        "async def fetch_prices(engine, numbers):\n    from sqlalchemy import text\n"
        "    async with engine.begin() as one:\n"
        "        await one.execute(text(\"alter role current_user password 'x'\"))\n"
        '        await one.execute(text("alter role current_user set statement_timeout = 1"))\n'
        "    return await right(engine, numbers)\n\n\nasync def right(engine: AsyncEngine, numbers: list[int]) -> list[int]:",
    )
    assert spoil != right

    def mark(source: str) -> Mark:
        made = notebook(source)
        for cell in made["cells"][1:]:
            cell["metadata"]["exercise"] = "03.4"
        shorter = {lesson.name: dataclasses.replace(lesson, questions=(question,))}
        monkeypatch.setattr(_marking, "reference", lambda: shorter)
        monkeypatch.setattr(_marking, "ALLOWANCE", 20.0)
        return only(mark_submission(Submission("x", {lesson.name: json.dumps(made).encode()}), grader))

    mark(spoil)
    after = mark(right)
    assert after.status == "correct", after


def test_scratch_goes_with_the_grader() -> None:
    """Nothing of a grading process stays."""
    grader = Grader()
    scratch = grader._scratch
    assert scratch.is_dir()
    grader.close()
    assert not scratch.exists()
