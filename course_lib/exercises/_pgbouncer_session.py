"""The check of exercise 07.3: code that relies on nothing but its own transaction."""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, NoReturn

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._pgbouncer_lab import lab_with_pooler
from course_lib.exercises._pgbouncer_watch import (
    SERVERS,
    direct,
    end_all,
    locked_between_transactions,
    rivals,
    saw_sleepers,
    session_locks,
    settings,
    temporary_tables,
)
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab
from course_lib.pools.processes import in_processes

_CALLERS, _PROCESSES = 6, 3
_SLOW = 0.6  # seconds
_PATIENCE = 4.0  # seconds; a right answer needs a tenth
_SHOP = "create table invoice (last int not null); insert into invoice values (0)"
_UNDEFINED_TABLE, _DUPLICATE_TABLE, _CANCELLED = "42P01", "42P07", "57014"


async def judge_session_state(slow_query: Any, next_number: Any, total: Any) -> None:
    """07.3: do the three functions work in transaction mode, and leave nothing behind on the server connections?

    Raises:
        NotYet: one of them is wrong, with the reason.
    """
    async with lab_with_pooler(size=SERVERS) as (box, _, url):
        async with direct(box.url) as shop:
            await shop.execute(_SHOP)
        engine = _engine(url)
        try:
            async with rivals(url):
                # Connected before: to log in is no part of a limit that a client keeps itself.
                await _connect(engine)
                before = await settings(url)
                await _judge_limit(slow_query, engine, box, url)
                await _judge_numbers(next_number, engine, box, url)
                await _judge_totals(total, engine, box)
                left = sorted({name for name, _ in await settings(url) - before})
                if left:
                    raise NotYet(
                        f"A setting stays on server connections that other clients get next: `{left[0]}`. `SET LOCAL` "
                        "ends with the transaction.",
                        misconception="set-leaks",
                    )
        finally:
            await engine.dispose()


def _engine(url: URL) -> AsyncEngine:
    caches = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return create_async_engine(url, pool_size=_CALLERS, connect_args=caches)


async def _connect(engine: AsyncEngine) -> None:
    async with AsyncExitStack() as held:  # together: each has a connection of its own
        connecting = (held.enter_async_context(engine.connect()) for _ in range(_CALLERS))
        await asyncio.gather(*connecting, return_exceptions=True)


async def _judge_limit(slow_query: Any, engine: AsyncEngine, box: Lab, url: URL) -> None:
    quick = await _together(ask(slow_query, engine, 0.0, given="seconds=0") for _ in range(_CALLERS))
    for _ in range(3):
        if not any(isinstance(each, TimeoutError) for each in quick):
            break
        # On a busy machine, a limit that the client keeps may run out in the queue, and its connection is lost then.
        await _connect(engine)
        quick = await _together([ask(slow_query, engine, 0.0, given="seconds=0")])
    _raise_first(quick)
    slow, asleep = await asyncio.gather(
        _together(ask(slow_query, engine, _SLOW, given=f"seconds={_SLOW}") for _ in range(SERVERS)),
        saw_sleepers(box.url),
    )
    left = {value for name, value in await settings(url) if name == "statement_timeout"}
    if left:
        raise NotYet(
            "After `slow_query` its limit stays on server connections that other clients get next: their slow queries "
            "are cancelled too. `SET LOCAL` ends with the transaction.",
            misconception="set-leaks",
            case=Case("`show statement_timeout` of another client", "0", ", ".join(sorted(left))),
        )
    if not asleep:
        _raise_first([each for each in slow if not isinstance(each, TimeoutError)])
        raise NotYet(
            "`slow_query` did not sleep in the database: nothing ran there when it was called with 0.6 seconds.",
            misconception="does-not-sleep",
        )
    if not all(isinstance(each, BaseException) for each in slow):
        raise NotYet(
            f"A query of {_SLOW} seconds ran to its end, or nobody was told that it was cancelled. The limit has to be "
            "set in the transaction that runs the query, and its error has to reach the caller.",
            misconception="limit-in-another-transaction",
            case=Case(f"slow_query(engine, {_SLOW})", "an error after 0.2 s", "no error"),
        )
    _raise_first([error for error in slow if not isinstance(error, TimeoutError) and _state(error) != _CANCELLED])


async def _judge_numbers(next_number: Any, engine: AsyncEngine, box: Lab, url: URL) -> None:
    calls = [asyncio.ensure_future(ask(next_number, engine, given="six callers at once")) for _ in range(_CALLERS)]
    done, waiting = await asyncio.wait(calls, timeout=_PATIENCE)
    locked = await session_locks(box.url)
    if locked or waiting:
        await end_all(box.url)  # they wait for a lock that nobody can release: end them from outside
    for call in waiting:
        call.cancel()
    await asyncio.wait(calls, timeout=1)
    if locked:
        _lock_left()
    if waiting:
        _waits()
    _raise_first([call.exception() for call in done])
    numbers = [call.result() for call in done]
    if any(type(number) is not int for number in numbers):
        raise NotYet("`next_number` returns the number that it took, an `int`.", misconception="wrong-answer")
    if len(set(numbers)) < _CALLERS:
        raise NotYet(
            "Two callers took the same number: the lock is gone before the number is written. A lock of one "
            "transaction guards only what happens in that transaction.",
            misconception="lock-released-early",
            case=Case("six callers at once", "1, 2, 3, 4, 5, 6", "a number twice"),
        )
    if sorted(numbers) != list(range(1, _CALLERS + 1)):
        got = ", ".join(str(each) if abs(each) < 10**9 else "a huge number" for each in sorted(numbers))
        raise NotYet(
            "`next_number` returns 1, 2, 3, … without a gap: one more than what `invoice` held.",
            misconception="wrong-answer",
            case=Case("six callers at once", "1, 2, 3, 4, 5, 6", got),
        )
    if await locked_between_transactions(ask(next_number, engine), engine, box.url):
        _lock_left()
    async with direct(box.url) as shop:
        await shop.execute(f"update invoice set last = {_CALLERS}")  # as if that call had not been
    await _judge_numbers_of_processes(next_number, url)


