"""What the check of exercise 04.1 makes of what it saw: the most specific reason first."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

from sqlalchemy import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from course_lib.exercises.core import Case, NotYet


def wrong_engine(engine: object, url: URL) -> NotYet | None:
    """What is wrong with *engine* before it is used, if anything."""
    if isinstance(engine, Engine):
        return NotYet(
            "This is a synchronous `Engine`. Make it with `create_async_engine` from `sqlalchemy.ext.asyncio`.",
            misconception="sync-engine",
        )
    if isinstance(engine, Generator | AsyncGenerator) or type(engine).__module__ == "contextlib":
        return NotYet(
            "Return the engine itself, don't `yield` it: a session is opened and closed for each request, an engine "
            "lives as long as the process.",
            misconception="yields-the-engine",
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
    if not same_address(engine, url):
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


def same_address(engine: AsyncEngine, url: URL) -> bool:
    """Whether the engine is for this URL; settings that somebody adds to its query are welcome."""
    return engine.url.set(query={}) == url.set(query={})


_TEN_YEARS = 10 * 365 * 86_400


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
    if not await replaced(290_000) and await replaced(310_000):
        raise NotYet(
            "A connection 310 seconds old is still handed out; only one of several days is not. `pool_recycle` is in "
            "seconds: 300 000 of them are three and a half days, not five minutes.",
            misconception="recycle-in-milliseconds",
            case=Case("pool_recycle", expected, "kept at an age of 310 s, replaced at 310000 s"),
        )
    if await replaced(_TEN_YEARS):
        raise NotYet(
            "A connection 310 seconds old is still handed out. `pool_recycle` is set, and to a longer time: it is in "
            "seconds, and five minutes are 300 of them.",
            misconception="recycles-too-late",
            case=Case("pool_recycle", expected, "kept at an age of 310 s"),
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
    if limit == 25 and kept in (10, 15):
        raise NotYet(
            "`max_overflow` is not the total. It counts only what may come on top of `pool_size`: 10 + 15 are 25 at "
            "once. 5 are to be kept, and 15 may be open."
            if kept == 10
            else "`pool_size` is not the total. It is what the pool keeps, and `max_overflow` comes on top of it: "
            "15 + 10 are 25 at once. 5 are to be kept, and 15 may be open.",
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
