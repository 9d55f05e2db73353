"""Probes of session dependencies, engine functions and lifespans."""

import asyncio
import contextlib
import inspect
import re
from functools import partial
from typing import Any

from sqlalchemy import Integer, String, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.util import greenlet_spawn

from course_lib.review.worker.context import Context
from course_lib.review.worker.finding import is_app
from course_lib.review.worker.probes import call
from course_lib.review.worker.sessions import ASYNC, Use, find_dependency, find_sessionmaker

_TABLE = "course_review_row"
_MAKES_ENGINE = {
    "create_async_engine",
    "create_engine",
    "async_engine_from_config",
    "engine_from_config",
    "AsyncEngine",
}


class _Base(DeclarativeBase):
    pass


class _Row(_Base):
    __tablename__ = _TABLE
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    note: Mapped[str] = mapped_column(String(100))


async def make_engine(context: Context) -> dict[str, Any]:
    """Make the engine of a file that makes it later: by constructing its class, or calling what makes it."""
    context.recorder.phase = "making"
    said = [f"{type(error).__name__}: {error}" for error in context.finder.construct(_MAKES_ENGINE)]
    context.choose_engine()
    # The file's own start-up knows with what to make the engine; the review can only guess a URL.
    for step in (partial(_call_makers, guess=False), _start_lifespan, partial(_call_makers, guess=True)):
        if context.engine is None:
            said += await step(context)
            context.choose_engine()
    return {"made": context.engine is not None, "errors": said}


async def _start_lifespan(context: Context) -> list[str]:
    found = _lifespan(context)
    if found is None:
        return []
    said = []
    context.lifespan = found[1]
    try:
        context.finder.keep_state(await context.lifespan.__aenter__())
    except (Exception, SystemExit) as error:
        said.append(f"{found[0]}: {type(error).__name__}: {error}")
    context.choose_engine()
    if context.engine is None:
        if not said:
            with contextlib.suppress(Exception):
                await context.lifespan.__aexit__(None, None, None)
        context.lifespan = None
    return said


async def _call_makers(context: Context, *, guess: bool) -> list[str]:
    from course_lib.review.worker.sessions import _kind

    said = []
    makers = [
        one
        for one in context.finder.functions()
        if _kind(one) is None and context.source.leads_to(one.definition, _MAKES_ENGINE)
    ]
    makers.sort(key=lambda one: not _MAKES_ENGINE & context.source.mentions.get(one.definition, set()))
    for candidate in makers:
        values = context.finder.values_for(candidate.call)
        if bool(values) != guess and values is not None:
            continue
        if values is None:
            said += [f"{candidate.label} wants arguments that the review can't guess"] if guess else []
            continue
        try:
            made = await call(context, candidate.call, values)
            context.finder.app = context.finder.app or (made if is_app(made) else None)
        except (Exception, SystemExit) as error:
            said.append(f"{candidate.label}: {type(error).__name__}: {error}")
        context.choose_engine()
        if context.engine is not None:
            break
    return said


async def dependency(context: Context) -> dict[str, Any]:
    """Find the session dependency."""
    context.recorder.phase = "sessions"
    context.dependency, failed = await find_dependency(context.finder)
    if context.engine is None:
        context.choose_engine()
    found = context.dependency
    label = found.candidate.label if found else None
    return {"label": label, "said": failed, "kind": found.kind if found else None}


async def sessions(context: Context) -> dict[str, Any]:
    """Use the dependency, and end it in three ways; what is checked out afterwards, and what was written."""
    if context.dependency is None:
        return {}
    await _make_table(context)
    found: dict[str, Any] = {}
    kept = []  # a session that nobody refers to any more would give its connection back by chance
    for way in ("end", "fail", "close"):
        use = Use(context.finder, context.dependency)
        before = set(context.recorder.records)
        session = await use.begin()
        kept += [use, session]
        await _do(session, "execute", text(f"insert into {_TABLE} (note) values ('{way}')"))
        error = None
        try:
            await getattr(use, way)()
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        left = len(context.recorder.records - before)
        with contextlib.suppress(Exception):
            if left:
                await _do(session, "close")
        rows = await context.look(f"select count(*) from {_TABLE} where note = '{way}'")
        found[way] = {"left": left, "rows": rows, "error": error}
    return found | {"type": type(session).__name__, "connection": isinstance(session, AsyncConnection)}


async def after_commit(context: Context) -> dict[str, Any]:
    """Commit an object, and read it."""
    maker = find_sessionmaker(context.finder)
    use = None
    if context.dependency is not None:
        use = Use(context.finder, context.dependency)
        session = await use.begin()
        of = context.dependency.candidate.label
    elif maker is not None:
        session = maker()
        of = "the sessionmaker"
    else:
        return {"of": None}
    if isinstance(session, AsyncConnection) or not hasattr(session, "add"):
        if use is not None:
            await use.close()
        return {"of": None}
    await _make_table(context)
    error = None
    row = _Row(note="course review")
    session.add(row)
    try:
        await _do(session, "commit")
        try:
            _ = (row.note, row.id) if isinstance(session, ASYNC) else await greenlet_spawn(lambda: (row.note, row.id))
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
    finally:
        with contextlib.suppress(Exception):
            await (use.end() if use is not None else _do(session, "close"))
    return {"of": of, "error": error}


