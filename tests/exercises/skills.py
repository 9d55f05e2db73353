"""Complete skill files in different words: for each, what it says about each rule of the review."""

TERSE = {
    "async-driver": "- async driver: `asyncpg` / `aiosqlite`",
    "url-forms": "- URLs: `postgres://`, `postgresql://`, `?sslmode=…`, already async, `sqlite:///`",
    "no-credentials": "- no credentials in source, defaults, comments",
    "survives-restart": "- `pool_pre_ping=True`",
    "recycles": "- `pool_recycle=240`",
    "pool-bounded": "- `pool_size=5, max_overflow=5`",
    "pool-arguments": "- pool options: not for in-memory SQLite",
    "pool-timeout": "- `pool_timeout=10`",
    "tls-kept": "- `sslmode` -> `ssl`",
    "tls-verified": "- verify-full: `ssl.create_default_context(cafile=…)`",
    "echo-off": "- echo off",
    "session-closes": "- `async with AsyncSession(...)`, `yield`",
    "session-rolls-back": "- exception → rollback",
    "session-commits": "- no commit in the dependency",
    "session-after-commit": "- `expire_on_commit=False`",
    "tables-created": "- `run_sync(SQLModel.metadata.create_all)`",
    "models-imported": "- import the models",
    "disposed": "- `await engine.dispose()` in lifespan",
    "one-engine": "- one engine per process",
    "no-connect-at-import": "- import opens no connection",
    "pgbouncer-settings": "- PgBouncer: `statement_cache_size=0`",
    "no-secrets-printed": "- never print or log the URL",
}

PROSE = {
    "async-driver": "The whole service is asynchronous, so the engine has to be made with an async driver, which means "
    "asyncpg on PostgreSQL.",
    "url-forms": "People paste whatever address their provider shows them. Your code takes every one of these forms "
    "and "
    "turns the URL into one that the engine accepts, be it `postgres://` or one that names its driver already.",
    "no-credentials": "Passwords don't belong in the repository. You will find examples that put one into a default "
    "or a "
    "comment, and you must not copy them.",
    "survives-restart": "Servers restart. Let the pool test a connection before it hands it out, so that the first "
    "request "
    "afterwards is served.",
    "recycles": "Managed hosts cut what was idle for five minutes, and say nothing. Have connections recycled after "
    "four "
    "minutes at the latest.",
    "pool-bounded": "Every worker shares the server with its neighbours. Keep the number of connections bounded: "
    "the pool "
    "with its overflow stays within a budget of twenty.",
    "pool-arguments": "Somebody who clones the project has set nothing. The default URL must work right away, which "
    "SQLite "
    "makes easy.",
    "pool-timeout": "When all connections are taken, a request should not wait for a free connection for ever. Ten "
    "seconds "
    "are plenty.",
    "tls-kept": "If the address asks for TLS, don't drop it on the way to the driver.",
    "tls-verified": "Where a certificate authority is configured, verify the server's certificate and its host name.",
    "echo-off": "Statements carry personal data. They are not echoed unless somebody asks for it in the settings.",
    "session-closes": "The dependency closes its session in all cases, and the connection goes back to the pool.",
    "session-rolls-back": "What an endpoint began is rolled back if it raises.",
    "session-commits": "Whoever writes decides when it counts: `get_session` itself doesn't commit.",
    "session-after-commit": "Objects remain readable after the commit, since the answer is built from them.",
    "tables-created": "Tables come into being through `run_sync` on a connection of the engine.",
    "models-imported": "Before that, import the module with the models, or nothing is created.",
    "disposed": "At shutdown, dispose of the engine.",
    "one-engine": "There is a single engine in each process.",
    "no-connect-at-import": "Merely importing the module must not connect to anything.",
    "pgbouncer-settings": "Behind PgBouncer in transaction mode, switch off asyncpg's prepared statement cache.",
    "no-secrets-printed": "Mask the password wherever settings are shown.",
}

