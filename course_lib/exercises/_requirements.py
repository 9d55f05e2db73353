"""What a list of requirements brings, and what is wrong with it: the judge of exercise 01.1.

Nothing is downloaded: the metadata of the installed distributions says what each of them asks for.
"""

import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import make_url

from course_lib.exercises._requirement_lines import MACHINES, Machine, Need, applies, needs, parsed
from course_lib.exercises.core import Case, NotYet

_NEEDED = ("sqlmodel", "greenlet", "asyncpg", "aiosqlite", "alembic")
# Distribution → the name by which SQLAlchemy knows the driver. Which of them is async is asked of SQLAlchemy.
_OTHER_POSTGRESQL_DRIVERS = {
    "psycopg2": "psycopg2",
    "psycopg2-binary": "psycopg2",
    "psycopg": "psycopg",
    "psycopg-binary": "psycopg",
    "psycopg-c": "psycopg",
    "pg8000": "pg8000",
}
# A list that has all of it and nothing else; what these bring may be named too.
_ENOUGH = ("sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "aiosqlite", "alembic")
_COURSE = "async-database-course"

__all__ = [
    "arrivals",
    "look_again",
    "parsed",
    "refuse_missing",
    "refuse_other_drivers",
    "refuse_ranges_without_the_installed_version",
    "refuse_unknown_extra",
    "refuse_unknown_name",
    "refuse_what_is_not_needed",
    "version",
]

#: What arrives: a distribution's normalised name → who asks for it, and with which words.
Arrivals = dict[str, list[tuple[str, Requirement]]]


def refuse_unknown_name(requirement: Requirement) -> None:
    """Raise NotYet for the name of a package that this environment doesn't have, with what may be behind it."""
    name = requirement.name
    if canonicalize_name(name) == _COURSE:
        raise NotYet(
            f"`{name}` is this course, with JupyterLab and a PostgreSQL server. A service lists what it uses itself.",
            misconception="requires-the-course",
        )
    if _installed(name) is not None or canonicalize_name(name) in _OTHER_POSTGRESQL_DRIVERS:
        return
    module = name.partition(".")[0].replace("-", "_")
    if module in sys.stdlib_module_names:
        raise NotYet(
            f"`{module}` is a module that comes with Python: there is nothing to install. Name the package that makes "
            "the database awaitable.",
            misconception="module-instead-of-package",
        )
    if owners := metadata.packages_distributions().get(module):
        raise NotYet(
            f"`{name}` is what you import. A requirement names what you install: `{canonicalize_name(owners[0])}`.",
            misconception="module-instead-of-package",
        )
    known = [*_NEEDED, "sqlalchemy"]
    close = [each for each in known if name.lower().startswith(each)]
    close += difflib.get_close_matches(canonicalize_name(name), known, n=1, cutoff=0.75)
    if close:
        raise NotYet(
            f"`{name}` is not the name of a package of this stack. Did you mean `{close[0]}`? An extra stands in "
            "brackets, `name[extra]`, and a misspelt name can install a stranger's package.",
            misconception="misspelt-name",
        )
    raise NotYet(
        f"`{name}` is not installed here, so the check can't see what it brings, and the task doesn't need it. "
        "Leave it out.",
        misconception="not-needed",
    )


def arrivals(wanted: Sequence[Requirement], machines: Sequence[Machine] = MACHINES) -> Arrivals:
    """Walk from the requirements to all that they bring, by the metadata of the installed versions.

    Args:
        wanted: the learner's requirements.
        machines: a line counts if its marker holds on one of them.

    Returns:
        Each package that arrives, with who asks for it; "you" is the learner.
    """
    found: Arrivals = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [("you", each) for each in wanted if applies(each, "", machines)]
    while todo:
        asker, requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        found.setdefault(name, []).append((asker, requirement))
        step = (name, frozenset(requirement.extras))
        installed = _installed(name)
        if step in seen or installed is None:
            continue
        seen.add(step)
        for need in installed.needs:
            if any(need.applies(extra, machines) for extra in ("", *requirement.extras)):
                todo.append((name, need.requirement))
    return found


def refuse_other_drivers(arrived: Arrivals) -> None:
    """Raise NotYet if another PostgreSQL driver arrives, asked for by name or through an extra."""
    for name, driver in _OTHER_POSTGRESQL_DRIVERS.items():
        if name not in arrived:
            continue
        url = make_url(f"postgresql+{driver}://")
        if url.get_dialect().get_async_dialect_cls(url).is_async:
            raise NotYet(
                f"`{name}` has an async mode, and SQLAlchemy can use it. But this service's URL begins with "
                "`postgresql+asyncpg://`, which loads another driver. Take that one, and only that one.",
                misconception="another-async-driver",
            )
        raise NotYet(
            f"`{name}` is a synchronous driver: `create_async_engine` refuses it, because while it waits for "
            "PostgreSQL the whole event loop waits. Take the driver that the URL names.",
            misconception="synchronous-driver",
        )


def refuse_unknown_extra(requirement: Requirement) -> None:
    """Raise NotYet if the installed version of the package offers no such extra."""
    installed = _installed(requirement.name)
    if installed is None:
        return
    for extra in sorted(requirement.extras):
        if canonicalize_name(extra) not in installed.extras:
            raise NotYet(
                f"`{requirement.name}` {installed.version} has no extra `{extra}`. pip only warns about that "
                "and installs the package without it. Look at the extra's name again.",
                misconception="unknown-extra",
            )


def refuse_what_is_not_needed(wanted: list[Requirement]) -> None:
    """Raise NotYet for a package, or an extra, that is no part of the stack and that nothing in it brings."""
    needed = set(arrivals([Requirement(each) for each in _ENOUGH]))
    for each in wanted:
        if canonicalize_name(each.name) not in needed:
            raise NotYet(f"`{each.name}` is not needed for this task. Leave it out.", misconception="not-needed")
        for extra in sorted(each.extras):
            surplus = sorted(set(arrivals([Requirement(f"{each.name}[{extra}]")])) - needed)
            if surplus:
                raise NotYet(
                    f"In `{each}`, the extra `{extra}` brings {', '.join(f'`{name}`' for name in surplus)}, which is "
                    "not needed for this task. Leave that extra out.",
                    misconception="not-needed",
                )


def refuse_ranges_without_the_installed_version(arrived: Arrivals) -> None:
    """Raise NotYet if a range of the learner's leaves out what is installed, whose metadata this check reads."""
    for name, askers in arrived.items():
        installed = _installed(name)
        for asker, requirement in askers:
            if asker != "you" or installed is None:
                continue
            if requirement.specifier.contains(installed.version, prereleases=True):
                continue
            others = sorted({f"`{other}` asks for `{each}`" for other, each in askers if other != "you"})
            also = f" Besides, {', '.join(others)}, and all of it must hold at once." if others else ""
            raise NotYet(
                f"`{requirement}` leaves out {installed.version}, the version that is installed here.{also} "
                "Widen the range, or leave it out.",
                misconception="range-leaves-out-installed",
            )


def refuse_missing(wanted: list[Requirement]) -> None:
    """Raise NotYet for the first package of the stack that does not arrive on every machine."""
    missing = {
        "sqlmodel": (
            "forgets-sqlmodel",
            "Nothing here brings SQLModel, the package for the models. No other package of the stack asks for it. "
            "List it.",
        ),
        "greenlet": (
            "misses-asyncio-extra",
            "Nothing here brings greenlet on every machine, so `sqlalchemy.ext.asyncio` can't work. "
            "Ask for SQLAlchemy together with its `asyncio` extra.",
        ),
        "asyncpg": (
            "forgets-asyncpg",
            "Nothing here brings the driver behind `postgresql+asyncpg://`. SQLAlchemy has the dialect, "
            "but the driver is a package of its own.",
        ),
        "aiosqlite": (
            "forgets-aiosqlite",
            "Nothing here brings the driver behind `sqlite+aiosqlite://`. Python's own `sqlite3` is synchronous, "
            "so the tests would stop with an error when they make their engine.",
        ),
        "alembic": (
            "forgets-alembic",
            "Nothing here can migrate the tables. `create_all` never changes a table that is already there; "
            "add the package for migrations.",
        ),
    }
    found = [(machine, arrivals(wanted, (machine,))) for machine in MACHINES]
    for name in _NEEDED:
        for machine, arrived in found:
            if name in arrived:
                continue
            _refuse_condition(name, machine, wanted)
            misconception, message = missing[name]
            raise NotYet(
                message,
                misconception=misconception,
                case=Case(
                    given=", ".join(map(str, wanted)) or "nothing",
                    expected=f"{name} among what is installed",
                    got=", ".join(sorted(arrived)) or "nothing",
                ),
            )


def _refuse_condition(name: str, machine: Machine, wanted: list[Requirement]) -> None:
    """Raise NotYet if one of the lines would bring the package, but its marker does not hold on this machine."""
    for each in wanted:
        if applies(each, "", (machine,)):
            continue
        unconditional = Requirement(str(each))
        unconditional.marker = None
        if name in arrivals([unconditional], (machine,)):
            system = {"Darwin": "macOS"}.get(machine["platform_system"], machine["platform_system"])
            raise NotYet(
                f"The line `{each}` counts only where the condition behind its `;` holds. With this Python on "
                f"{system} ({machine['platform_machine']}) it doesn't, and nothing else there brings `{name}`. "
                "Leave the condition out: the service has to run on any machine.",
                misconception="excludes-machines",
            )


@dataclass(frozen=True)
class _Installed:
    """What the metadata of an installed distribution says: its version, its extras and what it asks for."""

    version: str
    extras: frozenset[str]
    needs: tuple[Need, ...]


@cache
def _installed(name: str) -> _Installed | None:
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    extras = frozenset(canonicalize_name(each) for each in said.get_all("Provides-Extra") or [])
    return _Installed(said["Version"], extras, needs(tuple(metadata.requires(name) or ())))


def look_again() -> None:
    """Read the metadata anew from now on: between two checks, somebody may have installed something."""
    _installed.cache_clear()


def version(name: str) -> str | None:
    """Return a distribution's installed version, None if it isn't installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
