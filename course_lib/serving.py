"""A web application, served by uvicorn on this machine's loopback address for as long as an ``async with`` block."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded where it is used, since most lessons serve nothing
    import httpx

_LOOPBACK = "127.0.0.1"
_LOGGERS = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi")


class ServingError(RuntimeError):
    """The application did not start, or did not end, as it should. The message says why; ``__cause__`` is the error."""


class _Watched:
    """An ASGI application whose lifespan is watched: what it raised, and in which task it runs."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.error: BaseException | None = None
        self.reason = ""
        self.lifespan: asyncio.Task[Any] | None = None
        self.spoke = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        self.lifespan = asyncio.current_task()

        async def watched_send(message: Any) -> None:
            self.spoke = True
            if message["type"].endswith(".failed"):
                lines = str(message.get("message", "")).strip().splitlines()
                self.reason = lines[-1] if lines else "it gave no reason"
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except BaseException as error:
            if self.spoke:  # else it has no lifespan, which is its right: servers go on then
                self.error = error
            raise

    def failure(self, what: str) -> ServingError:
        if self.error is None or isinstance(self.error, asyncio.CancelledError):
            return ServingError(f"{what}: {self.reason or 'uvicorn ended without a reason'}")
        return ServingError(f"{what}: {type(self.error).__name__}: {self.error}")


@contextlib.asynccontextmanager
async def serve(app: Any, *, grace: float = 5) -> AsyncIterator["httpx.AsyncClient"]:
    """Serve an ASGI application over HTTP in the running event loop, on a free port of the loopback address.

    The application starts before the block (its lifespan runs up to ``yield``) and has ended after it, whether the
    block ends, fails or is cancelled. Signal handlers stay as they are, and uvicorn logs nothing: an exception in a
    request is the client's status 500.

    Args:
        app: the ASGI application, such as a ``FastAPI()``.
        grace: seconds that requests under way get at the end, and then the lifespan, before they are cancelled.

    Yields:
        An ``httpx.AsyncClient`` with the application's base URL: ``await client.get("/tasks")``.

    Raises:
        ServingError: the application's start or its end failed; the message has the exception's type and text.
    """
    import httpx
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield  # Ctrl+C belongs to the kernel

    watched = _Watched(app)
    # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer waits 40 ms to be acknowledged.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener, _quiet():
        listener.bind((_LOOPBACK, 0))
        wait = max(1, round(grace))
        server = Server(uvicorn.Config(watched, log_config=None, timeout_graceful_shutdown=wait, ws="none"))

        async def run() -> None:
            with contextlib.suppress(SystemExit):  # uvicorn's end after a failed start; it must not reach the loop
                await server.serve(sockets=[listener])

        running = asyncio.create_task(run())
        try:
            while not server.started and not running.done():
                await asyncio.wait({running}, timeout=0.005)
            if not server.started:
                await running
                raise watched.failure("the application did not start") from watched.error
            address = f"http://{_LOOPBACK}:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            # Requests have their time first, then the lifespan; the second is uvicorn's own rounds.
            await _ended(running, watched, 2 * grace + 1 if server.started else 0)
        if watched.error is not None or watched.reason:
            raise watched.failure("the application did not end as it should") from watched.error


async def _ended(running: asyncio.Task[None], watched: _Watched, seconds: float) -> None:
    """Wait until the server has ended; what takes longer than so many seconds is cancelled."""
    try:
        await asyncio.wait({running}, timeout=seconds)
    finally:
        for task in (watched.lifespan, running):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)
                watched.reason = "it took too long and was cancelled"


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    """Without uvicorn's log lines. A filter of one's own, since several applications may be served at a time."""

    def nothing(_: logging.LogRecord) -> bool:
        return False

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(nothing)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(nothing)
