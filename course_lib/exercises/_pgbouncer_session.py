"""The check of exercise 07.3: code that relies on nothing but its own transaction."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NoReturn

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._pgbouncer_lab import lab_with_pooler
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab

_SERVERS = 3
_RIVALS = 4
_CALLERS = 6
_PATIENCE = 4.0  # seconds; a right answer needs a tenth
_SHOP = "create table invoice (last int not null); insert into invoice values (0)"
_UNDEFINED_TABLE, _DUPLICATE_TABLE, _CANCELLED = "42P01", "42P07", "57014"


async def judge_session_state(slow_query: Any, next_number: Any, total: Any) -> None:
    """07.3: do the three functions work in transaction mode, and leave nothing behind on the server connections?

    Raises:
        NotYet: one of them is wrong, with the reason.
    """
    async with lab_with_pooler(size=_SERVERS) as (box, _, url):
        async with _direct(box.url) as shop:
            await shop.execute(_SHOP)
        engine = create_async_engine(url, pool_size=_CALLERS, connect_args={"statement_cache_size": 0})
        try:
            async with _rivals(url):
                await _judge_limit(slow_query, engine, url)
                await _judge_numbers(next_number, engine, box)
                await _judge_totals(total, engine, box)
        finally:
            await engine.dispose()


async def _judge_limit(slow_query: Any, engine: AsyncEngine, url: URL) -> None:
    quick = await _all(ask(slow_query, engine, 0.0, given="seconds=0") for _ in range(_CALLERS))
    _raise_first(quick)
    slow = await _all(ask(slow_query, engine, 1.0, given="seconds=1") for _ in range(_CALLERS))
    left = await _settings(url, "statement_timeout")
    if left != {"0"}:
        raise NotYet(
            "After `slow_query` its limit stays on server connections that other clients get next: their slow queries "
            "are cancelled too. `SET LOCAL` ends with the transaction.",
            misconception="set-leaks",
            case=Case("`show statement_timeout` of another client", "0", ", ".join(sorted(left - {"0"}))),
        )
    if any(each is None for each in slow):
        raise NotYet(
            "A query of one second ran to its end, or nobody was told that it was cancelled. The limit has to be set "
            "in the transaction that runs the query, and its error has to reach the caller.",
            misconception="limit-in-another-transaction",
            case=Case("slow_query(engine, 1.0)", "an error after 0.2 s", "no error"),
        )
    for error in slow:
        if not isinstance(error, TimeoutError) and _state(error) != _CANCELLED:
            _raise_first([error])


async def _judge_numbers(next_number: Any, engine: AsyncEngine, box: Lab) -> None:
    calls = [asyncio.ensure_future(ask(next_number, engine, given="six callers at once")) for _ in range(_CALLERS)]
    done, waiting = await asyncio.wait(calls, timeout=_PATIENCE)
    async with _direct(box.url) as shop:
        locks = await shop.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and database = "
            "(select oid from pg_database where datname = current_database())"
        )
        if locks or waiting:
            # They wait for a lock that nobody can release: end them from outside.
            await shop.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
    for call in waiting:
        call.cancel()
    await asyncio.wait(calls, timeout=1)
    if locks:
        _lock_left()
    if waiting:
        _waits()
    _raise_first([call.exception() for call in done])
    numbers = [call.result() for call in done]
    if any(type(number) is not int for number in numbers):
        raise NotYet("`next_number` returns the number that it took, an `int`.", misconception="wrong-answer")
    if sorted(numbers) != list(range(1, _CALLERS + 1)):
        raise NotYet(
            "Two callers took the same number: the lock is gone before the number is written. A lock of one "
            "transaction guards only what happens in that transaction.",
            misconception="lock-released-early",
            case=Case("six callers at once", "1, 2, 3, 4, 5, 6", "a number twice"),
        )


def _lock_left() -> NoReturn:
    raise NotYet(
        "A session lock stayed behind. The unlock comes in another transaction, so it may reach another server "
        "connection, one that does not have the lock; then everybody waits for it. `pg_advisory_xact_lock` is released "
        "with the transaction.",
        misconception="lock-left",
    )


async def _judge_totals(total: Any, engine: AsyncEngine, box: Lab) -> None:
    baskets = [[3, 4], [10], [], [1, 2, 3], [100, 200], [7]]
    for _ in range(3):
        results = await _together(ask(total, engine, list(each), given=f"amounts={each}") for each in baskets)
        states = {_state(each) for each in results if isinstance(each, BaseException)}
        if _DUPLICATE_TABLE in states or await _temporary_tables(box):
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
            is_number = isinstance(found, int | Decimal) and not isinstance(found, bool)
            if not is_number or int(found) != sum(basket):
                raise NotYet(
                    "`total` returns the sum of the amounts, 0 for none, whoever else calls it at the same time.",
                    misconception="wrong-answer",
                    case=Case(
                        f"amounts={basket}",
                        repr(sum(basket)),
                        str(found) if is_number or found is None else f"an object of type `{type(found).__name__}`",
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


async def _all(calls: Any) -> list[BaseException | None]:
    return [each if isinstance(each, BaseException) else None for each in await _together(calls)]


async def _as_value(call: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Any:
    try:
        return await call
    except Exception as error:
        return error


def _raise_first(errors: list[BaseException | None]) -> None:
    for error in errors:
        if error is not None:
            raise error


def _state(error: BaseException | None) -> str:
    """The SQLSTATE of the driver's error behind this one; "" if there is none."""
    while error is not None:
        state = getattr(error, "sqlstate", None)
        if isinstance(state, str):
            return state
        error = getattr(error, "orig", None) or error.__cause__
    return ""


@asynccontextmanager
async def _direct(url: URL) -> AsyncIterator[Any]:
    """A connection of the driver itself, with no prepared statements."""
    connection = await asyncpg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False), ssl=False, statement_cache_size=0
    )
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def _rivals(url: URL) -> AsyncIterator[None]:
    """Other clients with short transactions: whoever gives a server connection back gets another one next."""

    async def rival() -> None:
        async with _direct(url) as connection:
            while True:
                # Whatever the answer does to the server connections, the others go on.
                with contextlib.suppress(asyncpg.PostgresError):
                    await connection.execute("select pg_sleep(0.003)")
                await asyncio.sleep(0)

    tasks = [asyncio.ensure_future(rival()) for _ in range(_RIVALS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _settings(url: URL, name: str) -> set[str]:
    """A setting's value on each of the server connections: as many transactions at once as there are connections."""
    async with contextlib.AsyncExitStack() as stack:
        values = set()
        for _ in range(_SERVERS):
            connection = await stack.enter_async_context(_direct(url))
            await connection.execute("begin")
            values.add(await connection.fetchval(f"show {name}"))
        return values


async def _temporary_tables(box: Lab) -> bool:
    async with _direct(box.url) as shop:
        return bool(await shop.fetchval("select count(*) from pg_class where relpersistence = 't' and relkind = 'r'"))
