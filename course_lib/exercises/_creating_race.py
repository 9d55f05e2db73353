"""The check of exercise 11.4: four workers at once, and one on another machine, which no lock in Python can see."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from course_lib.exercises._creating_create import call, judge_indexes, judge_refusals, judge_second_call
from course_lib.exercises._creating_machine import OtherMachine, another_machine
from course_lib.exercises._creating_watch import (
    THERE_ALREADY,
    Record,
    Step,
    asking,
    extra_table,
    made_by_another_engine,
    sqlstate,
    tables_in,
)
from course_lib.exercises.core import NotYet
from course_lib.exercises.lab import Lab, lab

Create = Callable[[AsyncEngine], Awaitable[None]]
_WORKERS = 4
_MEET = 2.0  # seconds that a worker waits before its first CREATE TABLE, so that the others can come as far
_LOOK = 1.0  # seconds that a worker gets to come as far as it can while another machine is at it
_ASKS = 3  # so often a worker asks for a lock without waiting, to be seen as one that waits
# A lock that was just given is granted at once, while its backend needs a moment to wake up.
_WAITING = (
    "select count(distinct pid) from pg_locks join pg_stat_activity using (pid) "
    "where datname = current_database() and not granted"
)
_ROUND = 6.0  # seconds for a round of four workers
_GIVEN = "four workers with an engine each, on one empty database, at once"


async def judge_race(create: Create) -> None:
    """Judge the learner's `create_safely`.

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with lab() as box:
        with extra_table() as extra:
            steps = await _judge_alone(create, extra.name, box)
            await _empty(box)
            await _judge_four(create, extra.name, box)
            await _empty(box)
            await _judge_other_machine(create, steps, box)
            await _empty(box)
            await _judge_the_rest(create, extra.name, box)


async def _empty(box: Lab) -> None:
    """The database as it was, which takes less time than another one."""
    async with asking(box.url) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid, 2000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        for table in await tables_in(box.url):
            await connection.execute(f'drop table if exists "{table}" cascade')


async def _judge_alone(create: Create, table: str, box: Lab) -> list[Step]:
    """One worker: it creates, leaves no lock behind, and keeps rows. Returns what it did."""
    engine = create_async_engine(box.url)
    record = Record(engine)
    with another_machine(create):
        await call(create, engine, "one worker")
    if table not in await tables_in(box.url):
        raise NotYet(
            "With one worker alone, no table was made. Begin with what works for one, as in exercise 11.1, and "
            "then make it safe for four.",
            misconception="creates-nothing",
        )
    steps = list(record.steps)
    if not any(step.creates for step in steps):
        raise made_by_another_engine()
    async with asking(box.url) as connection:
        held = await connection.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and granted "
            "and database = (select oid from pg_database where datname = current_database())"
        )
    if held:
        raise NotYet(
            "The lock is still held after the function has ended: it belongs to the session, and the session waits "
            "in the pool. The next worker waits for ever. `pg_advisory_xact_lock` ends with its transaction.",
            misconception="keeps-the-lock",
        )
    await judge_second_call(create, engine, table, box)
    return steps


async def _judge_the_rest(create: Create, table: str, box: Lab) -> None:
    """What has nothing to do with the others: indexes, and a database that refuses."""
    engine = create_async_engine(box.url)
    await call(create, engine, "one worker")
    await judge_indexes(table, box)
    await judge_refusals(create, engine, box)


