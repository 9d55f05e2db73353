"""Session dependencies: found by calling, and driven through their three ends."""

import contextlib
import inspect
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.util import greenlet_spawn

from course_lib.review.worker.finding import Candidate, Finder

_LIKELY = re.compile(r"session|(^|_)db(_|$)|database|uow|unit_of_work|conn|transaction|(^|_)get_")
_UNLIKELY = re.compile(r"lifespan|startup|shutdown|create|init|setup|engine|tables|close|dispose|check|health|ping|url")
ASYNC = (AsyncSession, AsyncConnection, async_scoped_session)
SYNC = (Session, Connection, scoped_session)


class ProbeError(Exception):
    """What goes wrong in the caller of a dependency."""


@dataclass
class Dependency:
    """A way to get a session.

    Args:
        candidate: what is called.
        kind: "generator", "manager" (a context manager) or "returned" (a coroutine that returns it).
        is_async: whether it is used with await.
        is_connection: whether it hands out a connection in place of a session.
    """

    candidate: Candidate
    kind: str
    is_async: bool
    is_connection: bool = False


class Use:
    """One use of a dependency: `session` is what it handed out."""

    def __init__(self, finder: Finder, dependency: Dependency) -> None:
        self._finder = finder
        self._dependency = dependency
        self._stack = contextlib.AsyncExitStack()
        self._object: Any = None
        self.session: Any = None

    async def begin(self) -> Any:
        """Call it, and return what it hands out."""
        candidate = self._dependency.candidate
        values = self._finder.values_for(candidate.call)
        if values is None:
            raise TypeError(f"{candidate.label} wants arguments that the review can't guess")
        values = await self._finder.depend(values, self._stack)
        made = candidate.call(**values)
        if inspect.iscoroutine(made):
            made = await made
        self._object = made
        kind, is_async = self._dependency.kind, self._dependency.is_async
        if kind == "generator":
            handed = await (anext(made) if is_async else greenlet_spawn(next, made))
        elif kind == "manager":
            handed = await (made.__aenter__() if is_async else greenlet_spawn(made.__enter__))
        else:
            handed = made
        self.session = session_in(handed)
        return self.session

    async def end(self) -> None:
        """Go on behind the `yield`, as after a request that succeeded."""
        kind, is_async, made = self._dependency.kind, self._dependency.is_async, self._object
        if kind == "generator" and is_async:
            with contextlib.suppress(StopAsyncIteration):
                await anext(made)
        elif kind == "generator":
            await greenlet_spawn(next, made, None)
        elif kind == "manager":
            await (made.__aexit__(None, None, None) if is_async else greenlet_spawn(made.__exit__, None, None, None))
        await self._stack.aclose()

    async def fail(self) -> None:
        """Raise an exception at the `yield`, as after a request that failed."""
        kind, is_async, made, error = (
            self._dependency.kind,
            self._dependency.is_async,
            self._object,
            ProbeError("probe"),
        )
        with contextlib.suppress(ProbeError, StopAsyncIteration):
            if kind == "generator":
                await (made.athrow(error) if is_async else greenlet_spawn(_throw, made, error))
            elif kind == "manager":
                arguments = (type(error), error, error.__traceback__)
                await (made.__aexit__(*arguments) if is_async else greenlet_spawn(made.__exit__, *arguments))
        await self._stack.aclose()

    async def close(self) -> None:
        """End it early, as when a client has gone."""
        kind, is_async, made = self._dependency.kind, self._dependency.is_async, self._object
        made = getattr(made, "gen", made)
        if hasattr(made, "aclose") and not isinstance(made, ASYNC):
            await made.aclose()
        elif kind == "generator" or inspect.isgenerator(made):
            await greenlet_spawn(made.close)
        elif kind == "manager":
            with contextlib.suppress(ProbeError):
                error = ProbeError("probe")
                arguments = (type(error), error, None)
                await (made.__aexit__(*arguments) if is_async else greenlet_spawn(made.__exit__, *arguments))
        await self._stack.aclose()


def _throw(generator: Any, error: Exception) -> None:
    with contextlib.suppress(StopIteration):  # which no coroutine may raise
        generator.throw(error)


def session_in(value: Any) -> Any:
    """The session or connection that was handed out, or the one inside a unit of work; None if there is none."""
    if isinstance(value, (*ASYNC, *SYNC)):
        return value
    for name in ("session", "_session", "db", "connection"):
        inner = getattr(value, name, None)
        if isinstance(inner, (*ASYNC, *SYNC)):
            return inner
    return None


