"""`course update`: the newest version of the course, with the learner's answers and notes in it.

Everything of the learner's that the new version would touch is copied to `work/updates/N/` before anything changes.
`unfinished.json` in that folder says what is under way: whoever finds it there finishes it.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from course_lib._lock import locked
from course_lib._update_git import Change, Clone, GitError, UpdateError
from course_lib._update_notebook import Carried, NotANotebookError, carry_over, told
from course_lib.work import show_work

_JOURNAL, _DONE = "unfinished.json", "update.json"
_PACKAGES = {"requirements.lock", "pyproject.toml", "environment.yml"}


@dataclass(frozen=True)
class File:
    """What happened with one file that the learner changed.

    Args:
        path: its path in the course's folder.
        happened: what happened, in a sentence.
        copy: where the learner's version is kept; None where the file itself is still that.
        answers: the exercises that have the learner's answer again.
        left: what is only in the copy.
    """

    path: str
    happened: str
    copy: str | None = None
    answers: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass
class Update:
    """What an update did.

    Args:
        old: the commit before.
        new: the commit after.
        commits: how many commits came.
        finished: whether an update that was interrupted before was finished.
        files: the learner's changed files.
        packages: whether the course needs other packages than before.
        note: why there was no looking for a newer version after that; "" if there was.
    """

    old: str
    new: str
    commits: int = 0
    finished: bool = False
    files: list[File] = field(default_factory=list)
    packages: bool = False
    note: str = ""


@dataclass(frozen=True)
class _Journal:
    """An update that is under way: from which commit to which, and the copies that were made (path to copy)."""

    folder: Path
    old: str
    new: str
    copies: dict[str, str | None]


def update(root: Path, work: Path) -> Update:
    """Bring the course in `root` to its newest version, and carry the learner's work over.

    Args:
        root: the course's folder, a git clone.
        work: the learner's work folder.

    Returns:
        What was done.

    Raises:
        UpdateError: it can't be done; nothing was changed then, or all was put back.
        OSError: a file can't be written.
    """
    clone = Clone(root)
    try:
        with locked(clone.lock_file(), seconds=0):
            return _update(clone, work / "updates")
    except TimeoutError:
        raise UpdateError("Another `course update` is running. Wait for it.") from None


def unfinished(work: Path) -> list[Path]:
    """Return the folders of the updates that were interrupted."""
    return [path.parent for path in sorted((work / "updates").glob(f"*/{_JOURNAL}"))]


def _update(clone: Clone, updates: Path) -> Update:
    done = Update(clone.text("rev-parse", "HEAD"), "")
    for folder in unfinished(updates.parent):
        done.files += _finish(clone, _read_journal(folder / _JOURNAL))
        done.finished = True
    try:
        done.new = target = clone.newest()
    except UpdateError as error:
        if not done.finished:
            raise
        done.new, done.note = done.old, str(error)
        return done
    done.commits = int(clone.text("rev-list", "--count", f"HEAD..{target}"))
    if not done.commits:
        return done
    changes = clone.changes("HEAD", target)
    done.packages = any(change.path in _PACKAGES for change in changes)
    mine = clone.changed_here("HEAD", "--", "notebooks") - {change.path for change in changes}
    journal = _keep(clone, changes, updates, target)
    removed = [path for path in journal.copies if not (clone.root / path).exists()]
    try:
        clone.restore(journal.copies)
        clone.run("merge", "--quiet", "--ff-only", target)
    except (GitError, OSError) as error:
        _finish(clone, journal)
        raise UpdateError(f"git could not bring the course forward ({error}). Your files are as they were.") from None
    carried = _finish(clone, journal)
    again = {each.path for each in carried}
    done.files = [each for each in done.files if each.path not in again] + carried
    done.files += [File(path, "You had removed it; the new version is there again.") for path in removed]
    done.files += [File(path, "Yours, untouched: the new version did not change it.") for path in sorted(mine)]
    return done


def _keep(clone: Clone, changes: list[Change], updates: Path, target: str) -> _Journal:
    """Copy what the learner has in the way of the new version, then write down what is about to happen."""
    staged = clone.changed_here("--cached", "HEAD")
    updates.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        try:
            (folder := updates / str(number)).mkdir()
            break
        except FileExistsError:
            number += 1
    copies: dict[str, str | None] = {}
    try:
        for change in changes:
            data = _content(clone.root / change.path)
            if data is None:
                # Removed by the learner, who gets the new version, or not there in either.
                if change.old and (change.new or change.path in staged):
                    copies[change.path] = None
                continue
            if change.path not in staged and clone.holds(change.path, data, change.old):
                continue
            identity = clone.identity(change.path, data)
            ours = identity in (change.old, change.new) or _is_torn(clone, data, change.new)
            copies[change.path] = None if ours else change.path
            if change.path in staged:
                _keep_staged(clone, folder, change, identity)
            if not ours:
                _write(folder / change.path, data)
        journal = _Journal(folder, clone.text("rev-parse", "HEAD"), target, copies)
        if any(copies.values()):
            _write(folder / _JOURNAL, json.dumps(asdict(journal) | {"folder": None}, indent=1).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # nothing else was touched yet
        raise
    return journal


def _keep_staged(clone: Clone, folder: Path, change: Change, identity: str) -> None:
    """Keep what was given to `git add` where it is something that is nowhere else."""
    entry = clone.text("ls-files", "--stage", "--", f":(literal){change.path}")
    blob = entry.split()[1] if entry else None
    if blob and blob not in (identity, change.old, change.new):
        _write(folder / f"{change.path}.staged", clone.content(blob))


def _finish(clone: Clone, journal: _Journal) -> list[File]:
    """Put the learner's work into what is checked out now: the new version, or the old one if git did not get there."""
    head = clone.text("rev-parse", "HEAD")
    changes = {change.path: change for change in clone.changes(journal.old, journal.new)}
    if head != journal.new:  # git was killed in its middle, or refused: what it has written already goes
        written = [path for path, change in changes.items() if _is_written(clone, change, head)]
        clone.restore(path for path in written if not journal.copies.get(path))
    found = []
    for path, copy in journal.copies.items():
        if copy is not None:
            found.append(_carry(clone, journal, changes[path], head))
    if any(journal.copies.values()):
        if (journal.folder / _JOURNAL).exists():
            (journal.folder / _JOURNAL).replace(journal.folder / _DONE)
    else:
        shutil.rmtree(journal.folder, ignore_errors=True)
    return found


