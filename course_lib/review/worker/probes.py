"""Probes of engine and pool: each does one thing to the reviewed configuration and returns what happened."""

import asyncio
import contextlib
import gc
import ssl
import warnings
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from course_lib.review.worker.context import Context

_MOST_OPENED = 60  # connections; a larger budget is compared with the pool's own numbers


async def answers(context: Context) -> dict[str, Any]:
    """Whether the engine answers."""
    return {"value": await context.scalar("select 1")}


async def echo(context: Context) -> dict[str, Any]:
    """Whether a statement is logged."""
    before = len(context.recorder.logged)
    with contextlib.suppress(Exception):
        await context.scalar("select 1 as course_review_echo")
    new = context.recorder.logged[before:]
    return {"echo": [bool(one.engine.echo) for one in context.recorder.engines if one.engine is not None],
            "logged": next((each for each in new if "course_review_echo" in each), None)}  # fmt: skip


async def pool(context: Context) -> dict[str, Any]:
    """What the pool is, and how many connections it really opens at once, up to one more than the budget."""
    pools = []
    for one in context.recorder.engines:
        if one.engine is None:
            continue
        each = one.engine.pool
        pools.append(
            {
                "class": type(each).__name__,
                "size": each.size() if hasattr(each, "size") else None,
                "overflow": getattr(each, "_max_overflow", None),
                "timeout": getattr(each, "_timeout", None),
                "recycle": getattr(each, "_recycle", None),
                "pre_ping": getattr(each, "_pre_ping", None),
                "async": one.asynchronous is not None,
                "backend": one.engine.dialect.name,
                "chosen": one is context.creation,
            }
        )
    return {"pools": pools, "opened": await _opened(context)}


async def _opened(context: Context) -> int | None:
    budget = int(context.job["budget"])
    own = context.sync_engine.pool
    if not isinstance(context.engine, AsyncEngine) or budget >= _MOST_OPENED or not hasattr(own, "_max_overflow"):
        return None
    wait, own._timeout = own._timeout, 0.05  # type: ignore[attr-defined]
    try:
        results = await asyncio.gather(
            *(context.engine.connect().start() for _ in range(budget + 1)), return_exceptions=True
        )
    finally:
        own._timeout = wait  # type: ignore[attr-defined]
    connections = [each for each in results if not isinstance(each, BaseException)]
    await asyncio.gather(*(each.close() for each in connections))
    return len(connections)


async def recycles(context: Context) -> dict[str, Any]:
    """Whether connections that are 5 minutes old are replaced at the next checkout."""
    await context.dispose()  # so that the pool has no other connection to hand out
    replaced = []
    for engine in context.pooled:
        records: set[Any] = set()

        def note(_: object, record: Any, __: object, records: set[Any] = records) -> None:
            records.add(record)

        plain = getattr(engine, "sync_engine", engine)
        event.listen(plain, "checkout", note)
        old = await context.scalar("select pg_backend_pid()", engine=engine)
        event.remove(plain, "checkout", note)
        for record in records:
            record.starttime -= 300
        replaced.append(await context.scalar("select pg_backend_pid()", engine=engine) != old)
    return {"replaced": replaced}


async def restart(context: Context) -> dict[str, Any]:
    """What the first use after a restart of the server says."""
    for engine in context.pooled:
        await context.scalar("select 1", engine=engine)
    await context.ask("restart")
    return {"values": [await context.scalar("select 1", engine=engine) for engine in context.pooled]}


async def tls(context: Context) -> dict[str, Any]:
    """Whether the connection is encrypted, and whether a server that takes no encryption is refused."""
    found = {"used": await context.scalar("select ssl from pg_stat_ssl where pid = pg_backend_pid()")}
    refused, error = await _refused(context, context.job["without_tls"])
    return found | {"refused": refused, "error": error, "asked": _asked(context)}


async def impostor(context: Context) -> dict[str, Any]:
    """Whether a server with a certificate of another authority is refused, and one with another host's name."""
    await context.scalar("select 1")
    refused, error = await _refused(context, context.job["impostor"])
    found = {"refused": refused, "error": error, "asked": _asked(context)}
    if refused and "misnamed" in context.job:
        found["name_refused"], _ = await _refused(context, context.job["misnamed"])
    return found


