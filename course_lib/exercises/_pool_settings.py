"""Exercise 06.3: the settings of a pool as they stand in a learner's dictionary, accepted or refused with a reason."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

from sqlalchemy import AsyncAdaptedQueuePool, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.exercises.core import AnswerError, NotYet

_MOST = 1_000_000


class Pool(NamedTuple):
    """The settings of one pool: connections, and seconds."""

    size: int
    overflow: int
    timeout: float | None

    def __str__(self) -> str:
        return f"{self.size}+{self.overflow}"

    @property
    def limit(self) -> int:
        """Connections that it may open."""
        return self.size + self.overflow


def read_pool(name: str, settings: Any) -> Pool:
    """The pool that a service's settings make.

    Raises:
        NotYet: they make none with a limit.
        AnswerError: SQLAlchemy refuses them.
    """
    if not isinstance(settings, Mapping):
        raise NotYet(
            f"The pool of `{name}` is an object of type `{type(settings).__name__}`. Write a dictionary such as "
            '`{"pool_size": 2, "max_overflow": 3}`.',
            misconception="passes-no-mapping",
        )
    settings = dict(settings)
    if "pool" in settings:
        raise NotYet(
            f"The pool of `{name}` is an object that is made already. Write its settings: `pool_size` and "
            "`max_overflow`. `create_async_engine` makes the pool from them.",
            misconception="another-pool",
        )
    # What SQLAlchemy takes where they are left out.
    size = _whole(name, "pool_size", settings.get("pool_size", 5))
    overflow = _whole(name, "max_overflow", settings.get("max_overflow", 10))
    timeout = _seconds(name, settings.get("pool_timeout", 30.0))
    # Making an engine connects to nothing. It refuses misspelt settings in SQLAlchemy's own words.
    try:
        engine = create_async_engine("postgresql+asyncpg://db.internal/shop", **settings)
    except Exception as error:
        raise AnswerError(f"making the engine of {name} with your settings") from error
    no_pool = isinstance(engine.pool, NullPool)
    if no_pool or size == 0 or overflow == -1:
        said = (
            "`NullPool` opens a connection for each request, as many as come at once"
            if no_pool
            else "`pool_size=0` means no limit to SQLAlchemy"
            if size == 0
            else "`max_overflow=-1` means no limit to SQLAlchemy"
        )
        raise NotYet(
            f"The pool of `{name}` has no limit: {said}. In a burst one process can use up the whole server. "
            "Give every pool a limit.",
            misconception="no-limit",
        )
    if not isinstance(engine.pool, AsyncAdaptedQueuePool):
        raise NotYet(
            f"The pool of `{name}` is a `{type(engine.pool).__name__}`, without a `pool_size`. Leave out `poolclass`.",
            misconception="another-pool",
        )
    return Pool(size, overflow, timeout)


def _whole(name: str, setting: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise NotYet(
            f"`{setting}` of `{name}` has to be a whole number, and it is of type `{type(value).__name__}`.",
            misconception="no-whole-number",
        )
    number, least = int(value), 1 if setting == "pool_size" else 0
    # SQLAlchemy reads a pool_size of 0 and a max_overflow of -1 as "no limit": the caller says that.
    if number < least - 1:
        raise NotYet(
            f"`{setting}` of `{name}` is negative. Give at least {least}.",
            misconception="out-of-range",
        )
    if number > _MOST:
        raise NotYet(
            f"`{setting}` of `{name}` is more than {_MOST:,}. No server has so many connections.",
            misconception="out-of-range",
        )
    return number


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    try:
        seconds = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds < math.inf:
        raise NotYet(
            f"`pool_timeout` of `{name}` has to be a number of seconds, 0 or more. Write `None` for no limit, or leave "
            "it out for 30 seconds.",
            misconception="no-number",
        )
    return seconds
