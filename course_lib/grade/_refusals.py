"""What no honest answer needs: a look at the source of a submission before anything of it runs.

An answer runs in the same process as its check, so it could reach for the check itself. Whoever does that goes through
one of few doors: other modules, frames, code objects, closures, the garbage collector, the builtins. This module finds
them in the source; `_integrity` stands behind it, for names that are made up at run time.
"""

import ast
import re
from collections.abc import Collection, Iterator

# With all below them.
MODULES = frozenset(
    """
    _ast _asyncio _ctypes _frozen_importlib _frozen_importlib_external _functools _imp _io _operator _pickle
    _posixsubprocess _socket _testcapi _testinternalcapi _thread _weakref _xxsubinterpreters ast atexit bdb
    builtins cffi code codeop ctypes dis faulthandler greenlet imp IPython ipykernel marshal mock
    multiprocessing opcode operator.attrgetter operator.methodcaller importlib.reload
    importlib.machinery pdb pickle pkgutil posix profile cProfile psutil pty pytest resource runpy shelve site
    symtable test tests trace tracemalloc zipimport course_lib.grade
    course_lib.grade_command course_lib.sandbox course_lib.build course_lib.lessons course_lib.update
    course_lib.cli course_lib._command course_lib.db_command course_lib.site course_lib.graded
    """.split()  # noqa: SIM905 - a list of these is 60 lines long
)
_EXERCISES = "course_lib.exercises"
# As an attribute, a name, an argument of getattr, or a text that is one of them.
NAMES = frozenset(
    """
    __bases__ __base__ __builtins__ __closure__ __code__ __getattribute__ __globals__ __loader__ __mro__
    __spec__ __subclasses__ __self__ __reduce__ __reduce_ex__ __wrapped__ __import__ __kwdefaults__ __defaults__
    __func__ __subclasshook__ __instancecheck__ __subclasscheck__ mro cr_frame cr_code cr_await gi_frame gi_code
    gi_yieldfrom ag_frame ag_code tb_frame tb_next tb_lasti f_back f_builtins f_code f_globals f_locals f_trace
    f_lineno co_code co_consts cell_contents _getframe _getframemodulename _current_frames _current_exceptions
    settrace setprofile addaudithook monitoring meta_path path_hooks path_importer_cache currentframe
    getinnerframes getouterframes getframeinfo getclosurevars getattr_static attrgetter methodcaller get_objects
    get_referrers get_referents import_module exec_module get_coro get_stack walk_stack get_field builtins
    exercises _proxy_objects set_task_factory
    """.split()  # noqa: SIM905 - a list of these is 60 lines long
)
# Only where they are used by name: as an attribute they have other meanings.
_CALLS = frozenset(("eval", "exec", "compile", "__import__"))
# `sys.modules`, also in the disguise of another module's import of sys.
_OF_MODULES = frozenset(("modules", "eval", "exec", "getattr", "setattr", "delattr", "vars", "stdout", "stderr"))
# From anywhere but its own module it could be the one that `_integrity` does not guard.
_IMPORT = ("importlib", "import_module")
_QUESTION = re.compile(r"q\d+")


def refused_import(name: str, wanted: Collection[str] | None, allowed: Collection[str]) -> str | None:
    """Why an answer may not import this; None when it may.

    Args:
        name: the module.
        wanted: the names taken from it; None where the module itself is bound.
        allowed: what the lesson's own cells import (see `exercise_imports`), as "module:name".
    """
    if wanted and all(f"{name}:{each}" in allowed for each in wanted):
        return None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        if ".".join(parts[:end]) in MODULES:
            return f"it imports {'.'.join(parts[:end])}"
    if parts[0] == "course_lib" and any(part.startswith("_") for part in parts):
        return f"it imports {name}"
    if name == _EXERCISES or name.startswith(f"{_EXERCISES}."):
        for each in wanted or ("",):
            if not (each and (f"{name}:{each}" in allowed or _QUESTION.fullmatch(each))):
                return f"it imports {name}{f'.{each}' if each else ''}, which belongs to the checks"
    for each in wanted or ():
        if f"{name}.{each}" in MODULES or (each in NAMES and (name, each) != _IMPORT):
            return f"it imports {name}.{each}"
        if name == "course_lib" and each.startswith("_"):
            return f"it imports {name}.{each}"
    return None


def exercise_imports(source: str) -> Iterator[str]:
    """What a lesson's cell imports from the course itself, or to show something, as "module:name"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("course_lib.", "IPython.")):
            yield from (f"{node.module}:{each.name}" for each in node.names)


def refusal(tree: ast.Module, allowed: Collection[str]) -> str | None:
    """Why a cell is not run; None when nothing in it speaks against it.

    Args:
        tree: the cell.
        allowed: as for `refused_import`.
    """
    modules: set[str] = set()
    for node in ast.walk(tree):
        found = _of_imports(node, allowed, modules)
        if found is not None:
            return f"{found} (line {getattr(node, 'lineno', 0)})"
    modules |= _imported_by_call(tree)
    for node in ast.walk(tree):
        found = _of_node(node, modules)
        if found is not None:
            return f"{found} (line {getattr(node, 'lineno', 0)})"
    return None


def _of_imports(node: ast.AST, allowed: Collection[str], modules: set[str]) -> str | None:
    if isinstance(node, ast.Import):
        for each in node.names:
            modules.add(each.asname or each.name.partition(".")[0])
            if found := refused_import(each.name, None, allowed):
                return found
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            return "it imports from a package of its own"
        modules.update(each.asname or each.name for each in node.names)
        return refused_import(node.module or "", [each.name for each in node.names], allowed)
    return None


def _imported_by_call(tree: ast.Module) -> set[str]:
    """The names that get what `import_module` returns."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name) and _IMPORT[1] in ast.unparse(node.value.func)
    }


def _of_node(node: ast.AST, modules: set[str]) -> str | None:
    if isinstance(node, ast.Attribute):
        if node.attr in NAMES and (getattr(node.value, "id", ""), node.attr) != _IMPORT:
            return f"it uses .{node.attr}"
        of_module = isinstance(node.value, ast.Name) and node.value.id in modules
        if node.attr in _OF_MODULES and (of_module or isinstance(node.value, ast.Attribute)):
            through = ast.unparse(node.value)
            if node.attr not in ("stdout", "stderr") or not isinstance(node.ctx, ast.Load):
                return f"it uses {through}.{node.attr}"
        if of_module and not isinstance(node.ctx, ast.Load):
            assert isinstance(node.value, ast.Name)
            return f"it changes {node.value.id}.{node.attr}, which is not its own"
    elif isinstance(node, ast.Name) and (node.id in _CALLS or (node.id in NAMES and node.id.startswith("__"))):
        return f"it uses {node.id}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        text = node.value if isinstance(node.value, str) else node.value.decode("ascii", "replace")
        if text.startswith("__") and text in NAMES:
            return f"it names {text}"
        if text.startswith(("course_lib.exercises", "course_lib.grade")):
            return "it names the checks' own modules"  # as mock.patch takes them
        if re.search(r"\{[^{}]*\.__\w+__", text):
            return "it formats a text with attributes of Python's own"
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in NAMES:
        return f"it defines {node.name}"
    return None
