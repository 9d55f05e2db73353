"""What the reviewed file finds outside itself: environment variables and settings, answered when they are asked for.

A file's own names are not known before it asks, so the environment answers on demand: a name such as DATABASE_URL
gets the throw-away server's URL, POSTGRES_USER a part of it. Other names that are required get a harmless value.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

_URL = re.compile(r"URL|URI|DSN|CONN_?STR|CONNECTION_STRING|CONNECTION$|CONNECT_STRING")
_ABOUT_DATABASE = re.compile(r"DATABASE|POSTGRES|PSQL|SQL|(^|_)(DB|PG|RDS|NEON|SUPABASE|PGBOUNCER|POOLER)(_|$)|^DB|^PG")
_OTHER_SERVICE = re.compile(r"REDIS|CELERY|BROKER|RABBIT|AMQP|MONGO|SENTRY|ELASTIC|KAFKA|MYSQL|MARIADB|CACHE|QDRANT")
_PARTS = (
    ("password", re.compile(r"PASS(WORD|WD)?$|(^|_)PW(D)?$|PASSWORD")),
    ("user", re.compile(r"USER(_?NAME)?$|(^|_)LOGIN$|(^|_)ROLE$")),
    ("port", re.compile(r"PORT$")),
    ("host", re.compile(r"HOST(_?NAME)?$|SERVER$|ADDRESS$|ENDPOINT$")),
    ("database", re.compile(r"(^|_)(DB|DATABASE)$|NAME$|DBNAME$|DATABASE$")),
)
_READERS = ("decouple", "environs", "starlette", "pydantic_settings", "environ", "dynaconf")


def kind_of(name: str) -> str | None:
    """What a variable's name asks for: "url", a part of it, or None for what is no matter of the database."""
    name = name.upper()
    if _OTHER_SERVICE.search(name) or not _ABOUT_DATABASE.search(name):
        return None
    if _URL.search(name):
        return "url"
    if re.search(r"SSL|TLS|CERT|DRIVER|SCHEME|DIALECT|POOL(?!ER)|ECHO|TIMEOUT|FILE$|SECRET_", name):
        return None
    return next((kind for kind, pattern in _PARTS if pattern.search(name)), None)


def made_up(name: str) -> str:
    """A harmless value for a required variable that is no matter of the database."""
    name = name.upper()
    if _URL.search(name):
        return "http://127.0.0.1:1/"
    if re.search(r"DEBUG|ENABLE|ECHO|VERBOSE|USE_|IS_", name):
        return "false"
    if re.search(
        r"PORT|SIZE|MAX|MIN|TIMEOUT|SECONDS|MINUTES|HOURS|DAYS|COUNT|LIMIT|NUM|OVERFLOW|RECYCLE|WORKERS", name
    ):
        return "5"
    return "made-up-example"


class Outside:
    """The answers of one run.

    Args:
        give: the URL ("url") and its parts to give; None: the database's variables are not set.
        fixed: further variables with their values.
        roots: the folders of the reviewed code: others' questions get no made-up answer.
    """

    current: ClassVar["Outside | None"] = None

    def __init__(self, give: Mapping[str, str] | None, fixed: Mapping[str, str], roots: tuple[str, ...]) -> None:
        self.give = give
        self.fixed = fixed
        self.roots = roots
        self.asked: dict[str, str | None] = {}  # name -> kind
        self.given: dict[str, str] = {}  # name -> kind
        self.invented: set[str] = set()

    def install(self) -> None:
        """Have `os.environ` and pydantic-settings answer."""
        Outside.current = self
        os.environ.__class__ = _Answering
        try:
            import pydantic_settings
        except ImportError:
            return
        original = pydantic_settings.BaseSettings.__init__

        def fill_and_init(*args: Any, **values: Any) -> None:
            fill_settings(self, type(args[0]))
            values["_env_file"] = None
            original(*args, **values)

        pydantic_settings.BaseSettings.__init__ = fill_and_init  # type: ignore[method-assign]

    def answer(self, name: str, *, required: bool) -> str | None:
        """The value of a variable that is not set, or None."""
        asker = self._asker()
        if asker is None:
            return None
        if name in self.fixed:
            return self.fixed[name]
        kind = kind_of(name)
        self.asked[name] = kind
        if kind is not None:
            return self.value(name, kind)
        if required and asker == "file":
            self.invented.add(name)
            return made_up(name)
        return None

    def value(self, name: str, kind: str) -> str | None:
        """The value for a variable of the database; None when nothing is given."""
        if self.give is None:
            return None
        self.given[name] = kind
        return self.give[kind]

    def _asker(self) -> str | None:
        frame = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if (
                name != __file__
                and not name.startswith("<frozen")
                and Path(name).name not in ("os.py", "_collections_abc.py")
            ):
                break
            frame = frame.f_back  # type: ignore[assignment]
        else:
            return None
        if "site-packages" in name:
            return "library" if any(f"{os.sep}{reader}" in name for reader in _READERS) else None
        return "file" if name.startswith(self.roots) else None


