"""What exercise 04.2 asks of a function that tries again: on a healthy server, after mistakes, after losses."""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._connection_pooling import Connects, fill
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.servers import PostgresServer

# Seconds after which the caller should have an error while there is no answer to be had: the exercise says so.
_PATIENCE = 5.0
# The exercise says that three attempts are enough; who still tries after so many has no limit.
_MANY_ATTEMPTS = 20

_SETUP = (
    "create sequence deaths",
    "create sequence tries",
    # Sequences keep their value when a transaction, or its connection, is lost.
    """create function breaks_once() returns integer language plpgsql as $$
       begin
           if nextval('deaths') = 1 then
               perform pg_terminate_backend(pg_backend_pid());
               perform pg_sleep(5);
           end if;
           return 42;
       end $$""",
    """create function always_fails() returns integer language plpgsql as $$
       begin
           perform nextval('tries');
           raise exception 'there is no such order';
       end $$""",
)
_LOSES_EACH = "select pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"


async def create_failures(url: URL) -> None:
    """Create the SQL functions `breaks_once()`, whose first call loses its connection, and `always_fails()`."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for statement in _SETUP:
            await connection.exec_driver_sql(statement)
    await engine.dispose()


async def _tries(url: URL) -> int:
    """How often `always_fails()` was called, through whichever engine."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        count = await connection.scalar(text("select case when is_called then last_value else 0 end from tries"))
    await engine.dispose()
    return int(count or 0)


async def _value(fetch_value: Callable[..., Any], engine: AsyncEngine, question: str, expected: int) -> None:
    got = await ask(fetch_value, engine, question, given=f"engine, {question!r}")
    if type(got) is not int or got != expected:
        raise NotYet(
            "That is not the value that the query gives. Return the single value of its single row, as "
            "`await connection.scalar(…)` does.",
            misconception="wrong-value",
            case=Case(f"engine, {question!r}", repr(expected), repr(got)),
        )


def _all_returned(engine: AsyncEngine, when: str) -> None:
    if engine.pool.checkedout():  # type: ignore[attr-defined]
        raise _kept(when)


def _kept(when: str) -> NotYet:
    return NotYet(
        f"A connection was not given back {when}. Open it with `async with`, which returns it in every case; a "
        "`close()` at the end is not reached when an exception comes first.",
        misconception="keeps-the-connection",
    )


async def healthy(fetch_value: Callable[..., Any], engine: AsyncEngine, connects: Connects) -> None:
    """Three queries on a healthy server: right values, from the engine's pool, on one connection."""
    for number in (7, 8, 9):
        await _value(fetch_value, engine, f"select {number}", number)
    if connects.foreign:
        raise NotYet(
            "The query ran on another engine, and so in another pool, than the one that was given. Use `engine`.",
            misconception="another-engine",
        )
    if not connects.own:
        raise NotYet(
            "Three values came back, and `engine` has not opened a connection for them. Borrow one from the engine "
            "that was given, and run the query there.",
            misconception="another-engine",
        )
    _all_returned(engine, "after the query")
    if connects.own > 1:
        raise NotYet(
            f"Three queries on a healthy server opened {connects.own} connections. Whoever empties the pool at each "
            "query survives a restart, and pays for a connect every time. Act only after a connection was lost.",
            misconception="disposes-each-query",
            case=Case("three queries", "1 connection opened", f"{connects.own} connections opened"),
        )


async def mistaken(fetch_value: Callable[..., Any], engine: AsyncEngine, connects: Connects) -> None:
    """Two queries that are wrong: each is run once, its error reaches the caller, and the pool stays as it was."""
    for question in ("select always_fails()", "select * from no_such_table"):
        errors = 0

        def on_error(context: object) -> None:
            nonlocal errors
            errors += 1

        event.listen(engine.sync_engine, "handle_error", on_error)
        try:
            got = await ask(fetch_value, engine, question, given=f"engine, {question!r}")
        except NotYet:
            raise
        except Exception:
            # While the exception lives, so do the variables of the function: nothing is cleared away yet.
            _all_returned(engine, "after a query that failed")
        else:
            raise NotYet(
                "The query failed on the server, and nobody hears of it: the function returned as if all were well. "
                "Let errors that are no lost connection through to the caller.",
                misconception="hides-errors",
                case=Case(f"engine, {question!r}", "the exception", repr(got)),
            )
        finally:
            event.remove(engine.sync_engine, "handle_error", on_error)
        count = max(errors, await _tries(engine.url) if "always_fails" in question else 0)
        if count > 1:
            raise NotYet(
                f"The function ran a query {count} times that fails each time, although its connection was fine. Try "
                "again only after a lost connection: `error.connection_invalidated` says so.",
                misconception="retries-everything",
                case=Case(f"engine, {question!r}", "1 attempt", f"{count} attempts"),
            )
    opened = connects.own
    await _value(fetch_value, engine, "select 10", 10)
    if connects.own > opened:
        raise NotYet(
            "After a wrong query, the next one had to open a new connection. The old one was fine, and other parts of "
            "the program use the same pool: empty nothing unless a connection was lost.",
            misconception="disposes-each-query",
            case=Case("a wrong query, then 'select 10'", "no connection opened", "1 connection opened"),
        )


