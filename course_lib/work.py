"""The learner's work folder: files that the course makes there once and that are theirs from then on."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from course_lib import graded
from course_lib.lessons import course_root

FOLDER = "work"
_TEMPLATES = Path(__file__).parent / "templates"


class WorkFolderError(Exception):
    """A file of the work folder can't be made or read; the message says why, and what to do."""


@dataclass(frozen=True)
class WorkFile:
    """A file in the work folder. `open()` and `Path()` take it; shown, it names no folder of this machine.

    Args:
        name: such as "work/database.py".
        path: where it really is.
        state: whether it was made now, was there already, or took the place of another one.
        backup: the name of the copy of what was replaced, or "".
    """

    name: str
    path: Path = field(repr=False)
    state: Literal["made", "kept", "replaced"]
    backup: str = ""

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        said = {
            "made": "made now; it is yours to change",
            "kept": "was there already, and stays as it is",
            "replaced": f"replaced; what stood there is {self.backup}",
        }
        return f"{self.name} ({said[self.state]})"

    def read_text(self) -> str:
        """Return what the file holds.

        Raises:
            WorkFolderError: it is gone, or not UTF-8.
        """
        return read_work(self)


def work_folder() -> Path:
    """The learner's folder: ``COURSE_WORK`` where it is set, else ``work`` in the course's folder. It may not exist.

    When graded it is ``work`` in the kernel's folder, beside the submission: each learner has an own one.

    Raises:
        FileNotFoundError: the course's folder was not found.
    """
    if graded.GRADED:
        return Path.cwd() / FOLDER
    named = os.environ.get("COURSE_WORK")
    return Path(named).expanduser() if named else course_root() / FOLDER


def template(name: str) -> str:
    """Return the text that the course brings for a file of the work folder.

    Args:
        name: the file's name in the work folder, such as "database.py".

    Raises:
        WorkFolderError: the course brings none of that name.
    """
    found = {path.relative_to(_TEMPLATES).as_posix()[:-4]: path for path in _TEMPLATES.rglob("*.txt")}
    if name not in found:
        raise WorkFolderError(
            f"The course brings no text for {FOLDER}/{name}. Give one: work_file({name!r}, text). "
            f"Texts are there for {', '.join(sorted(found))}."
        )
    return found[name].read_text(encoding="utf-8")


def work_file(name: str, text: str | None = None, *, replace: bool = False) -> WorkFile:
    """Make a file in the work folder if it isn't there. One that is there stays as it is.

    Args:
        name: its name there, such as "database.py" or "relational-db-agent/SKILL.md".
        text: what it holds; None for the course's own text of that name.
        replace: put the text in the place of a file that is there. That one is kept beside it, with a number.

    Returns:
        The file.

    Raises:
        ValueError: the name leads out of the work folder.
        WorkFolderError: the folder can't be written, or there is no text for that name.
    """
    relative = _checked(name)
    path, shown = work_folder() / relative, f"{FOLDER}/{relative}"
    if text is None:
        if path.is_file() and not replace:
            return WorkFile(shown, path, "kept")
        text = template(relative)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            return _placed(path, shown, text, replace)
    except OSError as error:
        raise WorkFolderError(
            f"{shown} can't be made: {(error.strerror or type(error).__name__).lower()}. Free the way for it, or set "
            "COURSE_WORK to a folder that you can write to and start the kernel again."
        ) from None
    raise WorkFolderError(f"{shown} is a folder. Move it away, so that the file can be made.")


def read_work(path: str | os.PathLike[str]) -> str:
    """Return the text of a file of the work folder.

    Args:
        path: a `WorkFile`, a path, or a name such as "work/database.py".

    Raises:
        WorkFolderError: there is no such file, or it can't be read as text.
    """
    found = find_work(path)
    shown = show_work(found)
    try:
        return found.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WorkFolderError(f"{shown} is not there. Run the cell above, which makes it.") from None
    except UnicodeDecodeError as error:
        raise WorkFolderError(f"{shown} is not UTF-8 (byte {error.start + 1}). Save it as UTF-8.") from None
    except OSError as error:
        raise WorkFolderError(f"{shown} can't be read: {(error.strerror or type(error).__name__).lower()}.") from None


def find_work(path: str | os.PathLike[str]) -> Path:
    """Return where a file is: the given path, else the same name in the work folder."""
    given = Path(path)
    if given.is_absolute() or given.exists():
        return given
    parts = given.parts
    inside = given.relative_to(FOLDER) if parts[:1] == (FOLDER,) else given
    return work_folder() / inside


def show_work(path: Path) -> str:
    """Return a path as text that names no folder outside the work folder."""
    with contextlib.suppress(ValueError):
        return f"{FOLDER}/{path.resolve().relative_to(work_folder().resolve()).as_posix()}"
    return path.name


def _checked(name: str) -> str:
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.parts[:1] == (FOLDER,):
        relative = relative.relative_to(FOLDER)
    if not relative.parts or relative.is_absolute() or ".." in relative.parts or ":" in relative.parts[0]:
        raise ValueError(f"{name!r} leads out of the work folder. Give a name such as 'database.py'.")
    return relative.as_posix()


def _placed(path: Path, shown: str, text: str, replace: bool) -> WorkFile:
    data = text.encode()
    if _made(path, data):
        return WorkFile(shown, path, "made")
    before = path.read_bytes()
    if not replace or before == data:
        return WorkFile(shown, path, "kept")
    number = 1
    while not _made(path.with_name(f"{path.stem}.{number}{path.suffix}"), before):
        number += 1
    path.write_bytes(data)
    backup = f"{shown.removesuffix(path.name)}{path.stem}.{number}{path.suffix}"
    return WorkFile(shown, path, "replaced", backup)


def _made(path: Path, data: bytes) -> bool:
    """Make a file where nothing stands yet, whole or not at all; False if something stands there."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True
