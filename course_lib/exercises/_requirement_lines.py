"""The lines of exercise 01.1: read one by one, each with the machines on which it counts."""

from collections.abc import Sequence
from functools import lru_cache

from packaging.requirements import Requirement

from course_lib.exercises._shown import shown
from course_lib.exercises.core import NotYet

#: What differs from machine to machine in the environment of a marker.
Machine = dict[str, str]
_FIELDS = ("platform_system", "sys_platform", "os_name", "platform_machine")
# SQLAlchemy 2.0 brings greenlet on some processors only, so common and uncommon ones have to be looked at.
MACHINES: tuple[Machine, ...] = tuple(
    dict(zip(_FIELDS, line.split(), strict=True))
    for line in (
        "Linux linux posix x86_64",
        "Linux linux posix aarch64",
        "Linux linux posix riscv64",
        "Darwin darwin posix arm64",
        "Darwin darwin posix x86_64",
        "Windows win32 nt AMD64",
        "Windows win32 nt ARM64",
    )
)


def parsed(requirements: object) -> list[Requirement]:
    """Read the learner's requirements.

    Args:
        requirements: the learner's object.

    Returns:
        All of them.

    Raises:
        NotYet: it is no list of texts, or a text is no requirement.
    """
    if not isinstance(requirements, list | tuple | set | frozenset):
        raise NotYet(
            f"`requirements` is of type `{type(requirements).__name__}`. Make it a list with one text per package: "
            '`["first", "second"]`.',
            misconception="not-a-list",
        )
    found = []
    for each in requirements:
        if not isinstance(each, str):
            raise NotYet(
                f"`{shown(each)[:80]}` is of type `{type(each).__name__}`. Write each requirement as text, in quotes.",
                misconception="not-a-list",
            )
        found.append(_read(str(each)))
    return found


def _read(line: str) -> Requirement:
    written = f"`{ascii(line)[1:-1][:80]}`"
    try:
        requirement = Requirement(line)
        requirement.specifier.contains("1")  # a number of 5000 digits is found out here
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise NotYet(
            f"{written} can't be read as a requirement: {reason}. One text names one package: "
            "`name`, `name[extra]` or `name[extra]>=1.2,<2`. A single version has two equals signs: `name==1.2`.",
            misconception="malformed-requirement",
        ) from None
    try:
        applies(requirement, "", MACHINES)
    except (LookupError, ValueError) as error:
        raise NotYet(
            f"Nobody can tell whether the condition behind the `;` of {written} holds ({type(error).__name__}). "
            "Leave the condition out: the service has to run on any machine.",
            misconception="malformed-requirement",
        ) from None
    if requirement.url:
        raise NotYet(
            f"{written} names a file at an address, and the check can't see what is in it. Name the package and, if "
            "you like, a range: `name>=1.2`.",
            misconception="names-an-address",
        )
    return requirement


def applies(requirement: Requirement, extra: str, machines: Sequence[Machine]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra, **machine}) for machine in machines)


class Need:
    """A line of a distribution's metadata, which remembers on which machines it counts: each is asked many times."""

    def __init__(self, line: str) -> None:
        self.requirement = Requirement(line)
        self._known: dict[tuple[str, ...], bool] = {}

    def applies(self, extra: str, machines: Sequence[Machine]) -> bool:
        """Whether it counts with this extra ("" for none) on one of the machines."""
        return self.requirement.marker is None or any(self._applies(extra, machine) for machine in machines)

    def _applies(self, extra: str, machine: Machine) -> bool:
        key = (extra, *machine.values())
        if key not in self._known:
            self._known[key] = applies(self.requirement, extra, (machine,))
        return self._known[key]


@lru_cache(maxsize=200)
def needs(lines: tuple[str, ...]) -> tuple[Need, ...]:
    """What a distribution's metadata asks for. The same lines mean the same for as long as a process lives."""
    return tuple(map(Need, lines))
