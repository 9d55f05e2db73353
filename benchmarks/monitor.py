"""What the live monitor costs: requests per second of the same load with and without it, side by side.

Runs in a plain Python process. There the widget's messages would go nowhere for free, so they go through what a kernel
does with them: packed as JSON and signed. Only the socket itself is missing.
"""

import asyncio
import statistics
from typing import Any

import comm
import typer
from comm.base_comm import BaseComm
from jupyter_client.session import Session
from rich.console import Console
from rich.table import Table
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.pools.monitor import PoolMonitor
from course_lib.pools.workload import run_requests
from course_lib.servers import PostgresServer

CASES: dict[str, dict[str, Any]] = {
    "as a lesson uses it: 20 requests hold 10 connections for 20 ms": {
        "pool_size": 5,
        "max_overflow": 5,
        "timeout": 1.0,
        "concurrency": 20,
        "hold": 0.02,
    },
    "with time-outs: 40 requests hold 5 connections for 50 ms": {
        "pool_size": 5,
        "max_overflow": 0,
        "timeout": 0.2,
        "concurrency": 40,
        "hold": 0.05,
    },
    "the processor is the limit: 20 requests on 10 connections, no hold": {
        "pool_size": 10,
        "max_overflow": 0,
        "timeout": 1.0,
        "concurrency": 20,
        "hold": 0.0,
    },
}


class KernelComm(BaseComm):
    """Packs and signs each message as a kernel does, and counts messages and bytes."""

    session = Session(key=b"benchmark")
    messages = 0
    size = 0

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        """What a kernel's comm does, up to the socket."""
        message = self.session.msg(msg_type, {"data": data or {}, "comm_id": self.comm_id, **keys}, metadata=metadata)
        KernelComm.size += sum(len(part) for part in self.session.serialize(message))
        KernelComm.messages += 1


async def without(url: URL, case: dict[str, Any], seconds: float) -> float:
    """Served requests per second of `run_requests` alone."""
    engine = create_async_engine(
        url, pool_size=case["pool_size"], max_overflow=case["max_overflow"], pool_timeout=case["timeout"]
    )
    result = await run_requests(
        engine, requests=None, seconds=seconds, concurrency=case["concurrency"], hold=case["hold"]
    )
    await engine.dispose()
    ends = [each.begin + each.wait + each.hold for each in result.outcomes if each.status == "ok"]
    return sum(end <= seconds for end in ends) / seconds


async def watched(url: URL, case: dict[str, Any], seconds: float) -> float:
    """The same of a monitor that draws and sends."""
    monitor = PoolMonitor(url, **case)
    monitor.start()
    await asyncio.sleep(seconds)
    now = monitor.snapshot()
    await monitor.stop()
    monitor.close()
    return now.served / now.seconds


async def measure(turns: int, seconds: float) -> Table:
    """Measure all cases and return the table."""
    table = Table(title=f"Served per second, medians of {turns} turns of {seconds:g} s each; wanted ratio: 0.95")
    for heading in ("", "without", "with the monitor", "ratio", "messages per s", "bytes each"):
        table.add_column(heading, justify="right" if heading else "left")
    async with PostgresServer() as server:
        for name, case in CASES.items():
            found: tuple[list[float], list[float]] = ([], [])
            await without(server.url, case, 0.3)  # the first queries of a server are slow
            KernelComm.messages = KernelComm.size = 0
            for turn in range(2 * turns):
                one = (turn + turn // 2) % 2  # 0 1 1 0 0 1 1 0 ...: neither is always the one that comes second
                found[one].append(await (watched if one else without)(server.url, case, seconds))
            alone, together = (statistics.median(each) for each in found)
            rate, size = KernelComm.messages / (turns * seconds), KernelComm.size / KernelComm.messages
            ratio = statistics.median(two / one for one, two in zip(*found, strict=True))
            table.add_row(name, f"{alone:,.0f}", f"{together:,.0f}", f"{ratio:.3f}", f"{rate:.1f}", f"{size:,.0f}")
    return table


def main(turns: int = 10, seconds: float = 1.0) -> None:
    """Measure with TURNS turns of SECONDS for each case and print medians and ratios."""
    comm.create_comm = KernelComm
    Console(width=150).print(asyncio.run(measure(turns, seconds)))


if __name__ == "__main__":
    typer.run(main)
