"""The check of exercise 10.1: a new empty database in memory at each call, whole for all connections of its engine."""

import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._sqlite_engines import (
    before_connecting,
    engine_from,
    in_memory,
    make_table,
    same_engine,
    tables_of,
    values_seen,
)
from course_lib.exercises.core import Case, NotYet, using_answer

_GIVEN = "engine_for_tests()"


async def judge_memory_engines(engine_for_tests: Any) -> None:
    """10.1: does each call give a database of its own, that all connections of its engine share?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    # So many engines that a handful made beforehand, or a handful of names, is used up.
    values = random.sample(range(100, 1000), random.randint(4, 6))
    engines: list[AsyncEngine] = []
    with ExitStack() as stack:
        for value in values:
            engine = await _engine(engine_for_tests)
            if any(same_engine(engine, each) for each in engines):
                raise NotYet(
                    "One call returns the engine of another, so the next test finds the rows of the last one. Make a "
                    "new engine at each call.",
                    misconception="one-engine-for-all",
                )
            stack.enter_context(before_connecting(engine, _expect_memory))
            await _expect_no_file(engine)
            await _expect_empty(engine, first=not engines)
            await make_table(engine, value)
            await _expect_shared(engine, value)
            engines.append(engine)
        for engine, value in zip(engines, values, strict=True):
            if await values_seen(engine, 1) != [[value]]:
                raise NotYet(
                    "After a later call an earlier engine has lost its rows, so two tests that overlap disturb each "
                    "other. Give each call a database of its own, and no test has to clean up.",
                    misconception="second-call-clears-first",
                )


async def _engine(engine_for_tests: Any) -> AsyncEngine:
    engine = await engine_from(engine_for_tests, given=_GIVEN, name="engine_for_tests")
    if engine.dialect.name != "sqlite":
        raise NotYet(
            f"The engine is for `{engine.dialect.name}`. Here the tests run on SQLite, in memory.",
            misconception="another-database",
        )
    return engine


def _expect_memory(parameters: Any) -> None:
    if not in_memory(parameters):
        raise _file()


def _file() -> NotYet:
    return NotYet(
        "This database is a file: it stays after the test, and whoever runs the next test has to remove it. In memory "
        "it is gone with its engine. `sqlite+aiosqlite://` without a name means memory.",
        misconception="leaves-a-file",
    )


async def _expect_no_file(engine: AsyncEngine) -> None:
    async with using_answer("opening a connection with your engine"), engine.connect() as connection:
        files = [row[2] for row in await connection.execute(text("pragma database_list"))]
        # The journal of a database in memory is in memory too, or off: https://www.sqlite.org/pragma.html
        journal = await connection.scalar(text("pragma journal_mode"))
    if any(map(_is_file, files)):
        raise _file()
    if journal not in ("memory", "off"):
        raise NotYet(
            "A database with an empty name is in a temporary file, which SQLite removes in the end. In memory it is "
            "called `:memory:`; `sqlite+aiosqlite://` without a name means the same.",
            misconception="leaves-a-file",
        )


def _is_file(name: str) -> bool:
    """Whether a database's name is that of a file: one of the VFS "memdb" looks like it, and has none."""
    return bool(name) and Path(name).exists()


async def _expect_empty(engine: AsyncEngine, *, first: bool) -> None:
    found = await tables_of(engine)
    if not found:
        return
    if not first and "item" in found:
        raise NotYet(
            "This engine finds the table of an earlier one: they are two names for one database, and a test sees the "
            "rows of another. A shared database needs a name that is new at each call; `sqlite+aiosqlite://` shares "
            "nothing.",
            misconception="engines-share-a-database",
        )
    raise NotYet(
        f"The new database has tables already: {', '.join(sorted(map(repr, found)))}. Return it empty; a test creates "
        "the tables that it needs.",
        misconception="not-empty",
    )


async def _expect_shared(engine: AsyncEngine, value: int) -> None:
    found = await values_seen(engine, 3)
    if None in found:
        raise NotYet(
            "A table was created and committed, and another connection of the same engine does not find it. A database "
            "in memory ends with its connections, and a new connection to `:memory:` gets another, empty one. Which "
            "pool keeps one connection for all?",
            misconception="database-per-connection",
            case=Case("three connections, open at the same time", "the table in each", _described(found)),
        )
    if found != [[value]] * 3:
        raise NotYet(
            "A row was committed, and another connection of the same engine does not find it.",
            misconception="loses-rows",
            case=Case("three connections, open at the same time", "one row in each", _described(found)),
        )


def _described(found: list[list[int] | None]) -> str:
    return ", ".join("no table" if rows is None else "the table" if len(rows) == 1 else "no row" for rows in found)