class _Answering(os._Environ):  # type: ignore[type-arg]
    """`os.environ` with answers; it takes over the existing object, so `from os import environ` gets it too."""

    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except KeyError:
            found = _ask(key, required=True)
            if found is None:
                raise
            return found

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return super().__getitem__(key)
        except KeyError:
            found = _ask(key, required=False)
            return default if found is None else found

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or _ask(key, required=False) is not None


def _ask(key: object, *, required: bool) -> str | None:
    if Outside.current is None or not isinstance(key, str):
        return None
    return Outside.current.answer(key, required=required)


def fill_settings(outside: Outside, settings: type[Any], prefix: str | None = None, depth: int = 0) -> None:
    """Set the variables that a pydantic-settings class is about to read."""
    config = settings.model_config if depth == 0 else {}
    prefix = (config.get("env_prefix") or "") if prefix is None else prefix
    delimiter = config.get("env_nested_delimiter")
    fields = dict(settings.model_fields)
    bare = {kind_of(f"DB_{name}") for name in fields} >= {"host", "user", "password"}
    for name, field in fields.items():
        for variable in _variables(prefix, name, field):
            if variable.upper() in map(str.upper, os.environ):
                break
            if hasattr(field.annotation, "model_fields"):
                if delimiter and depth == 0:
                    fill_settings(outside, field.annotation, f"{variable}{delimiter}", 1)
                break
            kind = kind_of(variable) or (kind_of(f"DB_{name}") if bare else None)
            if "PostgresDsn" in repr(field.annotation):
                kind = "url"
            outside.asked[variable] = kind
            if variable in outside.fixed:
                os.environ[variable] = outside.fixed[variable]
            elif kind is not None:
                value = outside.value(variable, kind)
                if value is not None:
                    os.environ[variable] = value
            elif field.is_required():
                outside.invented.add(variable)
                os.environ[variable] = _made_up_for(variable, field.annotation)
            break


def _variables(prefix: str, name: str, field: Any) -> list[str]:
    alias = field.validation_alias
    if isinstance(alias, str):
        return [alias]
    if alias is not None and hasattr(alias, "choices"):
        return [choice for choice in alias.choices if isinstance(choice, str)] or [prefix + name]
    return [(prefix + name).upper()] if prefix == prefix.upper() or prefix == "" else [prefix + name]


def _made_up_for(name: str, annotation: Any) -> str:
    shown = repr(annotation)
    values = getattr(annotation, "__members__", None) or {}
    if values:
        return str(next(iter(values.values())).value)
    if "Literal[" in shown:
        return str(annotation.__args__[0]) if hasattr(annotation, "__args__") else made_up(name)
    for part, value in (
        ("bool", "false"),
        ("int", "5"),
        ("float", "5"),
        ("list", "[]"),
        ("set[", "[]"),
        ("dict", "{}"),
        ("Url", "http://127.0.0.1:1/"),
        ("Email", "someone@example.com"),
        ("Redis", "redis://127.0.0.1:1/0"),
    ):
        if part in shown:
            return value
    return made_up(name)