CHECKLIST = {
    "async-driver": "- [ ] The driver is async; `create_engine` and psycopg2 are not used",
    "url-forms": "- [ ] DATABASE_URL is accepted in all its forms",
    "no-credentials": "- [ ] Credentials are absent from code and comments: no password is hard-coded",
    "survives-restart": "- [ ] Pre-ping is on",
    "recycles": "- [ ] Idle connections are recycled before the host's time-out (below 300 s)",
    "pool-bounded": "- [ ] The pool is bounded; max_overflow is never -1",
    "pool-arguments": "- [ ] Pool arguments are passed for PostgreSQL only, SQLite gets none",
    "pool-timeout": "- [ ] The pool timeout is between 1 and 30 seconds",
    "tls-kept": "- [ ] sslmode isn't stripped from the URL",
    "tls-verified": "- [ ] Certificate verification is never disabled",
    "echo-off": "- [ ] SQL logging is disabled by default",
    "session-closes": "- [ ] Each session is closed by a context manager",
    "session-rolls-back": "- [ ] A failed request leaves nothing half-written: rollback on error",
    "session-commits": "- [ ] Commits are explicit, in the endpoint",
    "session-after-commit": "- [ ] Attributes can be read after commit (expire_on_commit is off)",
    "tables-created": "- [ ] Tables are created by Alembic migrations",
    "models-imported": "- [ ] All models are imported first",
    "disposed": "- [ ] The pool is closed when the application stops: engine disposed",
    "one-engine": "- [ ] No new engine per request",
    "no-connect-at-import": "- [ ] No I/O at import time",
    "pgbouncer-settings": "- [ ] With a pooler, prepared statements are disabled",
    "no-secrets-printed": "- [ ] Secrets never appear in logs",
}

QUESTIONS = {
    "async-driver": "1. Is the driver an async one?",
    "url-forms": "2. Does it understand any form of database URL that a host hands out?",
    "no-credentials": "3. Is there a password in the code, a default or a comment?",
    "survives-restart": "4. Does the first query succeed after the server was restarted?",
    "recycles": "5. Are connections replaced before they have been idle for 5 minutes?",
    "pool-bounded": "6. Is the size of the pool limited?",
    "pool-arguments": "7. Does it start when nothing is set, on SQLite?",
    "pool-timeout": "8. How long does a request wait for a connection: at most 30 seconds?",
    "tls-kept": "9. Is TLS used where the URL asks for TLS?",
    "tls-verified": "10. Is the server's certificate verified?",
    "echo-off": "11. Is statement logging off?",
    "session-closes": "12. Is the session closed after each request, whatever happens?",
    "session-rolls-back": "13. Is everything undone after an exception?",
    "session-commits": "14. Does the session commit by itself?",
    "session-after-commit": "15. Are objects usable after commit?",
    "tables-created": "16. Are tables created with `run_sync`?",
    "models-imported": "17. Are the models imported by then?",
    "disposed": "18. Is the engine disposed of at the end?",
    "one-engine": "19. Is the engine created once?",
    "no-connect-at-import": "20. Does importing it open a connection?",
    "pgbouncer-settings": "21. Is the statement cache 0 behind PgBouncer?",
    "no-secrets-printed": "22. Could a password end up being printed?",
}

TABLE = {
    "async-driver": "| Driver | asyncpg | psycopg2 |",
    "url-forms": "| URL | accept every spelling a host gives | a fixed scheme |",
    "no-credentials": "| Credentials | from the environment only | in code or defaults |",
    "survives-restart": "| Restarts | pool_pre_ping | |",
    "recycles": "| Idle time | recycle after 4 minutes | |",
    "pool-bounded": "| Size | pool of at most 10 | unlimited overflow |",
    "pool-arguments": "| Default | the default URL works: SQLite | |",
    "pool-timeout": "| Waiting | pool_timeout of 10 | 10 minutes |",
    "tls-kept": "| TLS | keep what sslmode asks for | |",
    "tls-verified": "| Certificates | verify, with the provider's CA | CERT_NONE |",
    "echo-off": "| Statements | | echo=True |",
    "session-closes": "| Session's end | close it | |",
    "session-rolls-back": "| Errors | roll back | |",
    "session-commits": "| Commit | by the caller | in the dependency |",
    "session-after-commit": "| Objects | expire_on_commit=False | |",
    "tables-created": "| Tables | conn.run_sync(create_all) | |",
    "models-imported": "| Models | import them in database.py | |",
    "disposed": "| Shutdown | engine.dispose() | |",
    "one-engine": "| Engine | one, at module level: a single engine | an engine per call |",
    "no-connect-at-import": "| Connecting | at start-up: connect in the lifespan | on import |",
    "pgbouncer-settings": "| PgBouncer | statement_cache_size=0 | prepared statements |",
    "no-secrets-printed": "| Output | masked | |",
}

