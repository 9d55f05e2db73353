# %% right: a comprehension over a helper
from importlib.metadata import PackageNotFoundError, version


def one(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def installed_versions(names):
    return {name: one(name) for name in names}


# %% right: asks each distribution found, with names normalised by packaging
from importlib import metadata

from packaging.utils import canonicalize_name


def installed_versions(names):
    found = {}
    for distribution in metadata.distributions():
        found.setdefault(canonicalize_name(distribution.name), distribution.version)
    return {name: found.get(canonicalize_name(name)) for name in names}


# %% right: discovers each name, in a dict subclass
from collections import OrderedDict
from importlib.metadata import Distribution


def installed_versions(names):
    result = OrderedDict()
    for name in names:
        first = next(iter(Distribution.discover(name=name)), None)
        result[name] = first.version if first else None
    return result


# %% right: starts from None for all
import contextlib
import importlib.metadata


def installed_versions(names):
    result = dict.fromkeys(names)
    for name in names:
        with contextlib.suppress(ModuleNotFoundError):
            result[name] = importlib.metadata.distribution(name).version
    return result


# %% right: asks pip, in a process of its own
import json
import subprocess
import sys

from packaging.utils import canonicalize_name


def installed_versions(names):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "list", "--format=json"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    found = {canonicalize_name(each["name"]): each["version"] for each in listed}
    return {name: found.get(canonicalize_name(name)) for name in names}


# %% wrong: imports-the-package | imports the package
import importlib


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.import_module(name).__version__
        except (ImportError, AttributeError):
            versions[name] = None
    return versions


# %% wrong: imports-the-package | runs the package's code
import importlib
from importlib.metadata import PackageNotFoundError, version


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            importlib.import_module(name)
            versions[name] = version(name)
        except (ImportError, PackageNotFoundError):
            versions[name] = None
    return versions


# %% wrong: imports-the-package | out of date
import importlib


def installed_versions(names):
    return {name: importlib.import_module(name).VERSION for name in names}


# %% wrong: imports-the-package | out of date
import subprocess
import sys


def installed_versions(names):
    versions = {}
    for name in names:
        code = f"import {name}; print({name}.__version__)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        versions[name] = done.stdout.strip() or None
    return versions


# %% wrong: crashes-on-a-missing-one | Catch that exception for this name only
from importlib.metadata import version


def installed_versions(names):
    return {name: version(name) for name in names}


# %% wrong: drops-missing | has no word about it
from importlib import metadata


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


# %% wrong: drops-missing | store `None` under its name
from importlib import metadata


def one(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed_versions(names):
    return {name: found for name in names if (found := one(name))}


# %% wrong: one-missing-stops-all | Put the `try` inside the loop
from importlib import metadata


def installed_versions(names):
    versions = {}
    try:
        for name in names:
            versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
    return versions


# %% wrong: one-missing-stops-all | a function for one name
from importlib import metadata


def installed_versions(names):
    try:
        return {name: metadata.version(name) for name in names}
    except metadata.PackageNotFoundError:
        return dict.fromkeys(names)


# %% wrong: one-missing-stops-all | no dict
from importlib import metadata


def installed_versions(names):
    try:
        return {name: metadata.version(name) for name in names}
    except metadata.PackageNotFoundError:
        return None


# %% wrong: one-missing-stops-all | an installed package lost its version
from importlib import metadata


def installed_versions(names):
    versions = dict.fromkeys(names)
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            break
    return versions


# %% wrong: not-none | holds `'not installed'`
from importlib import metadata


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


# %% wrong: not-none | holds `False`
from importlib import metadata


def installed_versions(names):
    versions = dict.fromkeys(names, False)
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return versions


# %% wrong: import-name | brings is called `invoices`
from importlib import metadata
from importlib.util import find_spec


def installed_versions(names):
    return {name: metadata.version(name) if find_spec(name) else None for name in names}


# %% wrong: import-name | Look the name up in the metadata
from importlib import metadata


def installed_versions(names):
    modules = metadata.packages_distributions()
    return {name: metadata.version(modules[name][0]) for name in names}


# %% wrong: import-name | is the name of a module
from importlib import metadata


def installed_versions(names):
    modules = metadata.packages_distributions()
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(modules.get(name, [name])[0])
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


# %% wrong: exact-spelling | knows only one spelling
from importlib import metadata


def installed_versions(names):
    found = {each.name: each.version for each in metadata.distributions()}
    return {name: found.get(name) for name in names}


# %% wrong: exact-spelling | `typing-extensions`
from importlib import metadata


def installed_versions(names):
    found = {each.name.lower(): each.version for each in metadata.distributions()}
    return {name: found.get(name.lower()) for name in names}


# %% wrong: stale-snapshot | at each call
from importlib import metadata

FOUND = {each.name: each.version for each in metadata.distributions()}


def installed_versions(names):
    return {name: FOUND.get(name) for name in names}


# %% wrong: stale-snapshot | was upgraded to 3.2.0 between two calls
from functools import lru_cache
from importlib import metadata


@lru_cache
def one(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed_versions(names):
    return {name: one(name) for name in names}


# %% wrong: stale-snapshot | keep nothing of it
from importlib import metadata

KNOWN = {}


def installed_versions(names):
    for name in names:
        if name not in KNOWN:
            try:
                KNOWN[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                KNOWN[name] = None
    return {name: KNOWN[name] for name in names}


# %% wrong: hides-a-mistake | If an `except` hides a mistake
from importlib import metadata


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.verison(name)
        except Exception:
            versions[name] = None
    return versions


# %% wrong: not-text | is of type `object`
def installed_versions(names):
    return {name: object() for name in names}


# %% wrong: not-text | is of type `Version`
from importlib import metadata

from packaging.version import Version


def installed_versions(names):
    return {name: Version(metadata.version(name)) for name in names}


# %% wrong: not-text | is of type `tuple`
from importlib import metadata


def installed_versions(names):
    return {name: tuple(metadata.version(name).split(".")) for name in names}


# %% wrong: not-a-dict | returned `list`
from importlib import metadata


def installed_versions(names):
    return [metadata.version(name) for name in names]


# %% wrong: not-a-dict | returned `NoneType`
from importlib import metadata


def installed_versions(names):
    for name in names:
        print(name, metadata.version(name))


# %% wrong: not-a-dict | not `async def`
from importlib import metadata


async def installed_versions(names):
    return {name: metadata.version(name) for name in names}


# %% wrong: changes-the-names | 'no-such-package': None
from importlib import metadata


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name.lower()] = None
    return versions


# %% wrong: changes-the-names | exactly as they were given
from importlib import metadata


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            versions[name.lower()] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name.lower()] = None
    return versions


# %% error: NameError
def installed_versions(names):
    return {name: version(name) for name in names}


# %% error: name 'PackageNotFoundError' is not defined
from importlib import metadata


def installed_versions(names):
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


# %% error: unhashable type: 'list'
from functools import lru_cache
from importlib import metadata


@lru_cache
def installed_versions(names):
    return {name: metadata.version(name) for name in names}


# %% wrong: takes-other-parameters | with 1 argument; yours takes `()`
from importlib import metadata


def installed_versions():
    return {each.name: each.version for each in metadata.distributions()}


# %% wrong: passes-no-function | an object of type `dict`
installed_versions = {"sqlmodel": "0.0.50"}


# %% right: versions of numpy's text type
import numpy as np
from importlib.metadata import PackageNotFoundError, version


def one(name):
    try:
        return np.str_(version(name))
    except PackageNotFoundError:
        return None


def installed_versions(names):
    return {name: one(name) for name in names}


# %% wrong: stale-snapshot | into a folder of its own on `sys.path`
import pathlib
import re
import sqlalchemy


def installed_versions(names):
    found = {}
    for name in names:
        found[name] = None
        for folder in pathlib.Path(sqlalchemy.__file__).parents[1].glob("*.dist-info"):
            if folder.name.split("-")[0].lower() == re.sub("[-.]", "_", name).lower():
                found[name] = folder.name.removesuffix(".dist-info").split("-")[1]
    return found


# %% wrong: exact-spelling | knows only one spelling
import pathlib
import sys


def installed_versions(names):
    found = dict.fromkeys(names)
    for name in names:
        for folder in sys.path:
            for entry in pathlib.Path(folder).glob(f"{name}-*.dist-info"):
                found[name] = entry.name.removesuffix(".dist-info").split("-")[-1]
    return found


# %% wrong: changes-the-names | all of them
from importlib.metadata import PackageNotFoundError, version


def installed_versions(names):
    try:
        return {names[0]: version(names[0])}
    except PackageNotFoundError:
        return {names[0]: None}


# %% wrong: one-missing-stops-all | let the loop go on after it
from importlib.metadata import PackageNotFoundError, version


def installed_versions(names):
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
            break
    return found


# %% wrong: changes-the-names | can't be shown (ValueError)
def installed_versions(names):
    return {10**5000: "1.0"}


# %% wrong: imports-the-package | is what the package's own code says
import pathlib
import re
import sys


def installed_versions(names):
    found = dict.fromkeys(names)
    for name in names:
        for folder in sys.path:
            module = pathlib.Path(folder, name, "__init__.py")
            if module.exists() and (said := re.search('__version__ = "(.+)"', module.read_text())):
                found[name] = said[1]
    return found
