"""Exercise 03.4: the SQL function that counts its calls, and what the check makes of what it saw."""

from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._engine_creation import EngineWatch
from course_lib.exercises._engine_verdicts import shared_session, uses_threads
from course_lib.exercises._shown import shown
from course_lib.exercises.core import Case, NotYet

# Connections of the engine that the answer is given carry this name, whoever sends the query over them.
_NAME = "the given engine"

# Each call counts itself, waits until so many calls run at the same moment (or a while, in vain), and remembers the
# most it saw. Sequences keep their value over a rollback, so the count does not depend on a commit. The advisory lock
# marks a call that is running; one connection runs one statement at a time, so it can't be counted twice.
_SLOW_PRICE = """
create function slow_price(n integer) returns integer language plpgsql as $$
declare
    together integer;
    patience timestamptz := clock_timestamp() + interval '0.15 s';
begin
    perform nextval('calls');
    if current_setting('application_name') = '{name}' then
        perform nextval('through');
    end if;
    perform pg_advisory_lock_shared(303);
    loop
        select count(*) into together from pg_locks l join pg_database d on d.oid = l.database
            where l.locktype = 'advisory' and l.objid = 303 and l.granted and d.datname = current_database();
        if together > (select last_value from most) then
            perform setval('most', together);
        end if;
        exit when (select last_value from most) >= {wanted} or clock_timestamp() > patience;
        perform pg_sleep(0.01);
    end loop;
    perform pg_sleep(case when n % 2 = 1 then 0.1 else 0.01 end);
    perform pg_advisory_unlock_shared(303);
    return n * {factor};
end $$
"""


async def create_slow_price(engine: AsyncEngine, *, wanted: int, factor: int) -> None:
    """Create the SQL function `slow_price(n)`: n times *factor*, slower for odd n, counted on the server.

    Args:
        engine: where to create it.
        wanted: calls at the same moment that it waits for, a short while.
        factor: what it multiplies by.
    """
    async with engine.begin() as connection:
        for sequence in ("calls", "through", "most"):
            await connection.exec_driver_sql(f"create sequence {sequence} minvalue 0 start 0")
        await connection.exec_driver_sql(_SLOW_PRICE.format(wanted=wanted, factor=factor, name=_NAME))


async def slow_price_calls(engine: AsyncEngine) -> tuple[int, int, int]:
    """How often `slow_price` was called, how often over a `priced_engine`, and how many calls ran at once at most."""
    counted = "(select case when is_called then last_value + 1 else 0 end from {})"
    query = f"select {counted.format('calls')}, {counted.format('through')}, (select last_value from most)"
    async with engine.connect() as connection:
        calls, through, most = (await connection.execute(text(query))).one()
    return int(calls), int(through), int(most)


def priced_engine(url: URL, *, pool_size: int) -> AsyncEngine:
    """The engine for an answer: cold, limited, and known to the server by its name.

    Args:
        url: a database with `slow_price`.
        pool_size: the most connections that it opens.
    """
    named = {"server_settings": {"application_name": _NAME}}
    return create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=5, connect_args=named)


def judge_overlap(watch: EngineWatch, *, calls: int, through: int, most: int, wanted: int) -> None:
    """03.4: did the queries run on the given engine, *wanted* of them at the same moment, none sharing a connection?"""
    ours = [statement for statement in watch.sent if "slow_price" in statement]
    if watch.other_threads:
        raise uses_threads()
    if through < calls:
        raise NotYet(
            f"The server ran {calls} queries, the engine you were given only {through} of them. Connections from "
            "elsewhere, such as a further engine's, come on top of its pool: no limit holds for all of them. Use "
            "`engine`.",
            misconception="another-engine",
        )
    if 0 < len(ours) < calls:
        several = "One statement computes all prices, so one connection does all the work."
        if len(ours) > 1:
            several = f"{len(ours)} statements compute the {calls} prices: some of them wait behind others."
        raise NotYet(f"{several} Send one query for each number.", misconception="one-statement")
    if watch.shared:
        raise shared_session()
    if most == 1:
        raise NotYet(
            "The server saw one query at a time: each waits for the one before. Start all ten, then wait for all.",
            misconception="one-after-another",
            case=Case("10 numbers", f"{wanted} queries at once", "1 query at once"),
        )
    if most < wanted:
        raise NotYet(
            f"The server saw {most} queries at once, although the pool has {wanted} connections. Let the pool do "
            "the limiting: start all ten.",
            misconception="too-few-at-once",
        )


def judge_prices(got: Any, numbers: list[int], factor: int, calls: int) -> None:
    """03.4: are these the prices that the server gave, in order, with one query for each number?"""
    expected = [number * factor for number in numbers]
    if not calls:
        raise NotYet("No query reached the server. Run `slow_price` once for each number.", misconception="no-query")
    if not isinstance(got, list):
        raise NotYet(f"Return a list of numbers, not {type(got).__name__}.", misconception="no-list")
    numeric = all(type(each) is int for each in got)
    if numeric and got != expected and sorted(got) == sorted(expected):
        raise NotYet(
            "All prices are there, but not in the order of `numbers`: some queries finish sooner. `asyncio.gather` "
            "returns results in the order in which it got the coroutines.",
            misconception="loses-the-order",
        )
    if not numeric or got != expected:
        raise NotYet(
            "These are not the prices that the server gave. Return one `int` for each of `numbers`.",
            misconception="wrong-prices",
            case=Case("numbers [3, 8, 1, …]", repr(expected), shown(got)),
        )
    if calls != len(numbers):
        few = calls < len(numbers)
        raise NotYet(
            f"The server ran {calls} queries for {len(numbers)} numbers. "
            + ("A price is what the server says, so ask for each." if few else "Ask for each number once."),
            misconception="guesses-prices" if few else "asks-twice",
        )
