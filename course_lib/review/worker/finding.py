"""What in the reviewed module can be called, with what arguments, and what its source says it leads to.

Names only order the candidates: what a thing is shows when it is called.
"""

import ast
import contextlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from sqlalchemy import make_url

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


class Source:
    """What each function of a file leads to, by the names that it calls, directly or through others of the file."""

    def __init__(self, text: str) -> None:
        self.mentions: dict[str, set[str]] = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.mentions[node.name] = _names(node)
            elif isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                        self.mentions[f"{node.name}.{part.name}"] = _names(part)

    def leads_to(self, definition: str, wanted: set[str]) -> bool:
        """Whether a function mentions one of these names, or calls one of the file that does."""
        seen: set[str] = set()
        todo = [definition]
        while todo:
            current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            names = self.mentions.get(current, set())
            if names & wanted:
                return True
            owner = current.rpartition(".")[0]
            todo += [name for name in names if name in self.mentions]
            todo += [f"{owner}.{name}" for name in names if owner and f"{owner}.{name}" in self.mentions]
        return False


def _names(node: ast.AST) -> set[str]:
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found | {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}


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
                yield from self._methods(name, value)
        for kind in self.classes():
            if kind in self.made and not any(value is self.made[kind] for value in vars(self.module).values()):
                yield from self._methods(kind.__name__, self.made[kind])

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

                self.app = FastAPI()
            except ImportError:
                self.app = SimpleNamespace(state=SimpleNamespace())
        return self.app

    def _request(self) -> Any:
        app = self.some_app()
        try:
            from starlette.requests import Request

            return Request({"type": "http", "app": app, "state": {}, "headers": [], "method": "GET", "path": "/"})
        except ImportError:
            return SimpleNamespace(app=app, state=SimpleNamespace())

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
