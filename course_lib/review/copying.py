"""A copy of the reviewed file and its neighbours: the original folder is neither written to nor opened to the code."""

import os
import re
import shutil
from collections import deque
from collections.abc import Iterable
from pathlib import Path

_SUFFIXES = {".py", ".pyi", ".pem", ".crt", ".cer", ".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".sql", ".txt"}
_SKIPPED = {"node_modules", "venv", "env", "__pycache__", "site-packages", "build", "dist", "tests", "test"}
_MOST_FILES = 1000
_MOST_BYTES = 300_000  # of a file
_MOST_BYTES_TOGETHER = 10_000_000
_COURSE = Path(__file__).resolve().parents[1]  # the worker has it, so that nobody's copy is needed
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


def neighbours(roots: tuple[Path, ...], file: Path) -> dict[Path, str]:
    """What the file could import or read: modules and packages of its own project, and small text files beside it.

    Hidden files and folders stay out, `.env` among them, and so do virtual environments.

    Args:
        roots: the folders for `sys.path`.
        file: the reviewed file.
    Returns:
        Each file with its path below the folder of the copy; the same for each root.
    """
    places: dict[Path, str] = {}
    for number, root in enumerate(sorted(roots, key=lambda one: len(one.parts))):
        # A root inside another one keeps its place in it, so that no module is there twice.
        outer = next((other for other in places if root.is_relative_to(other)), None)
        within = f"{number}/{root.name or 'root'}"
        places[root] = f"{places[outer]}/{root.relative_to(outer).as_posix()}" if outer else within
    found: dict[Path, str] = {}

    left = _MOST_BYTES_TOGETHER

    def add(path: Path) -> None:
        nonlocal left
        left -= path.stat().st_size
        for root in places:
            if path.is_relative_to(root) and (path == file or (len(found) < _MOST_FILES and left > 0)):
                found.setdefault(path, f"{places[root]}/{path.relative_to(root).as_posix()}")

    add(file)
    for path in _files(file.parent, below=False):
        if path.suffix != ".py":
            add(path)
    own = file.relative_to(next(root for root in roots if file.is_relative_to(root))).parts
    names = deque([own[0]] if len(own) > 1 else [])
    names.extend(_imported([file]))
    seen: set[str] = set()
    while names:
        name = names.popleft()
        if name in seen:
            continue
        seen.add(name)
        new = [path for root in roots for path in _module(root, name)]
        for path in new:
            add(path)
        names.extend(_imported(new))
    return found | places


def copy(found: dict[Path, str], into: Path) -> None:
    """Copy what `neighbours` found."""
    for source, place in found.items():
        target = into / place
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, target)
        except OSError:
            target.unlink(missing_ok=True)


def _module(root: Path, name: str) -> Iterable[Path]:
    if (root / f"{name}.py").is_file():
        yield root / f"{name}.py"
    if (root / name).is_dir() and not (root / name / "pyvenv.cfg").exists() and (root / name).resolve() != _COURSE:
        yield from _files(root / name, below=True)


def _imported(files: Iterable[Path]) -> list[str]:
    names: set[str] = set()
    for path in files:
        if path.suffix == ".py":
            try:
                names |= set(_IMPORT.findall(path.read_text(encoding="utf-8", errors="replace")))
            except OSError:
                continue
    return sorted(names)


def _files(top: Path, *, below: bool) -> list[Path]:
    """Small text files in a folder, and below it, the nearest first."""
    found: list[Path] = []
    folders = deque([top])
    while folders and len(found) < _MOST_FILES:
        try:
            entries = sorted(os.scandir(folders.popleft()), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if below and entry.name not in _SKIPPED and not (path / "pyvenv.cfg").exists():
                    folders.append(path)
            elif path.suffix in _SUFFIXES and entry.is_file() and entry.stat().st_size <= _MOST_BYTES:
                found.append(path)
    return found