async def _make_table(context: Context) -> None:
    serial = "serial primary key" if context.is_postgres else "integer primary key"
    await context.scalar("select 1")  # a SQLite file is known from its first connection on
    await context.look(f"create table if not exists {_TABLE} (id {serial}, note varchar(100) not null)")


async def _do(session: Any, name: str, *arguments: Any) -> Any:
    method = getattr(session, name)
    if isinstance(session, ASYNC):
        return await method(*arguments)
    return await greenlet_spawn(method, *arguments)


async def one_engine(context: Context) -> dict[str, Any]:
    """Use the dependency and the engine functions twice: how many engines does that make?"""
    recorder = context.recorder
    recorder.phase = "one engine"
    made = {}
    if context.dependency is not None:
        binds = []
        before = 0
        for number in range(2):
            before = len(recorder.creations) if number else before
            use = Use(context.finder, context.dependency)
            session = await use.begin()
            with contextlib.suppress(Exception):
                await _do(session, "execute", text("select 1"))
            binds.append(id(_engine_of(session)))
            with contextlib.suppress(Exception):
                await use.close()
                await _do(session, "close")
        new = len(recorder.creations) - before
        made[context.dependency.candidate.label] = new if len(set(binds)) > 1 or new else 0
    for candidate in context.finder.functions():
        if not re.match(r"_?(get_)?(async_|db_)*engine$|_?get_.*engine", candidate.name):
            continue
        values = context.finder.values_for(candidate.call)
        if values != {}:  # what is given a URL or settings makes an engine of them, once, for its caller
            continue
        if any(one.phase == "import" and candidate.name in one.makers for one in recorder.creations):
            continue  # `engine = get_engine()` at the top of the module: that one is what the file's users take
        results: list[Any] = []
        with contextlib.suppress(Exception):  # the sync engine of migrations, say, whose driver is not installed here
            results = [await call(context, candidate.call, values) for _ in range(2)]
        if results and isinstance(results[0], AsyncEngine):
            made[candidate.label] = int(results[0] is not results[1])
    return {"made": made}


def _engine_of(session: Any) -> Any:
    with contextlib.suppress(Exception):
        bind = session.get_bind() if hasattr(session, "get_bind") else session.engine
        return getattr(bind, "engine", bind)
    return None


def _lifespan(context: Context) -> tuple[str, Any] | None:
    """The lifespan of the file: an application's, or a function with a `yield` that takes the application."""
    for name, value in vars(context.module).items():
        if is_app(value):
            return name, value.router.lifespan_context(value)
    for candidate in context.finder.functions():
        inner = inspect.unwrap(candidate.call)
        if not inspect.isasyncgenfunction(inner):
            continue
        names = list(inspect.signature(inner).parameters)
        if "lifespan" not in candidate.name and not (len(names) == 1 and re.search(r"app", names[0])):
            continue
        values = context.finder.values_for(candidate.call)
        if values is None:
            continue
        call = candidate.call
        if inner is call:
            call = contextlib.asynccontextmanager(call)
        return candidate.label, call(**values)
    app = context.finder.made_app(_MAKES_ENGINE)
    return ("the application", app.router.lifespan_context(app)) if app is not None else None


async def lifespan(context: Context) -> dict[str, Any]:
    """Run start-up, use the engine, run the end, and count what is still connected."""
    from course_lib.review.worker.probes import _there
    from course_lib.review.worker.recording import MARK_TABLE

    recorder = context.recorder
    recorder.phase = "lifespan"
    found = ("lifespan", context.lifespan) if context.lifespan is not None else _lifespan(context)
    if found is None:
        return {"label": None}
    label, manager = found
    result: dict[str, Any] = {"label": label}
    engines = len(recorder.engines)
    if context.lifespan is None:
        await context.dispose()
        try:
            context.finder.keep_state(await manager.__aenter__())
        except (Exception, SystemExit) as error:
            return result | {"start": f"{type(error).__name__}: {error}", "creates": _creates(recorder)}
    result["creates"] = _creates(recorder)
    result["there"] = await _there(context, MARK_TABLE) if result["creates"] else None
    newest = recorder.engines[-1].asynchronous if len(recorder.engines) > engines else None
    chosen, context.engine = context.engine, newest or context.engine
    await context.scalar("select 1")
    try:
        await manager.__aexit__(None, None, None)
    except (Exception, SystemExit) as error:
        result["end"] = f"{type(error).__name__}: {error}"
    left = await context.connections()
    for _ in range(20):  # the server needs a moment to see that a connection has ended
        if not left:
            break
        await asyncio.sleep(0.02)
        left = await context.connections()
    context.engine = chosen
    return result | {"left": left}


def _creates(recorder: Any) -> list[dict[str, Any]]:
    return [one for one in recorder.creates if one["phase"] in ("lifespan", "making")]
