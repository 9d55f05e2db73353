"""Where the course keeps what is the learner's (progress) and what can be made again (caches)."""

import os
from pathlib import Path

import platformdirs

NAME = "async-database-course"


def _home() -> Path | None:
    home = os.environ.get("COURSE_HOME")
    return Path(home).expanduser() if home else None


def data_folder() -> Path:
    """The folder for progress: ``COURSE_HOME`` where it is set, else the user's data folder. It may not exist yet."""
    return _home() or Path(platformdirs.user_data_dir(NAME, appauthor=False))


def cache_folder() -> Path:
    """The folder for what can be made again: ``COURSE_HOME/cache`` where it is set, else the user's cache folder."""
    home = _home()
    return home / "cache" if home else Path(platformdirs.user_cache_dir(NAME, appauthor=False))
