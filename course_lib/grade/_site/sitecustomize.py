"""Python programs that an answer starts, such as pip, would fail on a folder of `sys.path` that is closed to them."""

import sys
from pathlib import Path


def _is_closed(folder: str) -> bool:
    try:
        next(Path(folder).iterdir(), None)
    except PermissionError:
        return True
    except OSError:
        return False  # no folder, or gone: Python's own matter
    return False


sys.path[:] = [path for path in sys.path if not (path and _is_closed(path))]
