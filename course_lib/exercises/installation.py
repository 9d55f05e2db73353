"""The checks of lesson 01: requirements are judged by what they bring, versions by packages made for the check."""

import contextlib
import importlib
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from course_lib.exercises import _requirements as judge
from course_lib.exercises.core import Case, NotYet, exercise


@exercise(
    "01.1",
    title="Choose the requirements",
    hints=(
        "Go through the jobs: models, an engine that can be awaited, a driver for each of the two URLs, migrations. "
        "Which package does each?",
        "A plain `sqlalchemy` brings no greenlet, and a plain `sqlmodel` asks for a plain `sqlalchemy`. "
        "An extra is written in square brackets after the name: `name[extra]`.",
        "The names behind the plus sign of the two URLs are the drivers. With SQLModel, Alembic, and SQLAlchemy with "
        "its `asyncio` extra, that makes five lines.",
    ),
)
async def q1(requirements: list[str]) -> None:
    """Whether the requirements bring the stack that the service needs, and no driver besides it."""
    wanted = judge.parsed(requirements)
    for each in wanted:
        judge.refuse_unknown_name(each)
    arrived = judge.arrivals(wanted)
    judge.refuse_other_drivers(arrived)
    for each in wanted:
        judge.refuse_unknown_extra(each)
    judge.refuse_ranges_without_the_installed_version(arrived)
    judge.refuse_missing(wanted, arrived)


# Two distributions that exist only while 01.2 is checked. What the modules say about themselves is out of date.
_PLAIN, _PLAIN_VERSION = "reportkit", "3.1.4"
_TOOLS, _TOOLS_MODULE, _TOOLS_VERSION = "invoice-tools", "invoices", "2.0.1"
_STALE = "0.9.0"
_ABSENT = "no-such-package"


@exercise(
    "01.2",
    title="Read the installed versions",
    hints=(
        "The lesson read a version without importing the package. Which function was that, and what did it raise for a "
        "name that isn't installed?",
        "Go through the names one by one. Each becomes a key exactly as it was given; what fails for one name must not "
        "end the loop.",
        "`importlib.metadata.version(name)` in a `try`, `PackageNotFoundError` in the `except`, which stores `None`.",
    ),
)
async def q2(installed_versions: Callable[[list[str]], dict[str, str | None]]) -> None:
    """Whether versions are read from metadata, for any spelling, and absent packages are reported as None."""
    _refuse_other_signatures(installed_versions)
    with _sample_distributions():
        _plain(installed_versions)
        _named_unlike_its_module(installed_versions)
        _absent(installed_versions)
        _spelled_otherwise(installed_versions)


def _refuse_other_signatures(function: object) -> None:
    try:
        if callable(function):
            inspect.signature(function).bind([_PLAIN])
            return
    except TypeError:
        pass
    raise NotYet(
        "`installed_versions` has to be a function that takes one argument: the list of names.",
        misconception="other-signature",
    )


def _plain(function: Callable[[list[str]], object]) -> None:
    names = [_PLAIN]
    try:
        got = _table(function(list(names)))
    except Exception as error:
        if _PLAIN in sys.modules and not isinstance(error, NotYet):
            raise _imports(names, f"{type(error).__name__}") from error
        raise
    value = got.get(_PLAIN)
    if _PLAIN in sys.modules or value == _STALE:
        raise _imports(names, repr(got))
    if _PLAIN in got and value is None:
        raise NotYet(
            f"`{_PLAIN}` was installed just before the check called your function, and the function does not see it. "
            "Read the metadata inside the function, at each call.",
            misconception="stale-snapshot",
            case=Case(repr(names), repr({_PLAIN: _PLAIN_VERSION}), repr(got)),
        )
    _compare(names, got)
    real = ["sqlmodel", "asyncpg"]
    _compare(real, _table(function(list(real))))


def _imports(names: list[str], got: str) -> NotYet:
    return NotYet(
        "Your function imports the package to ask for its version. That runs the package's code, and what the code "
        "says about its version can be missing or out of date. Ask the installed metadata: `importlib.metadata`.",
        misconception="imports-the-package",
        case=Case(repr(names), repr({_PLAIN: _PLAIN_VERSION}), got),
    )


def _named_unlike_its_module(function: Callable[[list[str]], object]) -> None:
    names = [_TOOLS]
    wrong = NotYet(
        f"`{_TOOLS}` is installed; the module it brings is called `{_TOOLS_MODULE}`. Your function looks for a "
        "module of the package's name. Look the name up in the metadata, as it is.",
        misconception="import-name",
    )
    try:
        got = _table(function(list(names)))
    except NotYet:
        raise
    except Exception as error:
        wrong.case = Case(repr(names), repr({_TOOLS: _TOOLS_VERSION}), type(error).__name__)
        raise wrong from error
    if _TOOLS in got and got[_TOOLS] is None:
        wrong.case = Case(repr(names), repr({_TOOLS: _TOOLS_VERSION}), repr(got))
        raise wrong
    _compare(names, got)


