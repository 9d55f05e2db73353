"""The fire drill: an application under load while its server restarts and its network fails, and what users saw.

Each configuration of the database layer goes through the same plan: the same requests at the same times. The
application (`course_lib.tasks_app`) is a process of its own, served by uvicorn, and reaches a real PostgreSQL through a
`FaultProxy`.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from course_lib._drill_faults import make_phases, play
from course_lib._drill_load import Answer, Phase, Planned, plan_requests, prepare_rows, send_all
from course_lib._drill_process import AppProcess, DrillError
from course_lib._drill_result import ConfigurationRun, DrillResult, Seen, longest_outage
from course_lib.servers import PostgresServer
from course_lib.servers.faults import FaultProxy

__all__ = [
    "CONFIGURATIONS",
    "Answer",
    "ConfigurationRun",
    "DrillError",
    "DrillResult",
    "Phase",
    "Planned",
    "Seen",
    "longest_outage",
    "run_drill",
]

# What most tutorials show, and the course's reference.
CONFIGURATIONS: Mapping[str, str | Path] = {
    "typical": "course_lib._drill_typical",
    "complete": "course_lib.database",
}


async def run_drill(
    configurations: Mapping[str, str | Path] = CONFIGURATIONS,
    *,
    seconds: float = 13.0,
    rate: float = 20.0,
    surge: float = 5.0,
    patience: float = 5.0,
    faster: float = 5.0,
    round_trip: float = 0.001,
    seed: int = 0,
    show: Callable[[str], object] | None = print,
) -> DrillResult:
    """Put each configuration through the same fire drill, one after the other.

    Its phases: calm; the server restarts; all backends are ended, six times; clients surge; the network is silent,
    twice, and each time the connections from before stay lost, as behind a NAT gateway that failed over; calm again.

    A drill lasts seconds where an outage lasts minutes. So all time-outs are divided by `faster`: the clients'
    patience, and those of the engine and its pool. What the machine does takes its real time, the restart as well.

    Cancelling ends application, proxy and server before the CancelledError goes on.

    Args:
        configurations: by name, the module or the path of a `database.py` with `get_session`, and `lifespan` or
            `create_db_and_tables`. It finds the database in DATABASE_URL, and its engine is a global variable.
        seconds: how long the phases of one configuration take together.
        rate: requests per second on average, in the plan of all.
        surge: how many times the rate comes while clients surge.
        patience: seconds after which a client gives up, before it is divided by `faster`.
        faster: by how much time-outs are divided.
        round_trip: seconds that the network between application and server takes, there and back.
        seed: of the plan.
        show: is given a line of text at the begin of each phase; None for silence.
    Returns:
        What users saw, per configuration and phase.
    Raises:
        DrillError: an application did not start; the message says why.
        ServerError: the server did not start.
        ValueError: an argument is out of its range.
    """
    numbers = {"seconds": seconds, "rate": rate, "surge": surge, "patience": patience, "faster": faster}
    for name, number in numbers.items():
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"`{name}` is {number!r}. Give a number above 0.")
    if not configurations:
        raise ValueError("There is no configuration to drill. Give at least one: a name, and its module or path.")
    phases = make_phases(seconds, surge)
    plan = plan_requests(phases, rate, seed)
    runs = []
    async with PostgresServer() as server:
        for number, (name, database) in enumerate(configurations.items()):

            def tell(phase: Phase, name: str = name) -> None:
                if show is not None:
                    show(f"{name}: {phase.name}, {phase.end - phase.begin:.1f} s ({phase.words})")

            await server.create_database(f"drill_{number}")
            answers, behind, held = await _run_one(
                database, f"drill_{number}", server, phases, plan, patience / faster, faster, round_trip, tell
            )
            runs.append(ConfigurationRun(name, phases, tuple(answers), behind, held))
    conditions = (
        f"{rate:g} requests per second, {surge:g} times as many in the surge; a network round trip takes "
        f"{1000 * round_trip:g} ms. Time-outs are divided by {faster:g}: clients give up after {patience / faster:g} s "
        f"instead of {patience:g} s, and the engines' connect, command and pool time-outs are as much shorter."
    )
    return DrillResult(tuple(runs), conditions)


async def _run_one(
    database: str | Path,
    name: str,
    server: PostgresServer,
    phases: Sequence[Phase],
    plan: Sequence[Planned],
    patience: float,
    faster: float,
    round_trip: float,
    tell: Callable[[Phase], None],
) -> tuple[list[Answer], float, int]:
    async with FaultProxy(server.url_for(database=name)) as proxy, AppProcess(database, proxy.url, faster) as app:
        await prepare_rows(app.port)
        begin = asyncio.get_running_loop().time()
        faults = asyncio.create_task(play(phases, begin, server, proxy, name, round_trip, tell))
        load = asyncio.create_task(send_all(app.port, plan, patience, begin))
        try:
            await asyncio.wait({faults, load}, return_when=asyncio.FIRST_EXCEPTION)
            await faults
            return *await load, await _still_held(app)
        finally:
            for task in (faults, load):
                task.cancel()
            await asyncio.gather(faults, load, return_exceptions=True)
            # What the stall has dropped is closed now, so that the application can end in order.
            await proxy.stop()


async def _still_held(app: AppProcess) -> int:
    """How many connections are in use when the last requests have ended: a session ends after its answer is sent."""
    held = await app.held()
    for _ in range(10):
        if not held:
            break
        await asyncio.sleep(0.05)
        held = await app.held()
    return held
