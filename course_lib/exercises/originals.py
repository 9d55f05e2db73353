"""What all checks share and an answer must not replace: the database libraries as they were imported."""

from dataclasses import replace
from typing import Any

import asyncpg
import sqlalchemy
import sqlalchemy.ext.asyncio
import sqlmodel
import sqlmodel.ext.asyncio.session as sqlmodel_session
from sqlalchemy import pool

from course_lib.exercises.verdicts import Outcome

_PLACES: tuple[Any, ...] = (
    sqlalchemy,
    sqlalchemy.ext.asyncio,
    sqlmodel,
    asyncpg,
    sqlalchemy.Engine,
    sqlalchemy.Connection,
    sqlalchemy.ext.asyncio.AsyncEngine,
    sqlalchemy.ext.asyncio.AsyncConnection,
    sqlalchemy.ext.asyncio.AsyncSession,
    sqlmodel_session.AsyncSession,
    pool.Pool,
    pool.QueuePool,
    pool.AsyncAdaptedQueuePool,
    pool.NullPool,
    pool.StaticPool,
)


def _functions(place: Any) -> dict[str, Any]:
    # Only what can be called: a library may keep other things in its modules and classes up to date itself.
    return {name: value for name, value in vars(place).items() if callable(value) and not name.startswith("__")}


_ORIGINALS = [(place, _functions(place)) for place in _PLACES]


def put_back_originals() -> list[str]:
    """Put functions of SQLAlchemy, SQLModel and asyncpg back that were replaced since this module was imported.

    Returns:
        Their names, such as "AsyncEngine.connect".
    """
    found = []
    for place, originals in _ORIGINALS:
        now = _functions(place)
        for name in originals:
            if vars(place).get(name) is not originals[name]:
                setattr(place, name, originals[name])
                found.append(f"{place.__name__}.{name}")
        if isinstance(place, type):  # modules import more of their own over time
            for name in now.keys() - originals.keys():
                delattr(place, name)
                found.append(f"{place.__name__}.{name}")
    return found


def after_replacing(outcome: Outcome, names: list[str]) -> Outcome:
    """The outcome of an answer that replaced functions of a library while it ran.

    Args:
        outcome: what its check found.
        names: what was put back; none for an answer that replaced nothing.
    """
    if not names:
        return outcome
    said = f"Your code replaced `{'`, `'.join(names)}`, which everything in this kernel uses. It was put back"
    if outcome.status in ("checker_error", "error"):
        return replace(outcome, status="error", message=f"{said}. Remove that from your code and check again.")
    return replace(outcome, note=f"{said}.")
