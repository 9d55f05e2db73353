"""Submissions on disk: one folder per learner, each with notebooks of any of the lessons."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.grade._reference import reference

_LARGEST_NOTEBOOK = 20 << 20  # bytes; the course's own have under 500 kB
_LARGEST_FILE = 1 << 20  # bytes, of a file in work/
_MOST_FILES = 500  # in a submission; those after are not looked at
_LESSON = re.compile(r"(\d\d)(?:[_ -].*)?")
# Files of the work folder that exercises ask for.
_WORK = ("database.py", "relational-db-agent/SKILL.md")


@dataclass
class Submission:
    """What a learner handed in, as it is sent to a worker.

    Args:
        learner: the folder's name.
        notebooks: what they hold, by lesson.
        files: what the work folder holds, by name.
        problems: why something in the folder is not graded, by what it is.
        key: changes with anything of it.
    """

    learner: str
    notebooks: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    key: str = ""


def submissions(folder: Path) -> list[Path]:
    """The learners' folders, by name; hidden ones are left out."""
    found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]
    return sorted(found, key=lambda path: path.name)


def read_submission(folder: Path) -> Submission:
    """Read a learner's folder. Nothing in it is followed out of it, and nothing raises."""
    made = Submission(shown(folder.name))
    if folder.is_symlink():
        made.problems["the folder"] = "it is a link to another folder, which is not followed"
    else:
        seen: dict[str, str] = {}
        for path, name in _files(folder):
            if path.suffix == ".ipynb":
                lesson = _lesson_of(path.name)
                if lesson is None:
                    made.problems[name] = "it has no lesson's name"
                elif lesson in seen:
                    made.problems[name] = f"{seen[lesson]} is the same lesson's and is graded"
                else:
                    _take(path, name, _LARGEST_NOTEBOOK, made.notebooks, lesson, made.problems)
                    seen[lesson] = name
            else:
                for wanted in _WORK:
                    if name == f"work/{wanted}":
                        _take(path, name, _LARGEST_FILE, made.files, wanted, made.problems)
    parts = hashlib.sha256()
    for group in (made.notebooks, made.files):
        for name, data in sorted(group.items()):
            parts.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    parts.update(json.dumps(made.problems, sort_keys=True).encode())
    made.key = parts.hexdigest()[:32]
    return made


def shown(name: str) -> str:
    """A file's name as text that every file can hold: names are bytes, and some are no text."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in name.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith((".", "__")))
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                return
            path = Path(parent) / name
            yield path, shown(path.relative_to(folder).as_posix())


def _lesson_of(name: str) -> str | None:
    stem = name.removesuffix(".ipynb")
    if stem in reference():
        return stem
    # "02_url_conversion (1).ipynb", "02 url conversion.ipynb": what browsers and people make of it.
    number = _LESSON.fullmatch(stem)
    found = [lesson for lesson in reference() if number and lesson.startswith(f"{number[1]}_")]
    return found[0] if found else None


def _take(path: Path, name: str, largest: int, into: dict[str, bytes], key: str, problems: dict[str, str]) -> None:
    try:
        # A link could lead to another's answer; a pipe would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        problems[name] = "it is a link, which is not followed" if path.is_symlink() else str(error.strerror)
        return
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            problems[name] = "it is not a file"
        elif state.st_nlink > 1:
            problems[name] = "it is one file under several names (a hard link), which could be another's"
        elif state.st_size > largest:
            problems[name] = f"it has {state.st_size / 1e6:.0f} MB; up to {largest >> 20} MB are read"
        else:
            into[key] = file.read(largest + 1)


def parse_notebook(data: bytes) -> dict[str, Any]:
    """A notebook's JSON.

    Raises:
        ValueError: it is none; the message says why.
    """
    if not data.strip():
        raise ValueError("the file is empty")
    try:
        # json detects UTF-8, UTF-16 and UTF-32, with and without a byte order mark.
        found = json.loads(data)
    except UnicodeDecodeError:
        try:
            found = json.loads(data.decode("cp1252"))
        except (ValueError, RecursionError):
            raise ValueError("its encoding is neither UTF-8 nor UTF-16 nor Windows-1252") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"it is not JSON{where}: perhaps it was cut off while it was saved or uploaded") from None
    if not isinstance(found, dict):
        raise ValueError("it is JSON, but not a notebook")
    version = found.get("nbformat")
    if type(version) is not int or version not in (3, 4):
        raise ValueError(f"its notebook format is {str(version)[:20]}; versions 3 and 4 are read")
    if not isinstance(found.get("cells", found.get("worksheets")), list):
        raise ValueError("it has no cells")
    return found
