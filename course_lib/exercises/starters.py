"""Whether an answer is still what the lesson's starter cell makes."""

import ast
import inspect
from types import CodeType
from typing import Any

from course_lib.lessons import cell_source

# ast.PyCF_ALLOW_TOP_LEVEL_AWAIT: a notebook's cell may await.
_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def untouched(exercise: str, answers: tuple[Any, ...]) -> bool:
    """Whether all of the learner's objects are what the starter cell makes.

    Args:
        exercise: the exercise's id.
        answers: what was given to the check.

    Returns:
        True if each of them is an ellipsis or a function that compiles to the same code as the starter's.
    """
    starter = cell_source(exercise, "starter")
    codes = _functions_in(starter) if starter else {}
    return bool(answers) and all(_is_starter(answer, codes) for answer in answers)


def _functions_in(source: str) -> dict[str, CodeType]:
    """The functions and methods that a cell defines at its top level, by qualified name, compiled but not run."""
    found: dict[str, CodeType] = {}

    def collect(code: CodeType) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                found[constant.co_qualname] = constant
                collect(constant)

    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    for statement in tree.body:
        # One at a time, as IPython does: some Pythons compile a function otherwise where they see an import above it.
        module = ast.Module([statement], [])
        collect(compile(module, "<starter>", "exec", flags=_FLAGS, dont_inherit=True))
    return found


def _is_starter(answer: Any, starters: dict[str, CodeType]) -> bool:
    """Whether one of the learner's objects is what the starter cell makes: an ellipsis or an unchanged function."""
    if answer is ...:
        return True
    function = inspect.unwrap(answer) if callable(answer) else answer
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and _same(code, starters.get(code.co_qualname))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return (
            one.co_code == other.co_code
            and one.co_names == other.co_names
            and one.co_varnames == other.co_varnames
            and len(one.co_consts) == len(other.co_consts)
            and all(_same(a, b) for a, b in zip(one.co_consts, other.co_consts, strict=True))
        )
    return type(one) is type(other) and bool(one == other)
