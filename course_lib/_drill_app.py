"""The program that a fire drill runs: the application on one database layer, served by uvicorn on loopback.

`python -m course_lib._drill_app DATABASE FASTER`, with DATABASE_URL in the environment. It writes its port to standard
output, and for each byte that comes in how many connections are checked out. It ends when its standard input is closed:
by the drill, or because the process that started it is gone.
"""

import asyncio
import contextlib
import gc
import importlib
import importlib.util
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import asyncpg
import uvicorn
from sqlalchemy import Engine, QueuePool, event
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.tasks_app import create_app

_CONNECT_TIMEOUT = 60.0  # asyncpg's default: https://magicstack.github.io/asyncpg/current/api/index.html#connection
_LAST_REQUESTS = 1  # seconds for requests that run when the end comes
_END = 4.0  # seconds after which the process ends in any case


def load_database(database: str) -> ModuleType:
    """Import a database layer.

    Args:
        database: a module's name, or the path of a file, which ends with `.py`.
    """
    if not database.endswith(".py"):
        return importlib.import_module(database)
    path = Path(database)
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(database: ModuleType) -> Any:
    """The parts that the application needs. An error of the start is written to standard error, in a line.

    A module without `lifespan` gets one that is made of `create_db_and_tables` and `dispose`.
    """
    if not hasattr(database, "get_session") or not (
        hasattr(database, "lifespan") or hasattr(database, "create_db_and_tables")
    ):
        return database  # the application says what is missing

    @contextlib.asynccontextmanager
    async def made(_: object) -> AsyncIterator[None]:
        try:
            await database.create_db_and_tables()
            yield
        finally:
            if hasattr(database, "dispose"):
                await database.dispose()

    @contextlib.asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        started = False
        try:
            async with getattr(database, "lifespan", made)(app):
                started = True
                yield
        except Exception as error:
            if not started:
                first = (str(error).strip() or "without a message").splitlines()[0]
                print(f"{type(error).__name__}: {first}", file=sys.stderr, flush=True)
            raise

    return SimpleNamespace(get_session=database.get_session, lifespan=lifespan)


def hurry_connections(faster: float) -> None:
    """Divide the time-outs of asyncpg by `faster`, for each engine of this process."""

    class Shortened(float):
        """SQLAlchemy 2.0 hands out the same options for each connection, 2.1 a copy: none is to be divided twice."""

    def shorten(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        options["timeout"] = options.get("timeout") or _CONNECT_TIMEOUT
        for name in ("timeout", "command_timeout"):
            if options.get(name) is not None and not isinstance(options[name], Shortened):
                options[name] = Shortened(float(options[name]) / faster)

    event.listen(Engine, "do_connect", shorten)
    # SQLAlchemy gives a connection that it discards 2 s to say goodbye, which takes all of them on a silent network.
    close = asyncpg.Connection.close

    async def close_sooner(connection: Any, *, timeout: float | None = None) -> None:
        await close(connection, timeout=None if timeout is None else timeout / faster)

    asyncpg.Connection.close = close_sooner


def pools_of(database: ModuleType) -> list[Any]:
    """The pools of a module's engines."""
    return [
        each.sync_engine.pool for each in {each for each in vars(database).values() if isinstance(each, AsyncEngine)}
    ]


def hurry_pools(pools: list[Any], faster: float) -> None:
    """Divide the time-outs of pools by `faster`. SQLAlchemy has no public way to do so."""
    for pool in pools:
        if isinstance(pool, QueuePool):
            pool._timeout /= faster
        if pool._recycle > 0:
            pool._recycle /= faster


def main() -> None:
    """Serve until standard input ends."""
    logging.disable()  # each failed request would write a page, and the writing would be measured
    name, faster = sys.argv[1], float(sys.argv[2])
    hurry_connections(faster)
    database = load_database(name)
    pools = pools_of(database)
    hurry_pools(pools, faster)
    # h11 and asyncio's own loop whatever else is installed, so that runs on two machines can be compared.
    config = uvicorn.Config(
        create_app(told(database)),
        loop="asyncio",
        http="h11",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_LAST_REQUESTS,
    )
    server = uvicorn.Server(config)
    # With the protocol named: asyncio sends small pieces at once (TCP_NODELAY) only on sockets that say they are TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(2048)  # the first request may come now: it waits for the start, and fails with it
        threading.Thread(target=_await_end, args=(server, pools), daemon=True).start()
        print(sock.getsockname()[1], flush=True)
        asyncio.run(server.serve(sockets=[sock]))
    gc.freeze()  # the end of the process is faster when nobody looks for cycles


def _await_end(server: uvicorn.Server, pools: list[Any]) -> None:
    while os.read(0, 1):  # not sys.stdin: the interpreter could not end while its lock is held
        print(sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool)), flush=True)
    server.should_exit = True
    time.sleep(_END)
    os._exit(1)


if __name__ == "__main__":
    main()
