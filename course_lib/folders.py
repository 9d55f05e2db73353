"""Where the course keeps what is the learner's (progress) and what can be made again (caches)."""

import os
import shutil
import sys
from pathlib import Path

import platformdirs
import psutil  # type: ignore[import-untyped]

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


def memory_folder(room: int) -> Path | None:
    """The system's folder for files in memory, for one who makes and deletes hundreds of servers.

    A server has some 700 files. ext4 does not use an inode again that was deleted a moment ago, and looks at one after
    the other until it finds another (`recently_deleted` in Linux' fs/ext4/ialloc.c): after some servers that takes a
    quarter of all time.

    Args:
        room: what has to be free there and in memory, in bytes.

    Returns:
        Linux' /dev/shm; None elsewhere, or where there is less room, as in a container.
    """
    folder = Path("/dev/shm")  # noqa: S108 - who uses it makes a folder with a random name
    if not sys.platform.startswith("linux") or not os.access(folder, os.W_OK):
        return None
    enough = min(shutil.disk_usage(folder).free, psutil.virtual_memory().available) >= room
    return folder if enough else None


def for_jupyter() -> dict[str, str]:
    """The variables that lead what Jupyter writes to ``COURSE_HOME``, where the user's home can't be written.

    Returns:
        Names and values; none where the usual folders can be written.

    Raises:
        OSError: they can't be written, and ``COURSE_HOME`` is not set or can't be written either.
    """
    from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

    usual = [Path(each) for each in (jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir())]
    if all(_can_write(each) for each in usual):
        return {}
    home = _home()
    if home is None or not _can_write(home):
        blocked = next(each for each in usual if not _can_write(each))
        raise OSError(
            f"JupyterLab can't write to {blocked}. Set COURSE_HOME to a folder that you can write to, then try again."
        )
    names = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"]
    good = {name for name in names if name in os.environ and _can_write(Path(os.environ[name]))}
    return {name: str(home / "jupyter" / name.lower()) for name in names if name not in good}


def _can_write(folder: Path) -> bool:
    """Whether the folder, or the one it would have to be made in, can be written."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
