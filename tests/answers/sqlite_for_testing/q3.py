# %% right: listen, and the connection's own execute
from sqlalchemy import event


def enforce_foreign_keys(engine):
    event.listen(engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))


# %% right: on the pool, async
from sqlalchemy import event


async def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine.pool, "connect")
    def on(connection, record):
        cursor = connection.cursor()
        cursor.execute("pragma foreign_keys(1)")
        cursor.close()

    return engine


# %% right: at each checkout
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "checkout")
    def on(connection, record, proxy):
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=1")
        cursor.close()


# %% right: through the driver's own connection
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "connect")
    def on(connection, record):
        connection.run_async(lambda driver: driver.execute("PRAGMA foreign_keys = YES"))


# %% right: at each begin, which Python's driver has not sent yet
from sqlalchemy import event


def enforce_foreign_keys(engine):
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA foreign_keys = ON"))


# %% wrong: one-connection-only | refused, accepted, accepted
from sqlalchemy import text


async def enforce_foreign_keys(engine):
    async with engine.connect() as connection:
        await connection.execute(text("PRAGMA foreign_keys = ON"))


# %% wrong: one-connection-only | off for those that the pool opened besides it
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "connect", once=True)
    def on(connection, record):
        connection.cursor().execute("PRAGMA foreign_keys = ON")


# %% wrong: one-connection-only | off for those that the pool opened besides it
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "first_connect")
    def on(connection, record):
        connection.cursor().execute("PRAGMA foreign_keys = ON")


# %% wrong: only-the-first-connections | The pool closes connections and opens new ones
from sqlalchemy import text


async def enforce_foreign_keys(engine):
    opened = [await engine.connect() for _ in range(5)]
    for connection in opened:
        await connection.execute(text("PRAGMA foreign_keys = ON"))
    for connection in opened:
        await connection.close()


# %% wrong: listens-on-async-engine | listen on `engine.sync_engine`
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine, "connect")
    def on(connection, record):
        connection.cursor().execute("PRAGMA foreign_keys = ON")


# %% wrong: async-listener | The listener is an `async def`
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "connect")
    async def on(connection, record):
        await connection.execute("PRAGMA foreign_keys = ON")


# %% wrong: pragma-without-effect | SQLite ignores a PRAGMA that it does not know
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "connect")
    def on(connection, record):
        connection.cursor().execute("PRAGMA foreign_key = ON")


# %% wrong: pragma-without-effect | inside a transaction
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "connect")
    def on(connection, record):
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("COMMIT")


# %% wrong: every-engine | the listener is on a class
from sqlalchemy import Engine, event


def enforce_foreign_keys(engine):
    @event.listens_for(Engine, "connect")
    def on(connection, record):
        connection.cursor().execute("PRAGMA foreign_keys = ON")


# %% wrong: every-engine | the listener is on a class
from sqlalchemy import event
from sqlalchemy.pool import Pool


def on(connection, record):
    connection.cursor().execute("PRAGMA foreign_keys = ON")


def enforce_foreign_keys(engine):
    event.listen(Pool, "connect", on)


# %% wrong: changes-another-engine | the change is on another engine
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine


def enforce_foreign_keys(engine):
    new = create_async_engine(engine.url)

    @event.listens_for(new.sync_engine, "connect")
    def on(connection, record):
        connection.cursor().execute("PRAGMA foreign_keys = ON")

    return new


# %% wrong: no-listener | on a connection that is closed by now
import sqlite3


def enforce_foreign_keys(engine):
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.close()


# %% wrong: no-such-event | There is no such event
from sqlalchemy import event


def enforce_foreign_keys(engine):
    event.listen(engine.sync_engine, "on_connect", print)


# %% error: no such column
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "connect")
    def on(connection, record):
        connection.cursor().execute("SELECT foreign_keys")


# %% error: 'AsyncConnection' object has no attribute 'cursor'
def enforce_foreign_keys(engine):
    engine.connect().cursor().execute("PRAGMA foreign_keys = ON")


# %% right: at each connect of an engine, and taken back
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "engine_connect")
    def on(connection):
        connection.exec_driver_sql("PRAGMA foreign_keys = 1")
        connection.rollback()


# %% right: a class, named arguments
from contextlib import closing

from sqlalchemy import event


class Enforcer:
    def __call__(self, engine):
        event.listen(engine.sync_engine, "connect", self.on, named=True)
        return engine

    def on(self, dbapi_connection, **rest):
        with closing(dbapi_connection.cursor()) as cursor:
            cursor.execute("pragma foreign_keys(yes)")


enforce_foreign_keys = Enforcer()


# %% right: opens the connection itself
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "do_connect")
    def on(dialect, record, args, kwargs):
        connection = dialect.connect(*args, **kwargs)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


# %% wrong: one-connection-only | refused, accepted, accepted
from sqlalchemy import event


def enforce_foreign_keys(engine):
    event.listen(
        engine.sync_engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON"), once=True
    )


# %% wrong: only-the-first-connections | refused on
from sqlalchemy import event


def enforce_foreign_keys(engine):
    left = [12]

    @event.listens_for(engine.sync_engine, "connect")
    def on(c, _):
        left[0] -= 1
        if left[0] >= 0:
            c.execute("PRAGMA foreign_keys = ON")


# %% wrong: pragma-without-effect | accepts orphans still
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def on(connection, cursor, statement, *rest):
        if "999" in statement:
            raise IntegrityError(statement, {}, Exception("FOREIGN KEY constraint failed"))


# %% wrong: no-listener | # in memory
from sqlalchemy import event


def enforce_foreign_keys(engine):
    if engine.url.database:
        event.listen(
            engine.sync_engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON")
        )


# %% wrong: no-listener | # a file, with NullPool
from sqlalchemy import event

done = []


def enforce_foreign_keys(engine):
    if not done:
        done.append(1)
        event.listen(
            engine.sync_engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON")
        )


# %% error: has already initialized a SQLAlchemy Transaction
from sqlalchemy import event


def enforce_foreign_keys(engine):
    @event.listens_for(engine.sync_engine, "engine_connect")
    def on(connection):
        connection.exec_driver_sql("PRAGMA foreign_keys = 1")
