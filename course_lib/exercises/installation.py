"""The checks of lesson 01: requirements are judged by what they bring, versions by packages made for the check."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from course_lib.exercises import _requirements as judge
from course_lib.exercises._installed_samples import (
    PLAIN,
    PLAIN_VERSION,
    STALE,
    TOOLS,
    TOOLS_MODULE,
    UPGRADED,
    sample_distributions,
    upgrade,
)
from course_lib.exercises._shown import shown
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
async def q1(requirements: list[str]) -> str | None:
    """Whether the requirements bring the stack that the service needs, and no driver besides it."""
    judge.look_again()
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
    if {asker for asker, _ in arrived["greenlet"]} == {"you"}:
        return (
            "It works with greenlet by its own name. The extra, `sqlalchemy[asyncio]`, says why it is there, and asks "
            "for the greenlet that this SQLAlchemy wants."
        )
    return None


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
    with sample_distributions() as folder:
        await _plain(installed_versions)
        upgrade(folder)
        await _upgraded(installed_versions)
        await _named_unlike_its_module(installed_versions)
        await _absent(installed_versions)
        await _spelled_otherwise(installed_versions)


async def _plain(function: Answer) -> None:
    names = [PLAIN]
    try:
        got = await _table(function, names)
    except Exception as error:
        if PLAIN in sys.modules and not isinstance(error, NotYet):
            raise _imports(names, error) from error
        raise
    value = got.get(PLAIN)
    if PLAIN in sys.modules or value == STALE:
        raise _imports(names, got)
    if PLAIN in got and value is None:
        known = await _table(function, [_INSTALLED])
        if known.get(_INSTALLED, "") is None:
            raise NotYet(
                f"`None` even for `{_INSTALLED}`, which is installed. If an `except` hides a mistake, name the one "
                "exception that stands for an absent package, and run your function without the `try` once.",
                misconception="hides-a-mistake",
                case=_case([_INSTALLED], known),
            )
        raise _stale(
            "installed just before the check called your function, into a folder of its own on `sys.path`", names, got
        )
    _compare(names, got)


async def _upgraded(function: Answer) -> None:
    names = [PLAIN]
    got = await _table(function, names)
    if got.get(PLAIN) == PLAIN_VERSION:
        raise _stale(f"upgraded to {UPGRADED} between two calls of your function", names, got)
    _compare(names, got)


def _stale(what: str, names: list[str], got: object) -> NotYet:
    said = "Read the metadata inside the function, at each call, and keep nothing of it from one call to the next."
    wrong = f"`{PLAIN}` was {what}, and the function does not see it. {said}"
    return NotYet(wrong, misconception="stale-snapshot", case=_case(names, got))


def _imports(names: list[str], got: object) -> NotYet:
    way = (
        "Your function imports the package to ask for its version. That runs the package's code"
        if PLAIN in sys.modules
        else f"`{STALE}` is what the package's own code says, as `__version__`. To import it runs the code"
    )
    return NotYet(
        f"{way}, and what the code says about its version can be missing or out of date. Ask the installed metadata: "
        "`importlib.metadata`.",
        misconception="imports-the-package",
        case=_case(names, got),
    )


async def _named_unlike_its_module(function: Answer) -> None:
    names = [TOOLS]
    try:
        got: object = await _table(function, names)
    except Exception as error:
        if isinstance(error, NotYet):
            raise
        got = error
    if isinstance(got, dict) and (TOOLS not in got or got[TOOLS] is not None):
        _compare(names, got)
        return
    if await _finds(function, TOOLS.replace("-", "_")):
        raise _exact(_case(names, got))
    raise NotYet(
        f"`{TOOLS}` is installed, and your function doesn't find it. The module that it brings is called "
        f"`{TOOLS_MODULE}`, so whoever looks for a module of the package's name finds nothing. Look the name up in "
        "the metadata, as it is.",
        misconception="import-name",
        case=_case(names, got),
    )


async def _absent(function: Answer) -> None:
    names = [_ABSENT, _INSTALLED]
    try:
        got = await _table(function, names)
    except NotYet as wrong:
        if wrong.misconception == "not-a-dict":  # for names that are installed it did return a dict
            raise await _all_stopped(function, Case(repr(names), repr(_expected(names)), "no dict")) from wrong
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
        raise await _all_stopped(function, _case(names, got))
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
    names = [TOOLS_MODULE]
    got = await _table(function, names)
    if got.get(TOOLS_MODULE) is not None:
        said = f"`{TOOLS_MODULE}` is the name of a module. No package has that name, so return `None` for it."
        raise NotYet(said, misconception="import-name", case=_case(names, got))
    _compare(names, got)


async def _finds(function: Answer, name: str) -> bool:
    """Whether the function gives this one installed name its version."""
    try:
        return (await _table(function, [name])).get(name) == judge.version(name)
    except Exception:
        return False


async def _all_stopped(function: Answer, case: Case) -> NotYet:
    names = [TOOLS, _INSTALLED]
    _compare(names, await _table(function, names))  # does it go through a list whose names are all installed?
    return NotYet(
        f"`{_ABSENT}` isn't installed, and because of it an installed package lost its version. Put the `try` inside "
        "the loop, around one name, and let the loop go on after it. A comprehension has no room for it: move the "
        "`try` into a function for one name.",
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
    written = type(got).__name__ if isinstance(got, Exception) else shown(got)
    return Case(repr(names), repr(_expected(names)), written)


async def _table(function: Answer, names: list[str]) -> dict[Any, Any]:
    """What the answer gives for a list of its own, as a plain dict whose values are text or None."""
    got = await ask(function, list(names))
    if not isinstance(got, dict):
        raise NotYet(
            f"Your function returned `{type(got).__name__}`. Return a dict: each name with its version.",
            misconception="not-a-dict",
        )
    for value in got.values():
        if value is not None and not isinstance(value, str) and value is not False:
            raise NotYet(
                f"A version of your result is of type `{type(value).__name__}`. Return it as text, as the metadata "
                "holds it: some versions, such as `1.0rc1`, are no plain numbers.",
                misconception="not-text",
            )
    # Plain text is compared: no subclass decides what is equal.
    return {key: str.__str__(value) if isinstance(value, str) else value for key, value in got.items()}


def _compare(names: list[str], got: dict[Any, Any]) -> None:
    expected = _expected(names)
    if got == expected:
        return
    case = _case(names, got)
    if set(got) != set(expected):
        said = "The keys must be the names exactly as they were given, and all of them."
        raise NotYet(said, misconception="changes-the-names", case=case)
    raise NotYet("A version is not the one that is installed.", misconception="other-version", case=case)
