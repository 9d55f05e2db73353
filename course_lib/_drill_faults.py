"""What goes wrong in a fire drill, and when."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from course_lib._drill_load import Phase
from course_lib.servers import PostgresServer
from course_lib.servers.faults import FaultProxy

# Name, what happens, share of the time, times the ordinary rate. The stall comes last: what it leaves behind would be
# charged to another phase otherwise.
_PHASES = (
    ("calm", "nothing happens", 0.08, 1.0),
    ("restart", "the server restarts", 0.09, 1.0),
    ("kills", "all backends are ended, again and again", 0.14, 1.0),
    ("surge", "{factor:g} times as many clients come", 0.10, 0.0),
    ("stall", "the network is silent, twice", 0.32, 1.0),
    ("calm again", "the network works again", 0.27, 1.0),
)
_KILLS = 6
_SETTLING = 0.15  # seconds
_SILENCES = ((0.0, 0.42), (0.58, 1.0))  # shares of the stall in which nothing passes
_KILL = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
    "where datname = $1 and backend_type = 'client backend' and pid <> pg_backend_pid()"
)


def make_phases(seconds: float, surge: float) -> tuple[Phase, ...]:
    """The phases of a drill.

    Args:
        seconds: how long all of them take together.
        surge: by how much the rate is multiplied while clients surge.
    """
    phases: list[Phase] = []
    begin = 0.0
    for name, words, share, factor in _PHASES:
        end = begin + share * seconds
        phases.append(Phase(name, words.format(factor=surge), begin, end, factor or surge))
        begin = end
    return tuple(phases)


async def play(
    phases: Sequence[Phase],
    begin: float,
    server: PostgresServer,
    proxy: FaultProxy,
    database: str,
    round_trip: float,
    tell: Callable[[Phase], None],
) -> None:
    """Let each phase's fault happen at its time.

    Args:
        phases: from `make_phases`.
        begin: the time of the running loop at which the first begins.
        server: the server that restarts, and whose backends are ended.
        proxy: the network.
        database: the name of the database whose backends are ended.
        round_trip: seconds that the network takes, there and back, when it works.
        tell: called at the begin of each phase.
    """
    loop = asyncio.get_running_loop()

    async def until(phase: Phase, share: float) -> None:
        """Wait for a moment of a phase. Its faults begin late enough for the phase before to have its answers."""
        moment = begin + phase.begin + _SETTLING + share * (phase.end - phase.begin - _SETTLING)
        await asyncio.sleep(moment - loop.time())

    proxy.delay(round_trip)
    for phase in phases:
        await asyncio.sleep(begin + phase.begin - loop.time())
        tell(phase)
        if phase.name == "restart":
            await until(phase, 0)
            await server.restart()
        elif phase.name == "kills":
            for number in range(_KILLS):
                await until(phase, number / _KILLS)
                await _kill(server, database)
        elif phase.name == "stall":
            for silent, heals in _SILENCES:
                await until(phase, silent)
                await asyncio.to_thread(proxy.black_hole, new_connections="hang")
                await until(phase, heals)
                proxy.normal()
                proxy.delay(round_trip)


async def _kill(server: PostgresServer, database: str) -> None:
    url = server.admin_url.set(drivername="postgresql").render_as_string(hide_password=False)
    admin = await asyncpg.connect(url)
    try:
        await admin.fetchval(_KILL, database)
    finally:
        admin.terminate()
