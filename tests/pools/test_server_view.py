"""Does the view agree with PostgreSQL, join the recorder's connections, and keep secrets?"""

import asyncio

import asyncpg
import pytest
from sqlalchemy import make_url, text

from conftest import MakeEngine, backends
from course_lib.pools.recorder import PoolError, PoolRecorder
from course_lib.pools.server_view import Backend, ServerView, server_view
from course_lib.servers import PostgresServer, ServerError


async def test_one_row_per_backend_joined_by_pid(make_engine: MakeEngine, server: PostgresServer) -> None:
    """Is each connection there once, with its state and holder, and the asking connection not at all?"""
    engine = make_engine(connect_args={"server_settings": {"application_name": "orders"}})
    with PoolRecorder(engine) as recorder:
        async with engine.connect() as one, engine.connect():
            pid = await one.scalar(text("select pg_backend_pid()"))
            view = await server_view(server, recorder=recorder)
            assert [each.connection for each in view] == [1, 2]
            assert (view[0].pid, view[0].state, view[0].application_name) == (pid, "idle in transaction", "orders")
            assert (view[0].user, view[0].database) == (server.url.username, server.url.database)
            task = asyncio.current_task()
            assert task is not None and view[0].who == task.get_name()
            assert view[0].wait_event == "Client: ClientRead"
            assert (view.count("idle in transaction"), view.count("idle"), view.missing) == (1, 1, ())
            await asyncio.sleep(0.1)
            assert (await server_view(server))[0].age >= 0.1


async def test_an_active_query_is_shortened(make_engine: MakeEngine, server: PostgresServer) -> None:
    """Is the running query on one short line?"""
    engine = make_engine()
    async with engine.connect() as connection:
        running = asyncio.create_task(connection.execute(text("select pg_sleep(0.3),\n\n 'x" + "x" * 100 + "'")))
        (row,) = await backends(server, 1, state="active")
        assert (row.state, row.query[:27], len(row.query)) == ("active", "select pg_sleep(0.3), 'xxxx", 60)
        await running


async def test_works_on_a_full_server_and_with_the_learners_url(nothing_left: None) -> None:
    """Does it answer through the superuser's reserve when no other connection is free, and say so when it can't?"""
    async with PostgresServer(max_connections=6, superuser_reserved_connections=2) as full:
        held = [await _connect(full) for _ in range(4)]
        assert len(await server_view(full)) == 4
        with pytest.raises(PoolError, match="cannot be asked: TooManyConnectionsError"):
            await server_view(full.url)
        for connection in held:
            await connection.close()
        await backends(full)
        assert await server_view(full.url) == []
    with pytest.raises(ServerError, match="not running"):
        await server_view(full)


async def _connect(server: PostgresServer) -> asyncpg.Connection:
    return await asyncpg.connect(server.url.set(drivername="postgresql").render_as_string(hide_password=False))


async def test_nobody_answers() -> None:
    """Does a wrong address end in a message, without the password in it?"""
    with pytest.raises(PoolError, match=r"127\.0\.0\.1:1 cannot be asked: ConnectionRefusedError") as caught:
        await server_view(make_url("postgresql+asyncpg://someone:geheim@127.0.0.1:1/none"))
    assert "geheim" not in str(caught.value)
    with pytest.raises(PoolError, match="Only PostgreSQL"):
        await server_view(make_url("sqlite+aiosqlite://"))


async def test_only_one_database(make_engine: MakeEngine, server: PostgresServer) -> None:
    """Can the view be limited to one database?"""
    engine = make_engine()
    async with engine.connect():
        one = await server_view(server, database=server.url.database)
        assert len(one) == 1
        assert repr(one).splitlines()[0] == f"1 client backend for database {server.url.database}"
        assert "database" not in "".join(repr(one).splitlines()[1:])
        nobody = await server_view(server, database="postgres")
        assert nobody == []
        assert repr(nobody) == "No client backends for database postgres"
        assert nobody._repr_html_() == "<p><strong>No client backends for database postgres</strong></p>"


async def test_passwords_in_queries_are_masked(make_engine: MakeEngine, server: PostgresServer) -> None:
    """Does a query that sets a password not show it?"""
    engine = make_engine()
    async with engine.connect() as connection:
        await connection.execute(text("select 'alter role x password ''geheim'''"))
        await connection.execute(text("prepare p as select 1 /* PASSWORD 'geheim' */"))
        (row,) = await server_view(server)
        assert "geheim" not in row.query
        assert "PASSWORD '***'" in row.query


def test_the_tables_escape_and_name_missing_backends() -> None:
    """Do text and HTML show the same, escaped?"""
    row = Backend(7, "course", "learner", "<i>app</i>", "idle", 1.25, None, "select '<b>'", 3, "request 1")
    view = ServerView([row])
    assert "1 client backend on the server" in repr(view)
    for part in ("7", "3", "request 1", "1.2 s", "<i>app</i>"):
        assert part in repr(view)
    shown = view._repr_html_()
    assert "<i>" not in shown and "<b>" not in shown and "&lt;i&gt;app" in shown


def test_columns_that_say_nothing_are_left_out() -> None:
    """Are columns that are empty or alike in every row told of below, or not at all, and does an age stay whole?"""
    rows = [Backend(pid, "course", "learner", "", "idle", 1.25, None, "select 1") for pid in (7, 8)]
    caption, headings, *_, note = repr(ServerView(rows)).splitlines()
    assert caption == "2 client backends on the server"
    assert headings.split() == ["PID", "state", "age", "query"]
    assert note == "Each has user learner, database course."
    shown = ServerView(rows)._repr_html_()
    assert shown.count("<th ") == 4
    assert "<span style='white-space: nowrap'>1.2 s</span>" in shown
    assert "<p>Each has user learner, database course.</p>" in shown
    rows.append(Backend(9, "other", "admin", "app", "idle", 1.25, None, "select 1", 3, "request 1"))
    every = ["PID", "connection", "held", "by", "state", "age", "application", "user", "database", "query"]
    assert repr(ServerView(rows)).splitlines()[1].split() == every
