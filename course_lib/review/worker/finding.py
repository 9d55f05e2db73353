"""What in the reviewed module can be called, with what arguments, and what its source says it leads to.

Names only order the candidates: what a thing is shows when it is called.
"""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from sqlalchemy import make_url

from course_lib.review.worker.mentions import Source

_NEVER = re.compile(r"^_*(drop|delete|reset|clear|remove|destroy|truncate|wipe|purge|main$|run$|downgrade|kill)", re.I)


@dataclass(frozen=True)
class Candidate:
    """Something that can be called: its name as a reader would write it, the callable, and the class it is of."""

    label: str
    call: Callable[..., Any]
    definition: str  # its name in the source: "function" or "Class.method"

    @property
    def name(self) -> str:
        return self.definition.rpartition(".")[2]


class Finder:
    """Finds what to call in a module.

    Args:
        module: the imported module.
        source: what its functions lead to.
        is_local: whether a source file belongs to the reviewed code.
        give: the URL and its parts that arguments get.
    """

    def __init__(
        self, module: ModuleType, source: Source, is_local: Callable[[str], bool], give: dict[str, Any]
    ) -> None:
        self.module = module
        self.source = source
        self.is_local = is_local
        self.give = give
        self.engine: Any = None
        self.app: Any = None
        self.state: dict[str, Any] = {}
        self._stand_in: Any = None
        self.made: dict[type, Any] = {}

    def classes(self) -> list[type]:
        """The classes that the file itself defines."""
        own = [each for each in vars(self.module).values() if isinstance(each, type)]
        return [each for each in own if each.__module__ == self.module.__name__]

    def functions(self) -> Iterator[Candidate]:
        """Functions of the file, and the methods of its objects and classes."""
        for name, value in list(vars(self.module).items()):
            if _NEVER.match(name) or isinstance(value, type | ModuleType):
                continue
            if self._is_own_function(value):
                yield Candidate(name, value, getattr(value, "__name__", name))
            elif type(value) in self.classes():
                if callable(value):  # Depends(SessionProvider(maker))
                    yield Candidate(name, value.__call__, f"{type(value).__name__}.__call__")
                yield from self._methods(name, value)
        for kind in self.classes():
            if kind in self.made and not any(value is self.made[kind] for value in vars(self.module).values()):
                yield from self._methods(kind.__name__, self.made[kind])

        for name, value in self._of_routes():
            yield Candidate(name, value, name)

    def _of_routes(self) -> Iterator[tuple[str, Any]]:
        """What the application's routes depend on and the module does not show, as inside `create_app()`."""
        shown = list(vars(self.module).values())
        app = self.app or next((value for value in shown if is_app(value)), None)
        todo = [getattr(route, "dependant", None) for route in getattr(app, "routes", ())]
        found: list[Any] = []
        while todo:
            for inner in getattr(todo.pop(), "dependencies", ()):
                todo.append(inner)
                if self._is_own_function(inner.call) and inner.call not in [*shown, *found]:
                    found.append(inner.call)
        return ((value.__name__, value) for value in found)

    def made_app(self, wanted: set[str]) -> Any:
        """The application that a function of the file makes, `create_app()`, where that leads to an engine."""
        if self.app is None:
            for name, value in list(vars(self.module).items()):
                if not re.search(r"app(lication)?$", name, re.I) or not self._is_own_function(value):
                    continue
                if inspect.iscoroutinefunction(value) or self.values_for(value) != {}:
                    continue
                with contextlib.suppress(Exception):
                    made = value()
                    if is_app(made):
                        self.app = made
                        break
        return self.app if is_app(self.app) and self.app is not self._stand_in else None

    def keep_state(self, state: Any) -> None:
        """Requests see what a lifespan yields."""
        if isinstance(state, Mapping):
            self.state = dict(state)

    def _is_own_function(self, value: Any) -> bool:
        if not (inspect.isfunction(value) or inspect.iscoroutinefunction(value) or hasattr(value, "__wrapped__")):
            return False
        code = getattr(inspect.unwrap(value), "__code__", None)
        return code is not None and self.is_local(code.co_filename)

    def _methods(self, owner: str, value: Any) -> Iterator[Candidate]:
        for kind in type(value).__mro__:
            if kind not in self.classes():
                continue
            for name, member in vars(kind).items():
                if name.startswith("__") or _NEVER.match(name):
                    continue
                if isinstance(member, property):
                    if "session" in name:
                        yield Candidate(f"{owner}.{name}", _reader(value, name), f"{kind.__name__}.{name}")
                    continue
                bound = getattr(value, name, None)
                if callable(bound) and not isinstance(bound, type):
                    yield Candidate(f"{owner}.{name}", bound, f"{kind.__name__}.{name}")

    def construct(self, wanted: set[str]) -> list[BaseException]:
        """Make objects of the classes that lead to an engine and have none yet; returns the errors."""
        errors: list[BaseException] = []
        for kind in self.classes():
            has_one = any(type(value) is kind for value in vars(self.module).values())
            names = [name for name in self.source.mentions if name.startswith(f"{kind.__name__}.")]
            if has_one or kind in self.made or not any(self.source.leads_to(name, wanted) for name in names):
                continue
            try:
                values = self.values_for(kind)
            except (TypeError, ValueError):
                values = None
            if values is None:
                continue
            try:
                self.made[kind] = kind(**values)
            except Exception as error:
                errors.append(error)
        return errors

    def values_for(self, call: Callable[..., Any]) -> dict[str, Any] | None:
        """Arguments for a call, or None when one can't be guessed. A `Depends` is resolved in `depend`."""
        values: dict[str, Any] = {}
        for name, parameter in inspect.signature(call).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if parameter.default is not parameter.empty and not hasattr(parameter.default, "dependency"):
                continue
            found, value = self._value(name, parameter)
            if not found or parameter.kind is parameter.POSITIONAL_ONLY:
                return None
            values[name] = value
        return values

    def _value(self, name: str, parameter: inspect.Parameter) -> tuple[bool, Any]:
        shown = str(parameter.annotation)
        depends = getattr(parameter.default, "dependency", None)
        for extra in getattr(parameter.annotation, "__metadata__", ()):
            depends = getattr(extra, "dependency", None) or depends
        if depends is not None:
            return True, _Needed(depends)
        if re.search(r"Engine\b", shown) or re.search(r"(^|_)(engine|bind)$", name):
            return self.engine is not None, self.engine
        if re.search(r"sessionmaker", shown) or re.search(r"factory|maker|session_local", name, re.I):
            return _first(vars(self.module).values(), "sessionmaker")
        if "Request" in shown or "HTTPConnection" in shown or name in ("request", "req", "connection"):
            return True, self._request()
        if "FastAPI" in shown or "Starlette" in shown or name in ("app", "_app", "application", "_", "__"):
            return True, self.some_app()
        if re.search(r"(^|_)(url|dsn|uri)$|url$", name, re.I):
            return True, make_url(self.give["url"]) if shown.endswith("URL'>") else self.give["url"]
        if name in ("user", "username", "password", "host", "database", "dbname", "port"):
            value = self.give[{"username": "user", "dbname": "database"}.get(name, name)]
            return True, int(value) if name == "port" else value
        if "Settings" in shown or "Config" in shown or re.search(r"settings|config", name):
            return self._settings(parameter.annotation)
        return False, None

    def _settings(self, kind: Any) -> tuple[bool, Any]:
        for value in vars(self.module).values():
            if (isinstance(kind, type) and type(value) is kind) or re.search(
                r"Settings$|Config$", type(value).__name__
            ):
                return True, value
        if not isinstance(kind, type):
            candidates = [each for each in self.classes() if re.search(r"Settings$|Config$", each.__name__)]
            kind = candidates[0] if candidates else None
        if kind is None:
            return False, None
        try:
            return True, kind()
        except Exception:
            return False, None

    def some_app(self) -> Any:
        """The application of the file, or one that stands in for it."""
        if self.app is None:
            self.app = next((each for each in vars(self.module).values() if is_app(each)), None)
        if self.app is None:
            try:
                from fastapi import FastAPI

                self.app = self._stand_in = FastAPI()
            except ImportError:
                self.app = self._stand_in = SimpleNamespace(state=SimpleNamespace())
        return self.app

    def _request(self) -> Any:
        app = self.some_app()
        try:
            from starlette.requests import Request

            scope = {"type": "http", "app": app, "state": self.state, "headers": [], "method": "GET", "path": "/"}
            return Request(scope)
        except ImportError:
            return SimpleNamespace(app=app, state=SimpleNamespace(**self.state))

    async def depend(self, values: dict[str, Any], stack: contextlib.AsyncExitStack) -> dict[str, Any]:
        """Replace what needs calling by what it gives, as FastAPI does; generators end with `stack`."""
        return {name: await self._resolved(value, stack) for name, value in values.items()}

    async def _resolved(self, value: Any, stack: contextlib.AsyncExitStack) -> Any:
        if not isinstance(value, _Needed):
            return value
        inner = self.values_for(value.call)
        if inner is None:
            raise TypeError(f"no arguments for {getattr(value.call, '__name__', 'a dependency')}")
        inner = await self.depend(inner, stack)
        if inspect.isasyncgenfunction(value.call):
            return await stack.enter_async_context(contextlib.asynccontextmanager(value.call)(**inner))
        if inspect.isgeneratorfunction(value.call):
            return stack.enter_context(contextlib.contextmanager(value.call)(**inner))
        result = value.call(**inner)
        return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True)
class _Needed:
    """The callable of a `Depends`."""

    call: Callable[..., Any]


def _reader(owner: Any, name: str) -> Callable[[], Any]:
    return lambda: getattr(owner, name)


def is_app(value: Any) -> bool:
    """Whether this is an application of Starlette or FastAPI."""
    return any(kind.__name__ == "Starlette" for kind in type(value).__mro__)


def _first(values: Any, kind: str) -> tuple[bool, Any]:
    for value in values:
        if kind in type(value).__name__:
            return True, value
    return False, None
