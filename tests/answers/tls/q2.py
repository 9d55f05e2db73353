# %% right: in a session
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def is_encrypted(engine):
    async with AsyncSession(engine) as session:
        return await session.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))


# %% right: two questions on one connection, compared in Python
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        pid = await connection.scalar(text("select pg_backend_pid()"))
        rows = await connection.execute(text("select pid, ssl from pg_stat_ssl"))
        return {row.pid: row.ssl for row in rows}.get(pid, False)


# %% right: asyncpg's connection, through the pool
async def is_encrypted(engine):
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        version = await driver.fetchval("select version from pg_stat_ssl where pid = $1", driver.get_server_pid())
        return version is not None


# %% right: with exists, in a transaction
from sqlalchemy import Boolean, text


async def is_encrypted(engine, timeout=5):
    found = text("select exists (select from pg_stat_ssl where ssl and pid = pg_backend_pid()) as it")
    async with engine.begin() as connection:
        return (await connection.execute(found.columns(it=Boolean))).scalar_one()


# %% wrong: looks-at-the-settings | The server was not asked
async def is_encrypted(engine):
    return engine.url.query.get("ssl", "disable") in ("require", "prefer", "verify-ca", "verify-full")


# %% wrong: looks-at-the-settings | Settings say what was wanted
async def is_encrypted(engine):
    return True


# %% wrong: opens-its-own-connection | opens a connection of its own
import asyncpg


async def is_encrypted(engine):
    url = engine.url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    finally:
        await connection.close()


# %% wrong: asks-what-the-server-can | does not mean that this connection uses it
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        return await connection.scalar(text("show ssl")) == "on"


# %% wrong: asks-what-the-server-can | `show ssl`
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        return await connection.scalar(text("select setting = 'on' from pg_settings where name = 'ssl'"))


# %% wrong: looks-at-other-backends | `pg_stat_ssl` has a row for each
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        return bool(await connection.scalar(text("select count(*) from pg_stat_ssl where ssl")))


# %% wrong: looks-at-other-backends | take the one with
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        found = text("select bool_or(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where usename = current_user")
        return bool(await connection.scalar(found))


# %% wrong: never-true | those with TLS included
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        return bool(await connection.scalar(text("select ssl from pg_stat_ssl where pid = 1")))


# %% wrong: asks-the-client | something between them ends it
async def is_encrypted(engine):
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        return raw.driver_connection._transport.get_extra_info("ssl_object") is not None


# %% wrong: fails-behind-a-proxy | another address and port than the client
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        _, port = raw.driver_connection._transport.get_extra_info("sockname")
        found = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where client_port = :port"
        return bool(await connection.scalar(text(found), {"port": port}))


# %% wrong: returns-a-row | even `(False,)` counts as true
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        answer = await connection.execute(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
        return answer.one()


# %% wrong: returns-nothing | Return `True` or `False`
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        await connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))


# %% wrong: returns-no-bool | Return `True` or `False` itself
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        return await connection.scalar(text("select ssl::text from pg_stat_ssl where pid = pg_backend_pid()"))


# %% wrong: keeps-the-connection | was not given back
from sqlalchemy import text

kept = []


async def is_encrypted(engine):
    connection = await engine.connect()
    kept.append(connection)
    return await connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))


# %% wrong: disposes-of-the-engine | Give back the one that you borrowed
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        found = await connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
    await engine.dispose()
    return found


# %% wrong: needs-two-connections | Ask everything on one connection
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as mine, engine.connect() as other:
        pid = await mine.scalar(text("select pg_backend_pid()"))
        return await other.scalar(text("select ssl from pg_stat_ssl where pid = :pid"), {"pid": pid})


# %% wrong: takes-other-parameters | Keep the starter's parameters
async def is_encrypted():
    return True


# %% error: relation "pg_ssl" does not exist
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        return await connection.scalar(text("select ssl from pg_ssl"))


# %% right: built with Core, on a derived engine
from sqlalchemy import column, func, select, table


async def is_encrypted(engine):
    view = table("pg_stat_ssl", column("ssl"), column("pid"))
    question = select(view.c.ssl).where(view.c.pid == func.pg_backend_pid())
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        return (await connection.execute(question)).scalar_one_or_none() is True


# %% right: the function behind the view, in run_sync
from sqlalchemy import text


async def is_encrypted(engine):
    def ask(connection):
        return connection.execute(text("select ssl from pg_stat_get_activity(pg_backend_pid())")).scalar()

    async with engine.begin() as connection:
        return await connection.run_sync(ask)


# %% right: a sync function that gives a coroutine, joined
from sqlalchemy import text


def is_encrypted(engine):
    async def ask():
        question = "select cipher is not null from pg_stat_activity join pg_stat_ssl using (pid) where pid = pg_backend_pid()"
        async with engine.connect() as connection:
            return (await connection.exec_driver_sql(question)).scalar_one()

    return ask()


# %% right: by the server's view of the client's port
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        found = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where client_port = inet_client_port()"
        return await connection.scalar(text(found))


# %% right: gives up its connection for good
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        found = await connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
        await connection.invalidate()
        return found


# %% right: streamed
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        async with connection.stream(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()")) as rows:
            async for row in rows:
                return row.ssl


# %% wrong: looks-at-other-backends | take the one with
from sqlalchemy import text


async def is_encrypted(engine):
    newest = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where client_port is not null order by backend_start desc limit 1"
    async with engine.connect() as connection:
        return await connection.scalar(text(newest))


# %% wrong: looks-at-other-backends | take the one with
from sqlalchemy import text


async def is_encrypted(engine):
    active = "select bool_or(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where state = 'active'"
    async with engine.connect() as connection:
        return await connection.scalar(text(active))


# %% wrong: looks-at-other-backends | take the one with
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        return bool(await connection.scalar(text("select ssl from pg_stat_ssl order by pid desc")))


# %% wrong: true-without-any-tls | no TLS at all
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    return "ssl" in engine.url.query


# %% wrong: remembers-an-answer | ask each time
from sqlalchemy import text

known = {}


async def is_encrypted(engine):
    key = str(engine.url)
    if key not in known:
        async with engine.connect() as connection:
            known[key] = await connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
    return known[key]


# %% error: connection
from sqlalchemy import text


async def is_encrypted(engine):
    async with engine.connect() as connection:
        found = await connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
        raw = await connection.get_raw_connection()
        await raw.driver_connection.close()
        return found


# %% wrong: opens-its-own-connection | a connection of its own
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def is_encrypted(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    other = create_async_engine(engine.url)
    async with other.connect() as connection:
        return await connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
