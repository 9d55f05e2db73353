"""The check of exercise 10.3: foreign keys that SQLite checks on every connection of one engine."""

import inspect
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import NullPool, text
from sqlalchemy.event.registry import _EventKey
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from course_lib.exercises.core import Case, NotYet, ask, using_answer

_TABLES = (
    "create table parent (id integer primary key)",
    "create table child (parent integer not null references parent (id))",
)
_AT_ONCE = 3


@dataclass(frozen=True)
class _Numbers:
    """A parent that there is, and one that there isn't."""

    parent: int
    orphan: int


async def judge_foreign_keys(enforce_foreign_keys: Any) -> None:
    """10.3: does every connection of this engine refuse orphans, and no other engine change?

    Raises:
        NotYet: it is wrong, with the reason.
    """
    with tempfile.TemporaryDirectory() as folder, _registrations() as registered:
        engines = {
            "a file, with a pool": create_async_engine(_file(folder, "pool")),
            "a file, with NullPool": create_async_engine(_file(folder, "null"), poolclass=NullPool),
            "in memory": create_async_engine("sqlite+aiosqlite://"),
        }
        bystander = create_async_engine(_file(folder, "other"))
        try:
            for kind, engine in engines.items():
                given = f"enforce_foreign_keys(engine)  # {kind}"
                before = len(registered)
                returned = await _call(enforce_foreign_keys, engine, given)
                # On this engine, or on a class: then for this one too.
                listening = [key for at, key in enumerate(registered) if at >= before or isinstance(key.target, type)]
                await _judge(engine, given, listening, returned)
            await _judge_bystander(bystander, registered)
        finally:
            for engine in (*engines.values(), bystander):
                with suppress(Exception):  # the answer may have broken it, and has its verdict
                    await engine.dispose()


def _file(folder: str, name: str) -> str:
    return f"sqlite+aiosqlite:///{Path(folder, name).as_posix()}.db"


@contextmanager
def _registrations() -> Iterator[list[Any]]:
    """Keep what the answer listens to. What it put on a whole class is taken off again: it would outlive the check."""
    keys: list[Any] = []
    listen = _EventKey.listen

    def recorded(key: Any, *arguments: Any, **options: Any) -> None:
        if str(getattr(key.fn, "__module__", "")).startswith("sqlalchemy."):
            listen(key, *arguments, **options)  # each new engine listens to its own pool
        elif not (isinstance(key.target, type) and any(key._key == other._key for other in keys)):
            keys.append(key)  # a class would keep a second copy, which nobody can take off
            listen(key, *arguments, **options)

    try:
        with patch.object(_EventKey, "listen", recorded):
            yield keys
    finally:
        for key in keys:
            if isinstance(key.target, type):
                with suppress(InvalidRequestError):
                    key.remove()


async def _call(answer: Any, engine: AsyncEngine, given: str) -> Any:
    try:
        return await ask(answer, engine, given=given)
    except NotImplementedError as error:
        if "asynchronous events" not in str(error):
            raise
        raise NotYet(
            "SQLAlchemy's events are synchronous, and an `AsyncEngine` takes no listeners. Its synchronous half does: "
            "listen on `engine.sync_engine`.",
            misconception="listens-on-async-engine",
        ) from None
    except InvalidRequestError as error:
        if "No such event" not in str(error):
            raise
        raise NotYet(
            f"There is no such event: `{error}`. The one for each new connection is `connect`.",
            misconception="no-such-event",
        ) from None


