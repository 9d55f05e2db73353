"""The check of exercise 05.2: what a handler holds when it ends, whichever way it ends."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError

from course_lib.exercises._pool_exhaustion import (
    admin,
    disposed,
    engine_of,
    is_slip,
    one_too_many,
    patience_of,
)
from course_lib.exercises._pool_orders import (
    GOOD,
    SHOP,
    SOLD_OUT,
    UNKNOWN,
    Visit,
    cancelled_visit,
    interrupted_visit,
    visit,
)
from course_lib.exercises.core import AnswerError, Case, NotYet
from course_lib.exercises.lab import Lab

_BETWEEN = "is cancelled between two statements"
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
_LEAKS[_BETWEEN] = _LEAKS["is cancelled"]


class Collections:
    """Counts full garbage collections that the answer asks for.

    Attributes:
        asked: how many.
    """

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """What Python calls at the start and end of each collection."""
        self.asked += phase == "start" and info["generation"] == 2


@contextmanager
def only_asked_collections() -> Iterator[Collections]:
    """Within this block Python collects garbage only if the answer asks for it."""
    collections = Collections()
    automatic = gc.isenabled()
    gc.disable()
    gc.callbacks.append(collections)
    try:
        yield collections
    finally:
        gc.callbacks.remove(collections)
        if automatic:
            gc.enable()


async def judge_orders(make_engine: Any, order: Any, box: Lab) -> None:
    """05.2: does `order` give its connection back on each way out, on a pool that stayed as it was?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with admin(box.url) as shop:
        await shop.execute(SHOP)
        with only_asked_collections() as collections:
            visits = {
                "ends well": await visit(make_engine, order, box, GOOD),
                "is sold out": await visit(make_engine, order, box, SOLD_OUT),
                "is unknown": await visit(make_engine, order, box, UNKNOWN),
                "is cancelled": await cancelled_visit(make_engine, order, box, shop),
                _BETWEEN: await interrupted_visit(make_engine, order, box),
            }
        async with disposed(await engine_of(make_engine, box.url)) as engine:
            raised = (await one_too_many(engine, 2, 0.1)).kind == "returned"
            patience = patience_of(engine)
        _judge_leaks(visits, collections, raised)
        _judge_cancelled(visits["is cancelled"])
        _judge_ends(visits)
        stock = [row["stock"] for row in await shop.fetch("select stock from item where id <= 3 order by id")]
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
        if patience is None or patience > 1:
            raise NotYet(
                "The leak is gone, and a request may now wait much longer for a connection than before. Put "
                "`pool_timeout=0.5` back: a long wait hides the next leak.",
                misconception="raises-the-timeout",
            )


def _judge_leaks(visits: dict[str, Visit], collections: Collections, raised: bool) -> None:
    leaking = [way for way, visit in visits.items() if visit.held and not visit.goes_on and visit.end.kind != "waits"]
    if visits["is cancelled"].goes_on and leaking == [_BETWEEN]:
        leaking = []  # what was shielded keeps its connection here too, and the shield is the reason to name
    if leaking and collections.asked:
        raise NotYet(
            "The handler asks the garbage collector to find what it forgot, and the connection is still out while "
            "anything refers to the session. Collecting also stops the whole program for a while. Close the session.",
            misconception="collects-garbage",
        )
    if leaking and raised:
        raise NotYet(
            "The pool may open more connections now, and each order that fails still keeps one. That puts the end "
            "off and does not prevent it. Put the limit of two back and close the session.",
            misconception="raises-the-overflow",
        )
    if any(visit.disposed for visit in visits.values()):
        raise NotYet(
            "The handler disposes of the engine. That throws away the pool that all requests share, and a connection "
            "that is checked out survives it. Close the session instead.",
            misconception="disposes-the-engine",
        )
    if leaking:
        misconception, message = _LEAKS[leaking[0]]
        case = Case(f"an order that {leaking[0]}", "0 connections held", f"{visits[leaking[0]].held} connection held")
        raise NotYet(message, misconception=misconception, case=case)
    if any(visit.elsewhere for visit in visits.values()):
        raise NotYet(
            "The order works on a connection that does not come from the pool of the engine it was given. A leak on "
            "another engine is still a leak, and no limit holds for it. Use the argument `engine`.",
            misconception="uses-another-engine",
        )


def _judge_cancelled(visit: Visit) -> None:
    error = visit.end.error
    if not visit.locked:
        if error is not None and not isinstance(error, DBAPIError | asyncio.CancelledError):
            raise error
        raise NotYet(
            "Keep `for update`: another order had locked the row of item 3, and yours did not wait for it. Two "
            "orders at once could take the same piece.",
            misconception="skips-the-lock",
            case=Case("item=3, its row is locked", "the order waits", "it ended"),
        )
    if visit.goes_on:
        raise NotYet(
            "The order was cancelled, and its work goes on in the background with the connection: `asyncio.shield` "
            "lets the caller go and keeps what it shields alive. Leave the shield out; `async with` needs none.",
            misconception="shields-the-work",
        )
    if visit.end.kind in ("waits", "returned"):
        does = "goes on" if visit.end.kind == "waits" else "ends"
        raise NotYet(
            f"A cancelled order {does} as if nothing had happened. Let `CancelledError` through: whoever cancelled "
            "waits for it.",
            misconception="swallows-the-cancellation",
        )
    if error is not None and not isinstance(error, asyncio.CancelledError):
        if is_slip(error):
            raise error
        raise NotYet(
            f"A cancelled order raised `{type(error).__name__}`. Let `CancelledError` through: whoever cancelled "
            "waits for it.",
            misconception="swallows-the-cancellation",
            case=Case("item=3, cancelled while it waits for a lock", "CancelledError", repr(error)),
        )


def _judge_ends(visits: dict[str, Visit]) -> None:
    unknown = visits["is unknown"].end
    if unknown.kind == "returned":
        raise NotYet(
            "An unknown item raises `LookupError`, and your version swallows it: the caller would take the order for "
            "a success. Let the exception through.",
            misconception="swallows-the-error",
        )
    if unknown.error is not None and not isinstance(unknown.error, LookupError):
        if is_slip(unknown.error) or isinstance(unknown.error, AnswerError | DBAPIError):
            raise unknown.error
        raise NotYet(
            f"An unknown item raised `{type(unknown.error).__name__}`. The caller expects `LookupError`, whatever the "
            "query finds or not: keep what the starter raises.",
            misconception="raises-another-error",
            case=Case(f"item={UNKNOWN}", "LookupError", repr(unknown.error)),
        )
    for way, expected in (("ends well", True), ("is sold out", False)):
        got = visits[way].end.value
        if got is not expected:
            raise NotYet(
                "`order` returns `True` for an order and `False` if the item is sold out. Keep that.",
                misconception="wrong-answer",
                case=Case(f"an order that {way}", repr(expected), repr(got)),
            )
