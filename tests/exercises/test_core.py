"""The check protocol: which verdict does which kind of answer get, and does the kernel stay usable?"""

import asyncio
import gc
import os
import sys
import time
import warnings
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

import course_lib
from course_lib.exercises.core import Case, Exercise, NotAttempted, NotYet, ask, calling, exercise, using_answer
from course_lib.exercises.limits import clock_stopped
from course_lib.servers import PostgresServer


def learner(source: str) -> object:
    """Define ``answer`` as a learner's cell does: its lines belong to no file of ours."""
    namespace: dict[str, object] = {}
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace["answer"]


@exercise("99.1", title="Return 42", hints=("Think of a number.", "It is `42`."), seconds=0.5)
async def q1(answer):
    got = answer()
    if hasattr(got, "__await__"):
        got = await got
    if got is None:
        raise NotAttempted
    if got != 42:
        raise NotYet("Return `42`.", misconception="other-number", case=Case("()", "42", repr(got)))
    return "An `int` would do." if type(got) is not int else None


async def test_a_right_answer_is_correct() -> None:
    outcome = await q1.check(lambda: 42)
    assert outcome.status == "correct"
    assert outcome
    assert repr(outcome).startswith("✔ Correct\n")


async def test_a_check_can_add_a_remark_to_a_right_answer() -> None:
    outcome = await q1.check(lambda: 42.0)
    assert outcome.status == "correct"
    assert outcome.message.endswith("\n\nAn `int` would do.")


async def test_a_wrong_answer_names_its_misconception_and_the_case() -> None:
    outcome = await q1.check(lambda: 41)
    assert (outcome.status, outcome.misconception) == ("not_yet", "other-number")
    assert not outcome
    for part in ("Not yet", "Return `42`.", "Expected", "42", "Got", "41"):
        assert part in repr(outcome)


@pytest.mark.parametrize("answer", [..., lambda: None])
async def test_an_untouched_starter_is_not_attempted(answer: object) -> None:
    assert (await q1.check(answer)).status == "not_attempted"


async def test_an_exception_in_the_answer_shows_the_learners_lines_only() -> None:
    outcome = await q1.check(learner("def answer():\n    return helper()\ndef helper():\n    return 1 / 0\n"))
    assert outcome.status == "error"
    assert outcome.traceback.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "line 4 of your cell, in helper" in outcome.traceback
    assert "core.py" not in outcome.traceback
    assert os.sep not in outcome.traceback


async def test_an_assertion_of_the_learners_own_is_an_error_and_no_verdict() -> None:
    outcome = await q1.check(learner("def answer():\n    assert False, 'mine'\n"))
    assert outcome.status == "error"
    assert "AssertionError: mine" in outcome.traceback


async def test_an_exception_that_can_not_describe_itself_is_the_learners_error() -> None:
    answer = learner("""
class Odd(Exception):
    def __str__(self): return 1 / 0
def answer(): raise Odd
""")
    outcome = await q1.check(answer)
    assert outcome.status == "error" and "Odd" in repr(outcome)


async def test_endless_recursion_is_an_error_with_a_short_traceback() -> None:
    gc.collect()  # else a collection in the recursion's depth calls what other tests left, and it recurses too far
    outcome = await q1.check(learner("def answer():\n    return answer()\n"))
    assert outcome.status == "error"
    assert len(outcome.traceback.splitlines()) < 20


async def test_a_failure_of_ours_says_that_it_is_ours() -> None:
    namespace: dict[str, object] = {}
    source = "async def broken(answer):\n    answer()\n    raise KeyError('ours')\n"
    exec(compile(source, str(Path(course_lib.__file__).with_name("made_up.py")), "exec"), namespace)
    broken = exercise("99.2", title="Broken check", hints=("None.",))(namespace["broken"])
    outcome = await broken.check(learner("def answer():\n    return 1\n"))
    assert outcome.status == "checker_error"
    assert "our mistake" in outcome.message


async def test_what_the_learner_configured_failing_in_our_code_is_the_learners_error() -> None:
    @exercise("99.3", title="Use it", hints=("None.",))
    async def uses(answer):
        async with using_answer("calling your function"):
            int(answer())

    outcome = await uses.check(lambda: "x")
    assert outcome.status == "error"
    assert "While calling your function: ValueError" in outcome.message


async def test_a_verdict_inside_a_task_group_is_still_a_verdict() -> None:
    @exercise("99.4", title="Grouped", hints=("None.",))
    async def grouped(answer):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    async def fail() -> None:
        raise NotYet("No.", misconception="grouped")

    assert (await grouped.check(lambda: 1)).misconception == "grouped"


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasync def answer():\n    await asyncio.Event().wait()\n",
        "import time\ndef answer():\n    time.sleep(60)\n",
        "def answer():\n    while True:\n        pass\n",
        "def answer():\n    while True:\n        try:\n            while True:\n                pass\n"
        "        except BaseException:\n            pass\n",
        "import asyncio\nasync def answer():\n    for _ in range(4):\n        try:\n"
        "            await asyncio.sleep(9)\n        except asyncio.CancelledError:\n            pass\n",
        "import threading\ndef answer():\n    threading.Lock().acquire() and threading.Event().wait()\n",
    ],
    ids=["awaits forever", "sleeps", "spins", "catches everything", "refuses to be cancelled", "waits for a thread"],
)
async def test_an_answer_that_does_not_end_is_stopped_and_the_loop_stays_usable(source: str) -> None:
    began = time.monotonic()
    outcome = await q1.check(learner(source))
    assert outcome.status == "timed_out"
    assert "99.1" in outcome.message
    assert time.monotonic() - began < 10
    assert await asyncio.wait_for(asyncio.sleep(0, "alive"), 5) == "alive"


