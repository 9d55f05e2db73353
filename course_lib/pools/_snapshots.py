"""The numbers of one pool, whatever its class, from its public methods and from what the recorder saw."""

from time import perf_counter

from sqlalchemy.pool import QueuePool, StaticPool

from course_lib.pools._handlers import Watch
from course_lib.pools._recording import PoolError, Snapshot


def snapshot_of(watch: Watch, max_overflow: int | None) -> Snapshot:
    """The pool that the watched engine has now, in numbers, without the waiting requests.

    Args:
        watch: listens to the engine.
        max_overflow: the engine's setting, where it is known.
    Raises:
        PoolError: the engine no longer exists.
    """
    engine = watch.engine()
    if engine is None:
        raise PoolError(
            "The engine that this recorder watched no longer exists, so its pool has no state. "
            "What was recorded is still in recorder.recording()."
        )
    pool = engine.pool
    live = watch.connections(perf_counter())
    strays = sum(1 for each in live if each.stray)
    mine = [each for each in live if not each.stray]
    dead = sum(1 for each in mine if each.state == "dead" and each.who is None)
    name = type(pool).__name__
    if isinstance(pool, QueuePool):
        # A new pool's overflow() is -pool_size and rises with each connection; with pool_size=0 it is always 0.
        size, emptied = pool.size(), watch.emptied()
        return Snapshot(
            pool=name,
            size=size,
            limit=None if size == 0 or max_overflow is None or max_overflow < 0 else size + max_overflow,
            in_use=pool.checkedout(),
            idle=max(0, pool.checkedin() - emptied - dead),
            overflow=max(0, pool.overflow()),
            waiting=0,
            dead=dead + emptied,
            strays=strays,
        )
    in_use = sum(1 for each in mine if each.who is not None)
    limit = 1 if isinstance(pool, StaticPool) else None
    return Snapshot(name, limit, limit, in_use, len(mine) - in_use - dead, 0, 0, dead, strays)
