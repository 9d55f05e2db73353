"""In a real kernel: an answer that misbehaves gets a clear verdict, and the next exercise a right one."""

from kernels import Kernel, Place, code_cells, lesson_names, running

PREPARE = """
from course_lib.exercises.core import NotYet, ask, exercise
from course_lib.exercises.lab import lab
import course_lib.teaching

@exercise("99.1", title="Return 42", hints=("One.", "Two."), seconds=1)
async def q1(answer):
    if await ask(answer) != 42:
        raise NotYet("That is not 42. Return 42.")

@exercise("99.2", title="Ask a real server", hints=("One.", "Two."), seconds=5)
async def q2(answer):
    async with lab() as place:
        if await ask(answer, place.url) != 42:
            raise NotYet("That is not 42. Return 42.")
"""
RIGHT = """
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
async def right(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        return (await connection.execute(sqlalchemy.text("select 42"))).scalar()
await q2.check(right)
"""
EXIT, TIME, FINE = "asked Python to exit", "did not finish within 1 s", "Correct"
# What each does, its source, and what the verdict says.
ANSWERS = [
    ("hangs", "async def answer():\n    await asyncio.Event().wait()", TIME),
    ("blocks", "def answer():\n    time.sleep(60)", TIME),
    ("prints without end", "def answer():\n    while True:\n        print('x' * 100)", TIME),
    ("asks for input", "def answer():\n    return input('How many? ')", TIME),
    ("exits in a callback", "def answer():\n    loop().call_soon(sys.exit)\n    return 42", EXIT),
    (
        "exits when a task is done",
        "async def answer():\n    task = asyncio.create_task(asyncio.sleep(0))\n"
        "    task.add_done_callback(lambda task: sys.exit())\n    await asyncio.sleep(0.1)\n    return 42",
        EXIT,
    ),
    ("exits after the check", "def answer():\n    loop().call_later(0.2, sys.exit)\n    return 42", FINE),
    ("exits from another thread", "async def answer():\n    await asyncio.to_thread(sys.exit)", EXIT),
    ("exits without farewell", "def answer():\n    os._exit(1)", EXIT),
    ("stops the loop", "def answer():\n    loop().stop()", "leave out loop.stop()"),
    ("closes the loop", "def answer():\n    loop().close()", "Cannot close a running event loop"),
    ("runs a loop", "async def main():\n    return 42\ndef answer():\n    return asyncio.run(main())", "await main()"),
    ("recurses", "def answer():\n    return answer()", "RecursionError"),
    ("recurses deeply", "def answer():\n    sys.setrecursionlimit(10**6)\n    return answer()", "✖"),
    ("lowers the limit", "def answer():\n    sys.setrecursionlimit(60)\n    return 42", FINE),
    ("forks", "def answer():\n    os.fork()\n    return 42", FINE),
    ("forks and stays", "def answer():\n    os.fork() or time.sleep(60)\n    return 42", FINE),
    ("forks in a task", "async def answer():\n    os.fork() or sys.exit()\n    return 42", FINE),
    (
        "leaves the folder",
        "def answer():\n    os.chdir(gone := tempfile.mkdtemp())\n    os.rmdir(gone)\n    return 42",
        FINE,
    ),
    ("clears the environment", "def answer():\n    os.environ.clear()\n    return 42", FINE),
    ("takes the streams", "def answer():\n    sys.stdout = sys.stderr = None\n    return 42", FINE),
    ("redefines the exercise", "q1_kept, q1 = q1, 42\ndef answer():\n    return 42", FINE),
]
# What each replaces, the statement, and the name that feedback says.
REPLACED = [
    ("AsyncEngine.connect = None", "AsyncEngine.connect"),
    ("pool.Pool.connect = lambda self: 1 / 0", "Pool.connect"),
    ("AsyncSession.commit = lambda self: 42", "AsyncSession.commit"),
    ("sqlalchemy.text = str", "sqlalchemy.text"),
    ("asyncpg.connect = None", "asyncpg.connect"),
]
IMPORTS = """
import asyncio, os, sys, tempfile, time
import asyncpg, sqlalchemy
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
loop = asyncio.get_running_loop
"""
LEAKS = """
kept = []
async def answer(url):
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    for _ in range(60):
        kept.append(await asyncpg.connect(plain))
    return 42
await q2.check(answer)
"""


def test_answers_that_misbehave(here: Place) -> None:
    """The verdict says what it was; the kernel lives, without a copy of itself; a right answer passes after each."""
    with Kernel(here) as kernel:
        assert kernel.run(PREPARE + IMPORTS).status == "ok"
        for what, source, said in ANSWERS:
            assert kernel.run(source).status == "ok", what
            name = "q1_kept" if "q1_kept" in source else "q1"
            result = kernel.run(f"await {name}.check(answer)", 30)
            assert result.status == "ok", (what, result)
            assert said in result.verdicts[-1], (what, result.verdicts)
            right = kernel.run(f"await {name}.check(lambda: 42)")
            assert right.status == "ok" and FINE in right.verdicts[-1], (what, right)
            copies = [each for each in running(kernel.family()) if each.cmdline() == kernel.process.cmdline()]
            assert not copies, (what, copies)


def test_answers_that_replace_parts_of_libraries(here: Place) -> None:
    """Feedback names what was replaced; it is put back, so that the next check is right, also after a cell's own."""
    with Kernel(here) as kernel:
        assert kernel.run(PREPARE + IMPORTS).status == "ok"
        first = kernel.run(RIGHT)
        assert first.status == "ok" and FINE in first.verdicts[-1], first
        for statement, name in REPLACED:
            result = kernel.run(f"def answer():\n    {statement}\n    return 42\nawait q1.check(answer)")
            assert result.status == "ok", (statement, result)
            assert f"Your code replaced `{name}`" in result.verdicts[-1], (statement, result.verdicts)
            assert "It was put back" in result.verdicts[-1]
            for before in ("", statement):
                right = kernel.run(f"{before}\n{RIGHT}")
                assert right.status == "ok" and FINE in right.verdicts[-1], (statement, before, right)
        leak = kernel.run(LEAKS)
        assert leak.status == "ok" and FINE in leak.verdicts[-1], leak
        right = kernel.run(RIGHT)
        assert right.status == "ok" and FINE in right.verdicts[-1], right
        listener = "sqlalchemy.event.listen(pool.Pool, 'checkout', lambda *_: 1 / 0)"
        result = kernel.run(f"def answer():\n    {listener}\n    return 42\nawait q1.check(answer)")
        assert FINE in result.verdicts[-1], result
        assert "Your progress could not be saved: ZeroDivisionError" in result.verdicts[-1]
        assert "Restart the kernel" in result.verdicts[-1]


def test_each_check_cell_alone(here: Place) -> None:
    """Run first in a fresh kernel, a check cell says which cells to run before it, with no line of ours above that."""
    tried = 0
    with Kernel(here) as kernel:
        for name in lesson_names():
            for source in code_cells(name):
                if ".check(" not in source or "import q" not in source or "def " in source:
                    continue
                kernel.run("get_ipython().reset(new_session=False)")
                result = kernel.run(source)
                assert result.error.startswith("NameError"), (name, source, result)
                assert "course_lib/" not in result.traceback, (name, result.traceback)
                assert "Run the cells above this one" in result.traceback, (name, result.traceback)
                tried += 1
    assert tried >= 40
