"""Are code, lessons and types in order? The same commands that a maintainer runs by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A cell shows so many characters beside each other before it scrolls sideways.
NOTEBOOKS = (
    *("ruff", "format", "--check", "--line-length", "96", "--config", "format.exclude=[]"),
    *("notebooks", "solutions"),
)


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), NOTEBOOKS, ("mypy",)],
    ids=["ruff check", "ruff format", "ruff format of notebooks", "mypy"],
)
def test_clean(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
