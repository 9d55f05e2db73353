"""The checks of lesson 01: requirements are judged by what they bring, versions by packages made for the check."""

import contextlib
import importlib
import inspect
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from course_lib.exercises import _requirements as judge
from course_lib.exercises.core import AnswerError, Case, NotYet, ask, exercise


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
    judge.refuse_what_is_not_needed(wanted)
    judge.refuse_ranges_without_the_installed_version(arrived)
    judge.refuse_missing(wanted)


# Two distributions that exist only while 01.2 is checked. What the modules say about themselves is out of date.
_PLAIN, _PLAIN_VERSION, _UPGRADED = "reportkit", "3.1.4", "3.2.0"
_TOOLS, _TOOLS_MODULE, _TOOLS_VERSION = "invoice-tools", "invoices", "2.0.1"
_STALE = "0.9.0"
_ABSENT = "No-Such-Package"
_INSTALLED = "sqlmodel"


Answer = Callable[[list[str]], dict[str, str | None]]


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
    seconds=30,  # an answer may run `pip show` for each name, and that is slow
)
async def q2(installed_versions: Answer) -> None:
    """Whether versions are read from metadata, for any spelling, and absent packages are reported as None."""
    if inspect.iscoroutinefunction(installed_versions):
        raise NotYet("Nothing here waits for anything: write `def`, not `async def`.", misconception="not-a-dict")
    with _sample_distributions() as folder:
        await _plain(installed_versions)
        _upgrade(folder)
        await _upgraded(installed_versions)
        await _named_unlike_its_module(installed_versions)
        await _absent(installed_versions)
        await _spelled_otherwise(installed_versions)


async def _plain(function: Answer) -> None:
    names = [_PLAIN]
    try:
        got = await _table(function, names)
    except Exception as error:
        if _PLAIN in sys.modules and not isinstance(error, NotYet):
            raise _imports(names, error) from error
        raise
    value = got.get(_PLAIN)
    if _PLAIN in sys.modules or value == _STALE:
        raise _imports(names, got)
    if _PLAIN in got and value is None:
        known = await _table(function, [_INSTALLED])
        if known.get(_INSTALLED, "") is None:
            raise NotYet(
                f"`None` even for `{_INSTALLED}`, which is installed: does an `except` hide a mistake? Name the one "
                "exception that stands for an absent package, and run your function without the `try` once.",
                misconception="hides-a-mistake",
                case=_case([_INSTALLED], known),
            )
        raise _stale("installed just before the check called your function", names, got)
    _compare(names, got)


async def _upgraded(function: Answer) -> None:
    names = [_PLAIN]
    got = await _table(function, names)
    if got.get(_PLAIN) == _PLAIN_VERSION:
        raise _stale(f"upgraded to {_UPGRADED} between two calls of your function", names, got)
    _compare(names, got)


def _stale(what: str, names: list[str], got: object) -> NotYet:
    said = "Read the metadata inside the function, at each call, and keep nothing of it from one call to the next."
    wrong = f"`{_PLAIN}` was {what}, and the function does not see it. {said}"
    return NotYet(wrong, misconception="stale-snapshot", case=_case(names, got))


def _imports(names: list[str], got: object) -> NotYet:
    return NotYet(
        "Your function imports the package to ask for its version. That runs the package's code, and what the code "
        "says about its version can be missing or out of date. Ask the installed metadata: `importlib.metadata`.",
        misconception="imports-the-package",
        case=_case(names, got),
    )


async def _named_unlike_its_module(function: Answer) -> None:
    names = [_TOOLS]
    try:
        got: object = await _table(function, names)
    except Exception as error:
        if isinstance(error, NotYet):
            raise
        got = error
    if isinstance(got, dict) and (_TOOLS not in got or got[_TOOLS] is not None):
        _compare(names, got)
        return
    raise NotYet(
        f"`{_TOOLS}` is installed; the module it brings is called `{_TOOLS_MODULE}`. Your function looks for a "
        "module of the package's name. Look the name up in the metadata, as it is.",
        misconception="import-name",
        case=_case(names, got),
    )


