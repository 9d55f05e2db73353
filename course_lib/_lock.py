"""A lock between processes that ends with its holder, however that one ends."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold the lock of that file; the file is made if it isn't there, and stays, empty.

    SQLite's own lock, since it is the same on every system and the operating system drops it when a process is killed.

    Args:
        path: the file that stands for the lock, in a folder that is there.
        seconds: how long to wait for another holder.

    Raises:
        TimeoutError: another process holds it.
        OSError: the file can't be made.
    """
    try:
        connection = sqlite3.connect(path, timeout=seconds, isolation_level=None)
    except sqlite3.Error as error:
        raise OSError(f"{path.name} can't be made: {error}") from error
    try:
        try:
            connection.execute("begin exclusive")
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise TimeoutError(f"Another process holds {path.name}.") from error
            raise OSError(f"{path.name} can't be locked: {error}") from error
        yield
    finally:
        connection.close()