async def find_dependency(finder: Finder) -> tuple[Dependency | None, list[str]]:
    """Return the session dependency of the file, found by trying, and what was tried in vain."""
    candidates = [one for one in finder.functions() if _may_be_one(one)]
    candidates += _managers(finder)
    candidates.sort(key=_likelihood)
    failed: list[str] = []
    tried = 0
    second_best: Dependency | None = None
    for candidate in candidates:
        kind = _kind(candidate)
        named = _LIKELY.search(candidate.name.lower())
        if (kind is None and not named) or tried >= 8:
            continue
        tried += 1
        try:
            found = await _try(finder, candidate, kind)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            if kind is not None or re.search(r"session|_db$", candidate.name):
                failed.append(f"{candidate.label}: {type(error).__name__}: {error}")
            continue
        if found is not None and not found.is_connection:
            return found, failed
        second_best = second_best or found
    return second_best, failed


def _may_be_one(candidate: Candidate) -> bool:
    name = candidate.name.lower()
    if "session" in name and _kind(candidate) is not None:  # `create_session`, `init_session`
        name = re.sub("create|init|setup|check|url|engine", "", name)
    return not _UNLIKELY.search(name)


def _likelihood(candidate: Candidate) -> tuple[bool, bool, bool]:
    """Sorts functions that hand out sessions before methods, and both before what is only called so."""
    return not _LIKELY.search(candidate.name.lower()), _kind(candidate) is None, "." in candidate.label


def _kind(candidate: Candidate) -> tuple[str, bool] | None:
    call = candidate.call
    if inspect.isasyncgenfunction(call):
        return "generator", True
    if inspect.isgeneratorfunction(call):
        return "generator", False
    wrapped = inspect.unwrap(call) if callable(call) else call
    if wrapped is not call and inspect.isasyncgenfunction(wrapped):
        return "manager", True
    if wrapped is not call and inspect.isgeneratorfunction(wrapped):
        return "manager", False
    if isinstance(call, type):
        return "manager", hasattr(call, "__aenter__")
    return None


def _managers(finder: Finder) -> list[Candidate]:
    found = []
    for kind in finder.classes():
        own = issubclass(kind, (*ASYNC, *SYNC))
        if not own and (hasattr(kind, "__aenter__") or hasattr(kind, "__enter__")):
            found.append(Candidate(kind.__name__, kind, kind.__name__))
    return found


async def _try(finder: Finder, candidate: Candidate, kind: tuple[str, bool] | None) -> Dependency | None:
    if kind is not None:
        dependency = Dependency(candidate, *kind)
        use = Use(finder, dependency)
        session = await use.begin()
        with contextlib.suppress(Exception):
            await use.close()
        dependency.is_connection = isinstance(session, AsyncConnection | Connection)
        return dependency if session is not None else None
    values = finder.values_for(candidate.call)
    if values is None:
        return None
    async with contextlib.AsyncExitStack() as stack:
        made = candidate.call(**await finder.depend(values, stack))
        waited = inspect.iscoroutine(made)
        made = await made if waited else made
    if isinstance(made, AsyncSession | AsyncConnection | Session | Connection):
        is_async = isinstance(made, AsyncSession | AsyncConnection)
        # What a plain function returns is used in a `with` by its callers; a coroutine's result rarely is.
        dependency = Dependency(candidate, "returned" if waited else "manager", is_async)
        if isinstance(made, AsyncSession | AsyncConnection):
            await made.close()
        else:
            await greenlet_spawn(made.close)
        return dependency
    if hasattr(made, "__aenter__") and not isinstance(made, (async_sessionmaker, sessionmaker)):
        dependency = Dependency(candidate, "manager", True)
        use = Use(finder, dependency)
        session = await use.begin()
        with contextlib.suppress(Exception):
            await use.close()
        return dependency if session is not None else None
    return None


def find_sessionmaker(finder: Finder) -> Any:
    """The file's sessionmaker, or None."""
    values = list(vars(finder.module).values())
    for owner in list(values):
        if type(owner) in finder.classes():
            values += list(getattr(owner, "__dict__", {}).values())
    for made in finder.made.values():
        values += list(getattr(made, "__dict__", {}).values())
    return next((value for value in values if isinstance(value, async_sessionmaker | sessionmaker)), None)