def _carry(clone: Clone, journal: _Journal, change: Change, head: str) -> File:
    path = change.path
    copy = journal.folder / path
    mine, shown = copy.read_bytes(), show_work(copy)
    target = path
    here = clone.blob(head, path)
    if here is None and change.old:
        target = _renamed(clone, journal.old, head, path) or path
        here = clone.blob(head, target)
    current = _content(clone.root / target)
    carried: Carried | None = None
    if here == change.old and target == path:
        result, happened = mine, "Put back as it was."
    elif here is None:
        return File(path, "The course no longer has it; yours is the copy.", shown)
    else:
        result, happened = clone.content(here), "The course's new version; yours is the copy."
        if change.old and path.startswith("notebooks/"):
            try:
                carried = carry_over(clone.content(change.old), mine, result)
                result, happened = carried.data, told(carried, target if target != path else "")
            except NotANotebookError:
                happened = "The course's new version; yours is no notebook that can be read, and is the copy."
    if current is not None and current not in (mine, result):
        ids = {here, change.old, change.new}
        if clone.identity(target, current) not in ids and not any(_is_torn(clone, current, each) for each in ids):
            return File(path, "Left as it is: you changed it after the interruption. What you had is the copy.", shown)
    _write(clone.root / target, result)
    answers, left = (tuple(carried.answers), tuple(carried.left)) if carried else ((), ())
    return File(path, happened, shown, answers, left)


def _renamed(clone: Clone, old: str, head: str, path: str) -> str | None:
    """Return the notebook that has the number of one that is gone."""
    start = f"notebooks/{Path(path).name[:3]}"
    names = clone.text("ls-tree", "--name-only", head, "notebooks/").splitlines()
    found = [name for name in names if name.startswith(start) and not clone.blob(old, name)]
    return found[0] if path.startswith("notebooks/") and len(found) == 1 else None


def _is_written(clone: Clone, change: Change, head: str) -> bool:
    """Whether a file holds what the new version would hold, or a beginning of it, while another one is checked out."""
    data = _content(clone.root / change.path)
    here = clone.blob(head, change.path)
    if data is None:
        return here is not None and change.new is None
    identity = clone.identity(change.path, data)
    return identity != here and (identity == change.new or _is_torn(clone, data, change.new))


def _is_torn(clone: Clone, data: bytes, blob: str | None) -> bool:
    """Whether it is the beginning of a content: git was killed while it wrote."""
    return blob is not None and clone.content(blob).startswith(data)


def _read_journal(path: Path) -> _Journal:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return _Journal(path.parent, read["old"], read["new"], read["copies"])
    except (ValueError, KeyError, TypeError):
        raise UpdateError(
            f"{show_work(path)} can't be read. It was to say how an update goes on. What you wrote is beside it: "
            "copy it back, remove that file, and run this again."
        ) from None


def _content(path: Path) -> bytes | None:
    if path.is_dir():
        raise UpdateError(
            f"{path.name} is a folder where the new version has a file. Move it away, and run this again."
        )
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