async def _judge(engine: AsyncEngine, given: str, registered: list[Any], returned: Any) -> None:
    numbers = _Numbers(*random.sample(range(1, 10**6), 2))
    enforced = await _enforced(engine, numbers, tables=True)
    case = Case(given, "every orphan row is refused", _described(enforced))
    if not any(enforced):
        _explain_none(registered, returned, engine, case)
    if not all(enforced):
        raise NotYet(
            "Foreign keys are on for one connection and off for those that the pool opened besides it. The PRAGMA "
            "belongs to a connection: run it each time one is opened, with a listener.",
            misconception="one-connection-only",
            case=case,
        )
    async with using_answer("disposing of your engine"):
        await engine.dispose()  # an in-memory database ends here, a file stays
    # A pool opens 15 at most. Without one each checkout is a new connection, so that a listener that counts shows.
    at_once = random.randint(20, 30) if isinstance(engine.pool, NullPool) else random.randint(4, 9)
    enforced = await _enforced(engine, numbers, tables=not engine.url.database, at_once=at_once)
    if not all(enforced):
        raise NotYet(
            "The connections that you opened check foreign keys. The pool closes connections and opens new ones, and "
            "those do not. Run the PRAGMA each time one is opened, with a listener.",
            misconception="only-the-first-connections",
            case=Case(given, "also refused on new connections", _described(enforced)),
        )


def _explain_none(registered: list[Any], returned: Any, engine: AsyncEngine, case: Case) -> None:
    if any(inspect.iscoroutinefunction(getattr(key, "fn", None)) for key in registered):
        raise NotYet(
            "The listener is an `async def`. SQLAlchemy calls it and awaits nothing, so its body never runs. Write a "
            "plain `def`: SQLAlchemy hands it a connection that needs no `await`.",
            misconception="async-listener",
            case=case,
        )
    if isinstance(returned, AsyncEngine) and returned is not engine:
        raise NotYet(
            "The engine that was handed in accepts orphans still: the change is on another engine, which you "
            "returned. The program has one engine. Change that one.",
            misconception="changes-another-engine",
            case=case,
        )
    if not registered:
        raise NotYet(
            "New connections of this engine do not check foreign keys. If you ran the PRAGMA, then on a connection "
            "that is closed by now. Listen for each new connection, and run it there.",
            misconception="no-listener",
            case=case,
        )
    raise NotYet(
        "Something listens, and every connection accepts orphans still. SQLite ignores a PRAGMA that it does not know, "
        "and `foreign_keys` inside a transaction, without a word. Look at its name, its value, and when it runs.",
        misconception="pragma-without-effect",
        case=case,
    )


async def _judge_bystander(engine: AsyncEngine, registered: list[Any]) -> None:
    if any(await _enforced(engine, _Numbers(*random.sample(range(1, 10**6), 2)), tables=True)):
        why = "what you changed reaches beyond the engine that was handed in."
        if any(isinstance(key.target, type) for key in registered):
            why = (
                "the listener is on a class, so on all engines. One for PostgreSQL would fail at its first connect, "
                "with a syntax error."
            )
        raise NotYet(
            f"Another engine of the program checks foreign keys now as well: {why} Listen on `engine.sync_engine` "
            "alone.",
            misconception="every-engine",
        )


async def _enforced(engine: AsyncEngine, numbers: _Numbers, *, tables: bool, at_once: int = _AT_ONCE) -> list[bool]:
    """Whether each of several connections, open at the same time, refuses an orphan row."""
    opened: list[AsyncConnection] = []
    found = []
    try:
        async with using_answer("using your engine"):
            if tables:
                async with engine.begin() as connection:
                    for statement in _TABLES:
                        await connection.execute(text(statement))
                    await connection.execute(text(f"insert into parent values ({numbers.parent})"))
            for _ in range(at_once):
                opened.append(await engine.connect())
            for connection in opened:
                found.append(await _refuses_orphan(connection, numbers))
                await connection.execute(text(f"insert into child values ({numbers.parent})"))
                await connection.rollback()
    finally:
        for connection in opened:
            await connection.close()
    return found


async def _refuses_orphan(connection: AsyncConnection, numbers: _Numbers) -> bool:
    try:
        await connection.execute(text(f"insert into child values ({numbers.orphan})"))
        await connection.commit()  # a deferred check comes here
    except IntegrityError as error:
        if "FOREIGN KEY" not in str(error):
            raise
        await connection.rollback()
        return True
    await connection.execute(text("delete from child"))
    await connection.commit()
    return False


def _described(enforced: list[bool]) -> str:
    if len(enforced) > 2 * _AT_ONCE:
        return f"refused on {sum(enforced)} of {len(enforced)} connections"
    return ", ".join("refused" if each else "accepted" for each in enforced)
