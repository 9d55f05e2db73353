"""What nbval needs to run solutions/ and notebooks/ beside the unit tests, in one run of pytest."""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Compare no outputs in notebooks/: what `--nbval-lax` would do, but for one folder."""
    if type(collector).__name__ == "IPyNbFile" and collector.path.parent.name == "notebooks":
        collector.compare_outputs = False  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Start each notebook's kernel in the environment that the build gives it."""
    if type(item).__name__ != "IPyNbCell" or item.parent.kernel is not None:  # type: ignore[union-attr]
        return (yield)
    from course_lib._build_run import kernel_environment

    scratch = Path(tempfile.mkdtemp(prefix="course-nbval-"))
    item.config.add_cleanup(lambda: shutil.rmtree(scratch, ignore_errors=True))
    environment = kernel_environment(scratch, item.config.rootpath)
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        return (yield)