async def _judge_four(create: Create, table: str, box: Lab) -> None:
    """Four workers that meet right before they create."""
    arrived: set[int] = set()

    def elsewhere() -> int:
        """How many have ended, or ask for a lock again and again."""
        others = set(range(_WORKERS)) - arrived
        return sum(tasks[each].done() or _asks(records[each]) for each in others)

    async def meet(number: int) -> None:
        """Until all are here, or wait for a lock: then nothing will change by waiting."""
        arrived.add(number)
        if len(arrived) == _WORKERS:  # the last one comes when another has committed: it meets another error
            await asyncio.wait(tasks, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
            return
        until = asyncio.get_running_loop().time() + _MEET
        async with asking(box.url) as connection:
            while len(arrived) < _WORKERS and asyncio.get_running_loop().time() < until:
                if len(arrived) + elsewhere() + await connection.fetchval(_WAITING) >= _WORKERS:
                    return
                await asyncio.sleep(0.02)

    def hold_back(number: int, engine: AsyncEngine) -> None:
        def before(_: Any, __: Any, statement: str, *___: Any) -> None:
            if number not in arrived and statement.lstrip().upper().startswith("CREATE TABLE"):
                await_only(meet(number))

        event.listen(engine.sync_engine, "before_cursor_execute", before)

    engines = [create_async_engine(box.url, pool_size=2) for _ in range(_WORKERS)]
    records = [Record(engine) for engine in engines]
    for number, engine in enumerate(engines):
        hold_back(number, engine)

    async def worker(engine: AsyncEngine) -> bool:
        await call(create, engine, _GIVEN)
        return table in await tables_in(box.url)

    tasks = [asyncio.create_task(worker(engine)) for engine in engines]
    done, waiting = await asyncio.wait(tasks, timeout=_ROUND)
    if waiting:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=1)
        for task in done:  # one that failed may hold the lock that the others wait for
            if (error := task.exception()) is not None and sqlstate(error) in THERE_ALREADY and _unlocks_early(records):
                raise _unlocks_before_commit() from error
        raise NotYet(
            f"{len(waiting)} of the four workers never came to an end: each waits for something that nobody gives "
            "back. Is the lock released when the transaction ends?",
            misconception="waits-for-ever",
        )
    for task in done:
        if (error := task.exception()) is not None:
            if sqlstate(error) in THERE_ALREADY:
                raise _why_they_raced(records) from error
            raise error
    if not all(task.result() for task in done):
        raise NotYet(
            "A worker went on before the tables were there: another one was still creating them. Who does not "
            "get the lock has to wait for it; `pg_try_advisory_xact_lock` only asks.",
            misconception="does-not-wait",
        )


def _asks(record: Record) -> bool:
    return sum(step.locks for step in record.steps) >= _ASKS


def _unlocks_early(records: list[Record]) -> bool:
    """Whether a worker gave its lock back after it had created, before the transaction ended."""
    for steps in (record.steps for record in records):
        created = False
        for step in steps:
            created = step.kind == "statement" and (created or step.creates)
            if created and step.unlocks:
                return True
    return False


def _unlocks_before_commit() -> NotYet:
    return NotYet(
        "The lock was given back before the tables were committed. In that moment another worker takes "
        "it, looks, sees no table and creates. Commit first, or take `pg_advisory_xact_lock`, which ends "
        "with the transaction.",
        misconception="unlocks-before-commit",
    )


def _if_not_exists() -> NotYet:
    return NotYet(
        "A worker failed: the table appeared between its look and its `CREATE TABLE`. `IF NOT EXISTS` also looks first "
        "and creates then. Let one worker do both while the others wait.",
        misconception="if-not-exists",
    )