def _absent(function: Callable[[list[str]], object]) -> None:
    names = [_ABSENT, "asyncpg"]
    case = Case(repr(names), repr(_expected(names)), "")
    try:
        got = _table(function(list(names)))
    except NotYet:
        raise
    except Exception as error:
        raise NotYet(
            f"`{_ABSENT}` isn't installed, and your function stops there. Catch that exception for this name only, "
            "store `None`, and go on with the next name.",
            misconception="crashes-on-a-missing-one",
            case=Case(case.given, case.expected, type(error).__name__),
        ) from error
    case = Case(case.given, case.expected, repr(got))
    if _ABSENT not in got:
        raise NotYet(
            f"`{_ABSENT}` isn't installed, and the result has no word about it. Whoever reads the report must see that "
            "it is absent: store `None` under its name.",
            misconception="drops-missing",
            case=case,
        )
    if got[_ABSENT] is not None:
        raise NotYet(
            f"For a package that isn't installed, the result holds `{got[_ABSENT]!r}`. Store `None`: no version can be "
            "mistaken for it.",
            misconception="not-none",
            case=case,
        )
    _compare(names, got)
    names = [_TOOLS_MODULE]
    got = _table(function(list(names)))
    if got.get(_TOOLS_MODULE) is not None:
        raise NotYet(
            f"`{_TOOLS_MODULE}` is the name of a module. No package has that name, so return `None` for it.",
            misconception="import-name",
            case=Case(repr(names), repr({_TOOLS_MODULE: None}), repr(got)),
        )
    _compare(names, got)


def _spelled_otherwise(function: Callable[[list[str]], object]) -> None:
    names = ["SQLAlchemy", "sqlalchemy", "typing_extensions", "typing-extensions", _TOOLS.title()]
    case = Case(repr(names), repr(_expected(names)), "")
    try:
        got = _table(function(list(names)))
    except KeyError as error:
        raise _exact(Case(case.given, case.expected, f"KeyError: {error}")) from error
    if set(got) == set(names) and None in got.values():
        raise _exact(Case(case.given, case.expected, repr(got)))
    _compare(names, got)


def _exact(case: Case) -> NotYet:
    return NotYet(
        "To pip, `SQLAlchemy` and `sqlalchemy` are one package, and so are `typing_extensions` and "
        "`typing-extensions`. Your function knows only one spelling. `importlib.metadata.version` knows them all.",
        misconception="exact-spelling",
        case=case,
    )


def _expected(names: list[str]) -> dict[str, str | None]:
    return {name: judge.version(name) for name in names}


def _table(got: object) -> dict[Any, Any]:
    """The result as a plain dict whose values are text or None."""
    if inspect.iscoroutine(got):
        got.close()
        raise NotYet("Nothing here waits for anything: write `def`, not `async def`.", misconception="not-a-dict")
    if not isinstance(got, dict):
        raise NotYet(
            f"Your function returned `{type(got).__name__}`. Return a dict: each name with its version.",
            misconception="not-a-dict",
        )
    for value in got.values():
        if value is not None and type(value) is not str and value is not False:
            raise NotYet(
                f"A version of your result is of type `{type(value).__name__}`. Return it as text, as the metadata "
                "holds it: some versions, such as `1.0rc1`, are no plain numbers.",
                misconception="not-text",
            )
    return dict(got)


def _compare(names: list[str], got: dict[Any, Any]) -> None:
    expected = _expected(names)
    if got == expected:
        return
    case = Case(repr(names), repr(expected), repr(got))
    if set(got) != set(expected):
        raise NotYet(
            "The keys must be the names exactly as they were given, and all of them.",
            misconception="changes-the-names",
            case=case,
        )
    raise NotYet("A version is not the one that is installed.", misconception="other-version", case=case)


@contextlib.contextmanager
def _sample_distributions() -> Iterator[None]:
    """Two packages that are installed while the block runs, for this process and those it starts."""
    samples = ((_PLAIN, _PLAIN, _PLAIN_VERSION), (_TOOLS, _TOOLS_MODULE, _TOOLS_VERSION))
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="course-packages-", ignore_cleanup_errors=True) as folder:
        for name, module, version in samples:
            package = Path(folder, module)
            package.mkdir()
            (package / "__init__.py").write_text(f'__version__ = "{_STALE}"\n', encoding="utf-8")
            info = Path(folder, f"{name.replace('-', '_')}-{version}.dist-info")
            info.mkdir()
            about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (info / "METADATA").write_text(about, encoding="utf-8")
            (info / "top_level.txt").write_text(f"{module}\n", encoding="utf-8")
        sys.path.insert(0, folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, before)))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
            if before is None:
                os.environ.pop("PYTHONPATH", None)
            else:
                os.environ["PYTHONPATH"] = before
            for _, module, _ in samples:
                sys.modules.pop(module, None)
            importlib.invalidate_caches()
