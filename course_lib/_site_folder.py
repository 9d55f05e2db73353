"""A folder that is made whole and then put in its place, and never over anything that somebody else made."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course_lib._site_links import SiteError

#: Lists what the site's folder holds. A folder without it was not made here.
MARKER = ".course-site.json"


def refuse_foreign(output: Path) -> None:
    """Raise SiteError when `output` holds anything that an earlier site did not put there."""
    if not output.exists() and not output.is_symlink():
        return
    elsewhere = "Name another one with --output, or move it away."
    if output.is_symlink() or not output.is_dir():
        raise SiteError(f"{output} is not a folder. {elsewhere}")
    try:
        known = set(json.loads((output / MARKER).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise SiteError(f"{output} was not made by this command, so it is not replaced. {elsewhere}") from None
    if foreign := sorted(_files(output) - known):
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise SiteError(f"{output} also holds {foreign[0]}{more}, which this command did not make. Move it away.")


@contextmanager
def fresh_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `output` at the end; after an exception, nothing has changed.

    Args:
        output: The folder to replace, or to make.

    Raises:
        SiteError: `output` holds what this command did not make, or can't be written.
    """
    refuse_foreign(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # Beside `output`, so that it is on the same file system and one rename puts it in place.
        scratch = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    except OSError as error:
        raise SiteError(
            f"{output.parent} can't be written: {error.strerror}. Name another place with --output."
        ) from error
    try:
        made, before = scratch / "made", scratch / "before"
        made.mkdir()
        yield made
        files = sorted(_files(made))
        (made / MARKER).write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")
        refuse_foreign(output)  # it may have changed while the pages were made
        if output.exists():
            output.rename(before)
        try:
            made.rename(output)
        except OSError:
            if before.exists():
                before.rename(output)
            raise
    except OSError as error:
        raise SiteError(
            f"{output} can't be written: {error.strerror or error}. What was there is still there."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _files(folder: Path) -> set[str]:
    names = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    return names - {MARKER}