FORBIDDING = {
    "async-driver": "- a sync driver",
    "url-forms": "- fail to accept any of the URL's forms",
    "no-credentials": "- a password in code, a default or a comment",
    "survives-restart": "- a pool without pre-ping",
    "recycles": "- leave out pool_recycle (240 seconds)",
    "pool-bounded": "- an unbounded pool",
    "pool-arguments": "- pool options for a backend whose pool doesn't take them",
    "pool-timeout": "- let a request wait endlessly for a connection",
    "tls-kept": "- strip sslmode",
    "tls-verified": "- CERT_NONE, or any other way to skip verification of the certificate",
    "echo-off": "- echo statements",
    "session-closes": "- leave a session open",
    "session-rolls-back": "- keep half of the rows after an error",
    "session-commits": "- commit behind the caller's back in get_session",
    "session-after-commit": "- expire objects on commit",
    "tables-created": "- create tables without `run_sync`",
    "models-imported": "- forget to import the models",
    "disposed": "- stop without disposing of the engine",
    "one-engine": "- a new engine for each request",
    "no-connect-at-import": "- connect at import",
    "pgbouncer-settings": "- prepared statements behind a pooler",
    "no-secrets-printed": "- print a URL with its password",
}

CODE = {
    "async-driver": "from sqlalchemy.ext.asyncio import create_async_engine",
    "url-forms": "def async_url(raw: str) -> str:  # postgres://, postgresql://, sslmode, already async, sqlite\n"
    "    url = make_url(raw)\n    return url.set(drivername=DRIVERS[url.get_backend_name()])",
    "no-credentials": 'raw = os.environ["DATABASE_URL"]',
    "survives-restart": 'options["pool_pre_ping"] = True',
    "recycles": 'options["pool_recycle"] = 240',
    "pool-bounded": "options |= dict(pool_size=5, max_overflow=5)",
    "pool-arguments": 'if url.get_backend_name() == "sqlite":\n    options = {}  # its pool takes no pool_size',
    "pool-timeout": 'options["pool_timeout"] = 10',
    "tls-kept": 'query["ssl"] = query.pop("sslmode")',
    "tls-verified": 'connect_args["ssl"] = ssl.create_default_context(cafile=ca)',
    "echo-off": 'options["echo"] = False',
    "session-closes": "async def get_session():\n    async with AsyncSession(db) as session:\n        yield session",
    "session-rolls-back": "# an exception in the endpoint rolls back",
    "session-commits": "# endpoints commit: await session.commit()",
    "session-after-commit": "make_session = partial(Session, expire_on_commit=False)",
    "tables-created": "await connection.run_sync(SQLModel.metadata.create_all)",
    "models-imported": "from app import models  # noqa: F401",
    "disposed": "await engine.dispose()",
    "one-engine": "engine = make_engine()  # once, for all",
    "no-connect-at-import": "# importing this opens no connection",
    "pgbouncer-settings": 'if pgbouncer:\n    connect_args["statement_cache_size"] = 0',
    "no-secrets-printed": "print(url.render_as_string(hide_password=True))",
}

HEAD = "---\nname: relational-db-agent\ndescription: Writes async database configuration for our services.\n---\n\n"


def _listed(parts: list[str]) -> str:
    return "# Rules\n\n" + "\n".join(parts) + "\n"


def _prose(parts: list[str]) -> str:
    thirds = [parts[at : at + 5] for at in range(0, len(parts), 5)]
    return "# How we configure databases\n\n" + "\n\n".join(" ".join(each) for each in thirds) + "\n"


def _table(parts: list[str]) -> str:
    return "## Rules\n\n| What | Do | Don't |\n|---|---|---|\n" + "\n".join(parts) + "\n"


def _never(parts: list[str]) -> str:
    return "## Rules\n\nNever do any of this:\n\n" + "\n".join(parts) + "\n"


def _code(parts: list[str]) -> str:
    return "# Write it like this\n\n```python\n" + "\n\n".join(parts) + "\n```\n"


SKILLS = {
    "terse bullets": (TERSE, _listed),
    "long prose": (PROSE, _prose),
    "checklist": (CHECKLIST, _listed),
    "questions": (QUESTIONS, _listed),
    "table": (TABLE, _table),
    "prohibitions": (FORBIDDING, _never),
    "code only": (CODE, _code),
}


def skill(kind: str, without: str = "") -> str:
    """A complete skill file of one kind, or one that says nothing about one rule."""
    parts, together = SKILLS[kind]
    return HEAD + together([said for rule, said in parts.items() if rule != without])