async def restarted(
    fetch_value: Callable[..., Any], engine: AsyncEngine, server: PostgresServer, connects: Connects
) -> None:
    """Queries after a restart, and one that loses its connection on the way: all give their values."""
    await fill(engine, 3)
    await server.restart()
    foreign = connects.foreign
    when = "after a connection was lost"
    try:
        await asyncio.gather(*(_value(fetch_value, engine, f"select {number}", number) for number in (1, 2, 3)))
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise NotYet(
            "The server was restarted, and the next query failed with `connection is closed`. The connection is lost, "
            "the server is back: catch this error and try once more, on a new connection.",
            misconception="gives-up",
        ) from None
    except PoolTimeout:
        raise _kept(when) from None
    _all_returned(engine, when)
    try:
        await _value(fetch_value, engine, "select breaks_once()", 42)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise NotYet(
            "A connection that was lost while a query ran still ends in an error. A test beforehand can't see that, "
            "and the class of the error is another one. Ask the error itself: `error.connection_invalidated`.",
            misconception="misses-lost-in-query",
        ) from None
    _all_returned(engine, when)
    if connects.foreign > foreign:
        raise NotYet(
            "After a lost connection the query ran on another engine than the one that was given. Its pool "
            "replaces a lost connection at the next checkout: borrow from `engine` again.",
            misconception="another-engine",
        )


async def bounded(fetch_value: Callable[..., Any], engine: AsyncEngine) -> None:
    """A query that loses each connection it gets: the caller has an error after a few attempts."""
    given = f"engine, {_LOSES_EACH!r}"
    opened = 0

    def on_connect(connection: object, record: object) -> None:
        nonlocal opened
        opened += 1
        if opened > _MANY_ATTEMPTS:  # this ends the answer's loop from inside
            raise NotYet(
                f"A query that loses each connection it gets has taken {opened} connections, and there is no end. "
                "Give up after a few attempts and let the last error through.",
                misconception="retries-forever",
                case=Case(given, "an exception after a few attempts", f"more than {_MANY_ATTEMPTS} attempts"),
            )

    event.listen(engine.sync_engine, "connect", on_connect)
    try:
        await _fails_in_time(fetch_value, engine, _LOSES_EACH, given, "Each attempt loses its connection")
    finally:
        event.remove(engine.sync_engine, "connect", on_connect)


async def away(fetch_value: Callable[..., Any], engine: AsyncEngine, server: PostgresServer) -> None:
    """A server that stays away: the caller has an error within five seconds."""
    await server.stop()
    given = "engine, 'select 1', while the server is away"
    await _fails_in_time(fetch_value, engine, "select 1", given, "The server is away")


async def _fails_in_time(
    fetch_value: Callable[..., Any], engine: AsyncEngine, question: str, given: str, why: str
) -> None:
    try:
        async with asyncio.timeout(_PATIENCE) as limit:
            got = await ask(fetch_value, engine, question, given=given)
    except NotYet:
        raise
    except Exception:
        if limit.expired():
            raise NotYet(
                f"{why}, and after 5 seconds the function still tries. Whoever waits for it holds a request open. Give "
                "up after a few attempts and let the last error through.",
                misconception="retries-forever",
                case=Case(given, "an exception within 5 seconds", "nothing yet"),
            ) from None
        _all_returned(engine, "after the last attempt failed")
        return
    raise NotYet(
        f"{why}, and the function returns as if all were well. Let the last error through: the caller has to know "
        "that there is no answer.",
        misconception="hides-the-outage",
        case=Case(given, "an exception", repr(got)),
    )
