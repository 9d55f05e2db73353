"""A pooler for one check: PgBouncer in front of the checks' own server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import URL

from course_lib.exercises.lab import Lab, lab
from course_lib.exercises.limits import clock_stopped
from course_lib.servers import PgBouncer, find_pgbouncer
from course_lib.servers.pgbouncer import Mode


@asynccontextmanager
async def pooler(box: Lab, mode: Mode = "transaction", *, size: int = 2) -> AsyncIterator[PgBouncer]:
    """A PgBouncer that leaves prepared statements to the client, as every version before 1.21 does.

    Args:
        box: the check's database.
        mode: when a server connection goes back.
        size: its server connections.
    """
    binary = find_pgbouncer()
    follows = binary is not None and binary.release >= (1, 21)
    with clock_stopped():  # to start it is not the learner's time
        bouncer = await PgBouncer.start(
            box.server,
            mode,
            default_pool_size=size,
            max_client_conn=100,
            max_prepared_statements=0 if follows else None,
        )
    try:
        yield bouncer
    finally:
        await bouncer.stop()


@asynccontextmanager
async def lab_with_pooler(*, size: int = 2) -> AsyncIterator[tuple[Lab, PgBouncer, URL]]:
    """An empty database, a pooler in transaction mode in front of it, and the URL that leads through it."""
    async with lab() as box, pooler(box, size=size) as bouncer:
        yield box, bouncer, bouncer.url_for(box.url)
