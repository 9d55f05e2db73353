"""The file to review: read without running it, and where its neighbours are."""

import ast
import io
import keyword
import re
import sys
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

_MOST_BYTES = 1_000_000  # no configuration is larger
_MOST_FOLDERS = 6  # that are searched upwards for a package that the file imports


class UnreviewableError(Exception):
    """The file can't be run; the text says why and what to do."""


@dataclass(frozen=True)
class SourceFile:
    """A file that is Python.

    Args:
        path: where it is.
        module: the name under which it is imported.
        paths: folders for `sys.path`, the most important first.
        text: its text.
        tree: its syntax tree.
    """

    path: Path
    module: str
    paths: tuple[Path, ...]
    text: str
    tree: ast.Module


def read_source(target: str | Path, search_path: Path | None) -> SourceFile:
    """Read a file, or a dotted module name inside `search_path`.

    Raises:
        UnreviewableError: there is no such file, or it is not Python.
    """
    path = _locate(target, search_path)
    text = _read(path)
    tree = parse(text, path.name)
    if not tree.body or all(isinstance(node, ast.Expr) for node in tree.body):
        raise UnreviewableError(f"{path.name} contains no code, so there is nothing to run.")
    module, root = _module_name(path, search_path)
    paths = [root, *([path.parent] if path.parent != root and not (path.parent / "__init__.py").exists() else [])]
    paths += _roots_of_imports(tree, path, paths)
    return SourceFile(path, module, tuple(dict.fromkeys(paths)), text, tree)


def takes_something(source: SourceFile) -> bool:
    """Whether the file could take anything from outside: it reads settings, or imports from neighbours that may."""
    return bool(re.search(r"environ|getenv|settings|config|dotenv|secret", source.text, re.IGNORECASE)) or any(
        _is_neighbour(name, source.paths) for name in _imported(source.tree)
    )


def _is_neighbour(name: str, paths: tuple[Path, ...]) -> bool:
    return name == "" or any(_holds(folder, name) for folder in paths)


def _imported(tree: ast.Module) -> set[str]:
    """The first names of all imported modules; "" for relative ones."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("" if node.level else (node.module or "").partition(".")[0])
    return found


def _locate(target: str | Path, search_path: Path | None) -> Path:
    path = Path(target)
    if search_path is not None and not search_path.is_dir():
        raise UnreviewableError(
            f"There is no folder {str(search_path)!r}. --path wants the folder that holds the package."
        )
    if not path.exists() and search_path is not None:
        if (search_path / path).exists():
            path = search_path / path
        elif all(part.isidentifier() and not keyword.iskeyword(part) for part in str(target).split(".")):
            stem = search_path.joinpath(*str(target).split("."))
            path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    if path.is_dir():
        raise UnreviewableError(f"{str(target)!r} is a folder. Name the file in it that makes the engine.")
    if not path.exists():
        hint = " For package.module give the package's folder: --path FOLDER." if search_path is None else ""
        raise UnreviewableError(f"There is no file {str(target)!r}.{hint}")
    if not path.is_file():
        raise UnreviewableError(f"{str(target)!r} is no ordinary file.")
    return path.resolve()


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise UnreviewableError(
                f"{path.name} has {size / 1e6:.1f} MB; a review reads files up to {_MOST_BYTES / 1e6:.0f} MB."
            )
        raw = path.read_bytes()
    except OSError as error:
        raise UnreviewableError(f"{path.name} can't be read: {error.strerror or error}.") from None
    if b"\0" in raw:
        raise UnreviewableError(f"{path.name} is not Python: it holds binary data.")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        return raw.decode(encoding)
    except (UnicodeDecodeError, SyntaxError, LookupError):
        raise UnreviewableError(f"{path.name} is not UTF-8. Save it in that encoding, and review it again.") from None


def parse(text: str, name: str) -> ast.Module:
    """Return the syntax tree; UnreviewableError with the line where it isn't Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise UnreviewableError(f"{name} is not Python: line {error.lineno}: {error.msg}.") from None
    except (RecursionError, MemoryError, ValueError):
        raise UnreviewableError(f"{name} is not Python that this interpreter can read.") from None


def _module_name(path: Path, search_path: Path | None) -> tuple[str, Path]:
    root = path.parent
    parts = [] if path.name == "__init__.py" else [path.stem]
    if search_path is not None and path.is_relative_to(search_path.resolve()):
        root = search_path.resolve()
        parts = [*path.relative_to(root).parent.parts, *parts]
    else:
        while (root / "__init__.py").exists() and root != root.parent:
            parts.insert(0, root.name)
            root = root.parent
    if not all(part.isidentifier() for part in parts) or not parts:
        return "reviewed_file", root  # "my-database.py" has no name that could be imported
    return ".".join(parts), root


def _roots_of_imports(tree: ast.Module, path: Path, known: list[Path]) -> list[Path]:
    """Folders above the file that hold a package which it imports: the `app` of `from app.models import User`."""
    found = []
    for name in sorted(_imported(tree) - {""} - set(sys.stdlib_module_names)):
        if any(_holds(folder, name) for folder in known):
            continue
        for folder in list(path.parents)[:_MOST_FOLDERS]:
            if folder != folder.parent and _holds(folder, name):
                found.append(folder)
                break
    return found


def _holds(folder: Path, name: str) -> bool:
    try:
        inner = folder / name
        is_package = inner.is_dir() and (any(inner.glob("*.py")) or any(inner.glob("*/*.py")))
        return (folder / f"{name}.py").is_file() or is_package
    except OSError:
        return False