@pytest.mark.parametrize(
    "source",
    [
        "import sys\ndef answer():\n    sys.exit(3)\n",
        "import sys, asyncio\nasync def leave():\n    sys.exit(3)\n"
        "async def answer():\n    await asyncio.gather(leave(), asyncio.sleep(1))\n",
        "def answer():\n    raise KeyboardInterrupt\n",
        "def answer():\n    raise GeneratorExit\n",
        "import sys, asyncio\nasync def leave():\n    raise SystemExit\n"
        "async def answer():\n    asyncio.create_task(leave())\n    await asyncio.sleep(9)\n",
    ],
    ids=["directly", "in gather", "as if stopped", "as if closed", "in a task of its own"],
)
async def test_leaving_python_is_an_error_and_the_kernel_stays(source: str) -> None:
    outcome = await q1.check(learner(source))
    assert outcome.status in ("error", "timed_out")
    assert await asyncio.sleep(0, "alive") == "alive"


async def test_tasks_that_an_answer_leaves_running_are_ended_and_others_are_not() -> None:
    ours = asyncio.create_task(asyncio.sleep(30))
    before = asyncio.all_tasks()
    source = "import asyncio\nasync def answer():\n    asyncio.create_task(asyncio.sleep(30))\n    return 42\n"
    assert (await q1.check(learner(source))).status == "correct"
    assert asyncio.all_tasks() == before
    assert not ours.done()
    ours.cancel()


