"""The check of exercise 05.3: what a handler holds while it waits for somebody else."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._pool_exhaustion import PoolWatch, admin, ended_within, is_time_out
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab

Bank = Callable[[int], Awaitable[bool]]


@dataclass(frozen=True)
class _Moment:
    """What was in use while the bank was asked, in numbers of connections.

    Args:
        held: checked out of the engine's pool.
        in_transaction: idle in transaction, on the server.
        strangers: on the server, and not in the engine's pool.
    """

    held: int
    in_transaction: int
    strangers: int


async def judge_payments(settle: Any, engine: AsyncEngine, box: Lab) -> None:
    """05.3: is no connection held while the bank is asked, and is its answer stored afterwards?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    seen: list[_Moment] = []
    asked: list[int] = []

    with PoolWatch(engine) as watch:

        async def bank(amount: int) -> bool:
            asked.append(amount)
            in_transaction = await box.connections("idle in transaction")
            seen.append(_Moment(watch.held, in_transaction, await _strangers(engine, box)))
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


async def _strangers(engine: AsyncEngine, box: Lab) -> int:
    """How many connections are not in the engine's pool, apart from the check's own one; they get time to end."""
    count = 0
    for _ in range(12):
        ours = 1 + engine.pool.checkedin() + engine.pool.checkedout()  # type: ignore[attr-defined]
        count = await box.connections() - ours
        if count <= 0:
            break
        await asyncio.sleep(0.05)
    return max(0, count)


def _judge_hold(seen: list[_Moment]) -> None:
    worst = max(seen, key=lambda moment: (moment.held, moment.in_transaction, moment.strangers))
    case = Case("while the bank is asked", "0 connections checked out", f"{worst.held} checked out")
    if worst.strangers:
        raise NotYet(
            "While the bank is asked, the server sees a connection that does not come from the engine's pool. On an "
            "engine of its own the same connection is held for as long, and no limit holds for it. Use `engine`.",
            misconception="uses-another-engine",
            case=Case("while the bank is asked", "no other connection", f"{worst.strangers} of another engine"),
        )
    if worst.in_transaction:
        raise NotYet(
            "While the bank is asked, the server still sees a transaction that is open and idle. Take what you need "
            "from the row, end the transaction, then ask.",
            misconception="holds-the-session",
            case=case,
        )
    if worst.held:
        raise NotYet(
            "No transaction is open when the bank is asked, and the connection is still checked out. A `Connection` "
            "keeps it until it is closed, and a session in AUTOCOMMIT until its commit or close. Give it back before "
            "the slow work.",
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
        seen = 0
        while seen < inside and not waiting.done():  # as long as more of them come
            seen = inside
            await ended_within(waiting, 0.4)
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
