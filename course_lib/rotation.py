"""Let an engine take up a rotated password without a restart."""

import inspect
import time
from asyncio import to_thread
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from course_lib.masking import remember

__all__ = ["follow_rotation"]

# invalid_password and invalid_authorization_specification: PostgreSQL refuses the login.
_REFUSED = ("28P01", "28000")


def follow_rotation(
    engine: AsyncEngine, read: Callable[[], URL | Awaitable[URL]], *, keep_seconds: float = 0.0
) -> None:
    """Have each new connection of an engine log in with the user and password that are valid now.

    Connections that are open stay open: PostgreSQL looks at a password only when a connection begins. If the server
    refuses a login, the credentials are read once more, and tried if they have changed.

    Args:
        engine: the engine; its URL keeps host, port and database.
        read: gives a URL with the user and password, e.g. `lambda: DatabaseSettings(secrets_dir=…).url`. An ordinary
            function runs in a thread, so that it may block.
        keep_seconds: how long what was read is used again, in seconds; secret managers cost money and throttle.

    Source: https://docs.sqlalchemy.org/en/21/core/engines.html#generating-dynamic-authentication-tokens
    """
    credentials = _Credentials(read, keep_seconds)

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Any, record: Any, cargs: tuple[Any, ...], cparams: dict[str, Any]) -> Any:
        used = await_only(credentials.current())
        try:
            return dialect.connect(*cargs, **{**cparams, **used})
        except Exception as error:
            if not _is_refusal(error):
                raise
            newer = await_only(credentials.current(at_least=time.monotonic()))
            if newer == used:
                raise
        return dialect.connect(*cargs, **{**cparams, **newer})


class _Credentials:
    """User and password as they were last read, and when."""

    def __init__(self, read: Callable[[], URL | Awaitable[URL]], keep_seconds: float) -> None:
        self._read = read
        self._keep_seconds = keep_seconds
        self._parts: dict[str, str] = {}
        self._at = float("-inf")

    async def current(self, at_least: float | None = None) -> dict[str, str]:
        """The keywords for the driver, read again if they are older than `at_least` (time.monotonic)."""
        limit = time.monotonic() - self._keep_seconds if at_least is None else at_least
        if self._at <= limit:
            began = time.monotonic()
            url = await self._url()
            parts = {"user": url.username, "password": url.password}
            self._parts = {name: value for name, value in parts.items() if value is not None}
            self._at = began
            remember(self._parts.get("password", ""))
        return self._parts

    async def _url(self) -> URL:
        read: Callable[[], Any] = self._read
        given = read() if inspect.iscoroutinefunction(read) else await to_thread(read)
        url: URL = await given if inspect.isawaitable(given) else given
        return url


def _is_refusal(error: BaseException) -> bool:
    """Whether the server refused the login; SQLAlchemy may have wrapped the driver's exception."""
    step: BaseException | None = error
    while step is not None:
        if getattr(step, "sqlstate", None) in _REFUSED:
            return True
        step = getattr(step, "orig", None) or step.__cause__
    return False
