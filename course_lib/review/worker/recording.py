"""What the reviewed file does to SQLAlchemy: engines made, connections opened, tables created, records logged."""

import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, Engine, Integer, MetaData, Pool, Table, event, make_url
from sqlalchemy.engine import create as engine_module
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import engine as async_engine_module

MARK_TABLE = "course_review_mark"
_SYNC_ONLY = {"psycopg2", "pg8000", "psycopg2cffi", "pysqlite", "mysqldb", "pymysql"}


@dataclass(eq=False)
class Creation:
    """One call that makes an engine."""

    asked_async: bool
    url: str
    backend: str
    driver: str  # as asked for; "" when the URL could not be read
    phase: str
    makers: frozenset[str] = frozenset()  # the functions that led to it, by name
    error: BaseException | None = None
    engine: Engine | None = None
    asynchronous: AsyncEngine | None = None
    substituted: bool = False


@dataclass
class Recorder:
    """What has been seen so far.

    Args:
        target: host, port, user, password and database of the throw-away server.
        ports: ports that are the review's own; connections to others are led to the target.
        scratch: the folder for SQLite's files.
        substitute: whether an engine that can't be made is made with the async driver, to go on looking.
    """

    target: dict[str, Any]
    ports: set[int]
    scratch: Path
    substitute: bool
    phase: str = "import"
    creations: list[Creation] = field(default_factory=list)
    connects: list[tuple[str, str]] = field(default_factory=list)  # phase, where to
    arguments: dict[str, Any] = field(default_factory=dict)  # of the latest connect, for the driver
    detour: dict[str, Any] = field(default_factory=dict)  # in place of the target, for a while
    records: set[int] = field(default_factory=set)  # checked-out connections
    open: set[int] = field(default_factory=set)
    creates: list[dict[str, Any]] = field(default_factory=list)  # calls of create_all
    logged: list[str] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)  # of SQLite
    originals: dict[int, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    inside: bool = False

    def install(self) -> None:
        """Wrap what makes engines, connects, creates tables and logs. To be called before the file is imported."""
        self._replace(engine_module.create_engine, self._maker(engine_module.create_engine, asked_async=False))
        original = async_engine_module.create_async_engine
        self._replace(original, self._maker(original, asked_async=True))
        self._watch_async_engines()
        self._watch_tables()
        self._watch_logs()
        event.listen(Engine, "do_connect", self._redirect)
        event.listen(Pool, "checkout", lambda _, record, __: self.records.add(id(record)))
        event.listen(Pool, "checkin", lambda _, record: self.records.discard(id(record)))
        event.listen(Pool, "connect", lambda connection, _: self.open.add(id(connection)))
        event.listen(Pool, "close", lambda connection, _: self.open.discard(id(connection)))
        event.listen(Pool, "close_detached", lambda connection: self.open.discard(id(connection)))
        self._watch_asyncpg()

    @property
    def engines(self) -> list[Creation]:
        """The engines that could be made."""
        return [one for one in self.creations if one.engine is not None]

    def _replace(self, old: object, new: object) -> None:
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in ("sqlalchemy", "sqlmodel"):
                for key, value in list(vars(module).items()):
                    if value is old:
                        setattr(module, key, new)

    def _maker(self, original: Callable[..., Any], *, asked_async: bool) -> Callable[..., Any]:
        def create(url: Any, *args: Any, **options: Any) -> Any:
            if self.inside:  # create_async_engine calls create_engine
                return original(url, *args, **options)
            self.inside = True
            one = self._noted(url, asked_async)
            try:
                made = original(url, *args, **options)
            except Exception as error:
                one.error = error
                made = self._instead(one, original, options, error)
            finally:
                self.inside = False
            one.asynchronous = made if isinstance(made, AsyncEngine) else None
            one.engine = made.sync_engine if isinstance(made, AsyncEngine) else made
            return made

        create.__name__ = original.__name__
        create.__doc__ = original.__doc__
        return create

    def _noted(self, url: Any, asked_async: bool) -> Creation:
        one = Creation(asked_async, "", "", "", self.phase, _callers())
        try:
            parsed = make_url(url)
            one.url = parsed.render_as_string(hide_password=False)
            one.backend = parsed.get_backend_name()
            one.driver = parsed.drivername.partition("+")[2]
        except Exception:
            one.url = str(url)
        self.creations.append(one)
        return one

    def _instead(self, one: Creation, original: Callable[..., Any], options: dict[str, Any], error: Exception) -> Any:
        kind = type(error).__name__
        unusable = kind in ("ModuleNotFoundError", "NoSuchModuleError", "InvalidRequestError")
        url = re.sub(r"^postgres(\+\w+)?:", "postgresql:", one.url)
        known = url.startswith(("postgresql", "sqlite"))
        asked_sync = one.driver in ("", *_SYNC_ONLY)
        if not (self.substitute and unusable and known and asked_sync):
            raise error
        parsed = make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        driver = "sqlite+aiosqlite" if sqlite else "postgresql+asyncpg"
        keep = parsed.query if sqlite else {}
        options.pop("connect_args", None)
        one.substituted = True
        return original(parsed.set(drivername=driver, query=keep), **options)

    def _watch_async_engines(self) -> None:
        original = AsyncEngine.__init__

        def init(engine: AsyncEngine, sync_engine: Engine, *args: Any, **options: Any) -> None:
            original(engine, sync_engine, *args, **options)
            for one in self.creations:
                if one.engine is sync_engine:  # AsyncEngine(create_engine(...)), as older tutorials write it
                    one.asynchronous = engine

        AsyncEngine.__init__ = init  # type: ignore[method-assign,assignment]

    def _watch_tables(self) -> None:
        original = MetaData.create_all

        def create_all(metadata: MetaData, *args: Any, **options: Any) -> None:
            self.creates.append({"tables": len(metadata.tables), "phase": self.phase})
            # Whether tables arrive is seen by this one, also where no model is known.
            if MARK_TABLE not in metadata.tables and "tables" not in options and len(args) < 2:
                mark = Table(MARK_TABLE, metadata, Column("id", Integer, primary_key=True))
                try:
                    original(metadata, *args, **options)
                finally:
                    metadata.remove(mark)
            else:
                original(metadata, *args, **options)

        MetaData.create_all = create_all  # type: ignore[method-assign,assignment]

    def _watch_logs(self) -> None:
        original = logging.Logger.handle

        def handle(logger: logging.Logger, record: logging.LogRecord) -> None:
            if len(self.logged) < 5000:
                text = record.getMessage()
                if record.exc_info and record.exc_info[1] is not None:
                    text += f"\n{record.exc_info[1]}"
                self.logged.append(text[:5000])
            original(logger, record)

        logging.Logger.handle = handle  # type: ignore[method-assign,assignment]
        logging.getLogger().setLevel(logging.INFO)

    def _redirect(self, dialect: Any, record: Any, positional: list[Any], arguments: dict[str, Any]) -> None:
        if dialect.name == "sqlite":
            if positional:
                positional[0] = self.private_path(str(positional[0]))
                self.connects.append((self.phase, "SQLite"))
            return
        # SQLAlchemy 2.0 keeps this mapping for later connections, so that a detour would stay.
        _, original = self.originals.setdefault(id(arguments), (arguments, dict(arguments)))
        arguments.clear()
        arguments |= original
        self.lead(arguments)
        if "dbname" in arguments:  # psycopg's name for it
            arguments["dbname"] = arguments.pop("database", arguments["dbname"])
        self.arguments = dict(arguments)

    def lead(self, arguments: dict[str, Any], *, note: bool = True) -> None:
        """Lead a connection to the throw-away server, unless it goes there anyway."""
        if note:
            self.connects.append((self.phase, "PostgreSQL"))
        if _number(arguments.get("port")) not in self.ports:
            for key in ("service", "hosts"):
                arguments.pop(key, None)
            arguments |= self.target
        arguments |= self.detour

    def private_path(self, path: str) -> str:
        """Where a SQLite file of the reviewed code is kept: in the scratch folder."""
        if path in ("", ":memory:") or "mode=memory" in path:
            return path
        if path.startswith(str(self.scratch)):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self.paths.add(path)
            return path
        plain = path.removeprefix("file:").partition("?")[0]
        private = self.scratch / "sqlite" / re.sub(r"\W+", "_", plain)
        private.parent.mkdir(exist_ok=True)
        self.paths.add(str(private))
        return f"file:{private}?{path.partition('?')[2]}" if path.startswith("file:") else str(private)

    def _watch_asyncpg(self) -> None:
        try:
            import asyncpg
            import asyncpg.pool
        except ImportError:
            return
        original = asyncpg.connect

        def connect(dsn: Any = None, **options: Any) -> Any:
            if dsn is not None:  # the code's own, not SQLAlchemy's
                options |= _without_place(dsn)
            self.lead(options, note=dsn is not None or not self.arguments)
            self.arguments = dict(options)
            return original(**options)

        asyncpg.connect = connect


def _without_place(dsn: Any) -> dict[str, Any]:
    """What a DSN of asyncpg says beside host, user and database: the TLS mode."""
    try:
        url: URL = make_url(str(dsn))
    except Exception:
        return {}
    mode = url.query.get("sslmode")
    place = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    found: dict[str, Any] = {**place, "database": url.database} if url.port else {}
    return found | ({"ssl": mode} if mode else {})


def _callers() -> frozenset[str]:
    names, frame = set(), sys._getframe(1)
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return frozenset(names)


def _number(port: Any) -> int | None:
    try:
        return int(port[0] if isinstance(port, (list, tuple)) else port)
    except (TypeError, ValueError):
        return None
