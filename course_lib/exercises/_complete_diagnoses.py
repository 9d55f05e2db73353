"""Two of exercise 12.2's broken configurations, tried as they fail: at the login, and after idle minutes."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import asyncpg
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises.core import AnswerError, Case, NotAttempted, NotYet, ask, using_answer
from course_lib.exercises.lab import Lab
from course_lib.servers import FaultProxy

# So long may a request take after the host has forgotten its connection, in seconds. A right answer needs two at most:
# so long asyncpg tries to say goodbye on the old one.
PATIENCE = 6.0
# So old a connection is made that was idle for five minutes, in seconds. One that is idle for 300 s is older than that.
FIVE_MINUTES = 300.5
SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2")


async def judge_password(shop_engine: Callable[[str], Any], box: Lab) -> None:
    """Configuration 1: a sync URL whose password has characters that are encoded in URLs."""
    role, password = f"shop_{secrets.token_hex(4)}", f"{secrets.token_hex(3)}@/:%41{secrets.token_hex(3)}"
    admin = await asyncpg.connect(box.server.admin_url.set(drivername="postgresql").render_as_string(False))
    try:
        await admin.execute(f"create role {role} login password '{password}'")
        try:
            for scheme in SCHEMES:
                where = f"{box.url.host}:{box.url.port}/{box.url.database}"
                await _log_in(shop_engine, f"{scheme}://{role}:{quote(password, safe='')}@{where}", password)
        finally:
            await _drop(admin, role)
    finally:
        await admin.close()


async def _drop(admin: Any, role: str) -> None:
    await admin.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'")
    await admin.execute(f"drop role {role}")


async def _log_in(shop_engine: Callable[[str], Any], database_url: str, password: str) -> None:
    url = make_url(database_url)
    given = f'shop_engine("{url.drivername}://shop:…@…/shop")'
    try:
        engine = await ask(shop_engine, database_url, given=given)
    except NotYet:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, AnswerError) else error
        if isinstance(cause, InvalidRequestError | NoSuchModuleError | ModuleNotFoundError):
            raise NotYet(
                f"Configuration 1: for a URL that begins with `{url.drivername}://` the engine is not made: "
                f"`{type(cause).__name__}`. The URL names no driver or a sync one. Set its driver to asyncpg, whatever "
                "stands there.",
                misconception="still-sync",
                case=Case(given, "an async engine", type(cause).__name__),
            ) from None
        raise
    async_engine(engine, given, 1)
    # With a creator of one's own, the engine's URL is as good as empty.
    elsewhere = engine.url.username and (engine.url.host, engine.url.database) != (url.host, url.database)
    if elsewhere and engine.url.username != url.username:
        raise _ignores(given)
    if elsewhere:
        raise NotYet(
            "Configuration 1: the engine would connect to another host or database. The password holds an `@`, encoded "
            "as `%40`; where it is decoded in the text, the host seems to begin there. Hand over a URL object.",
            misconception="decodes-the-password",
            case=Case(given, "host and database of the URL", "others"),
        )
    try:
        async with engine.connect() as connection:
            who = (await connection.execute(text("select current_user, current_database()"))).one()
    except Exception as error:
        if "password authentication failed" not in str(error):
            raise AnswerError("logging in with the engine of configuration 1") from error
        masked = engine.url.password == "***"
        raise NotYet(
            "Configuration 1: password authentication failed. "
            + (
                "The engine logs in with the password `***`: so `str(url)` shows it. Hand over the URL object itself, "
                "or `url.render_as_string(hide_password=False)`."
                if masked
                else "The password that arrives is another one than the URL's. It is encoded in the URL; a URL object "
                "decodes it, once."
            ),
            misconception="sends-the-mask" if masked else "changes-the-password",
            case=Case(given, "logged in", type(error).__name__),
        ) from None
    finally:
        await engine.dispose()
    if tuple(who) != (url.username, url.database):
        raise _ignores(given)


def _ignores(given: str) -> NotYet:
    return NotYet(
        "Configuration 1: the engine is for another database or role than those of the URL it was given.",
        misconception="ignores-the-url",
        case=Case(given, "database and role of the URL", "others"),
    )


async def judge_idle_time(managed_engine: Callable[[URL], Any], box: Lab) -> None:
    """Configuration 3: a host that closes idle connections, with and without a word."""
    async with FaultProxy(box.url) as proxy:
        given = "managed_engine(url)"
        engine = await ask(managed_engine, proxy.url, given=given)
        async_engine(engine, given, 3)
        records: dict[int, Any] = {}
        event.listen(engine.sync_engine, "connect", lambda connection, record: records.update({id(record): record}))
        try:
            async with using_answer("asking with the engine of configuration 3"):
                first, second = await backend(engine), await backend(engine)
            if first != second:
                raise NotYet(
                    "Configuration 3: two requests right after each other got two connections. So nothing can become "
                    "stale, and each request pays for a login. Keep a pool, and let it replace what is old.",
                    misconception="gives-up-the-pool",
                )
            # In this order: once a pool has met a closed connection, it replaces all that are older than that.
            await _after_silence(engine, proxy, list(records.values()))
            await _after_a_restart(engine, box)
        finally:
            async with asyncio.timeout(PATIENCE):
                await engine.dispose()


async def _after_a_restart(engine: AsyncEngine, box: Lab) -> None:
    admin = await asyncpg.connect(box.server.admin_url.set(drivername="postgresql").render_as_string(False))
    try:
        ended = "select pg_terminate_backend(pid, 2000) from pg_stat_activity where datname = $1"
        await admin.execute(ended, box.url.database)
    finally:
        await admin.close()
    try:
        await backend(engine)
    except (DBAPIError, OSError, TimeoutError) as error:
        raise NotYet(
            f"Configuration 3: the host closed the connection, and said so. The next request failed with "
            f"`{type(error).__name__}`. `pool_recycle` can't know of it: let the pool look before it hands a "
            "connection out.",
            misconception="no-pre-ping",
            case=Case("a request after the host has closed the connection", "an answer", type(error).__name__),
        ) from None


async def _after_silence(engine: AsyncEngine, proxy: FaultProxy, records: list[Any]) -> None:
    for record in records:
        record.starttime -= FIVE_MINUTES
    proxy.black_hole()
    event.listen(engine.sync_engine, "close", _let_go)
    try:
        async with asyncio.timeout(PATIENCE):
            await backend(engine)
    except (DBAPIError, OSError, TimeoutError):
        seconds = getattr(engine.pool, "_recycle", -1)
        late = isinstance(seconds, int | float) and seconds > 0
        raise NotYet(
            "Configuration 3: after five idle minutes the host has forgotten the connection, without a word, and the "
            "next request got no answer. "
            + (
                "The pool replaces connections too late: below 300 seconds, it would have been in time."
                if late
                else "A pre-ping waits as long as any other query. Let the pool replace connections by their age."
            ),
            misconception="recycles-too-late" if late else "no-recycle",
            case=Case("a request after five idle minutes", "an answer", "none in time"),
        ) from None
    finally:
        event.remove(engine.sync_engine, "close", _let_go)


def _let_go(connection: Any, record: Any) -> None:
    """End a forgotten connection once the pool gives it up: its goodbye in vain says nothing about the answer."""
    transport = getattr(record.driver_connection, "_transport", None)
    if transport is not None:
        asyncio.get_running_loop().call_soon(transport.abort)


def async_engine(engine: Any, given: str, number: int) -> AsyncEngine:
    """Return what an answer made, if it is an async engine; NotYet or NotAttempted otherwise."""
    if engine is ... or engine is None:
        raise NotAttempted
    if not isinstance(engine, AsyncEngine):
        raise NotYet(
            f"Configuration {number}: the function returns an object of type `{type(engine).__name__}`, and no "
            "`AsyncEngine`.",
            misconception="no-async-engine",
            case=Case(given, "an AsyncEngine", type(engine).__name__),
        )
    return engine


async def backend(engine: AsyncEngine) -> object:
    """Ask PostgreSQL on one of the engine's connections which of its processes answers."""
    async with engine.connect() as connection:
        return await connection.scalar(text("select pg_backend_pid()"))