async def _judge_numbers_of_processes(next_number: Any, url: URL) -> None:
    async def six_more() -> dict[str, Any]:
        engine = _engine(url)
        async with asyncio.timeout(_PATIENCE):
            return {"numbers": await asyncio.gather(*(ask(next_number, engine) for _ in range(_CALLERS)))}

    told = await in_processes([six_more] * _PROCESSES, seconds=_PATIENCE)
    numbers = [number for each in told for number in each.get("numbers", ())]
    wanted = range(_CALLERS + 1, _CALLERS + 1 + _PROCESSES * _CALLERS)
    if sorted(numbers) != list(wanted):
        error = next((each["error"] for each in told if "error" in each), "")
        raise NotYet(
            "With callers in one process all numbers were right; with three processes at once they are not. What is "
            "kept in Python (a counter, an `asyncio.Lock`) belongs to one process. Let the database do it.",
            misconception="guards-one-process",
            case=Case("three processes, six callers each", "7 to 24", error or "a number twice, or missing"),
        )


def _lock_left() -> NoReturn:
    raise NotYet(
        "A session lock stayed behind. It belongs to the server connection, and whoever gets that one next has it; an "
        "unlock in another transaction may reach a connection that does not have it. Then everybody waits for it. "
        "`pg_advisory_xact_lock` is released with the transaction.",
        misconception="lock-left",
    )


async def _judge_totals(total: Any, engine: AsyncEngine, box: Lab) -> None:
    baskets = [[3, 4], [10], [], [1, 2, 3], [100, 200], [7]]
    for _ in range(3):
        results = await _together(ask(total, engine, list(each), given=f"amounts={each}") for each in baskets)
        states = {_state(each) for each in results if isinstance(each, BaseException)}
        if _DUPLICATE_TABLE in states or await temporary_tables(box.url):
            raise NotYet(
                "The temporary table stays on its server connection after `total` has returned, and the next caller "
                "who gets that connection finds it there. `ON COMMIT DROP` ends it with its transaction.",
                misconception="temp-table-stays",
            )
        if _UNDEFINED_TABLE in states:
            raise NotYet(
                "The temporary table is not there any more: the next transaction ran on another server connection. "
                "Create, fill and read it in one transaction.",
                misconception="temp-table-vanishes",
            )
        _raise_first([each for each in results if isinstance(each, BaseException)])
        for basket, found in zip(baskets, results, strict=True):
            # PostgreSQL's sum of a bigint column is a numeric, which arrives as a Decimal.
            is_number = type(found) is int or (type(found) is Decimal and found.is_finite())
            if not is_number or found != sum(basket):
                raise NotYet(
                    "`total` returns the sum of the amounts, 0 for none, whoever else calls it at the same time.",
                    misconception="wrong-answer",
                    case=Case(
                        f"amounts={basket}",
                        repr(sum(basket)),
                        _shown(found) if is_number or found is None else f"an object of type `{type(found).__name__}`",
                    ),
                )


async def _together(calls: Any) -> list[Any]:
    """The results of calls that run at the same time, errors among them."""
    tasks = [asyncio.ensure_future(_as_value(call)) for call in calls]
    _, waiting = await asyncio.wait(tasks, timeout=_PATIENCE)
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting, timeout=1)
        _waits()
    return [task.result() for task in tasks]


def _waits() -> NoReturn:
    raise NotYet(
        f"A call did not end within {_PATIENCE:.0f} seconds, with six callers at once. Right ones need a fraction of a "
        "second: look for something that waits, such as a lock that another transaction holds.",
        misconception="waits-for-ever",
    )


async def _as_value(call: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Any:
    try:
        return await call
    except Exception as error:
        return error


def _raise_first(results: list[Any]) -> None:
    for each in results:
        if isinstance(each, BaseException):
            raise each


def _state(error: BaseException | None) -> str:
    """The SQLSTATE of the driver's error behind this one; "" if there is none."""
    while error is not None:
        state = getattr(error, "sqlstate", None)
        if isinstance(state, str):
            return state
        error = getattr(error, "orig", None) or error.__cause__
    return ""


def _shown(number: int | Decimal | None) -> str:
    # Python refuses to write integers of thousands of digits.
    if isinstance(number, int) and abs(number) > 10**12:
        return "a huge number"
    return str(number)
