"""A kernel that is killed in the middle of a lesson leaves nothing, and the next one goes on from there."""

import random
import time
from pathlib import Path

import pytest
from kernels import Kernel, Place, code_cells, lesson_names, running, wait_until


def ours(here: Place) -> list[Path]:
    """The temporary folders of the course; those of Python's own TemporaryDirectory stay when a process is killed."""
    return [path for path in here.temporary if path.name.startswith("course-")]


def kill_at(here: Place, cells: list[str], index: int, delay: float) -> None:
    """Run all cells up to ``index`` in a fresh kernel, kill it ``delay`` s after that one began, look what is left."""
    with Kernel(here) as kernel:
        for number, source in enumerate(cells[:index]):
            result = kernel.run(source, 200)
            assert result.status == "ok", f"cell {number} after a restart: {result.error}\n{result.traceback}"
        kernel.begin(cells[index])
        time.sleep(delay)
        family = kernel.kill()
        assert wait_until(lambda: not running(family)), f"left: {running(family)}"
        assert wait_until(lambda: not kernel.supervisors())
        assert wait_until(lambda: not here.servers), f"left: {here.servers}"
        assert wait_until(lambda: not ours(here)), f"left: {ours(here)}"


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
    """Killed at a cell in its middle, by chance; then a new kernel runs up to another cell, as after a restart."""
    cells = code_cells(name)
    chance = random.Random(name)
    kill_at(here, cells, chance.randrange(len(cells) * 2 // 5, len(cells) * 3 // 5), chance.choice([0.05, 0.3, 1.0]))
    until = chance.randrange(3, len(cells) // 2)
    with Kernel(here) as kernel:
        for number, source in enumerate(cells[:until]):
            result = kernel.run(source, 200)
            assert result.status == "ok", f"cell {number} of {until} after the kill: {result.error}\n{result.traceback}"
