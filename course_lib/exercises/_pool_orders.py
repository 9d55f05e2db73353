"""What the check of exercise 05.2 does with a handler: orders of each kind, two of them cancelled."""

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import event

from course_lib.exercises._pool_exhaustion import Ending, PoolWatch, admin, disposed, ending, engine_of
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.lab import Lab

SHOP = """
create table item (id int primary key, stock int not null);
insert into item values (1, 100), (2, 0), (3, 5), (4, 5);
"""
# Item 4 is for the order that is cancelled at an unknown place, perhaps in its commit: its stock tells nothing.
GOOD, SOLD_OUT, LOCKED, SPARE, UNKNOWN = 1, 2, 3, 4, 404
# What an order takes at most, in seconds, and what one that was cancelled may take to end.
_PATIENCE = 3
_PATIENCE_CANCELLED = 2


@dataclass(frozen=True)
class Visit:
    """One call of `order` on an engine of its own, and what it left behind.

    Args:
        held: connections that are checked out of the engine's pool.
        elsewhere: whether it worked on other connections than the engine's.
        end: how it ended.
        disposed: how often it disposed of the engine.
        locked: for the cancelled order, whether it waited for the lock.
        goes_on: for the cancelled order, whether somebody still waited for the lock when it had ended.
    """

    held: int
    elsewhere: bool
    end: Ending
    disposed: int
    locked: bool = True
    goes_on: bool = False


async def visit(make_engine: Any, order: Any, box: Lab, item: int) -> Visit:
    async with disposed(await engine_of(make_engine, box.url)) as engine:
        with PoolWatch(engine) as watch:
            end = await ending(ask(order, engine, item, given=f"item={item}"), _PATIENCE)
            if end.error is not None and (item != UNKNOWN or not isinstance(end.error, Exception)):
                raise end.error
            if end.kind == "waits":
                raise NotYet(
                    f"`order` had not ended after {_PATIENCE} s. If it opens two sessions, the second may wait for a "
                    "row that the first has locked.",
                    misconception="never-ends",
                    case=Case(f"item={item}", "an end", "nothing yet"),
                )
            elsewhere = not watch.held and ((item == GOOD and not watch.most) or await _open_transactions(box))
            return Visit(watch.held, elsewhere, end, watch.disposed)


async def _open_transactions(box: Lab) -> bool:
    """Whether the server sees one for longer than a connection takes to end."""
    for _ in range(12):
        if not await box.connections("idle in transaction"):
            return False
        await asyncio.sleep(0.05)
    return True


async def cancelled_visit(make_engine: Any, order: Any, box: Lab, shop: "asyncpg.Connection[Any]") -> Visit:
    async with disposed(await engine_of(make_engine, box.url)) as engine, admin(box.url) as onlooker:
        with PoolWatch(engine) as watch:
            async with shop.transaction():
                await shop.execute("select * from item where id = 3 for update")
                task = asyncio.ensure_future(
                    ask(order, engine, LOCKED, given="item=3, cancelled while it waits for a lock")
                )
                locked = False
                for _ in range(300):  # until the order waits for the row that is locked here
                    locked = await _someone_waits(onlooker)
                    if task.done() or locked:
                        break
                    await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait({task}, timeout=_PATIENCE_CANCELLED)
                end = Ending("waits")
                if task.cancelled():
                    end = Ending("raised", error=asyncio.CancelledError())
                elif task.done():
                    error = task.exception()
                    end = Ending("returned" if error is None else "raised", error=error)
                goes_on = bool(watch.held) and task.done() and await _waits_on(onlooker)
                held = watch.held
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_PATIENCE_CANCELLED)
            elsewhere = not watch.held and await _open_transactions(box)
            return Visit(held, elsewhere, end, watch.disposed, locked, goes_on)


async def interrupted_visit(make_engine: Any, order: Any, box: Lab) -> Visit:
    """An order that is cancelled when its first statement is done, and so at whatever it awaits next."""
    async with disposed(await engine_of(make_engine, box.url)) as engine:
        with PoolWatch(engine) as watch:
            given = f"item={SPARE}, cancelled after its first statement"
            task = asyncio.ensure_future(ask(order, engine, SPARE, given=given))

            def on_executed(*_: object) -> None:
                task.cancel()

            event.listen(engine.sync_engine, "after_cursor_execute", on_executed, once=True)
            await asyncio.wait({task}, timeout=_PATIENCE_CANCELLED)
            for _ in range(20):  # what was shielded, or another task, may still be about to close
                if task.done() and not watch.held:
                    break
                await asyncio.sleep(0.02)
            held, ended = watch.held, task.done()
            task.cancel()
            await asyncio.wait({task}, timeout=_PATIENCE_CANCELLED)
            if task.done() and not task.cancelled():
                task.exception()  # other orders tell of errors; this one's is not to be reported as never retrieved
            return Visit(held, False, Ending("raised" if ended else "waits"), watch.disposed)


async def _someone_waits(onlooker: "asyncpg.Connection[Any]") -> bool:
    # Not on the connection that holds the lock: within a transaction pg_stat_activity does not change.
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return bool(await onlooker.fetchval(query))


async def _waits_on(onlooker: "asyncpg.Connection[Any]") -> bool:
    """Whether somebody waits for a lock for longer than it takes the server to see that a client is gone."""
    for _ in range(6):
        if not await _someone_waits(onlooker):
            return False
        await asyncio.sleep(0.05)
    return True