async def asked(context: Context) -> dict[str, Any]:
    """What is asked of the driver: TLS and statement caches."""
    await context.scalar("select 1")
    arguments = context.recorder.arguments
    names = ("statement_cache_size", "prepared_statement_cache_size", "prepare_threshold")
    return {
        "tls": _asked(context),
        "caches": {name: arguments[name] for name in names if name in arguments},
        "names": "prepared_statement_name_func" in arguments,
        "isolation": context.sync_engine.get_execution_options().get("isolation_level")
        or getattr(context.sync_engine.dialect, "_on_connect_isolation_level", None),
        "driver": context.sync_engine.dialect.driver,
    }


def _asked(context: Context) -> str:
    """The TLS mode that reaches the driver: "" (nothing said), a libpq mode, or what a context of Python does."""
    value = context.recorder.arguments.get("ssl", context.recorder.arguments.get("sslmode"))
    if isinstance(value, ssl.SSLContext):
        if value.verify_mode is ssl.CERT_NONE:
            return "unverified context"
        return "verify-full" if value.check_hostname else "verify-ca"
    if isinstance(value, bool):
        return "verify-full" if value else "disable"
    return "" if value is None else str(getattr(value, "name", value)).replace("_", "-")


async def _refused(context: Context, detour: dict[str, Any]) -> tuple[bool, str]:
    await context.dispose()
    context.recorder.detour = detour
    try:
        await context.scalar("select 1")
    except Exception as error:
        return True, f"{type(error).__name__}: {error}"
    finally:
        context.recorder.detour = {}
        with contextlib.suppress(Exception):
            await context.dispose()
    return False, ""


async def tables(context: Context) -> dict[str, Any]:
    """Call what creates tables, and look from outside whether they are there."""
    from course_lib.review.worker.recording import MARK_TABLE

    at_import = [one for one in context.recorder.creates if one["phase"] == "import"]
    if at_import:
        return {"called": "import", "creates": at_import, "there": await _there(context, MARK_TABLE)}
    context.recorder.phase = "tables"
    in_vain: dict[str, Any] = {}
    for candidate in _creators(context):
        values = context.finder.values_for(candidate.call)
        if values is None:
            continue
        error = None
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                async with contextlib.AsyncExitStack() as stack:
                    values = await context.finder.depend(values, stack)
                    await call(context, candidate.call, values)
            except (Exception, SystemExit) as problem:
                error = f"{type(problem).__name__}: {problem}"
            gc.collect()
        forgotten = next((str(one.message) for one in warned if "was never awaited" in str(one.message)), None)
        creates = [one for one in context.recorder.creates if one["phase"] == "tables"]
        found = {"called": candidate.label, "creates": creates, "error": error, "forgotten": forgotten, "there": False}
        if creates:
            found["there"] = await _there(context, MARK_TABLE)
        if creates or error or forgotten:
            return found
        in_vain = in_vain or found  # a condition kept it from creating tables: perhaps another function does
    return in_vain or {"called": None}


async def call(context: Context, function: Any, values: dict[str, Any]) -> Any:
    """Call a function of the file, and wait for what it returns."""
    if isinstance(context.engine, AsyncEngine) or context.engine is None:
        made = function(**values)
    else:
        made = await greenlet_spawn(lambda: function(**values))
    return await made if asyncio.iscoroutine(made) else made


def _creators(context: Context) -> list[Any]:
    from course_lib.review.worker.sessions import _kind

    wanted = {"create_all"}
    found = [
        one
        for one in context.finder.functions()
        if _kind(one) is None and context.source.leads_to(one.definition, wanted)
    ]
    return sorted(found, key=lambda one: ("create_all" not in context.source.mentions.get(one.definition, set()),))


async def _there(context: Context, table: str) -> bool:
    if context.is_postgres:
        there = await context.look("select count(*) from pg_tables where tablename = $1", table)
        if there:
            schema = await context.look("select quote_ident(schemaname) from pg_tables where tablename = $1", table)
            await context.look(f"drop table {schema}.{table}")
        return bool(there)
    there = await context.look(f"select count(*) from sqlite_master where name = '{table}'")
    if there:
        await context.look(f"drop table {table}")
    return bool(there)
