"""The packages that exist only while exercise 01.2 is checked."""

import contextlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Two distributions that exist only while 01.2 is checked. What the modules say about themselves is out of date.
PLAIN, PLAIN_VERSION, UPGRADED = "reportkit", "3.1.4", "3.2.0"
TOOLS, TOOLS_MODULE, TOOLS_VERSION = "invoice-tools", "invoices", "2.0.1"
STALE = "0.9.0"


@contextlib.contextmanager
def sample_distributions() -> Iterator[Path]:
    """Two packages that are installed in a folder while the block runs, for this process and those it starts."""
    samples = ((PLAIN, PLAIN, PLAIN_VERSION), (TOOLS, TOOLS_MODULE, TOOLS_VERSION))
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="course-packages-", ignore_cleanup_errors=True) as folder:
        for name, module, version in samples:
            package = Path(folder, module)
            package.mkdir()
            (package / "__init__.py").write_text(f'__version__ = "{STALE}"\n', encoding="utf-8")
            _register(Path(folder), name, module, version)
        sys.path.insert(0, folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, before)))
        importlib.invalidate_caches()
        try:
            yield Path(folder)
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
            os.environ.pop("PYTHONPATH")
            os.environ.update({"PYTHONPATH": before} if before is not None else {})
            for _, module, _ in samples:
                sys.modules.pop(module, None)
            importlib.invalidate_caches()


def _register(folder: Path, name: str, module: str, version: str) -> None:
    """Write what an installer leaves beside a package."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(about, encoding="utf-8")
    (info / "top_level.txt").write_text(f"{module}\n", encoding="utf-8")


def upgrade(folder: Path) -> None:
    """Give the first package another version, as pip would."""
    shutil.rmtree(folder / f"{PLAIN}-{PLAIN_VERSION}.dist-info")
    _register(folder, PLAIN, PLAIN, UPGRADED)
    importlib.invalidate_caches()
