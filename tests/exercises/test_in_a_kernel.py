"""In a real Jupyter kernel: can it still be used after answers that hang, block or leave?"""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from course_lib._build_run import execute, kernel_environment

PREPARE = """\
from course_lib.exercises.core import NotYet, ask, exercise

@exercise("99.1", title="Return 42", hints=("One.", "Two."), seconds=1)
async def q1(answer):
    if await ask(answer) != 42:
        raise NotYet("No.")
"""
BAD = {
    "sleeps": ("import time\ndef answer():\n    time.sleep(60)\n", "Out of time"),
    "spins": ("def answer():\n    while True:\n        pass\n", "Out of time"),
    "waits": ("import asyncio\nasync def answer():\n    await asyncio.Event().wait()\n", "Out of time"),
    "leaves": ("import sys\ndef answer():\n    sys.exit()\n", "Error in your code"),
    "leaves in a task": (
        "import asyncio, sys\nasync def leave():\n    sys.exit()\n"
        "async def answer():\n    await asyncio.gather(leave(), leave())\n",
        "Error in your code",
    ),
    "interrupts": ("def answer():\n    raise KeyboardInterrupt\n", "Error in your code"),
    "recurses": ("def answer():\n    return answer()\n", "Error in your code"),
}


def test_the_kernel_stays_usable(tmp_path: Path) -> None:
    """After each bad answer a right one is accepted, in the same kernel."""
    cells = [new_code_cell(PREPARE)]
    for source, _ in BAD.values():
        cells += [new_code_cell(source), new_code_cell("await q1.check(answer)")]
        cells += [new_code_cell("async def answer():\n    return 42"), new_code_cell("await q1.check(answer)")]
    notebook = new_notebook(cells=cells)
    execute(notebook, tmp_path, kernel_environment(tmp_path, Path(__file__).resolve().parents[2]))
    results = [cell.outputs[-1].data["text/plain"] for cell in notebook.cells if cell.source.startswith("await")]
    assert len(results) == 2 * len(BAD)
    for name, bad, good in zip(BAD, results[::2], results[1::2], strict=True):
        assert BAD[name][1] in bad, (name, bad)
        assert "Correct" in good, (name, good)


def test_a_check_without_await_says_so(tmp_path: Path) -> None:
    """What the cell shows is no verdict, and there is no warning beside it."""
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell(PREPARE), new_code_cell("q1.check(lambda: 42)")])
    execute(notebook, tmp_path, kernel_environment(tmp_path, Path(__file__).resolve().parents[2]))
    (output,) = notebook.cells[1].outputs
    assert "Not checked yet" in output.data["text/plain"]
    assert "await q1.check(...)" in output.data["text/plain"]
