"""What the probes share: the module, its engine, the facts that are written down, and an eye on the database itself."""

import asyncio
import json
import os
import sqlite3
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from course_lib.review.worker.finding import Finder
from course_lib.review.worker.mentions import Source
from course_lib.review.worker.outside import Outside
from course_lib.review.worker.recording import Creation, Recorder

_MOST_ENGINES = 4  # that are looked at, should a file make more


class Facts:
    """Facts go to a pipe, one JSON object a line, as soon as they are known: a process may end at any time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def add(self, name: str, **values: Any) -> None:
        left = memoryview(json.dumps({"fact": name, **values}, default=repr).encode() + b"\n")
        while left:
            left = left[os.write(self._descriptor, left) :]


@dataclass
class Context:
    """One run's state. `engine` is the one that the probes use: async, for PostgreSQL, if there is such a one."""

    job: dict[str, Any]
    facts: Facts
    outside: Outside
    recorder: Recorder
    module: ModuleType
    source: Source
    finder: Finder
    engine: Any = None
    creation: Creation | None = None
    dependency: Any = None
    getters: list[tuple[str, Callable[..., Any], dict[str, Any], Any]] = field(default_factory=list)
    lifespan: Any = None
    asks: int = 0
    note_seen: Callable[[], None] = lambda: None

    def choose_engine(self) -> None:
        """Take the engine that fits best of those that were made."""

        def fit(one: Creation) -> tuple[bool, bool, bool]:
            assert one.engine is not None
            return one.asynchronous is None, one.engine.dialect.name != "postgresql", one.substituted

        made = sorted(self.recorder.engines, key=fit)
        if made:
            self.creation = made[0]
            self.engine = self.finder.engine = made[0].asynchronous or made[0].engine

    @property
    def sync_engine(self) -> Engine:
        engine: Engine = self.engine.sync_engine if isinstance(self.engine, AsyncEngine) else self.engine
        return engine

    @property
    def is_postgres(self) -> bool:
        return self.sync_engine.dialect.name == "postgresql"

    async def scalar(self, statement: str, *, engine: Any = None, commit: bool = False) -> Any:
        """Run one statement on the engine, as the file's users would."""
        engine = engine or self.engine
        if isinstance(engine, AsyncEngine):
            async with engine.connect() as connection:
                return await connection.run_sync(_scalar, statement, commit)

        def run() -> Any:
            with engine.connect() as connection:
                return _scalar(connection, statement, commit)

        return await greenlet_spawn(run)

    @property
    def pooled(self) -> list[Any]:
        """The engines for PostgreSQL that are in use: the async ones, or the sync one where there is no other."""
        made = [one for one in self.recorder.engines if one.engine and one.engine.dialect.name == "postgresql"]
        found = [one.asynchronous for one in made if one.asynchronous is not None]
        return found[:_MOST_ENGINES] or [self.engine]

    async def dispose(self) -> None:
        """Close the pools of all engines, so that a probe begins without connections."""
        for one in self.recorder.engines:
            if one.asynchronous is not None:
                await one.asynchronous.dispose()
            elif one.engine is not None:
                await greenlet_spawn(one.engine.dispose)

    async def ask(self, what: str, seconds: float = 10) -> None:
        """Have the review do something outside, such as restarting the server, and wait until it is done."""
        self.asks += 1
        done = Path(self.job["scratch"]) / f"{what}-{self.asks}-done"
        done.with_name(f"{what}-{self.asks}").touch()
        until = time.monotonic() + seconds
        while not done.exists():
            if time.monotonic() > until:
                raise TimeoutError
            await asyncio.sleep(0.01)

    async def look(self, statement: str, *arguments: Any) -> Any:
        """Ask the database itself, past the file's engine: a connection of the review's own."""
        if self.is_postgres:
            import asyncpg

            connection = await asyncpg.connect(**self.job["target"])
            try:
                return await connection.fetchval(statement, *arguments)
            finally:
                await connection.close()
        path = next(iter(self.recorder.paths), None)
        if path is None:  # in memory: there is no other way in
            return await self.scalar(statement, commit=True)
        with closing(sqlite3.connect(path)) as file:
            row = file.execute(statement).fetchone()
            file.commit()
            return row[0] if row else None

    async def connections(self) -> int:
        """How many connections the server has, beside the review's own."""
        if not self.is_postgres:
            return len(self.recorder.open)
        # Autovacuum comes to see every database, and is no connection.
        count = (
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
            "and backend_type = 'client backend'"
        )
        return int(await self.look(count))


def _scalar(connection: Connection, statement: str, commit: bool) -> Any:
    result = connection.execute(text(statement))
    value = result.scalar() if result.returns_rows else None
    if commit:
        connection.commit()
    return value


def describe(error: BaseException, is_local: Callable[[str], bool]) -> dict[str, Any]:
    """An error as a fact: kind, text, the line of the reviewed code that it came through."""
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if is_local(frame.filename)]
    return {
        "kind": name.rpartition(".")[2],
        "text": str(error)[:3000],
        "line": lines[-1].lineno if lines else None,
        "file": lines[-1].filename if lines else None,
        "missing": getattr(error, "name", None) if isinstance(error, ImportError) else None,
        "code": getattr(error, "code", None) if isinstance(error, SystemExit) else None,
        "bases": [base.__name__ for base in kind.__mro__],
        "cause": type(error.__cause__).__name__ if error.__cause__ else None,
    }
