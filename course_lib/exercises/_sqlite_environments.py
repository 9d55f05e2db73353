"""The check of exercise 10.4: an engine for development, for tests and for production, from one function."""

import asyncio
import logging
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._engine_creation import EngineLog, EngineWatch, process_variable
from course_lib.exercises._sqlite_engines import (
    before_connecting,
    engine_from,
    in_memory,
    make_table,
    same_engine,
    tables_of,
    values_seen,
)
from course_lib.exercises._sqlite_production import judge_pool, judge_restart
from course_lib.exercises.core import AnswerError, Case, NotYet, ask
from course_lib.exercises.lab import Lab, lab

# Nobody listens there: an answer that connects against the rule reaches nothing.
_PRODUCTION_URL = "postgresql+asyncpg://app:example-pw@127.0.0.1:1/shop"
_SQLITE_URL = "sqlite+aiosqlite:////srv/app/data.db"


async def judge_environments(create_engine_for: Any) -> None:
    """10.4: does each environment get its engine, and nothing else the wrong one?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    async with lab() as box:
        with tempfile.TemporaryDirectory() as folder, EngineLog() as log:
            await _judge_test(create_engine_for, Path(folder), log)
            await _judge_development(create_engine_for, Path(folder), log)
            await _judge_unknown(create_engine_for)
            await _judge_production(create_engine_for, box, log)


async def _engine(answer: Any, name: str, url: str | None, shown_url: str = "") -> AsyncEngine:
    environment = {"HOME": "/srv/app", "APP_ENV": name} | ({"DATABASE_URL": url} if url else {})
    shown = {"APP_ENV": name} | ({"DATABASE_URL": shown_url} if url else {})
    given = f"create_engine_for({shown})"
    with _opposite(name), EngineWatch() as watch:
        engine = await engine_from(answer, environment, given=given, name="create_engine_for")
        for _ in range(3):
            await asyncio.sleep(0)  # a task that the answer started begins now
    if watch.connects:
        raise NotYet(
            "`create_engine_for` opened a connection. Making an engine must not need the database: the program makes "
            "it at its start, and the database may be away at that moment.",
            misconception="connects-at-creation",
        )
    return engine


@contextmanager
def _opposite(name: str) -> Iterator[None]:
    """The process has another environment than the argument says, so that an answer which reads os.environ shows."""
    other = "production" if name != "production" else "test"
    with process_variable("APP_ENV", other), process_variable("DATABASE_URL", _PRODUCTION_URL):
        yield


async def _wrong_kind(answer: Any, name: str, url: str, engine: AsyncEngine, expected: str) -> NotYet:
    """Why the engine is for another database: does the answer follow the process instead of its argument?"""
    with process_variable("APP_ENV", name), process_variable("DATABASE_URL", url):
        again = await engine_from(answer, {"APP_ENV": name, "DATABASE_URL": url}, given="", name="create_engine_for")
    if again.url != engine.url:
        return NotYet(
            f"With `APP_ENV` {name!r} in `environment` the engine is for another database, as long as the variables of "
            "this process say something else. Read the argument, not `os.environ`.",
            misconception="reads-os-environ",
        )
    if engine.url.password == "***":
        return NotYet(
            "The password of this engine is `***`: `str(url)` hides it. Hand over the text of `DATABASE_URL`, or the "
            "`URL` object.",
            misconception="masked-password",
        )
    if name == "test" and engine.url.database == "shop_of_the_customers":
        return NotYet(
            "With `APP_ENV` 'test' the engine leads to `DATABASE_URL`. On a developer's machine that may be the real "
            "database, and tests empty tables. A test must not look at it at all.",
            misconception="tests-reach-the-real-database",
            case=Case("APP_ENV 'test', DATABASE_URL of a server", expected, "DATABASE_URL"),
        )
    return NotYet(
        f"With `APP_ENV` {name!r} the engine is for another database than {expected}.",
        misconception="another-database",
        case=Case(f"APP_ENV {name!r}", expected, engine.dialect.name),
    )


async def _engine_for_test(answer: Any, url: str | None) -> AsyncEngine:
    try:
        return await _engine(answer, "test", url, url or "")
    except NotYet:
        raise
    except Exception as error:
        if url:
            raise
        raised = type((error.__cause__ or error) if isinstance(error, AnswerError) else error).__name__
        raise NotYet(
            f"With `APP_ENV` 'test' and no `DATABASE_URL` that raises `{raised}`. A test needs none: read it where it "
            "is used.",
            misconception="tests-need-the-url",
        ) from None


async def _judge_test(answer: Any, folder: Path, log: EngineLog) -> None:
    real = "postgresql+asyncpg://app:example-pw@127.0.0.1:1/shop_of_the_customers"
    urls = (real, f"sqlite+aiosqlite:///{(folder / 'real.db').as_posix()}", real, None, None)
    engines: list[AsyncEngine] = []
    values = random.sample(range(100, 1000), len(urls))

    def expect_memory(parameters: Any) -> None:
        if not in_memory(parameters):
            raise NotYet(
                "The engine for tests opens a file. Tests want a database in memory, which ends with its engine.",
                misconception="test-in-a-file",
            )

    with ExitStack() as stack:
        for value, url in zip(values, urls, strict=True):
            engine = await _engine_for_test(answer, url)
            if engine.dialect.name != "sqlite":
                raise await _wrong_kind(answer, "test", real, engine, "SQLite in memory")
            if any(same_engine(engine, each) for each in engines):
                raise NotYet(
                    "Two calls for `test` give the same engine, so a test finds the rows of the one before it. Make "
                    "a new engine at each call.",
                    misconception="one-engine-for-all",
                )
            engines.append(engine)
            stack.enter_context(before_connecting(engine, expect_memory))
            if await tables_of(engine):
                raise NotYet(
                    "A later engine for tests finds the tables of an earlier one. Each test wants a database of its "
                    "own.",
                    misconception="engines-share-a-database",
                )
            await make_table(engine, value)
            log.capture()
            log.records.clear()
            if await values_seen(engine, 3) != [[value]] * 3:
                raise NotYet(
                    "In the test's database a committed table is not there for another connection of the same engine. "
                    "Exercise 10.1 has the reason: the pool.",
                    misconception="database-per-connection",
                )
            _expect_quiet("test", engine, log)


def _expect_quiet(name: str, engine: AsyncEngine, log: EngineLog) -> None:
    if log.records:
        raise _echo(name)
    if engine.sync_engine.pool.logger.isEnabledFor(logging.INFO):
        raise NotYet(
            f"With `APP_ENV` {name!r} the engine logs what its pool does. There it logs nothing: no `echo_pool`.",
            misconception="echo-pool",
        )


def _echo(name: str) -> NotYet:
    return NotYet(
        f"With `APP_ENV` {name!r} the engine logs its statements, and the values in them. Only `development` does.",
        misconception="echo-everywhere",
        case=Case(f"APP_ENV {name!r}", "no statement in the log", "statements in the log"),
    )


async def _judge_development(answer: Any, folder: Path, log: EngineLog) -> None:
    path = folder / "dev.db"
    url = f"sqlite+aiosqlite:///{path.as_posix()}"
    engine = await _engine(answer, "development", url, "sqlite+aiosqlite:////srv/app/dev.db")
    if engine.dialect.name != "sqlite":
        raise await _wrong_kind(answer, "development", url, engine, "the SQLite file in DATABASE_URL")

    def expect_file(parameters: Any) -> None:
        if in_memory(parameters):
            raise NotYet(
                "The engine for development keeps its rows in memory: they are gone at the next start. `DATABASE_URL` "
                "names a file.",
                misconception="development-in-memory",
            )
        if Path(str(next(iter(parameters[0]), "")).removeprefix("file:").partition("?")[0]) != path:
            raise NotYet(
                "The engine for development opens another file than the one that `DATABASE_URL` names.",
                misconception="another-file",
            )

    log.records.clear()
    with before_connecting(engine, expect_file):
        log.capture()
        await make_table(engine, 1)
    await engine.dispose()
    with closing(sqlite3.connect(path)) as file:
        kept = file.execute("select count(*) from sqlite_master where name = 'item'").fetchone()[0]
    if not kept:
        raise NotYet(
            "What the engine for development stored is not in the file that `DATABASE_URL` names.",
            misconception="another-file",
        )
    if not log.records:
        raise NotYet(
            "With `APP_ENV` 'development' the engine logs nothing. There you want to see the statements: `echo=True`.",
            misconception="no-echo-in-development",
            case=Case("APP_ENV 'development'", "statements in the log", "no statement in the log"),
        )


async def _judge_production(answer: Any, box: Lab, log: EngineLog) -> None:
    address = box.url.render_as_string(hide_password=False)
    engine = await _engine(answer, "production", address, "postgresql+asyncpg://…")
    # Options in the URL's query, and another driver, lead to the same database.
    if engine.url.set(drivername="", query={}) != box.url.set(drivername="", query={}):
        raise await _wrong_kind(answer, "production", address, engine, "the server in DATABASE_URL")
    log.capture()
    log.records.clear()
    await judge_pool(engine, box)
    _expect_quiet("production", engine, log)
    await judge_restart(engine, box)
    await engine.dispose()


async def _judge_unknown(answer: Any) -> None:
    words = ("staging", "prod", "TEST", "Production", " development ", "latest", "")
    set_to = [{"APP_ENV": word} for word in words] + [{}]
    for environment in ({"DATABASE_URL": url} | each for each in set_to for url in (_PRODUCTION_URL, _SQLITE_URL)):
        call = f"create_engine_for({environment})"
        case = Case(call, "ValueError", "an engine", made_up=True)
        try:
            with _opposite("test"):
                await ask(answer, environment, given=call, made_up=True)
        except ValueError:
            continue
        except NotYet:
            raise
        except Exception as error:
            raised = type((error.__cause__ or error) if isinstance(error, AnswerError) else error).__name__
            raise NotYet(
                f"That raises `{raised}`. Raise a `ValueError` that names the three words, so that whoever mistyped "
                "one sees at once what is allowed.",
                misconception="raises-another-error",
                case=Case(call, "ValueError", raised, made_up=True),
            ) from None
        raise NotYet(
            "A word that is none of the three, or no word at all, gets an engine all the same. So a typing mistake "
            "decides which database the program writes to. Raise a `ValueError`.",
            misconception="guesses-an-environment",
            case=case,
        )
