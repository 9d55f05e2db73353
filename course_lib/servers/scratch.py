"""A temporary folder that is gone when its process is, even one that was killed."""

import contextlib
import shutil
import tempfile
import weakref
from pathlib import Path

from course_lib.servers._supervisor import Supervisor


class ScratchFolder(contextlib.AbstractContextManager["ScratchFolder"]):
    """A folder like `tempfile.TemporaryDirectory`'s, which goes with a killed process too.

    Args:
        prefix: how its name begins.
        above: the folder that it is made in; by default where temporary files are.

    Attributes:
        name: the folder's path, as text.
    """

    def __init__(self, prefix: str = "course-", above: Path | None = None) -> None:
        self._guarded = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
        self._finalizer = weakref.finalize(self, shutil.rmtree, self._guarded, ignore_errors=True)
        # It has no program to run here: it removes the folder when this process is gone, for whatever reason.
        self._supervisor = Supervisor(self._guarded, Path(), None, None, None)
        folder = self._guarded / "files"
        folder.mkdir()
        self.name = str(folder)

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove the folder and what is in it. A second call does nothing."""
        self._supervisor.close()
        self._finalizer()