async def _absent(function: Answer) -> None:
    names = [_ABSENT, _INSTALLED]
    try:
        got = await _table(function, names)
    except NotYet as wrong:
        if wrong.misconception == "not-a-dict":  # for names that are installed it did return a dict
            raise _all_stopped(Case(repr(names), repr(_expected(names)), "no dict")) from wrong
        raise
    except NameError:
        raise
    except Exception as error:
        raise NotYet(
            f"`{_ABSENT}` isn't installed, and your function stops there. Catch that exception for this name only, "
            "store `None`, and go on with the next name.",
            misconception="crashes-on-a-missing-one",
            case=_case(names, error),
        ) from error
    if _ABSENT not in got and _ABSENT.casefold() in {str(key).casefold() for key in got}:
        _compare(names, got)
    if got.get(_INSTALLED) is None:
        raise _all_stopped(_case(names, got))
    if _ABSENT not in got:
        raise NotYet(
            f"`{_ABSENT}` isn't installed, and the result has no word about it. Whoever reads the report must see that "
            "it is absent: store `None` under its name.",
            misconception="drops-missing",
            case=_case(names, got),
        )
    if got[_ABSENT] is not None:
        raise NotYet(
            f"For a package that isn't installed, the result holds `{got[_ABSENT]!r}`. Store `None`: no version can be "
            "mistaken for it.",
            misconception="not-none",
            case=_case(names, got),
        )
    _compare(names, got)
    names = [_TOOLS_MODULE]
    got = await _table(function, names)
    if got.get(_TOOLS_MODULE) is not None:
        said = f"`{_TOOLS_MODULE}` is the name of a module. No package has that name, so return `None` for it."
        raise NotYet(said, misconception="import-name", case=_case(names, got))
    _compare(names, got)


def _all_stopped(case: Case) -> NotYet:
    return NotYet(
        f"`{_ABSENT}` isn't installed, and because of it an installed package lost its version. Put the `try` inside "
        "the loop, around one name. A comprehension has no room for it: move the `try` into a function for one name.",
        misconception="one-missing-stops-all",
        case=case,
    )


async def _spelled_otherwise(function: Answer) -> None:
    names = ["typing_extensions", "typing-extensions", "Invoice_Tools"]
    try:
        got = await _table(function, names)
    except KeyError as error:
        raise _exact(_case(names, error)) from error
    if set(got) == set(names) and None in got.values():
        raise _exact(_case(names, got))
    _compare(names, got)


def _exact(case: Case) -> NotYet:
    return NotYet(
        "To pip, `Invoice_Tools` and `invoice-tools` are one package, and so are `typing_extensions` and "
        "`typing-extensions`. Your function knows only one spelling. `importlib.metadata.version` knows them all.",
        misconception="exact-spelling",
        case=case,
    )


def _expected(names: list[str]) -> dict[str, str | None]:
    return {name: judge.version(name) for name in names}


def _case(names: list[str], got: object) -> Case:
    """The case to show, for a result or for the exception that came instead of one."""
    if isinstance(got, AnswerError):
        got = got.__cause__
    shown = type(got).__name__ if isinstance(got, Exception) else repr(got)
    return Case(repr(names), repr(_expected(names)), shown)


async def _table(function: Answer, names: list[str]) -> dict[Any, Any]:
    """What the answer gives for a list of its own, as a plain dict whose values are text or None."""
    got = await ask(function, list(names))
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
    case = _case(names, got)
    if set(got) != set(expected):
        said = "The keys must be the names exactly as they were given, and all of them."
        raise NotYet(said, misconception="changes-the-names", case=case)
    raise NotYet("A version is not the one that is installed.", misconception="other-version", case=case)


@contextlib.contextmanager
def _sample_distributions() -> Iterator[Path]:
    """Two packages that are installed in a folder while the block runs, for this process and those it starts."""
    samples = ((_PLAIN, _PLAIN, _PLAIN_VERSION), (_TOOLS, _TOOLS_MODULE, _TOOLS_VERSION))
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="course-packages-", ignore_cleanup_errors=True) as folder:
        for name, module, version in samples:
            package = Path(folder, module)
            package.mkdir()
            (package / "__init__.py").write_text(f'__version__ = "{_STALE}"\n', encoding="utf-8")
            _register(Path(folder), name, module, version)
        sys.path.insert(0, folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, before)))
        importlib.invalidate_caches()
        try:
            yield Path(folder)
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
            os.environ.pop("PYTHONPATH")
            os.environ.update({"PYTHONPATH": before} if before is not None else {})
            for _, module, _ in samples:
                sys.modules.pop(module, None)
            importlib.invalidate_caches()


def _register(folder: Path, name: str, module: str, version: str) -> None:
    """Write what an installer leaves beside a package."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(about, encoding="utf-8")
    (info / "top_level.txt").write_text(f"{module}\n", encoding="utf-8")


def _upgrade(folder: Path) -> None:
    """Give the first package another version, as pip would."""
    shutil.rmtree(folder / f"{_PLAIN}-{_PLAIN_VERSION}.dist-info")
    _register(folder, _PLAIN, _PLAIN, _UPGRADED)
    importlib.invalidate_caches()
