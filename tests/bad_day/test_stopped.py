"""The stop button in a long cell: the cell ends soon, nothing of it goes on, and the lesson does."""

import ast
from collections.abc import Callable

import pytest
from kernels import Kernel, Place, code_cells, lesson_names, wait_until

# A cell that still runs after this time is interrupted, in seconds.
LONG = 1.2
# Within this time an interrupted cell has to end, in seconds: under one where nothing else runs, measured.
SOON = 30.0

COUNT_TASKS = "import asyncio as _a; print(len([t for t in _a.all_tasks() if not t.done()]))"
# What got its name before the stop stays the lesson's, as any value does, until the name is used again.
COUNT_NAMED = """
_kinds = ("PostgresServer", "PgBouncer", "AlembicProject", "ScratchFolder")
print(len({id(each) for each in list(globals().values()) if type(each).__name__ in _kinds}))
"""


def imports_of(cells: list[str]) -> str:
    """All imports of a lesson: a stopped import leaves a half loaded library, and then only a restart helps."""
    statements = [
        node for cell in cells for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.ImportFrom | ast.Import)
    ]
    tried = [f"with suppress(ImportError):\n    {ast.unparse(node)}" for node in statements]
    drivers = "import matplotlib.pyplot, sqlalchemy.dialects.postgresql.asyncpg, sqlalchemy.dialects.sqlite.aiosqlite"
    return "\n".join(["from contextlib import suppress", drivers, *tried])


def at_most(number: int, count: Callable[[], int]) -> bool:
    """Whether there are soon no more than so many."""
    return wait_until(lambda: count() <= number)


def stop_each_long_cell(kernel: Kernel, cells: list[str]) -> int:
    """Run a lesson's cells; interrupt each long one, look around, run it again. Return how many there were."""
    stopped = 0
    assert kernel.run(imports_of(cells), 120).status == "ok"
    tasks = int(kernel.value(COUNT_TASKS))
    for number, source in enumerate(cells):
        where = f"cell {number}: {source[:60]!r}"
        before, named = len(kernel.supervisors()), int(kernel.value(COUNT_NAMED))
        message = kernel.begin(source)
        result = kernel.finish(message, LONG)
        if result.status == "unfinished":
            kernel.interrupt()
            result = kernel.finish(message, SOON)
            assert result.status in ("ok", "error"), f"{where} did not end within {SOON} s: {result.status}"
            if result.status == "error":
                stopped += 1
                print(f"{where}: {result.seconds - LONG:.1f} s")
                assert result.error.startswith(("CancelledError", "KeyboardInterrupt")), f"{where}: {result.error}"
                # A check keeps its server for the next one.
                allowed = before + (".check(" in source) + int(kernel.value(COUNT_NAMED)) - named
                assert at_most(allowed, lambda: len(kernel.supervisors())), f"{where} left a server"
                if not at_most(tasks, lambda: int(kernel.value(COUNT_TASKS))):
                    pytest.fail(f"{where} left tasks: " + kernel.value("print(_a.all_tasks())"))
            result = kernel.run(source, 120)
            # Python keeps the last traceback, and with it what the stopped call had in hand, in a cycle.
            kernel.run("1 / 0")
            kernel.run("__import__('gc').collect()")
            made = max(0, int(kernel.value(COUNT_NAMED)) - named)
            # What a check keeps is its own matter, and may be more than one server.
            assert (
                result.status != "ok"
                or ".check(" in source
                or at_most(before + made, lambda: len(kernel.supervisors()))
            ), f"{where} left a server, though it ran again"
        assert result.status == "ok", f"{where}, run after the interrupt: {result.error}\n{result.traceback}"
        tasks = int(kernel.value(COUNT_TASKS))
    return stopped


def test_a_long_demo_is_stopped(here: Place) -> None:
    """Do a cell that only waits, one that blocks, and the fire drill with its servers and services end soon?"""
    with Kernel(here) as kernel:
        assert (
            kernel.run(
                "import asyncio, time\nfrom course_lib.drill import run_drill\nimport course_lib.teaching"
            ).status
            == "ok"
        )
        sources = {"await asyncio.sleep(60)": 0.3, "time.sleep(60)": 0.3, "await run_drill(seconds=60)": 5}
        for source, after in sources.items():
            message = kernel.begin(source)
            kernel.finish(message, after)
            kernel.interrupt()
            result = kernel.finish(message, SOON)
            assert result.error.startswith(("CancelledError", "KeyboardInterrupt")), (source, result)
            assert wait_until(lambda: not kernel.family()), (source, kernel.family())
            assert kernel.value("print(6 * 7)") == "42"
        assert wait_until(lambda: not here.temporary), here.temporary


@pytest.mark.slow_day
@pytest.mark.parametrize("name", lesson_names())
def test_each_long_cell_of_a_lesson_is_stopped(name: str, here: Place) -> None:
    """Every cell that takes long is interrupted once, then run again, and the lesson is gone through to its end."""
    with Kernel(here) as kernel:
        stopped = stop_each_long_cell(kernel, code_cells(name))
    print(f"{name}: {stopped} cells stopped")
    assert wait_until(lambda: not here.servers), here.servers
