"""The checks of exercises 05.2 and 05.3: what a handler holds when it ends, and while it waits for somebody else."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._pool_exhaustion import (
    Collections,
    Ending,
    PoolWatch,
    admin,
    disposed,
    ending,
    engine_of,
    is_time_out,
    one_too_many,
    only_asked_collections,
)
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab

_SHOP = """
create table item (id int primary key, stock int not null);
insert into item values (1, 100), (2, 0), (3, 5);
"""
_UNKNOWN = 404
_LEAKS = {
    "ends well": (
        "never-closes",
        "After an order that went well, the session still holds its connection. `async with AsyncSession(engine) as "
        "session:` closes it in every case.",
    ),
    "is sold out": (
        "forgets-the-early-return",
        "An item that is sold out leaves the session open: the function returns before it comes to the close. "
        "`async with` closes on every way out.",
    ),
    "is unknown": (
        "closes-only-on-success",
        "An unknown item leaves the session open: the exception skips the close. Close in `finally`, or use "
        "`async with`.",
    ),
    "is cancelled": (
        "misses-the-cancellation",
        "An order that is cancelled in the middle leaves its session open. `CancelledError` is no `Exception`, so "
        "`except Exception` does not see it. Close in `finally`, or use `async with`.",
    ),
}


@dataclass(frozen=True)
class _Visit:
    """One call of `order` on an engine of its own, and what it left behind."""

    held: int
    end: Ending
    disposed: int


async def judge_orders(make_engine: Any, order: Any, box: Lab) -> None:
    """05.2: does `order` give its connection back on each of its four ways out, on a pool that stayed as it was?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with admin(box.url) as shop:
        await shop.execute(_SHOP)
        with only_asked_collections() as collections:
            visits = {
                "ends well": await _visit(make_engine, order, box.url, 1),
                "is sold out": await _visit(make_engine, order, box.url, 2),
                "is unknown": await _visit(make_engine, order, box.url, _UNKNOWN),
                "is cancelled": await _cancelled_visit(make_engine, order, box.url, shop),
            }
        leaking = [way for way, visit in visits.items() if visit.held]
        async with disposed(await engine_of(make_engine, box.url)) as engine:
            raised = (await one_too_many(engine, 2, 0.2)).kind == "returned"
        if leaking:
            raise _leak(leaking, visits, collections, raised)
        _judge_ends(visits)
        stock = [row["stock"] for row in await shop.fetch("select stock from item order by id")]
        if stock != [99, 0, 5]:
            raise NotYet(
                "The stock is wrong afterwards. An order takes one piece and commits; an order that fails or is "
                "cancelled takes none.",
                misconception="loses-the-order",
                case=Case("stock 100, 0, 5; one order each", "99, 0, 5", ", ".join(map(str, stock))),
            )
        if raised:
            raise NotYet(
                "The leak is gone, and the pool is larger than before. Put its limit of two back: it was not the "
                "cause, and a larger pool hides the next leak for longer.",
                misconception="raises-the-overflow",
            )


async def _visit(make_engine: Any, order: Any, url: URL, item: int) -> _Visit:
    async with disposed(await engine_of(make_engine, url)) as engine:
        with PoolWatch(engine) as watch:
            end = await ending(ask(order, engine, item, given=f"item={item}"), 3)
            if isinstance(end.error, NotYet) or (end.error is not None and item != _UNKNOWN):
                raise end.error
            return _Visit(watch.held, end, watch.disposed)


async def _cancelled_visit(make_engine: Any, order: Any, url: URL, shop: "asyncpg.Connection[Any]") -> _Visit:
    async with disposed(await engine_of(make_engine, url)) as engine, admin(url) as onlooker:
        with PoolWatch(engine) as watch:
            async with shop.transaction():
                await shop.execute("select * from item where id = 3 for update")
                task = asyncio.ensure_future(ask(order, engine, 3, given="item=3, cancelled while it waits for a lock"))
                for _ in range(300):  # until the order waits for the row that is locked here
                    if task.done() or await _someone_waits(onlooker):
                        break
                    await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait({task}, timeout=3)
                end = Ending("returned")
                if task.done() and (task.cancelled() or task.exception() is not None):
                    end = Ending("raised", error=None if task.cancelled() else task.exception())
            return _Visit(watch.held, end, watch.disposed)


async def _someone_waits(onlooker: "asyncpg.Connection[Any]") -> bool:
    # Not on the connection that holds the lock: within a transaction pg_stat_activity does not change.
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return bool(await onlooker.fetchval(query))


def _leak(leaking: list[str], visits: dict[str, _Visit], collections: Collections, raised: bool) -> NotYet:
    if collections.asked:
        return NotYet(
            "The handler asks the garbage collector to find what it forgot, and the connection is still out while "
            "anything refers to the session. Collecting also stops the whole program for a while. Close the session.",
            misconception="collects-garbage",
        )
    if raised:
        return NotYet(
            "The pool may open more connections now, and each order that fails still keeps one. That puts the end "
            "off and does not prevent it. Put the limit of two back and close the session.",
            misconception="raises-the-overflow",
        )
    if any(visit.disposed for visit in visits.values()):
        return NotYet(
            "The handler disposes of the engine. That throws away the pool that all requests share, and a connection "
            "that is checked out survives it. Close the session instead.",
            misconception="disposes-the-engine",
        )
    misconception, message = _LEAKS[leaking[0]]
    case = Case(f"an order that {leaking[0]}", "0 connections held", f"{visits[leaking[0]].held} connection held")
    return NotYet(message, misconception=misconception, case=case)


