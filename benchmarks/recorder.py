"""What a recorder costs: checkouts per second with and without it, on a real server and on a driver that does nothing.

Run it: ``python benchmarks/recorder.py``. It prints, and asserts nothing. The two take turns within one process, many
short turns each, so that a busy machine is busy for both. "Real" checks out a connection, runs a query and returns it,
as a request does; "nothing" checks out and returns only, with a driver whose calls do nothing, so that all the time
that is measured is SQLAlchemy's and the recorder's; it is measured in seconds of the processor, which other processes
do not take away. The last row shows why the recorder leaves out the resets of an Engine unless it is asked for them;
most of that cost is SQLAlchemy's own, with a listener that does nothing too.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from course_lib.pools.recorder import PoolRecorder
from course_lib.servers import PostgresServer


class NothingConnection:
    """A DB-API connection whose calls do nothing."""

    def rollback(self) -> None:
        """Do nothing."""

    def commit(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class NothingDialect(DefaultDialect):
    """SQLAlchemy's plainest dialect, without its questions to a fresh connection."""

    def initialize(self, connection: Any) -> None:
        """Ask nothing."""


def nothing_engine() -> Engine:
    """An engine on the driver that does nothing."""
    registry.register("nothing", __name__, "NothingDialect")
    module = SimpleNamespace(paramstyle="qmark", Error=Exception)
    return create_engine("nothing://", module=module, creator=NothingConnection, poolclass=QueuePool, pool_size=5)


class AsyncNothingDialect(NothingDialect):
    """The same for an AsyncEngine."""

    is_async = True


def async_nothing_engine() -> AsyncEngine:
    """An AsyncEngine on the driver that does nothing."""
    registry.register("nothing.async", __name__, "AsyncNothingDialect")
    module = SimpleNamespace(paramstyle="qmark", Error=Exception)
    return create_async_engine(
        "nothing+async://", module=module, creator=NothingConnection, poolclass=AsyncAdaptedQueuePool, pool_size=5
    )


async def through_pool(engine: Engine, times: int) -> None:
    """Take a connection from the pool and return it: the least that a checkout can be."""
    connect = engine.pool.connect
    for _ in range(times):
        connect().close()


async def through_engine(engine: Engine, times: int) -> None:
    """The same through ``engine.connect()``, as everybody writes it."""
    for _ in range(times):
        with engine.connect():
            pass


async def through_async_engine(engine: AsyncEngine, times: int) -> None:
    """The same through ``await engine.connect()``."""
    for _ in range(times):
        async with engine.connect():
            pass


async def on_server(engine: AsyncEngine, times: int) -> None:
    """Check out, query, return."""
    statement = text("select 1")
    for _ in range(times):
        async with engine.connect() as connection:
            await connection.execute(statement)


async def on_server_busy(engine: AsyncEngine, times: int) -> None:
    """The same from ten tasks at once on five connections."""
    await asyncio.gather(*(on_server(engine, times // 10) for _ in range(10)))


async def rates(
    run: Callable[[Any, int], Awaitable[None]],
    engine: Any,
    times: int,
    turns: int,
    clock: Callable[[], float],
    resets: bool | None,
) -> tuple[list[float], list[float]]:
    """Checkouts per second, without and with a recorder, turn by turn."""
    found: tuple[list[float], list[float]] = [], []
    await run(engine, times)
    for turn in range(2 * turns):
        recorded = (turn + turn // 2) % 2  # 0 1 1 0 0 1 1 0 ...: neither is always the one that comes second
        recorder = PoolRecorder(engine, resets=resets) if recorded else None
        begin = clock()
        await run(engine, times)
        seconds = clock() - begin
        if recorder is not None:
            recorder.detach()
        found[recorded].append(times / seconds)
    return found


async def measure(turns: int) -> Table:
    """Measure all cases and return the table."""
    table = Table(title=f"Checkouts per second, medians of {turns} turns each")
    for heading in ("", "without", "with a recorder", "ratio", "wanted"):
        table.add_column(heading, justify="right" if heading else "left")
    async with PostgresServer() as server:
        real = create_async_engine(server.url, pool_size=5, max_overflow=0)
        nothing, async_nothing = nothing_engine(), async_nothing_engine()
        cases: list[tuple[str, Callable[[Any, int], Awaitable[None]], Any, int, str, bool | None]] = [
            ("real server, one task", on_server, real, 80, "0.95", None),
            ("real server, ten tasks", on_server_busy, real, 80, "0.95", None),
            ("nothing, AsyncEngine.connect()", through_async_engine, async_nothing, 200, "0.70", None),
            ("nothing, Engine.connect()", through_engine, nothing, 1_000, "0.70", None),
            ("nothing, pool.connect()", through_pool, nothing, 1_000, "0.70", None),
            ("the same with resets", through_pool, nothing, 1_000, "", True),
        ]
        for name, run, engine, times, wanted, resets in cases:
            clock = perf_counter if engine is real else process_time
            without, with_recorder = await rates(run, engine, times, turns, clock, resets)
            one, two = statistics.median(without), statistics.median(with_recorder)
            # Of two turns that follow each other, so that a load that comes and goes weighs on both.
            ratio = statistics.median(two / one for one, two in zip(without, with_recorder, strict=True))
            table.add_row(name, f"{one:,.0f}", f"{two:,.0f}", f"{ratio:.3f}", wanted)
        await real.dispose()
        await async_nothing.dispose()
        nothing.dispose()
    return table


def main(turns: int = 150) -> None:
    """Measure with TURNS turns for each case and print medians and ratios."""
    Console().print(asyncio.run(measure(turns)))


if __name__ == "__main__":
    typer.run(main)
