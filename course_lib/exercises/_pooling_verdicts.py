"""What the checks of lesson 04 make of what they saw: each function raises `NotYet`, the most specific reason first."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from course_lib.exercises.core import Case, NotYet

STEPS = (
    "engine made",
    "one query has run",
    "three borrowed at once",
    "all three returned",
    "1.2 s without a query",
    "one query after that",
    "server ended them all",
    "one query after the end",
    "disposed of",
    "one query after dispose",
)


def wrong_engine(engine: object, url: URL) -> NotYet | None:
    """What is wrong with *engine* before it is used, if anything."""
    if isinstance(engine, Engine):
        return NotYet(
            "This is a synchronous `Engine`. Make it with `create_async_engine` from `sqlalchemy.ext.asyncio`.",
            misconception="sync-engine",
        )
    if not isinstance(engine, AsyncEngine):
        return NotYet(
            f"`get_engine` returned {type(engine).__name__}, not an `AsyncEngine`.", misconception="returns-no-engine"
        )
    if engine.url.password == "***":
        return NotYet(
            "The engine would log in with the password `***`: turning a URL into text with `str(url)` masks it. "
            "Give the URL object itself to `create_async_engine`.",
            misconception="masked-url",
        )
    if engine.url != url:
        return NotYet(
            "The engine has another address than the `url` that was given. Keep one engine for each URL, not one for "
            "all.",
            misconception="forgets-the-url",
        )
    if not isinstance(engine.pool, QueuePool):
        return NotYet(
            f"The engine's pool is a `{type(engine.pool).__name__}`, which keeps no five connections. Leave "
            "`poolclass` out: the default is the pool you want.",
            misconception="no-pool",
        )
    return None


async def judge_recycle(replaced: Callable[[float], Awaitable[bool]]) -> None:
    """04.1: are connections replaced after 300 s, not before and not much later?

    Args:
        replaced: tells whether the pool replaces a connection of that age, in seconds.
    """
    expected = "kept at an age of 290 s, replaced at 310 s"
    if await replaced(290):
        raise NotYet(
            "A connection 290 seconds old is replaced already. `pool_recycle` is in seconds, and 300 are wanted: "
            "recycling too early costs a new connect again and again.",
            misconception="recycles-too-early",
            case=Case("pool_recycle", expected, "replaced at an age of 290 s"),
        )
    if await replaced(310):
        return
    if await replaced(310_000):
        raise NotYet(
            "A connection 310 seconds old is still handed out; only one of several days is not. `pool_recycle` is in "
            "seconds: 300 000 of them are three and a half days, not five minutes.",
            misconception="recycle-in-milliseconds",
            case=Case("pool_recycle", expected, "kept at an age of 310 s, replaced at 310000 s"),
        )
    raise NotYet(
        "A connection is handed out however old it is. Without `pool_recycle`, connections that the network has "
        "forgotten stay in the pool. Set it to five minutes, in seconds.",
        misconception="no-recycle",
        case=Case("pool_recycle", expected, "never replaced"),
    )


def judge_size(limit: int, kept: int, enough: int) -> None:
    """04.1: does the pool open 15 connections at most and keep 5 of them?

    Args:
        limit: how many were open at once.
        kept: how many the server still saw after all were returned.
        enough: where the check stopped opening more.
    """
    if (limit, kept) == (15, 5):
        return
    most = f"at least {limit}" if limit >= enough else f"at most {limit}"
    case = Case("as many checkouts as it allows", "at most 15 open, 5 kept", f"{most} open, {kept} kept")
    if kept == 5 and limit in (10, 20):
        raise NotYet(
            "The pool keeps 5 connections, and its limit is wrong: `max_overflow` is not the total. It counts only "
            "what may come on top of `pool_size`. 15 at once are 5 + 10.",
            misconception="overflow-is-the-total",
            case=case,
        )
    if limit >= enough:
        raise NotYet(
            "The pool opens as many connections as it is asked for, or nearly so. Give `max_overflow` a number above 0 "
            "and `pool_size` too: 0 for the size, and -1 for the overflow, mean no limit.",
            misconception="no-limit",
            case=case,
        )
    if (limit, kept) == (15, 10):
        raise NotYet(
            "`pool_size` and `max_overflow` are swapped: 10 connections stay open for good, and only 5 are closed on "
            "return.",
            misconception="swaps-size-and-overflow",
            case=case,
        )
    if limit == kept == 15:
        raise NotYet(
            "All 15 connections stay open for good. Keep 5 (`pool_size`) and let the others be overflow, which is "
            "closed on return.",
            misconception="keeps-the-peak",
            case=case,
        )
    raise NotYet(
        "The pool has another size. `pool_size` is what it keeps; `max_overflow` is what it may open beyond that.",
        misconception="other-size",
        case=case,
    )


def judge_snapshot(got: Any, expected: dict[str, int], phase: str, private: Sequence[str], *, borrowed: bool) -> None:
    """04.3: is this the pool's state, read in a decent way?

    Args:
        got: what the answer returned.
        expected: what it should be.
        phase: what happened to the pool before, in words.
        private: names of the private fields that were read.
        borrowed: whether the answer took a connection.
    """
    case = Case(f"engine: {phase}", repr(expected), repr(got))
    if private:
        raise NotYet(
            f"The function reads `{private[0]}`. Names that begin with an underscore are private: SQLAlchemy may "
            "rename them in any release. The pool has public methods for all four numbers.",
            misconception="reads-private-fields",
        )
    if borrowed:
        raise NotYet(
            "The function takes a connection from the pool, so it changes what it measures, and it waits when all "
            "are out: just when somebody wants to look. Ask the pool, not the server.",
            misconception="borrows-a-connection",
        )
    if type(got) is not dict:
        raise NotYet(
            f"Return a dict, not {type(got).__name__}. The text of `status()` is for people; a program wants numbers.",
            misconception="returns-no-dict",
            case=case,
        )
    if set(got) != set(expected) or any(type(value) is not int for value in got.values()):
        raise NotYet(
            "The dict needs exactly the keys `size`, `in_use`, `idle` and `overflow`, each with a whole number.",
            misconception="other-keys",
            case=case,
        )
    if got == expected:
        return
    if got["overflow"] < 0:
        raise NotYet(
            "The overflow is below zero. `overflow()` starts at minus `pool_size` and counts up with each connection "
            "that is opened, so it is the overflow only from 0 on. Report 0 for anything below.",
            misconception="negative-overflow",
            case=case,
        )
    opened = expected["in_use"] + expected["idle"]
    if got["overflow"] == expected["size"] - opened > 0:
        raise NotYet(
            "Taking the minus sign away makes an overflow out of places that were never opened. Below zero means: "
            "no overflow.",
            misconception="absolute-overflow",
            case=case,
        )
    if got["overflow"] == max(0, expected["in_use"] - expected["size"]) != expected["overflow"]:
        raise NotYet(
            "Idle connections count too: the overflow is what is open beyond `pool_size`, borrowed or not. The pool "
            "counts it for you in `overflow()`.",
            misconception="overflow-from-borrowed",
            case=case,
        )
    if got["idle"] == expected["size"] - expected["in_use"] != expected["idle"]:
        raise NotYet(
            "These idle connections do not exist: the pool opens them on demand. `checkedin()` counts those that are "
            "open and lie in the pool.",
            misconception="counts-unopened-as-idle",
            case=case,
        )
    if got["in_use"] != expected["in_use"]:
        raise NotYet(
            "`in_use` is the number of connections that are borrowed now, overflow included.",
            misconception="miscounts-in-use",
            case=case,
        )
    raise NotYet("These are not the pool's numbers.", misconception="wrong-numbers", case=case)


# For each step: a wrong number that betrays an idea (None: any), its name, and what is true.
_IDEAS: tuple[tuple[int, int | None, str, str], ...] = (
    (0, None, "opens-at-creation", "Making an engine opens nothing. The first query does."),
    (1, 0, "closes-on-return", "A returned connection stays open: that is what a pool is for."),
    (1, None, "fills-the-pool", "The pool opens one connection for one query, not `pool_size` of them."),
    (2, 2, "forgets-overflow", "Two places and one overflow: all three can be open at the same moment."),
    (3, 3, "keeps-overflow", "The pool keeps `pool_size` connections. What comes back beyond that is closed."),
    (3, 0, "closes-on-return", "Returned connections stay open, up to `pool_size` of them."),
    (
        4,
        None,
        "recycles-in-background",
        "Nobody watches the clock: an old one is replaced at its next checkout.",
    ),
    (5, 1, "recycles-all-at-once", "One query checks out one connection, and only that one is replaced."),
    (5, None, "miscounts-recycle", "The old connection is closed and a new one opened; the other one stays."),
    (6, None, "refills-by-itself", "No pool notices that by itself, and none opens a connection without a checkout."),
    (7, 2, "refills-at-once", "The query needs one connection. The other place is filled when somebody needs it."),
    (7, 0, "ping-does-not-reconnect", "Pre-ping finds the closed connection and opens a new one for the query."),
    (8, None, "dispose-keeps-connections", "`dispose` closes all connections that lie in the pool."),
    (9, 0, "dispose-is-the-end", "`dispose` gives the engine a new, empty pool. The next query opens a connection."),
)


def judge_prediction(predicted: Any, measured: list[int]) -> None:
    """04.4: is each number what the server saw?

    Args:
        predicted: the learner's dict.
        measured: what the server saw after each step.
    """
    if type(predicted) is not dict or set(predicted) != set(STEPS):
        raise NotYet(
            "The check reads the dict of the starter: keep its ten keys as they are, and replace each `...`.",
            misconception="changed-steps",
        )
    for index, (step, seen) in enumerate(zip(STEPS, measured, strict=True)):
        guess = predicted[step]
        case = Case(f"after step {index + 1}: {step}", f"{seen} on the server", repr(guess))
        if guess is ...:
            raise NotYet(
                f"Step {index + 1} has no prediction yet. A guess is enough; the check says what it was.",
                misconception="incomplete",
            )
        if type(guess) is not int:
            raise NotYet("Each prediction is a whole number of connections.", misconception="no-number", case=case)
        if guess != seen:
            for at, number, idea, truth in _IDEAS:
                if at == index and number in (guess, None):
                    raise NotYet(f"Step {index + 1}. {truth}", misconception=idea, case=case)
            raise NotYet(
                f"Step {index + 1}. The server sees another number. Walk through the steps again: who opens, who "
                "returns, who closes?",
                misconception="miscounted",
                case=case,
            )