def _judge_ends(visits: dict[str, _Visit]) -> None:
    unknown = visits["is unknown"].end
    if unknown.kind == "returned":
        raise NotYet(
            "An unknown item raises `LookupError`, and your version swallows it: the caller would take the order for "
            "a success. Let the exception through.",
            misconception="swallows-the-error",
        )
    if unknown.error is not None and not isinstance(unknown.error, LookupError):
        raise unknown.error
    if visits["is cancelled"].end.kind == "returned":
        raise NotYet(
            "A cancelled order ends as if nothing had happened. Let `CancelledError` through: whoever cancelled "
            "waits for it.",
            misconception="swallows-the-cancellation",
        )
    for way, expected in (("ends well", True), ("is sold out", False)):
        got = visits[way].end.value
        if got is not expected:
            raise NotYet(
                "`order` returns `True` for an order and `False` if the item is sold out. Keep that.",
                misconception="wrong-answer",
                case=Case(f"an order that {way}", repr(expected), repr(got)),
            )


Bank = Callable[[int], Awaitable[bool]]


async def judge_payments(settle: Any, engine: AsyncEngine, box: Lab) -> None:
    """05.3: is no connection held while the bank is asked, and is its answer stored afterwards?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    seen: list[tuple[int, int]] = []
    asked: list[int] = []

    with PoolWatch(engine) as watch:

        async def bank(amount: int) -> bool:
            asked.append(amount)
            seen.append((watch.held, await box.connections("idle in transaction")))
            return amount < 1000

        async with admin(box.url) as books:
            await books.execute("create table payment (id int primary key, amount int, status text not null)")
            await books.execute("insert into payment select n, n * 10, 'new' from generate_series(1, 9) n")
            await books.execute("insert into payment values (50, 5000, 'new')")
            got = [await _settle(settle, engine, number, bank) for number in (1, 50)]
            rows = {row["id"]: row["status"] for row in await books.fetch("select id, status from payment")}
            stored = [rows[1], rows[50]]
            if asked != [10, 5000]:
                raise NotYet(
                    "The bank has to be asked once for each payment, with its amount, before `settle` returns.",
                    misconception="does-not-ask",
                    case=Case("payments of 10 and 5000", "the bank is asked about 10, 5000", f"about {asked}"),
                )
            if stored != ["paid", "refused"]:
                raise NotYet(
                    "What the bank said is not in the table. Moving the slow work is one half; the statement after "
                    "it needs a transaction of its own, and a commit.",
                    misconception="drops-the-commit",
                    case=Case("payments of 10 and 5000", "paid, refused", ", ".join(stored)),
                )
            _judge_hold(seen)
            if watch.held:
                raise NotYet(
                    "After `settle` has returned, a connection is still checked out. Close what you open; "
                    "`async with` does it.",
                    misconception="leaves-a-session-open",
                )
            if got != ["paid", "refused"]:
                raise NotYet(
                    "`settle` returns the new status, `'paid'` or `'refused'`.",
                    misconception="wrong-answer",
                    case=Case("payments of 10 and 5000", "['paid', 'refused']", repr(got)),
                )
            await _judge_together(settle, engine)


def _judge_hold(seen: list[tuple[int, int]]) -> None:
    held, in_transaction = max(seen)
    if not held and not in_transaction:
        return
    case = Case("while the bank is asked", "0 connections checked out", f"{held} checked out")
    if in_transaction:
        raise NotYet(
            "While the bank is asked, the server still sees a transaction that is open and idle. Take what you need "
            "from the row, end the transaction, then ask.",
            misconception="holds-the-session",
            case=case,
        )
    raise NotYet(
        "The transaction is over before the bank is asked, and the connection is still checked out: a `Connection` "
        "keeps it until it is closed. Leave its `async with` block before the slow work.",
        misconception="keeps-the-connection",
        case=case,
    )


async def _settle(settle: Any, engine: AsyncEngine, number: int, bank: Bank) -> Any:
    return await ask(settle, engine, number, bank, given=f"payment={number}")


async def _judge_together(settle: Any, engine: AsyncEngine) -> None:
    """Six payments on a pool of two: may all of them ask the bank at the same time?"""
    inside = 0
    all_inside = asyncio.Event()

    async def busy_bank(amount: int) -> bool:
        nonlocal inside
        inside += 1
        if inside == 6:
            all_inside.set()
        done, _ = await asyncio.wait({waiting}, timeout=1)
        if not done:
            waiting.cancel()  # whoever comes later need not wait as long
        inside -= 1
        return True

    waiting = asyncio.ensure_future(all_inside.wait())
    try:
        results = await asyncio.gather(
            *(_settle(settle, engine, number, busy_bank) for number in range(2, 8)), return_exceptions=True
        )
    finally:
        waiting.cancel()
    errors = [each for each in results if isinstance(each, BaseException)]
    if errors and not is_time_out(errors[0]):
        raise errors[0]
    if not all_inside.is_set() or errors:
        raise NotYet(
            "Six payments at once could not ask the bank at the same time. Nothing but the database statements has "
            "to take turns: ask outside of any lock, semaphore or connection.",
            misconception="takes-turns-at-the-bank",
        )
