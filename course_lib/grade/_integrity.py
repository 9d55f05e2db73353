"""Whether what a check stands on is still what it was before the answer ran, and what an answer runs with."""

import builtins
import functools
import importlib
import importlib.util
import operator
import sys
import threading
import types
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from course_lib.grade._refusals import NAMES, refused_import

#: Stands at the beginning of the file name that a submission's cells are compiled with.
MARK = "<your cell"

_PROTECTED = (
    "course_lib", "asyncio", "unittest.mock", "contextlib", "inspect", "ssl", "json", "re", "builtins",
    "sqlalchemy.engine", "sqlalchemy.pool", "sqlalchemy.event", "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.postgresql.asyncpg", "sqlmodel", "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.orm.session", "asyncpg", "aiosqlite", "logging", "time", "random", "secrets", "os", "posix",
    "sys", "tempfile", "pathlib", "socket", "typing", "functools", "importlib", "traceback", "warnings",
    "weakref", "gc", "threading", "signal", "sqlite3", "operator", "dataclasses", "hashlib", "alembic.op",
)  # fmt: skip
_CALLABLE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    type,
    staticmethod,
    classmethod,
    property,
)
_FRAMES = frozenset(("sys._getframe", "sys._getframemodulename", "object.__getattr__", "compile", "exec"))
_DOORS = frozenset(
    (
        "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile", "sys.addaudithook",
        "gc.get_objects", "gc.get_referrers", "gc.get_referents", "code.__new__", "function.__new__",
        "pickle.find_class", "cpython.run_command", "os.fork", "os.forkpty", "pty.spawn",
        "cpython._PySys_ClearAuditHooks",
    )
)  # fmt: skip
_MEMORY = ("/mem", "/maps", "/smaps", "/pagemap", "/environ", "/fd", "/auxv", "/stack", "/syscall")


class Refused(PermissionError):
    """The answer reached for something that no answer needs."""


class Fingerprint:
    """The functions and classes of the modules that checks stand on, as they are when this is made.

    Functions themselves are not looked into: Python reports who changes their code, and the hook refuses it.
    """

    def __init__(self) -> None:
        self._modules: dict[str, Any] = {}
        self._known: list[tuple[str, Mapping[str, Any], list[str], list[Any]]] = []
        seen: set[int] = set()
        for name, module in sorted(sys.modules.items()):
            if isinstance(module, types.ModuleType) and name.startswith(_PROTECTED):
                self._modules[name] = module
                self._take(vars(module), name, seen)

    def _take(self, values: Mapping[str, Any], where: str, seen: set[int]) -> None:
        keys = [key for key, value in values.items() if isinstance(value, _CALLABLE) and not key.startswith("_abc_")]
        self._known.append((where, values, keys, [values[key] for key in keys]))
        for key, value in list(values.items()):
            if type(value).__name__ == "Exercise":
                own = {name: each for name, each in vars(value).items() if name != "_hints_given"}
                self._known.append((f"{where}.{key}", vars(value), list(own), list(own.values())))
            elif isinstance(value, type) and str(value.__module__).startswith(_PROTECTED) and id(value) not in seen:
                seen.add(id(value))
                self._take(vars(value), f"{where}.{key}", seen)

    def __len__(self) -> int:
        return sum(len(keys) for _, _, keys, _ in self._known)

    def accept(self, keys: Collection[str]) -> None:
        """Take what stands under these names now as what has to stay; before the answer runs."""
        for where, values, names, expected in self._known:
            if where.startswith("course_lib."):
                for key in keys:
                    if key in names:
                        expected[names.index(key)] = values[key]

    def changed(self) -> str | None:
        """The name of something that is another now, or None."""
        known, same, every, each = sys.modules, operator.is_, all, map
        for name, module in self._modules.items():
            if known.get(name) is not module:
                return name
        for where, values, keys, expected in self._known:
            if not every(each(same, each(values.get, keys), expected)):
                other = [key for key, value in zip(keys, expected, strict=True) if values.get(key) is not value]
                return f"{where}.{other[0]}"
        return None


