"""A kernel that is killed in the middle of a lesson leaves nothing, and the next one goes on from there."""

import random
import re
import time
from pathlib import Path

import pytest
from kernels import Kernel, Place, code_cells, lesson_names, running, wait_until

# What Python's own TemporaryDirectory is called: its folder stays when a process is killed within its block.
PYTHONS_OWN = re.compile(r"tmp[a-z0-9_]{8}")


def ours(here: Place) -> list[Path]:
    """What the course has in the folder for temporary files, whatever it is called."""
    return [path for path in here.temporary if not PYTHONS_OWN.fullmatch(path.name)]


def kill(kernel: Kernel, here: Place) -> None:
    """Kill it, and look what is left."""
    family = kernel.kill()
    assert wait_until(lambda: not running(family)), f"left: {running(family)}"
    assert wait_until(lambda: not kernel.supervisors())
    assert wait_until(lambda: not here.servers), f"left: {here.servers}"
    assert wait_until(lambda: not ours(here)), f"left: {ours(here)}"


def run_all(kernel: Kernel, cells: list[str]) -> None:
    """Run these cells, which have to end well."""
    for number, source in enumerate(cells):
        result = kernel.run(source, 200)
        assert result.status == "ok", f"cell {number} after a restart: {result.error}\n{result.traceback}"


def kill_at(here: Place, cells: list[str], index: int, delay: float) -> None:
    """Run all cells up to ``index`` in a fresh kernel, and kill it ``delay`` s after that one began."""
    with Kernel(here) as kernel:
        run_all(kernel, cells[:index])
        kernel.begin(cells[index])
        time.sleep(delay)
        kill(kernel, here)


def test_a_lesson_with_server_and_pooler_is_killed(here: Place) -> None:
    """Is all of it gone, and does the first part run in a new kernel?"""
    cells = code_cells("07_pgbouncer")
    kill_at(here, cells, 3, 0.5)
    with Kernel(here) as kernel:
        for source in cells[:2]:
            assert kernel.run(source).status == "ok"


@pytest.mark.slow_day
@pytest.mark.parametrize("name", lesson_names())
def test_each_lesson_is_killed(name: str, here: Place) -> None:
    """Killed at a cell in its middle, by chance; a new kernel runs all of it, and is killed between two cells."""
    cells = code_cells(name)
    chance = random.Random(name)
    kill_at(here, cells, chance.randrange(len(cells) * 2 // 5, len(cells) * 3 // 5), chance.choice([0.05, 0.3, 1.0]))
    before = here.temporary
    with Kernel(here) as kernel:
        # What comes after the last check tidies up.
        run_all(kernel, cells[: max(number for number, cell in enumerate(cells) if ".check(" in cell) + 1])
        kill(kernel, here)
    # No block is open between two cells, so that nothing may stay, Python's own folders neither.
    assert here.temporary == before, here.temporary
