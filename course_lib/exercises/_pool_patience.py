"""The check of exercise 05.1: how long a request waits for a connection, and what cuts it short."""

import asyncio
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from course_lib.exercises._pool_exhaustion import (
    Ending,
    PoolWatch,
    all_taken,
    disposed,
    ending,
    engine_of,
    is_slip,
    one_too_many,
)
from course_lib.exercises.core import AnswerError, Case, NotYet, ask
from course_lib.exercises.lab import Lab

_LIMIT = 2
# Who has not given up by then waits on, in seconds; after "under a second" there is room for a busy machine.
_SOON = 1.5
# A time-out that took longer than this is tried once more, and refused if it takes as long again, in seconds.
_UNDER_A_SECOND = 1.1
# The task promises 0.2 s; the answer's clock may start a little earlier than ours.
_COMES_FREE = 0.18
# What a query takes on a free pool at most, in seconds.
_READY = 3
_SLOW_QUERY = "select 'slow' from pg_sleep(1.1)"
# SQLSTATE of a statement that the server cancelled, which `statement_timeout` does.
_QUERY_CANCELED = "57014"


async def judge_patience(make_engine: Any, fetch: Any, box: Lab) -> None:
    """05.1: does a request fail soon when no connection comes free, is it served otherwise, and is a query left alone?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with (
        disposed(await engine_of(make_engine, box.url)) as engine,
        disposed(await engine_of(make_engine, box.url)) as other,
    ):
        with PoolWatch(engine) as watch:
            ready = await ending(ask(fetch, engine, "select 40 + 2", given="a query, free pool"), _READY)
            _expect(ready, "select 40 + 2", 42)
            # On a pool of its own it runs meanwhile, unless `make_engine` gives the same engine twice.
            slow_query = ask(fetch, other, _SLOW_QUERY, given="a query of 1.1 s, free pool")
            begun = asyncio.ensure_future(ending(slow_query, 10)) if other is not engine else None
            third = await _third(fetch, engine)
            if third.kind == "timed out" and third.counted > _UNDER_A_SECOND:
                third = await _third(fetch, engine)
            if third.kind == "returned":
                await _judge_third(engine, third)
            # Beside the slow query too, and told at its turn.
            healthy = await _hasty(fetch, engine) if begun and third.kind == "timed out" else None
            slow = await (begun or ending(slow_query, 10))
            cut_off = slow.kind == "timed out" or _stopped_by_the_server(slow)
            if third.kind == "waits":
                _judge_waiting(cut_off)
            if third.kind == "raised":
                _judge_error(third)
            if cut_off:
                raise NotYet(
                    "A query that has its connection is cut off as well. Only the wait for a connection is to be "
                    "short: a report may take longer than a second.",
                    misconception="limits-the-query-too",
                    case=Case("a query of 1.1 s, free pool", "'slow'", type(slow.error).__name__),
                )
            _expect(slow, _SLOW_QUERY, "slow")
            if third.counted > _UNDER_A_SECOND:
                raise NotYet(
                    "With both connections taken, the request gives up too late. It has to fail in under a second.",
                    misconception="gives-up-too-late",
                    case=Case(
                        "a query, both connections taken", "an error in under 1 s", f"one after {third.counted:.1f} s"
                    ),
                )
            if healthy := healthy if begun else await _hasty(fetch, engine):
                raise healthy
            if watch.held:
                raise NotYet(
                    f"After the requests, connections are still checked out: {watch.held}. Close each one.",
                    misconception="leaves-connections-out",
                )


async def _third(fetch: Any, engine: AsyncEngine) -> Ending:
    async with all_taken(engine, _LIMIT):
        asking = ask(fetch, engine, "select 'third'", given="a query, both connections taken")
        return await ending(asking, _SOON)


async def _judge_third(engine: AsyncEngine, third: Ending) -> None:
    if (await one_too_many(engine, _LIMIT, _SOON)).kind == "returned" or third.value == "third":
        raise NotYet(
            "The third request got a connection: the limit of two is gone. A larger pool moves the problem to the "
            "server, and the wait comes back when that pool is full. Keep two, and shorten the wait.",
            misconception="raises-the-size",
        )
    raise NotYet(
        "The third request returned as if all were well, without an answer. Let the error through, so that the "
        "caller can say: busy, try again.",
        misconception="swallows-the-error",
        case=Case("a query, both connections taken", "a time-out error", repr(third.value)),
    )


def _judge_waiting(cut_off: bool) -> None:
    if cut_off:
        raise NotYet(
            "The time limit is around the query only. With both connections taken, the request never comes to its "
            "query: it waits for a connection, and that wait is as long as before.",
            misconception="limits-only-the-query",
        )
    raise NotYet(
        "With both connections taken, the request still waits after more than a second. `pool_timeout` says how "
        "long, in seconds; the default is 30, and `None` means for ever. A limit inside `fetch` does not see "
        "connections that other code took.",
        misconception="still-waits",
    )


def _judge_error(third: Ending) -> None:
    error = third.error
    assert error is not None
    if is_slip(error) or isinstance(error, DBAPIError | AnswerError | NotYet) or not isinstance(error, Exception):
        raise error
    raise NotYet(
        f"With both connections taken, `fetch` raised `{type(error).__name__}`, which is not a time-out error: raise "
        "it `from` the one you caught, so that the caller can tell what happened.",
        misconception="hides-the-time-out",
        case=Case("a query, both connections taken", "a time-out error", repr(error)),
    )


def _stopped_by_the_server(end: Ending) -> bool:
    return isinstance(end.error, DBAPIError) and getattr(end.error.orig, "sqlstate", None) == _QUERY_CANCELED


async def _hasty(fetch: Any, engine: AsyncEngine) -> Exception | None:
    """What went wrong with a request for which a connection comes free after a moment; None if nothing did."""
    try:
        await _judge_healthy(fetch, engine)
    except Exception as error:
        return error
    return None


async def _judge_healthy(fetch: Any, engine: AsyncEngine) -> None:
    """A connection that comes free after a moment must still be waited for; three tries, for a busy machine."""
    statement = "select upper('patient')"
    for _ in range(3):
        async with all_taken(engine, _LIMIT) as taken:
            begun = ask(fetch, engine, statement, given=f"a query; a connection comes free after {_COMES_FREE} s")
            end, _ = await asyncio.gather(ending(begun, 5), _give_back_soon(taken))
        if end.kind != "timed out":
            _expect(end, statement, "PATIENT")
            return
    raise NotYet(
        f"A connection came free after {_COMES_FREE} s, and the request had given up by then. Healthy traffic waits a "
        "moment now and then: let it wait for 0.2 s at least, and for less than a second.",
        misconception="fails-healthy-traffic",
    )


async def _give_back_soon(taken: list[AsyncConnection]) -> None:
    await asyncio.sleep(_COMES_FREE)
    await taken[0].close()


def _expect(end: Ending, statement: str, value: str | int) -> None:
    if end.error is not None:
        raise end.error
    if end.kind == "waits":
        raise NotYet(
            f"`fetch` had not returned after {end.seconds:.0f} s, though a connection was free.",
            misconception="never-ends",
            case=Case(statement, repr(value), "nothing yet"),
        )
    if type(end.value) is not type(value) or end.value != value:
        raise NotYet(
            "`fetch` runs the statement it gets and returns the single value of its answer. Keep that.",
            misconception="wrong-answer",
            case=Case(statement, repr(value), repr(end.value)),
        )