def _why_they_raced(records: list[Record]) -> NotYet:
    """Which of the ways to take a lock in vain it was."""
    steps = max((record.steps for record in records), key=len)
    locks = [number for number, step in enumerate(steps) if step.locks]
    creates = [number for number, step in enumerate(steps) if step.creates]
    if not locks:
        if any("IF NOT EXISTS" in step.statement.upper() for step in steps if step.creates):
            return _if_not_exists()
        return NotYet(
            "Four workers looked, none saw a table, all created it, and one alone succeeded. "
            "Let one look and create while the others wait: take a lock on the server, in the same transaction, "
            "before `create_all`.",
            misconception="races",
        )
    if not creates or locks[0] > creates[0]:
        return NotYet(
            "The lock came after the tables were created. It has to come before `create_all` looks.",
            misconception="locks-after-creating",
        )
    if _unlocks_early(records):
        return _unlocks_before_commit()
    taken = {(step.statement, repr(step.parameters)) for record in records for step in record.steps if step.locks}
    if len(taken) > 1:
        return NotYet(
            "Each worker took another lock, so none waited. All have to use the same number.",
            misconception="a-lock-of-its-own",
        )
    if steps[locks[0]].connection != steps[creates[0]].connection or any(
        step.kind != "statement" for step in steps[locks[0] : creates[0]]
    ):
        return NotYet(
            "The lock was gone before the tables were created: its transaction had ended. Lock and `create_all` belong "
            "into one transaction.",
            misconception="lock-ends-too-early",
        )
    if "shared" in steps[locks[0]].statement.lower():
        return NotYet(
            "Four workers took a lock, and still all of them created. One with `shared` in its name excludes nobody "
            "who shares it; `pg_advisory_xact_lock` does.",
            misconception="shares-the-lock",
        )
    if not any(step.looks for step in steps[locks[0] : creates[0]]):
        return NotYet(
            "Each worker had looked for the tables before it had the lock, so what it saw was old by then. Lock "
            "first, then look and create: `create_all` does both.",
            misconception="looks-before-locking",
        )
    return NotYet(
        "Four workers took a lock, and still all of them created. Either it was another lock for each of them, or it "
        "was gone before they committed, or they looked with the eyes of a transaction that had begun before. Take a "
        "fixed number, and look and create in the lock's own transaction, at the isolation level READ COMMITTED.",
        misconception="locks-in-vain",
    )


async def _judge_other_machine(create: Create, steps: list[Step], box: Lab) -> None:
    """Another machine runs the same program and has created, not committed yet. What does this worker do?"""
    last = max(number for number, step in enumerate(steps) if step.creates)
    async with OtherMachine(box.url) as other:
        if not await other.follows(steps[: last + 1]):
            return
        engine = create_async_engine(box.url)
        record = Record(engine)
        task = asyncio.create_task(call(create, engine, "a worker, while one on another machine creates"))
        await _waits(task, record, box)
        for step in steps[last + 1 :]:
            await other.follows([step])
            if step.unlocks:  # then this one goes on, maybe before the other one has committed
                await _waits(task, record, box)
        await other.commit()
        _, waiting = await asyncio.wait({task}, timeout=_ROUND)
    if waiting:
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        raise NotYet(
            "A worker on another machine had created the tables and committed. This one did not come to an end.",
            misconception="waits-for-ever",
        )
    error = task.exception()
    if error is None:
        return
    if sqlstate(error) in THERE_ALREADY:
        if any(step.unlocks for step in steps[last:]):
            raise _unlocks_before_commit() from error
        if any(step.locks for step in steps):
            raise NotYet(
                "A worker of another process, on another machine, took another lock than this one, so they did "
                "not wait for each other. A process id, a host name, an `id(...)` and the `hash(...)` of a text "
                "differ from process to process, or from machine to machine. Choose a number and write it down.",
                misconception="a-lock-of-its-own",
            ) from error
        if any("IF NOT EXISTS" in step.statement.upper() for step in steps if step.creates):
            raise _if_not_exists() from error  # its four workers in this process were lucky
        raise NotYet(
            "Four workers in this process were safe. One on another machine that did the same at that moment "
            "made yours fail: a lock of Python, or of a file, is not seen there. All workers share one thing, the "
            "database: take the lock there.",
            misconception="lock-of-one-process",
        ) from error
    raise error


async def _waits(task: "asyncio.Task[None]", record: Record, box: Lab) -> None:
    """Until the worker has ended, or waits for a lock on the server, or a moment has passed."""
    begun = len(record.steps)
    until = asyncio.get_running_loop().time() + _LOOK
    async with asking(box.url) as connection:
        while not task.done() and asyncio.get_running_loop().time() < until:
            asks = sum(step.locks for step in record.steps[begun:])
            if asks >= _ASKS or await connection.fetchval(_WAITING):
                return
            await asyncio.sleep(0.02)
