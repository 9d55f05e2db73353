"""Versions stand in one place: do the conda file and the locks agree with pyproject.toml?"""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock")


def ranges(requirements: list[str]) -> dict[str, Requirement]:
    parsed = [Requirement(each) for each in requirements]
    return {canonicalize_name(each.name): each for each in parsed}


BASE = ranges(PROJECT["dependencies"])
EXTRAS = {name: ranges(requirements) for name, requirements in PROJECT["optional-dependencies"].items()}
# `dev` takes the extra `clouds` in by the project's own name.
OWN = EXTRAS["dev"].pop(PROJECT["name"])
DEV = EXTRAS["dev"] | {name: each for extra in OWN.extras for name, each in EXTRAS[extra].items()}


def locked(name: str) -> dict[str, str]:
    """Name and version of everything in a lock that this platform gets."""
    entries = re.findall(r"^(\S+==.*?) *\\$", (ROOT / name).read_text(), re.M)
    here = [entry for entry in map(Requirement, entries) if entry.marker is None or entry.marker.evaluate()]
    return {canonicalize_name(entry.name): str(entry.specifier).removeprefix("==") for entry in here}


def test_conda_brings_the_packages_of_the_course() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [each for each in environment["dependencies"] if isinstance(each, str)]
    pip = next(each["pip"] for each in environment["dependencies"] if isinstance(each, dict))
    assert {each.split()[0] for each in conda} == {"python", "pip", "postgresql"}
    assert pip[0] == "-e ."
    extra = ranges(pip[1:])
    for wanted in ("jupyterlab", "sqlmodel", "sqlalchemy", "aiosqlite", "asyncpg", "ipywidgets"):
        assert wanted in BASE
    assert str(extra["nbval"].specifier) == str(DEV["nbval"].specifier)
    assert set(extra) == {"nbval"}


def test_conda_and_the_project_want_the_same_python() -> None:
    text = (ROOT / "environment.yml").read_text()
    lowest = re.search(r"python >=([\d.]+)", text)
    assert lowest is not None
    assert PROJECT["requires-python"] == f">={lowest[1]}"


def test_the_asyncio_extra_is_explicit() -> None:
    assert BASE["sqlalchemy"].extras == {"asyncio"}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    entries = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_each_version_stands_in_one_lock() -> None:
    base, dev, bench = (set(locked(name)) for name in LOCKS)
    assert not base & dev
    assert not (base | dev) & bench


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    everything = {**locked(LOCKS[0]), **locked(LOCKS[1])}
    for name, requirement in BASE.items():
        assert requirement.specifier.contains(locked(LOCKS[0])[name]), name
    for name, requirement in DEV.items():
        assert requirement.specifier.contains(everything[name]), name


def test_what_is_installed_here_is_what_the_lock_says() -> None:
    for name, wanted in locked(LOCKS[0]).items():
        if name in BASE and BASE[name].marker is None:
            assert version(name) == wanted, name
