"""The check of exercise 07.1: what an engine does behind a pooler that gives a server connection for a transaction."""

import re
from typing import Any, NoReturn

from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from course_lib.exercises._pgbouncer_lab import lab_with_pooler, pooler
from course_lib.exercises._pgbouncer_watch import direct
from course_lib.exercises.core import Case, NotYet, ask, using_answer
from course_lib.exercises.lab import Lab
from course_lib.pools.processes import UNFINISHED, JobCounts, run_in_processes
from course_lib.servers import PgBouncer

_PROCESSES, _JOBS, _TRANSACTIONS = 3, 40, 2
_SECONDS = 15.0  # a right answer needs less than 1 on two free cores, and several on very busy ones
_GIVEN = f"{_PROCESSES * _JOBS} jobs in {_PROCESSES} processes, 2 server connections"

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FAILED = re.compile(r'ERROR:  prepared statement "[^"]*" (?:already exists|does not exist)')

_AUTOCOMMIT = "(each statement is a transaction)"
_MISTAKES = {
    "empty-names": (
        "All statements have the same name, the empty one, and SQLAlchemy's cache believes that each is still there: "
        "it runs one statement and gets the rows of another. Without a cache nothing remembers a name."
    ),
    "autocommit-with-names": (
        "Named statements under AUTOCOMMIT: the pooler may change the server connection between preparing a statement "
        "and running it. Let asyncpg prepare without a name: its cache of size 0 does that, without a name function."
    ),
    "names-repeat": (
        "Names that your function gives come again, here or in another process, and all processes share the server "
        "connections. A name function is not needed at all: with its cache off, asyncpg prepares without a name."
    ),
    "names-only": (
        "Names that differ end the quarrel about names, and not the cache: it runs a statement in the next "
        "transaction, on a server connection where nobody has prepared it. What remembers prepared statements?"
    ),
    "sqlalchemy-cache-only": (
        "`prepared_statement_cache_size` is SQLAlchemy's own cache. asyncpg has another one: as long as it is on, "
        "asyncpg gives each statement a name, and every process counts the same names up."
    ),
    "nullpool-only": (
        "`NullPool` opens a connection to the pooler for each checkout. The server connections behind the pooler stay, "
        "and so do the statements on them: the next process finds its names taken. The pool is not the cause."
    ),
    "changes-nothing": (
        "The engine still prepares statements with names, and remembers them. In transaction mode the server "
        "connection changes under it, and other processes use the same names. Look at `connect_args`."
    ),
}