async def test_pressing_stop_ends_the_check_itself() -> None:
    slow = Exercise("99.5", title="Slow", check=q1._check, hints=("None.",), seconds=30)
    waiting = learner("import asyncio\nasync def answer():\n    await asyncio.sleep(30)\n")
    task = asyncio.create_task(slow._outcome((waiting,)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


async def test_engines_left_open_are_closed_and_older_ones_are_kept(tmp_path) -> None:
    older = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/older.db")
    async with older.connect() as connection:
        await connection.execute(text("select 1"))

    @exercise("99.6", title="Leak", hints=("None.",))
    async def leaks(answer):
        await answer()

    source = (
        "from sqlalchemy.ext.asyncio import create_async_engine\nkept = []\n"
        "async def answer():\n"
        f"    engine = create_async_engine('sqlite+aiosqlite:///{tmp_path}/new.db')\n"
        "    leaked, other = await engine.connect(), await engine.connect()\n"
        "    kept.append((engine, leaked, other, leaked.sync_connection.connection.driver_connection))\n"
        "    await kept[0][2].close()\n"
    )
    answer = learner(source)
    assert (await leaks.check(answer)).status == "correct"
    engine, leaked, _, driver = answer.__globals__["kept"][0]
    assert engine.pool.checkedin() == 0
    with pytest.raises(ValueError, match=r"no active connection|Connection closed"):
        await driver.execute("select 1")
    answer.__globals__["kept"].clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del engine, leaked, _
        gc.collect()
    assert older.pool.checkedin() == 1
    await older.dispose()


async def test_a_check_that_is_not_awaited_says_so_and_never_reads_as_passed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pending = q1.check(lambda: 42)
        assert "await q1.check(...)" in repr(pending)
        assert not pending
        with pytest.raises(AttributeError, match="has not run yet"):
            _ = pending.status
        del pending


async def test_warnings_and_stderr_do_not_fail_a_right_answer() -> None:
    source = (
        "import sys, warnings\ndef answer():\n    warnings.warn('careful')\n    print('noise', file=sys.stderr)\n"
        "    return 42\n"
    )
    assert (await q1.check(learner(source))).status == "correct"


async def test_a_check_called_with_too_little_says_what_it_takes() -> None:
    outcome = await q1.check()
    assert outcome.status == "error"
    assert "await q1.check(answer)" in outcome.message


async def test_hints_come_one_at_a_time_and_end_with_the_solution() -> None:
    fresh = Exercise("99.7", title="Hints", check=q1._check, hints=("One.", "Two."), seconds=1)
    assert "One." in repr(fresh.hint())
    assert "Two." in repr(fresh.hint())
    assert "Two." in repr(fresh.hint())
    assert "q1.solution()" in repr(fresh.hint(2))
    assert "One." in repr(fresh.hint(1))
    with pytest.raises(ValueError, match="hints 1 to 2"):
        fresh.hint(3)


async def test_attempts_are_recorded_and_looking_is_not(course_home) -> None:
    from course_lib.exercises import progress

    await q1.check(...)
    assert await progress.standings() == {}
    await q1.check(lambda: 41)
    await q1.check(lambda: 42)
    standing = (await progress.standings())["99.1"]
    assert (standing.tries, standing.solved) == (2, True)


def test_importing_the_protocol_does_not_load_heavy_packages() -> None:
    import subprocess

    code = (
        "import sys, course_lib.exercises.core\n"
        "heavy = ('ipywidgets', 'matplotlib', 'nbformat', 'jupytext', 'IPython')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_an_engine_dropped_without_dispose_is_closed_without_noise(tmp_path, caplog) -> None:
    @exercise("99.8", title="Drop", hints=("None.",))
    async def drops(answer):
        await answer()

    source = (
        "import gc\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
        "async def answer():\n"
        f"    async with create_async_engine('sqlite+aiosqlite:///{tmp_path}/new.db').connect():\n"
        "        pass\n"
    )
    assert (await drops.check(learner(source))).status == "correct"
    gc.collect()
    assert caplog.text == ""


async def test_an_exception_says_what_the_answer_was_called_with() -> None:
    @exercise("99.9", title="Call", hints=("None.",), seconds=0.5)
    async def calls(answer):
        calling("'a://u:example-pw@h'", made_up=True)
        answer("a://u:example-pw@h")

    failed = await calls.check(learner("def answer(url):\n    scheme, rest = url.split('@@')\n"))
    assert failed.status == "error"
    assert "Called with  'a://u:example-pw@h'" in repr(failed)
    slow = await calls.check(learner("def answer(url):\n    while True:\n        pass\n"))
    assert slow.status == "timed_out"
    assert "Called with" in repr(slow)
    assert "Called with" not in repr(await calls.check(lambda url: None))


@pytest.mark.parametrize(
    ("source", "advised"),
    [
        ("async def other():\n    return 1\ndef answer():\n    return other().value\n", "`await` is missing"),
        ("import asyncio\nasync def main(): pass\ndef answer():\n    asyncio.run(main())\n", "write `await main()`"),
    ],
)
async def test_a_well_known_first_mistake_gets_advice_and_makes_no_noise(source: str, advised: str) -> None:
    answer = learner(source)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = await q1.check(answer)
        gc.collect()
    assert outcome.status == "error"
    assert advised in outcome.message


async def test_our_own_preparations_are_not_the_learners_time() -> None:
    @exercise("99.10", title="Prepare", hints=("None.",), seconds=0.3)
    async def prepares(answer):
        with clock_stopped():
            await asyncio.sleep(0.8)
        await asyncio.sleep(0.05)
        await answer()

    assert (await prepares.check(lambda: asyncio.sleep(0))).status == "correct"
    assert (await prepares.check(lambda: asyncio.sleep(5))).status == "timed_out"


@exercise("99.11", title="Asked", hints=("None.",), seconds=2)
async def asked(answer):
    if await ask(answer, 6) != 42:
        raise NotYet("No.", misconception="other")


@pytest.mark.parametrize(
    ("source", "status", "misconception"),
    [
        ("def answer(n):\n    return 7 * n\n", "correct", None),
        ("async def answer(n):\n    return 7 * n\n", "correct", None),
        ("import functools\nanswer = functools.partial(int.__mul__, 7)\n", "correct", None),
        ("def answer():\n    return 42\n", "not_yet", "takes-other-parameters"),
        ("def answer(n, m):\n    return 42\n", "not_yet", "takes-other-parameters"),
        ("answer = 42\n", "not_yet", "passes-no-function"),
        ("import json\nanswer = json.loads\n", "error", None),
        ("def answer(n):\n    return next(x for x in [] if x)\n", "error", None),
        ("import asyncio\nasync def answer(n):\n    raise asyncio.CancelledError\n", "error", None),
        ("import functools\n@functools.lru_cache\ndef answer(n):\n    return 1 / 0\n", "error", None),
    ],
)
async def test_asking_an_answer_never_ends_in_a_failure_of_ours(source: str, status: str, misconception: str) -> None:
    outcome = await asked.check(learner(source))
    assert (outcome.status, outcome.misconception) == (status, misconception), repr(outcome)


async def test_the_child_of_an_answer_that_forks_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    source = (
        "import os\ndef answer(n):\n    child = os.fork()\n    if child:\n        os.waitpid(child, 0)\n    return 42\n"
    )
    outcome = await asked.check(learner(source))
    assert outcome.status == "correct"
    assert capfd.readouterr().out == ""


async def test_a_drivers_compiled_lines_are_not_the_learners() -> None:
    async with PostgresServer() as server:
        url = server.url
        connection = await asyncpg.connect(
            host=url.host, port=url.port, user=url.username, password=url.password, database=url.database
        )
        namespace: dict[str, object] = {"connection": connection}
        exec(
            compile("async def answer():\n  await connection.execute('select from from')", "<cell>", "exec"), namespace
        )
        outcome = await q1.check(namespace["answer"])
        await connection.close()
    assert outcome.status == "error"
    # asyncpg's `query` is compiled from protocol.pyx.
    assert "line 2" in repr(outcome) and "in query" not in repr(outcome)
