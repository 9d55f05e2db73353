"""Another broken configuration of exercise 12.2: one function for development, test and production."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._complete_diagnoses import async_engine, backend
from course_lib.exercises.core import AnswerError, Case, NotYet, ask, using_answer
from course_lib.exercises.lab import Lab


async def judge_environments(engine_for: Callable[[Mapping[str, str]], Any], box: Lab) -> None:
    """Configuration 2: one function for development, test and production."""
    real = box.url.render_as_string(hide_password=False)
    await _in_test(engine_for, {"APP_ENV": "test"})
    await _in_test(engine_for, {"APP_ENV": "test", "DATABASE_URL": real})
    for environment in ("production", "development"):
        given = f'engine_for({{"APP_ENV": "{environment}", "DATABASE_URL": …}})'
        engine = await _made(engine_for, {"APP_ENV": environment, "DATABASE_URL": real}, given)
        if engine.url.database != box.url.database or engine.dialect.name != "postgresql":
            raise NotYet(
                f"Configuration 2: in {environment}, `DATABASE_URL` is set, and the engine is for another database.",
                misconception="ignores-the-url",
                case=Case(given, "the database of DATABASE_URL", f"another one, on {engine.dialect.name}"),
            )
        if environment == "production" and (engine.echo or engine.sync_engine._should_log_info()):
            raise NotYet(
                "Configuration 2: in production each statement is written to the log, with its values. Keep `echo` "
                "for development.",
                misconception="echo-in-production",
                case=Case(given, "echo off", "echo on"),
            )
        async with using_answer(f"asking with the engine of {environment}"):
            await backend(engine)
        await engine.dispose()
    for environ in ({}, {"APP_ENV": "development"}):
        given = f"engine_for({environ!r})"
        engine = await _made(engine_for, environ, given)
        if engine.dialect.name != "sqlite" or not str(engine.url.database).endswith("dev.db"):
            raise NotYet(
                "Configuration 2: in development without `DATABASE_URL`, the database is the SQLite file `dev.db`.",
                misconception="other-development-database",
                case=Case(given, "dev.db", str(engine.url)),
            )
    await _must_refuse(
        engine_for,
        {"APP_ENV": "production"},
        "database_url",
        "Configuration 2: production without `DATABASE_URL` starts all the same, on a database that is lost with "
        "the next "
        "deployment. Raise an exception that names `DATABASE_URL`.",
        "production-without-url",
    )
    await _must_refuse(
        engine_for,
        {"APP_ENV": f"prod-{secrets.token_hex(3)}", "DATABASE_URL": "sqlite+aiosqlite://"},
        "",
        "Configuration 2: an environment that nobody knows gets an engine, so a typing mistake decides. Raise an "
        "exception for it.",
        "guesses-unknown-environments",
    )


async def _in_test(engine_for: Callable[[Mapping[str, str]], Any], environ: dict[str, str]) -> None:
    given = 'engine_for({"APP_ENV": "test"' + (', "DATABASE_URL": …})' if len(environ) > 1 else "})")
    engines = [await _made(engine_for, environ, given) for _ in range(2)]
    if engines[0].dialect.name != "sqlite":
        raise NotYet(
            "Configuration 2: a test run on a machine where `DATABASE_URL` is set works on that database, and clears "
            "its tables. Tests get a database of their own, whatever is set.",
            misconception="tests-use-the-real-database",
            case=Case(given, "SQLite in memory", engines[0].dialect.name),
        )
    shared = engines[0] is engines[1] or {str(each.url.database) for each in engines} - {"None", "", ":memory:"}
    if engines[0] is engines[1] or (shared and engines[0].url.database == engines[1].url.database):
        raise NotYet(
            "Configuration 2: two test engines share one database, so what one test leaves behind changes the next. "
            "SQLite in memory, `sqlite+aiosqlite://`, is new for each engine.",
            misconception="tests-share-a-database",
            case=Case(given, "a database for each engine", "the same one for both"),
        )
    try:
        async with engines[0].begin() as connection:
            await connection.execute(text("create table note (id integer)"))
        async with engines[0].connect() as connection:
            await connection.execute(text("select * from note"))
    except DBAPIError as error:
        if "no such table" not in str(error):
            raise AnswerError("creating a table in a test") from error
        raise NotYet(
            "Configuration 2: in a test, the table that one connection made is gone for the next one. In memory, "
            "SQLite "
            "keeps its data with one connection: leave the choice of the pool to SQLAlchemy.",
            misconception="memory-is-lost",
        ) from None
    finally:
        for engine in engines:
            await engine.dispose()


async def _made(engine_for: Callable[[Mapping[str, str]], Any], environ: dict[str, str], given: str) -> AsyncEngine:
    try:
        engine = await ask(engine_for, dict(environ), given=given)
    except NotYet:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, AnswerError) else error
        if isinstance(cause, TypeError) and "Invalid argument(s)" in str(cause):
            raise NotYet(
                "Configuration 2: SQLite in memory has one connection and no pool to size, so `pool_size` and its like "
                "are refused. Give pool options to PostgreSQL only.",
                misconception="pool-options-for-every-pool",
                case=Case(given, "an engine", "TypeError"),
            ) from None
        raise
    return async_engine(engine, given, 2)


async def _must_refuse(
    engine_for: Callable[[Mapping[str, str]], Any], environ: dict[str, str], name: str, message: str, misconception: str
) -> None:
    given = 'engine_for({"APP_ENV": ' + (f'"{environ["APP_ENV"]}"' if name else '"prod-…"') + "})"
    try:
        await ask(engine_for, dict(environ), given=given)
    except NotYet:
        raise
    except Exception as error:
        cause = (error.__cause__ or error) if isinstance(error, AnswerError) else error
        if name in str(cause).lower():
            return
        if name:
            raise NotYet(
                f"Configuration 2: production without `DATABASE_URL` ends with `{type(cause).__name__}`, and that does "
                "not say what is missing. Name `DATABASE_URL` in the exception.",
                misconception="names-no-variable",
                case=Case(given, "an exception that names `DATABASE_URL`", type(cause).__name__),
            ) from None
        got = f"{type(cause).__name__}"
    else:
        got = "an engine"
    raise NotYet(message, misconception=misconception, case=Case(given, "an exception", got)) from None
