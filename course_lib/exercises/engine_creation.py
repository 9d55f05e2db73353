"""The exercises of lesson 03: an engine, a session for a request, and what goes wrong with both."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm.exc import DetachedInstanceError

from course_lib.exercises._engine_creation import (
    EngineLog,
    EngineWatch,
    Note,
    disposed,
    engine_with_notes,
    notes_now,
    notes_with,
    process_variable,
)
from course_lib.exercises._engine_prices import (
    create_slow_price,
    judge_overlap,
    judge_prices,
    priced_engine,
    slow_price_calls,
)
from course_lib.exercises._engine_verdicts import (
    OFF,
    ON,
    disposes_the_engine,
    from_sharing,
    judge_echo,
    judge_note,
    judge_trips,
    raised_by_sqlalchemy,
    sessions_left_open,
    shared_session,
    sync_session,
    uses_threads,
    within,
    wrong_engine,
)
from course_lib.exercises._session_dependency import judge_dependency
from course_lib.exercises.core import NotYet, ask, exercise, using_answer
from course_lib.exercises.lab import lab

__all__ = ["Note", "q1", "q2", "q3", "q4"]

_POOL = 5


@exercise(
    "03.1",
    title="An engine whose echo follows DEBUG",
    hints=(
        "What is `bool('false')`? Try it in a cell. Every value in an environment is text.",
        "`environment.get('DEBUG', '')` gives text, also when DEBUG is not set. Bring it to one case, then ask "
        "whether it is one of the four words that mean on.",
        "`word in {'1', 'true', 'yes', 'on'}` is True or False, and that is what `echo=` takes. Nothing has to be "
        "opened or tried: `create_async_engine` alone is enough.",
    ),
    seconds=15,
)
async def q1(make_engine: Callable[[URL, Mapping[str, str]], AsyncEngine]) -> None:
    """03.1: does the engine log its statements exactly when DEBUG says so?"""
    logged: dict[str | None, bool] = {}
    engines: list[AsyncEngine] = []
    async with lab() as box:
        for value in (*OFF, *ON):
            # The process says the opposite, so that an answer which reads os.environ stands out.
            with EngineLog() as log, process_variable("DEBUG", "0" if value in ON else "1"):
                engine = await _engine_for(make_engine, box.url, value)
                engines.append(engine)
                log.capture()
                async with using_answer("running a query with your engine"):
                    await _query(engine)
                logged[value] = bool(log.records)
                if any(record.levelname == "DEBUG" for record in log.records):
                    raise NotYet(
                        "This engine logs the rows that come back too, so users' data ends up in the log. "
                        "`echo=True` logs the statements and is enough.",
                        misconception="logs-rows",
                    )
                log.records.clear()
                if logged[value]:
                    await _query(create_async_engine(box.url))
                if log.records:
                    raise NotYet(
                        "With DEBUG on, other engines of the program log as well: a logger's level counts for all of "
                        "them. Give this engine alone `echo=True`.",
                        misconception="logs-every-engine",
                    )
            await engine.dispose()
        with process_variable("DEBUG", "0"), EngineLog() as log:
            engine = await _engine_for(make_engine, box.url, None)
            log.capture()
            async with using_answer("running a query with your engine"):
                await _query(engine)
            default = bool(log.records)
    if all(engine is engines[0] for engine in engines):
        raise NotYet(
            "Each call returns the engine of the first one, so a later `environment` changes nothing. Keeping the one "
            "engine of a program is its caller's part; `make_engine` makes one for what it is given.",
            misconception="one-engine-for-all",
        )
    judge_echo(logged, default)


async def _query(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        (await connection.execute(text("select 1"))).all()
    await engine.dispose()


async def _engine_for(make_engine: Callable[..., Any], url: URL, value: str | None) -> AsyncEngine:
    environment = {"HOME": "/srv/app"} | ({} if value is None else {"DEBUG": value})
    with EngineWatch() as watch:
        try:
            engine = await ask(make_engine, url, environment, given=f"make_engine(url, {environment!r})")
            for _ in range(3):
                await asyncio.sleep(0)  # a task that the answer started begins now
        except KeyError as error:
            if value is None and error.args == ("DEBUG",):
                raise NotYet(
                    "Without DEBUG in the environment `make_engine` raises a `KeyError`. A variable that is only for "
                    "development may be missing: read it with `.get` and a default that means off.",
                    misconception="debug-required",
                ) from None
            if error.args == (value,) and not raised_by_sqlalchemy(error):
                raise NotYet(
                    f"`make_engine` raises `KeyError: {value!r}`: it looks the text up and does not know it. "
                    "Everything besides the four words is off: write `.get(word, False)`.",
                    misconception="unknown-word-raises",
                ) from None
            if error.args == (value,):
                raise NotYet(
                    f"`create_async_engine` raised `KeyError: {value!r}`, and `echo` is at fault: it got text. It "
                    "takes `True` or `False`, so decide first what the text means.",
                    misconception="echo-gets-text",
                ) from None
            raise
    if wrong := wrong_engine(engine, url):
        raise wrong
    if watch.connects:
        await engine.dispose()
        raise NotYet(
            "`make_engine` opened a connection. Making an engine must not need the database: it is made when the "
            "program starts or is imported, and the database may be away at that moment.",
            misconception="connects-at-creation",
        )
    return engine  # type: ignore[no-any-return]


@exercise(
    "03.2",
    title="A session per request that always closes",
    hints=(
        "What has to happen after the endpoint, even if it fails? Which statement of Python makes sure of that?",
        "`async with` closes a session in every case, and closing rolls back what was not committed. `yield` hands "
        "the session out and waits there until the endpoint has ended.",
        "One `async with AsyncSession(engine, expire_on_commit=False) as …:` and one `yield` inside it. No `except`, "
        "no `commit`. Take `AsyncSession` from `sqlmodel.ext.asyncio.session`.",
    ),
    seconds=10,
)
async def q2(get_session: Callable[[AsyncEngine], Any]) -> None:
    """03.2: driven as FastAPI drives a dependency, does get_session hand out a session and clean up after it?"""
    async with lab() as box, engine_with_notes(box.url, pool_size=10) as engine:
        await judge_dependency(get_session, engine, box)


@exercise(
    "03.3",
    title="An endpoint that answers after its commit",
    hints=(
        "Which line raises? What did the line before it do to the values that `note` held?",
        "After a commit the session forgets what it loaded. Either tell it not to, or load it again with `await`, or "
        "take the values while they are still there.",
        "`AsyncSession(engine, expire_on_commit=False)` keeps them. `await session.refresh(note)` loads all columns "
        "with one statement. `await session.flush()` before the commit fills in the id.",
    ),
    seconds=10,
)
async def q3(create_note: Callable[[AsyncEngine, str], Awaitable[dict[str, Any]]]) -> None:
    """03.3: does the endpoint store a note and answer with all its values, without a needless trip?"""
    async with lab() as box, engine_with_notes(box.url, pool_size=3) as engine:
        pool = engine.pool
        for title in ("Buy milk", "Call Ada"):
            with EngineWatch(engine) as watch:
                got = await _note(create_note, engine, title, watch)
                stored = notes_now(box.url, title)
                judge_trips(watch)
                if not stored:
                    await _judge_late_commit(box.url, title)
            if engine.pool.checkedout():  # type: ignore[attr-defined]
                raise NotYet(
                    "A session of the endpoint is still open and keeps a connection. Open it with `async with`.",
                    misconception="leaves-session-open",
                )
            if engine.pool is not pool:
                raise disposes_the_engine("create_note")
            judge_note(got, stored, watch, title)


async def _note(create_note: Callable[..., Any], engine: AsyncEngine, title: str, watch: EngineWatch) -> Any:
    try:
        return await ask(create_note, engine, title, given=f"create_note(engine, {title!r})")
    except Exception as error:
        if watch.other_threads:
            judge_trips(watch)
        if within(error, MissingGreenlet) and not watch.sent:
            raise sync_session() from None
        if within(error, MissingGreenlet):
            raise NotYet(
                "The endpoint still raises `MissingGreenlet`: it reads an attribute that the commit has expired, in a "
                "place where nothing is awaited. Keep the values, or load them with `await`.",
                misconception="still-expired",
            ) from None
        if within(error, DetachedInstanceError):
            raise NotYet(
                "The endpoint raises `DetachedInstanceError`: it reads an expired attribute after the session was "
                "closed. Load it while the session is open, or do not let the commit expire it.",
                misconception="reads-after-close",
            ) from None
        raise


async def _judge_late_commit(url: URL, title: str) -> None:
    for _ in range(10):
        await asyncio.sleep(0.03)
        if await notes_with(url, title):
            raise NotYet(
                "The endpoint answers first, and a task commits later. If that commit fails, the client has already "
                "been told that the note is stored. Await the commit before you return.",
                misconception="commits-after-the-answer",
            )


@exercise(
    "03.4",
    title="Ten queries at once",
    hints=(
        "How many queries can one connection run at the same moment? How many connections does one session use?",
        "Write a small coroutine that opens its own session, runs one query and returns one number. Then start ten.",
        "`asyncio.gather(*(one(n) for n in numbers))` runs them together and keeps their order. The session is opened "
        "inside `one`. The pool makes the ones that find no free connection wait.",
    ),
    seconds=15,
)
async def q4(fetch_prices: Callable[[AsyncEngine, list[int]], Awaitable[list[int]]]) -> None:
    """03.4: do ten queries share the given engine's pool, as many at once as it has connections?"""
    numbers = [3, 8, 1, 6, 10, 5, 2, 9, 4, 7]
    factor = 1999
    async with lab() as box, disposed(create_async_engine(box.url)) as maker:
        await create_slow_price(maker, wanted=_POOL, factor=factor)
        # The answer's engine starts cold: that is when a shared session fails.
        async with disposed(priced_engine(box.url, pool_size=_POOL)) as engine:
            pool = engine.pool
            with EngineWatch(engine) as watch:
                before = 0
                for _ in range(2):
                    got = await _prices(fetch_prices, engine, numbers, watch)
                    calls, through, most = await slow_price_calls(maker)
                    judge_prices(got, numbers, factor, calls - before)
                    before = calls
                    if most >= _POOL or watch.most_at_once == 1:
                        break  # else once more, now warm: a busy machine may not get that far while it connects
            judge_overlap(watch, calls=calls, through=through, most=most, wanted=_POOL)
            if engine.pool.checkedout():  # type: ignore[attr-defined]
                raise sessions_left_open()
            if engine.pool is not pool:
                raise disposes_the_engine("fetch_prices")


async def _prices(fetch_prices: Callable[..., Any], engine: AsyncEngine, numbers: list[int], watch: EngineWatch) -> Any:
    given = f"fetch_prices(engine, {numbers})"
    try:
        got = await ask(fetch_prices, engine, list(numbers), given=given)
        raised = [each for each in got if isinstance(each, Exception)] if isinstance(got, list | tuple) else []
        if not raised:
            return got
        error: Exception = ExceptionGroup("in the answer", raised)
    except Exception as caught:
        error = caught
    if watch.other_threads:
        raise uses_threads()
    if within(error, MissingGreenlet):
        raise sync_session()
    if from_sharing(error):
        raise shared_session()
    if within(error, PoolTimeout):
        raise sessions_left_open()
    if isinstance(error, ExceptionGroup) and error.message == "in the answer":
        return got
    raise error