class GuardedImport:
    """Stands in for `importlib.import_module`: an answer gets from it what it could import by a statement.

    It looks at the module's name, however that came about. Libraries take what they like, but not the standard library:
    through its threads and callbacks an answer could call it.
    """

    def __init__(self) -> None:
        self._allowed: Collection[str] = ()
        self._refuse: Callable[[str], None] | None = None
        real, frame_of = importlib.import_module, sys._getframe
        plain: Callable[[Any], str] = str.__str__  # a subclass could show another text here than there
        library = tuple(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
        trusted = (*library, str(Path(__file__).parents[1]))

        @functools.wraps(real)
        def import_module(name: str, package: str | None = None) -> types.ModuleType:
            refuse = self._refuse
            if refuse is None or frame_of(1).f_code.co_filename.startswith(trusted):
                return real(name, package)
            name = plain(name)
            whole = importlib.util.resolve_name(name, plain(package)) if package is not None else name
            why = refused_import(whole, None, self._allowed)
            if why is not None:
                refuse(why)
            return real(whole)

        importlib.import_module = import_module
        del import_module.__wrapped__

    def begin(self, allowed: Collection[str], refuse: Callable[[str], None]) -> None:
        """Guard from now on; for the arguments see `learner_builtins`."""
        self._allowed, self._refuse = allowed, refuse


class _Builtins(dict[str, Any]):
    """Python's builtins as they are at each use, checks replace some of them for a while, but for a few."""

    def __missing__(self, name: str) -> Any:
        return _all[name]


_all = vars(builtins)


def learner_builtins(allowed: Collection[str], refuse: Callable[[str], None]) -> dict[str, Any]:
    """The builtins that an answer gets: those that lead to the check say no.

    Args:
        allowed: as for `refused_import`.
        refuse: called with the reason; it does not return.
    """
    real_import, real_getattr, real_setattr, real_delattr = __import__, getattr, setattr, delattr
    missing = object()

    def guarded_import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        name = str.__str__(name)
        why = refused_import(name, [str(each) for each in fromlist] if fromlist else None, allowed)
        if why is not None:
            refuse(why)
        return real_import(name, globals, locals, fromlist, level)

    def name_of(name: Any) -> Any:
        if isinstance(name, str) and str.__str__(name) in NAMES:
            refuse(f"it asks for {str.__str__(name)}")
        return name

    def guarded_getattr(value: Any, name: str, default: Any = missing) -> Any:
        name_of(name)
        return real_getattr(value, name) if default is missing else real_getattr(value, name, default)

    def own(value: Any, name: str) -> None:
        name_of(name)
        is_class_or_function = isinstance(value, type | types.FunctionType)
        if isinstance(value, types.ModuleType) or (is_class_or_function and value.__module__ != "__main__"):
            refuse(f"it changes {real_getattr(value, '__name__', value)}.{name}, which is not its own")

    def guarded_setattr(value: Any, name: str, new: Any) -> None:
        own(value, name)
        real_setattr(value, name, new)

    def guarded_delattr(value: Any, name: str) -> None:
        own(value, name)
        real_delattr(value, name)

    def no_text_as_code(*_: Any, **__: Any) -> None:
        refuse("it runs text as code")

    return _Builtins(
        __import__=guarded_import,
        getattr=guarded_getattr,
        setattr=guarded_setattr,
        delattr=guarded_delattr,
        eval=no_text_as_code,
        exec=no_text_as_code,
        compile=no_text_as_code,
    )


def make_hook(refuse: Callable[[str], None], roots: tuple[str, ...]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that refuses what leads from an answer to its check.

    Args:
        refuse: called with the reason; it does not return.
        roots: the folders of Python's own and of installed packages.
    """
    frame_of, mark, memory = sys._getframe, MARK, _MEMORY
    frames, doors, to_text, real_getattr, protected = _FRAMES, _DOORS, str, getattr, _PROTECTED
    code = ("__code__", "__defaults__", "__kwdefaults__")

    ident, busy = threading.get_ident, set[int]()

    def is_learners(first_only: bool) -> bool:
        # To look at a frame is an event as well.
        own = ident()
        if own in busy:
            return False
        busy.add(own)
        try:
            frame: types.FrameType | None = frame_of(2)
            while frame is not None:
                file = frame.f_code.co_filename
                if file.startswith(mark):
                    return True
                if first_only or not file.startswith(roots):
                    return False
                frame = frame.f_back
            return False
        finally:
            busy.discard(own)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in frames:
            if is_learners(True):
                refuse(f"it uses {event} {arguments[1] if event == 'object.__getattr__' else ''}".strip())
        elif event == "object.__setattr__" and arguments[1] in code:
            if is_learners(True) or to_text(real_getattr(arguments[0], "__module__", "")).startswith(protected):
                refuse(f"it changes {arguments[1]} of {real_getattr(arguments[0], '__qualname__', 'a function')}")
        elif event in doors or event.startswith("ctypes."):
            if is_learners(False):
                refuse(f"it uses {event}")
        elif event == "open":
            path = to_text(arguments[0])
            if path.startswith("/proc/") and path.endswith(memory):
                refuse("it opens this process's memory")

    return hook
