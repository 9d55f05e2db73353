"""Exercise 11.4 plays another machine to the answer: nobody else may see it."""

import os
import threading
from pathlib import Path

from nbformat.v4 import new_code_cell, new_notebook

from course_lib._build_run import execute, kernel_environment
from course_lib.exercises._creating_machine import another_machine

# A kernel asks each second whether the process that started it is still there, and ends where it is not.
LONGER_THAN_THAT = """\
import asyncio, os
from course_lib.exercises._creating_machine import another_machine

async def create(engine):
    await asyncio.sleep(2.5)
    return os.getpid()

with another_machine(create):
    elsewhere = await create(None)
print(elsewhere != os.getpid())
"""


def test_the_answer_sees_another_process_and_other_threads_do_not() -> None:
    """Only the caller's context is elsewhere."""
    seen: list[tuple[int, int]] = []
    here = (os.getpid(), os.getppid())
    with another_machine(lambda engine: None):
        thread = threading.Thread(target=lambda: seen.append((os.getpid(), os.getppid())))
        thread.start()
        thread.join()
        there = (os.getpid(), os.getppid())
    assert there[0] != here[0]
    assert there[1] != here[1]
    assert seen == [here]
    assert (os.getpid(), os.getppid()) == here


def test_the_kernel_lives_through_it(tmp_path: Path) -> None:
    """Its parent seems to be gone for nobody but the answer."""
    notebook = new_notebook(cells=[new_code_cell(LONGER_THAN_THAT)])
    execute(notebook, tmp_path, kernel_environment(tmp_path, Path(__file__).resolve().parents[2]))
    assert notebook.cells[0].outputs[0].text == "True\n"
