"""The rules of `course review`: what each asks for, why, and the line that mends it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["RULES", "Finding", "Outcome", "Rule", "rule"]

Severity = Literal["high", "medium", "low"]
Outcome = Literal["ok", "gap", "cannot_tell", "not_applicable"]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        id: its name in reports, e.g. "async-driver".
        title: what holds when the rule is kept, in a few words.
        severity: how much harm a gap does.
        why: what happens to a service where it is not kept.
        mend: what to write.
        lesson: file name of the lesson that teaches it, without ending.
    """

    id: str
    title: str
    severity: Severity
    why: str
    mend: str
    lesson: str


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Args:
        rule: the rule.
        outcome: "ok", "gap", "cannot_tell" (it applies, but could not be observed) or "not_applicable".
        observed: what happened, in a sentence or two, with secrets masked; may be empty for "ok".
    """

    rule: Rule
    outcome: Outcome
    observed: str = ""


RULES: tuple[Rule, ...] = (
    Rule(
        "async-driver",
        "The engine is async",
        "high",
        "A sync driver stops the whole event loop while the database works: one slow query, and every user waits.",
        'Write `engine = create_async_engine("postgresql+asyncpg://…")`, with `pip install asyncpg`.',
        "03_engine_creation",
    ),
    Rule(
        "url-forms",
        "Every form of URL works",
        "high",
        "Hosts hand out `postgres://` and `?sslmode=require`; a URL that can't be used stops the service at its "
        "start, or at its first query.",
        "Convert the URL before it reaches the engine: "
        '`url = make_url(raw)`, then `url = url.set(drivername="postgresql+asyncpg")` '
        '("sqlite+aiosqlite" for SQLite), with `sslmode` in its query renamed to `ssl`.',
        "02_url_conversion",
    ),
    Rule(
        "no-credentials",
        "No password in the source",
        "high",
        "Everyone who can read the code, its history or a copy of it can read the password, and use it.",
        'Take it from outside: `url: SecretStr` in a `BaseSettings` class, or `os.environ["DATABASE_URL"]`, without '
        "a password in the default. Change the password that was written here.",
        "08_credentials",
    ),
    Rule(
        "survives-restart",
        "The first request after a restart succeeds",
        "high",
        "Servers restart for updates and failovers. The pool's connections are dead then, and users get the errors.",
        "Write `create_async_engine(url, pool_pre_ping=True)`.",
        "04_connection_pooling",
    ),
    Rule(
        "recycles",
        "Idle connections are replaced within 5 minutes",
        "medium",
        "Many firewalls, load balancers and hosts drop connections after 4 to 6 idle minutes, often silently: the next "
        "query waits for an answer that never comes, and a pre-ping waits just as long.",
        "Write `create_async_engine(url, pool_recycle=240)`: seconds; an older connection is replaced at its next use. "
        "Stay below the idle limit of your network and host.",
        "04_connection_pooling",
    ),
    Rule(
        "pool-bounded",
        "The pool stays within its budget",
        "high",
        "All processes share the server's max_connections. Beyond it the server refuses at once, other services too.",
        "Write `create_async_engine(url, pool_size=5, max_overflow=5)`: their sum is what one process opens at most.",
        "06_pool_sizing",
    ),
    Rule(
        "pool-arguments",
        "The engine works with the default URL",
        "medium",
        "A colleague's first run and the tests use the default URL; arguments that its pool or driver does not take "
        "stop both.",
        'Give pool arguments to PostgreSQL only: `options = {} if url.startswith("sqlite") else '
        '{"pool_size": 5, "max_overflow": 5}`, then `create_async_engine(url, **options)`. '
        "Without a sensible default, demand the URL and say its name in the error.",
        "10_sqlite_for_testing",
    ),
    Rule(
        "pool-timeout",
        "A wait for a connection ends in time",
        "low",
        "A request that waits for minutes is lost, and holds up those behind it; one that gives up at once fails in "
        "every small surge.",
        "Write `create_async_engine(url, pool_timeout=10)`: seconds; 0.5 to 30 are sensible.",
        "05_pool_exhaustion",
    ),
    Rule(
        "tls-kept",
        "TLS that is asked for is used",
        "high",
        "Where the mode is dropped, the driver encrypts only if the server offers it: whoever stands between can take "
        "TLS away, read all queries and rows and ask for the password, and nothing shows it.",
        'Keep the mode of the URL: `if "sslmode" in query: query["ssl"] = query.pop("sslmode")`, since asyncpg\'s name '
        "for it is `ssl`.",
        "09_tls",
    ),
    Rule(
        "tls-verified",
        "Verification that is asked for happens",
        "medium",
        "Encryption without verification talks to whoever answers, an impostor too, and hands over the credentials.",
        "Hand the URL's mode on as it is, `verify-full` too. Or, for a PostgreSQL that is reached over TLS, write "
        '`connect_args={"ssl": ssl.create_default_context(cafile=…)}`, and leave `check_hostname` and `verify_mode` '
        "as they are.",
        "09_tls",
    ),
    Rule(
        "echo-off",
        "Statements are not logged by default",
        "medium",
        "Every statement goes to the log with its values: personal data, and in a busy service more log than work.",
        "Write `create_async_engine(url, echo=settings.echo)` with `echo: bool = False` in the settings, and set no "
        "level for the logger `sqlalchemy.engine`.",
        "03_engine_creation",
    ),
    Rule(
        "session-closes",
        "Sessions give their connections back",
        "high",
        "Each session that stays open keeps a connection. When the pool is empty, every request waits and fails.",
        "Write `async with AsyncSession(engine, expire_on_commit=False) as session: yield session`.",
        "05_pool_exhaustion",
    ),
    Rule(
        "session-rolls-back",
        "A failed request writes nothing",
        "high",
        "A request that fails half-way leaves half of its rows behind: data that no code path was written for.",
        "Commit only after success: write no `commit()` in a `finally:`, and let "
        "`async with AsyncSession(engine, expire_on_commit=False) as session:` roll back.",
        "03_engine_creation",
    ),
    Rule(
        "session-commits",
        "Nothing is committed by surprise",
        "low",
        "A dependency that commits after the request does so when the answer may have been sent: its failure reaches "
        "nobody, and code that only reads can write.",
        "Commit where the work is: `await session.commit()` in the endpoint, none behind the `yield`, and no `begin()` "
        "around it.",
        "03_engine_creation",
    ),
    Rule(
        "session-after-commit",
        "Objects are readable after commit",
        "medium",
        "Reading an attribute after `commit()` raises MissingGreenlet, or the answer to the user is an empty `{}`.",
        "Write `AsyncSession(engine, expire_on_commit=False)`, the same with `async_sessionmaker`.",
        "03_engine_creation",
    ),
    Rule(
        "tables-created",
        "Creating tables works",
        "high",
        "The service starts, or seems to, and its first query finds no table.",
        "Write `async with engine.begin() as connection: await connection.run_sync(SQLModel.metadata.create_all)`; "
        "without SQLModel it is your `Base.metadata.create_all`.",
        "11_creating_tables",
    ),
    Rule(
        "models-imported",
        "The models are known when tables are created",
        "medium",
        "`create_all` makes the tables of the models that were imported before it. Without an import it makes none, "
        "and raises nothing.",
        "Import them in this file: `from app import models  # noqa: F401`.",
        "11_creating_tables",
    ),
    Rule(
        "disposed",
        "The engine is disposed at the end",
        "medium",
        "Connections stay open after the application has stopped, for as long as its process lives: in tests, and "
        "wherever one process starts it again, the old ones count beside the new ones.",
        "Write `await engine.dispose()` in the `finally:` of the lifespan.",
        "11_creating_tables",
    ),
    Rule(
        "one-engine",
        "There is one engine",
        "high",
        "Each engine has a pool of its own. One engine per call opens a connection per request, and no bound holds.",
        "Make the engine once, at the top of the module: `engine = create_async_engine(url)`, and use it everywhere.",
        "03_engine_creation",
    ),
    Rule(
        "no-connect-at-import",
        "Importing opens no connection",
        "high",
        "Tests, migrations and tools import this file; none of them starts while the database is away, and a "
        "connection made before a fork or in another event loop breaks the workers.",
        "Connect when the application starts: move what connects below `async def lifespan(app):`, before its `yield`.",
        "03_engine_creation",
    ),
    Rule(
        "pgbouncer-settings",
        "It works through a pooler in transaction mode",
        "medium",
        "asyncpg keeps prepared statements on a connection that the pooler gives to others: queries fail, or return "
        "another client's rows without an error.",
        'Write `connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0}`: the first is the cache '
        "of asyncpg, the second that of SQLAlchemy.",
        "07_pgbouncer",
    ),
    Rule(
        "no-secrets-printed",
        "No password is printed or logged",
        "high",
        "Logs are kept for years and read by many: by people, by services, by whoever breaks in.",
        "Print no URL. `make_url(url)` shows `***` in place of the password, but not of one behind the `?`.",
        "08_credentials",
    ),
)

_BY_ID = {one.id: one for one in RULES}


def rule(identifier: str) -> Rule:
    """Return the rule of this id; KeyError if there is none."""
    return _BY_ID[identifier]
