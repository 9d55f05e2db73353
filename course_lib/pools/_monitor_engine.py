"""The engine of a monitor: the one that was given, or one of its own with the settings of its sliders."""

import weakref
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from course_lib.pools._handlers import is_closed
from course_lib.pools._recording import PoolError

APPLICATION_NAME = "pool monitor"


def url_of(target: object) -> URL:
    """The URL of what a monitor was given: an AsyncEngine, a URL, or a URL as text.

    Raises:
        PoolError: it is something else.
    """
    if isinstance(target, AsyncEngine):
        return target.url
    if not isinstance(target, URL | str):
        raise PoolError(
            f"PoolMonitor watches the pool of an async database: give its URL or an AsyncEngine, "
            f"not {type(target).__name__}."
        )
    try:
        return make_url(target)
    except ArgumentError:
        raise PoolError("This is no database URL. It looks like postgresql+asyncpg://user@host/database.") from None


def pool_of(engine: AsyncEngine) -> dict[str, Any]:
    """The settings of an engine's pool, as far as SQLAlchemy tells them."""
    pool = engine.pool
    if not isinstance(pool, QueuePool):
        return {"pool_size": 0, "timeout": 5.0}
    return {"pool_size": pool.size(), "timeout": pool.timeout()}


def make_engine(url: URL, options: Mapping[str, Any], **pool: Any) -> AsyncEngine:
    """An engine that tells the server its name; it connects to nothing yet.

    Args:
        url: of the database.
        options: for `create_async_engine`.
        pool: likewise, from the sliders.
    Raises:
        PoolError: an option or the URL does not fit.
    """
    options = dict(options)
    if url.get_driver_name() == "asyncpg":
        arguments = dict(options.get("connect_args", {}))
        named = {"application_name": APPLICATION_NAME, **arguments.get("server_settings", {})}
        options["connect_args"] = {**arguments, "server_settings": named}
    try:
        return create_async_engine(url, **options, **pool)
    except (ArgumentError, InvalidRequestError, ImportError, TypeError) as error:
        raise PoolError(f"No engine can be made for the monitor: {type(error).__name__}: {error}") from error


class Opened:
    """The driver's connections that an engine opens from now on, also those that never reach its pool.

    SQLAlchemy 2.0 loses a connection that is cancelled while the dialect asks its first questions (2.1 closes it), and
    the event loop would keep its socket open.

    Args:
        engine: nobody else listens to its `do_connect`, which must not connect twice.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()
        event.listen(engine.sync_engine, "do_connect", self._connect)

    def _connect(self, dialect: Any, record: object, arguments: Any, settings: dict[str, Any]) -> Any:
        connection = dialect.connect(*arguments, **settings)
        self._seen.add(getattr(connection, "driver_connection", connection))
        return connection

    def terminate(self) -> None:
        """Close what is still open, without a goodbye."""
        for connection in list(self._seen):
            if hasattr(connection, "terminate") and not is_closed(connection):
                connection.terminate()
