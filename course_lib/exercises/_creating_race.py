"""The check of exercise 11.4: four workers at once, and one on another machine, which no lock in Python can see."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from course_lib.exercises._creating_create import call, judge_second_call
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
_WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
_ROUND = 6.0  # seconds for a round of four workers
_GIVEN = "four workers with an engine each, on one empty database, at once"


async def judge_race(create: Create) -> None:
    """Judge the learner's `create_safely`.

    Raises:
        NotYet: it is wrong, with the reason.
    """
    with extra_table() as extra:
        steps = await _judge_alone(create, extra.name)
        await _judge_four(create, extra.name)
        await _judge_other_machine(create, extra.name, steps)
        await _judge_failure(create)


async def _judge_alone(create: Create, table: str) -> list[Step]:
    """One worker: it creates, leaves no lock behind, and keeps rows. Returns what it did."""
    async with lab() as box:
        engine = create_async_engine(box.url)
        record = Record(engine)
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


async def _judge_four(create: Create, table: str) -> None:
    """Four workers that meet right before they create."""
    async with lab() as box:
        arrived = 0

        async def meet() -> None:
            """Until all are here, or stand at a lock on the server: then nothing will change by waiting."""
            nonlocal arrived
            arrived += 1
            until = asyncio.get_running_loop().time() + _MEET
            async with asking(box.url) as connection:
                while arrived < _WORKERS and asyncio.get_running_loop().time() < until:
                    if arrived + await connection.fetchval(_WAITING) >= _WORKERS:
                        return
                    await asyncio.sleep(0.02)

        def hold_back(engine: AsyncEngine) -> None:
            waited = False

            def before(_: Any, __: Any, statement: str, *___: Any) -> None:
                nonlocal waited
                if not waited and statement.lstrip().upper().startswith("CREATE TABLE"):
                    waited = True
                    await_only(meet())

            event.listen(engine.sync_engine, "before_cursor_execute", before)

        engines = [create_async_engine(box.url, pool_size=2) for _ in range(_WORKERS)]
        records = [Record(engine) for engine in engines]
        for engine in engines:
            hold_back(engine)

        async def worker(engine: AsyncEngine) -> bool:
            await call(create, engine, _GIVEN)
            return table in await tables_in(box.url)

        tasks = [asyncio.create_task(worker(engine)) for engine in engines]
        done, waiting = await asyncio.wait(tasks, timeout=_ROUND)
        if waiting:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting, timeout=1)
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


def _why_they_raced(records: list[Record]) -> NotYet:
    """Which of the ways to take a lock in vain it was."""
    steps = max((record.steps for record in records), key=len)
    locks = [number for number, step in enumerate(steps) if step.locks]
    creates = [number for number, step in enumerate(steps) if step.creates]
    if not locks:
        if any("IF NOT EXISTS" in step.statement.upper() for step in steps if step.creates):
            return NotYet(
                "A worker failed: the table appeared between its look and its `CREATE TABLE`. `IF NOT EXISTS` also "
                "looks first and creates then. Let one worker do both while the others wait.",
                misconception="if-not-exists",
            )
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
    taken = {(step.statement, step.parameters) for record in records for step in record.steps if step.locks}
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
    return NotYet(
        "Four workers took a lock, and still all of them created. Is it a lock that excludes others? "
        "`pg_advisory_xact_lock` does; one with `shared` in its name does not.",
        misconception="shares-the-lock",
    )


async def _judge_other_machine(create: Create, table: str, steps: list[Step]) -> None:
    """Another machine runs the same program and has created, not committed yet. What does this worker do?"""
    last = max(number for number, step in enumerate(steps) if step.creates)
    async with lab() as box:
        async with _OtherMachine(box.url) as other:
            if not await other.follows(steps[: last + 1]):
                return
            engine = create_async_engine(box.url)
            task = asyncio.create_task(call(create, engine, "a worker, while one on another machine creates"))
            await _waits(task, box)
            await other.follows(steps[last + 1 :])
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
            raise NotYet(
                "Four workers in this process were safe. One on another machine that did the same at that moment "
                "made yours fail: a lock of Python, or of a file, is not seen there. All workers share one thing, the "
                "database: take the lock there.",
                misconception="lock-of-one-process",
            ) from error
        raise error


async def _judge_failure(create: Create) -> None:
    """A database that refuses: that must not pass for success."""
    async with lab() as box:
        refusing = create_async_engine(
            box.url, connect_args={"server_settings": {"default_transaction_read_only": "on"}}
        )
        try:
            await call(create, refusing, "a database that is read-only")
        except NotYet:
            raise
        except Exception:
            return
        raise NotYet(
            "The database was read-only, no table could be made, and your function said nothing: the application would "
            "start without tables. Catch only what another worker's success looks like, or nothing at all.",
            misconception="swallows-failures",
        )


async def _waits(task: "asyncio.Task[None]", box: Lab) -> None:
    """Until the worker has ended, or waits for a lock on the server, or a moment has passed."""
    until = asyncio.get_running_loop().time() + _LOOK
    async with asking(box.url) as connection:
        while not task.done() and asyncio.get_running_loop().time() < until:
            if await connection.fetchval(_WAITING):
                return
            await asyncio.sleep(0.02)


class _OtherMachine:
    """Does on connections of its own what a worker did, statement by statement."""

    def __init__(self, url: URL) -> None:
        self._plain = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
        self._connections: dict[int, Any] = {}
        self._open: dict[int, Any] = {}

    async def __aenter__(self) -> "_OtherMachine":
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.terminate()

    async def follows(self, steps: list[Step]) -> bool:
        """Do these steps; False if another connection can't do the same, for instance with what only a session has."""
        try:
            async with asyncio.timeout(_ROUND):
                for step in steps:
                    await self._do(step)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return False
        return True

    async def _do(self, step: Step) -> None:
        number = step.connection
        if number not in self._connections:
            self._connections[number] = await asyncpg.connect(self._plain)
        if step.kind == "statement":
            if number not in self._open:
                self._open[number] = self._connections[number].transaction()
                await self._open[number].start()
            await self._connections[number].fetch(step.statement, *step.parameters)
        elif (transaction := self._open.pop(number, None)) is not None:
            await (transaction.commit() if step.kind == "commit" else transaction.rollback())

    async def commit(self) -> None:
        """End what is still open; whatever locks the sessions hold end with them."""
        for transaction in self._open.values():
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                await transaction.commit()
        self._open.clear()
        for connection in self._connections.values():
            await connection.close()