async def judge_engine(make_engine: Any) -> None:
    """07.1: do 120 jobs of three processes get their rows through two server connections?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with lab_with_pooler() as (box, bouncer, url), pooler(box, "session") as other:
        session_url = other.url_for(box.url)

        async def make() -> AsyncEngine:
            made: AsyncEngine = await ask(make_engine, url, session_url, given="the two URLs of the check's poolers")
            return made

        async def transactions(of: PgBouncer) -> int:
            return sum(row.total_xact_count for row in await of.stats() if row.database == url.database)

        engine = await make()
        if not isinstance(engine, AsyncEngine):
            raise NotYet(
                f"`make_engine` gave `{type(engine).__name__}`. Return what `create_async_engine` makes.",
                misconception="makes-no-engine",
            )
        settings = await _settings_of(engine, url, session_url)
        before = len(box.server.log())
        # A connection function of its own may lead anywhere, whatever the engine's URL says.
        if await transactions(other):
            _session_mode()
        counts = await run_in_processes(
            make, processes=_PROCESSES, jobs=_JOBS, transactions=_TRANSACTIONS, seconds=_SECONDS
        )
        if await transactions(other):
            _session_mode()
        if counts.ok < _PROCESSES * _JOBS:
            _explain(counts, engine, settings)
        if await transactions(bouncer) < _PROCESSES * _JOBS * _TRANSACTIONS:
            raise NotYet(
                "The jobs ended well, but did not go through the pooler in transaction mode. Hand `url` on to the "
                "engine unchanged.",
                misconception="goes-around-the-pooler",
            )
        failed = len(_FAILED.findall(box.server.log()[before:]))
        if failed:
            raise NotYet(
                f"All jobs ended well, but {failed} statements failed on the way, since a name was taken or unknown, "
                "and were tried again. With the right setting none fails.",
                misconception="tries-again",
            )
        await _judge_migration(await make(), box, connects_itself=set(settings) == {_AUTOCOMMIT})


async def _judge_migration(engine: AsyncEngine, box: Lab, *, connects_itself: bool) -> None:
    """Is a column read right after a migration has changed its type, by a connection that has read it before?"""
    advice = (
        "With `async_creator` it can't be told `prepared_statement_cache_size`: let SQLAlchemy connect, with "
        "`connect_args`, and set that to 0 too."
        if connects_itself
        else "Set `prepared_statement_cache_size` to 0 too."
    )

    async def read() -> Any:
        async with using_answer("reading a table with your engine"), engine.connect() as connection:
            return await connection.scalar(text("select number from invoice"))

    async with direct(box.url) as shop:
        await shop.execute("create table invoice as select 7::bigint as number")
        try:
            for _ in range(2):
                await read()
            await shop.execute("alter table invoice alter number type double precision")
            number = await read()
        finally:
            await engine.dispose()
    if number != 7:
        raise NotYet(
            "All jobs got their rows. Then a migration made a column a `double precision`, and your engine went on "
            "reading a `bigint`, without an error: SQLAlchemy has a cache of its own, which remembers the types of "
            f"columns. {advice}",
            misconception="remembers-types",
            case=Case("the number 7, after the migration", "7.0", repr(number)),
        )


def _expect_target(parameters: dict[str, Any], url: URL, session_url: URL) -> None:
    """Before anything is connected: does the driver get the address of the pooler in transaction mode?"""
    host, port, database = (parameters.get(name) for name in ("host", "port", "database"))
    if host in _LOOPBACK and database == url.database and str(port) == str(url.port):
        return
    if host in _LOOPBACK and str(port) == str(session_url.port):
        _session_mode()
    raise NotYet(
        "`make_engine` made an engine for another address or database. Hand `url` on unchanged.",
        misconception="another-address",
    )


def _session_mode() -> NoReturn:
    raise NotYet(
        "That is the pooler in session mode. There a client keeps its server connection as long as it is connected: "
        "the third client waits for the first two to leave, and nothing is shared. Take `url`, and make the engine "
        "fit it.",
        misconception="session-mode-instead",
    )


async def _settings_of(engine: AsyncEngine, url: URL, session_url: URL) -> dict[str, Any]:
    """What the engine hands to the driver when it connects."""
    seen: dict[str, Any] = {}

    def look(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        seen.update(parameters)
        _expect_target(parameters, url, session_url)
        if isinstance(parameters.get("statement_cache_size"), str):
            raise NotYet(
                "asyncpg gets the size of its cache as a text, and wants a number. SQLAlchemy hands on what stands in "
                'a URL\'s query as text: use `connect_args={"statement_cache_size": 0}`.',
                misconception="size-as-text",
            )

    event.listen(engine.sync_engine, "do_connect", look)
    try:
        async with using_answer("running a query with your engine"):
            async with engine.connect() as connection:
                # The time of the transaction's begin: under AUTOCOMMIT each statement has its own.
                begins = [await connection.scalar(text("select now()")) for _ in range(2)]
            # A function may give the same engine again: the processes must not share this one's connections.
            await engine.dispose()
    finally:
        event.remove(engine.sync_engine, "do_connect", look)
    return seen | {_AUTOCOMMIT: begins[0] != begins[1]}


def _explain(counts: JobCounts, engine: AsyncEngine, settings: dict[str, Any]) -> NoReturn:
    if set(counts.errors) == {UNFINISHED} and not counts.wrong:
        if counts.error:
            raise NotYet(
                f"In a process of its own, your function or its engine failed: `{counts.error}`.",
                misconception="fails-elsewhere",
            )
        raise NotYet(
            f"The jobs did not end within {_SECONDS:.0f} seconds: something waits. Two server connections serve all "
            "of them within a few seconds.",
            misconception="does-not-finish",
            case=Case(_GIVEN, "all end well", "some never end"),
        )
    name = _mistake(counts, engine, settings)
    if name == "fails-otherwise":
        raise NotYet(
            "The names of prepared statements are not what fails here: "
            f"`{counts.error or 'some jobs got wrong rows'}`. Look at the engine's other options.",
            misconception=name,
            case=Case(_GIVEN, "all end well", f"{counts.ok} did"),
        )
    got = "wrong rows, without any error, and errors" if counts.wrong else "errors"
    raise NotYet(_MISTAKES[name], misconception=name, case=Case(_GIVEN, "all end well", got))


def _mistake(counts: JobCounts, engine: AsyncEngine, settings: dict[str, Any]) -> str:
    driver_off, sqlalchemy_off = (
        str(settings.get(name)) == "0" for name in ("statement_cache_size", "prepared_statement_cache_size")
    )
    make_name = settings.get("prepared_statement_name_func")
    taken = "DuplicatePreparedStatementError" in counts.errors
    if callable(make_name):
        if not make_name():
            return "empty-names"
        if taken:
            return "names-repeat"
        if sqlalchemy_off:
            return "autocommit-with-names" if settings[_AUTOCOMMIT] else "fails-otherwise"
        return "names-only"
    if driver_off or not (taken or counts.wrong or "InvalidSQLStatementNameError" in counts.errors):
        return "fails-otherwise"
    if sqlalchemy_off:
        return "sqlalchemy-cache-only"
    return "nullpool-only" if taken and isinstance(engine.sync_engine.pool, NullPool) else "changes-nothing"
