"""What lesson 08's check of grants tries: each role does what it may and what it may not, on a real server."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import URL, TextClause

from course_lib.exercises.core import Case, NotYet, ask, using_answer
from course_lib.exercises.lab import Lab, lab
from course_lib.exercises.tracebacks import one_line

_DONE = "done"


class _Place(NamedTuple):
    """The check's schema, its roles, and the URLs with which they log in."""

    schema: str
    owner: URL
    admin: URL
    application: URL
    reader: URL
    other: URL
    opened: AsyncExitStack
    sessions: dict[str, Any]

    def url(self, role: str) -> URL:
        found: URL = getattr(self, role)
        return found


@asynccontextmanager
async def _connected(url: URL) -> AsyncIterator[Any]:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain, timeout=10)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def _place(box: Lab) -> AsyncIterator[_Place]:
    mark = secrets.token_hex(3)
    names = [f"{word}_{mark}" for word in ("application", "reader", "other")]
    admin = box.server.admin_url.set(database=box.url.database)
    made: list[URL] = []
    try:
        for name in names:
            made.append((await box.server.create_role(name, member_of=())).set(database=box.url.database))
        schema = f"shop_{mark}"
        async with _connected(box.url) as owner:
            await owner.execute(f"CREATE SCHEMA {schema}")
            await owner.execute(f"CREATE TABLE {schema}.item (id serial PRIMARY KEY, title text)")
        async with AsyncExitStack() as opened:
            yield _Place(schema, box.url, admin, made[0], made[1], made[2], opened, {})
    finally:
        async with _connected(admin) as connection:
            # Whatever the answer made of them, in this database and in the cluster, goes with the roles.
            for name in names[: len(made)]:
                await connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
                await connection.execute(f"DROP OWNED BY {name}")
                await connection.execute(f"DROP ROLE {name}")


def _as_statements(got: object) -> list[str]:
    found = [got] if isinstance(got, str | TextClause) else got
    if not isinstance(found, list | tuple) or not all(isinstance(each, str | TextClause) for each in found):
        raise NotYet(
            f"Return a list of SQL statements as text, not {type(got).__name__}.", misconception="returns-no-statements"
        )
    return [str(each) for each in found if str(each).strip()]


async def judge_grants(grants: Callable[[str, str, str], Any]) -> None:
    """08.5: can each role do what it needs, and nothing else, with tables of today and of tomorrow?

    Raises:
        NotYet: with the most specific reason.
    """
    async with lab() as box, _place(box) as place:
        names = (place.schema, str(place.application.username), str(place.reader.username))
        given = "grants('shop', 'application', 'reader')"
        statements = _as_statements(await ask(grants, *names, given=given))
        refused = await _run(place.owner, statements)
        if refused:
            await _judge_refusal(place, statements, *refused)
        async with using_answer("making and filling tables after your statements had run"):
            async with _connected(place.owner) as owner:
                await owner.execute(f"CREATE TABLE {place.schema}.later (id serial PRIMARY KEY, title text)")
            async with _connected(place.admin) as admin:
                for table in ("item", "later"):
                    await admin.execute(f"INSERT INTO {place.schema}.{table} (title) VALUES ('tea')")
        await _judge(place)


async def _run(url: URL, statements: list[str]) -> tuple[str, asyncpg.PostgresError] | None:
    """Run all of them; the one that the server refused and its error, if there is one."""
    async with _connected(url) as connection:
        for statement in statements:
            try:
                await connection.execute(statement, timeout=10)
            except asyncpg.PostgresError as error:
                return statement, error
    return None


async def _judge_refusal(place: _Place, statements: list[str], statement: str, error: asyncpg.PostgresError) -> None:
    # The owner may not give itself away; as the superuser it would be done, and then it can be told what it means.
    if (
        error.sqlstate == "42501"
        and await _run(place.admin, statements) is None
        and await _try(place, "application", "DROP TABLE {s}.item") == _DONE
    ):
        raise _owner()
    raise NotYet(
        "The server refused one of the statements, which ran as the owner of the schema.",
        misconception="statement-refused",
        case=Case(_generic(place, statement), "done", _generic(place, one_line(error))),
    )


def _generic(place: _Place, text: str) -> str:
    """Without what differs from run to run."""
    return text.replace("_" + place.schema.rpartition("_")[2], "")


def _owner() -> NotYet:
    return NotYet(
        "The application can drop the table: it owns it, is a member of the owner's role, or is a superuser. Then a "
        "stolen password takes everything. Leave the ownership where it is and grant the four rights.",
        misconception="makes-it-the-owner",
        case=Case("the application: DROP TABLE", "refused", _DONE),
    )


async def _try(place: _Place, role: str, statement: str) -> str:
    """Run a statement as a role, and undo it; "done", or what the server said."""
    connection = place.sessions.get(role)
    if connection is None:
        connection = place.sessions[role] = await place.opened.enter_async_context(_connected(place.url(role)))
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement.format(s=place.schema), timeout=10)
    except asyncpg.PostgresError as error:
        return str(error).partition("\n")[0]
    else:
        return _DONE
    finally:
        await transaction.rollback()


_RIGHTS = {
    "SELECT": "SELECT * FROM {{s}}.{table}",
    "INSERT": "INSERT INTO {{s}}.{table} (title) VALUES ('tea')",
    "UPDATE": "UPDATE {{s}}.{table} SET title = 'coffee' WHERE id > 0",
    "DELETE": "DELETE FROM {{s}}.{table} WHERE id > 0",
}
_POWERS = {
    "DROP TABLE": "DROP TABLE {{s}}.{table}",
    "ALTER TABLE": "ALTER TABLE {{s}}.{table} ADD COLUMN note text",
}


async def _rights(place: _Place, role: str, table: str, what: dict[str, str]) -> dict[str, str]:
    return {name: await _try(place, role, sql.format(table=table)) for name, sql in what.items()}


async def _judge(place: _Place) -> None:
    powers = {**await _rights(place, "application", "item", _POWERS), **await _rights(place, "reader", "item", _POWERS)}
    if _DONE in powers.values() or await _try(place, "reader", "DROP TABLE {s}.item") == _DONE:
        raise _owner()
    now = await _rights(place, "application", "item", _RIGHTS)
    then = await _rights(place, "application", "later", _RIGHTS)
    reads = {table: await _try(place, "reader", f"SELECT * FROM {{s}}.{table}") for table in ("item", "later")}
    if any("for schema" in said for said in (*now.values(), *reads.values())):
        raise NotYet(
            "A role may not even look into the schema. Without `USAGE` on the schema, rights on its tables are worth "
            "nothing.",
            misconception="forgets-the-schema",
            case=_case(
                place,
                "SELECT in the schema",
                next(said for said in (*now.values(), *reads.values()) if "for schema" in said),
            ),
        )
    _judge_application(place, now, "item", then)
    _judge_reader_reads(place, reads)
    await _judge_excess(place, "item")
    _judge_application(place, then, "later", then)
    await _judge_excess(place, "later")


def _case(place: _Place, what: str, said: str, expected: str = _DONE) -> Case:
    return Case(what, expected, _generic(place, said))


def _judge_application(place: _Place, rights: dict[str, str], table: str, then: dict[str, str]) -> None:
    later = table == "later"
    if all(said == _DONE for said in rights.values()):
        return
    what = "a table that the owner made afterwards" if later else "the table that exists"
    wrong = next(name for name, said in rights.items() if said != _DONE)
    case = _case(place, f"the application: {wrong} in {what}", rights[wrong])
    if "for sequence" in rights[wrong]:
        raise NotYet(
            "The application may insert into the table, and still can't: a `serial` column takes its number from a "
            "sequence, which has rights of its own. Grant `USAGE` on the sequences"
            + (", for later ones with `ALTER DEFAULT PRIVILEGES`." if later else "."),
            misconception="forgets-later-sequences" if later else "forgets-sequences",
            case=case,
        )
    if all(said != _DONE for said in rights.values()):
        if later:
            raise NotYet(
                "With the next migration the application stops working: `GRANT … ON ALL TABLES` means the tables that "
                "exist now. `ALTER DEFAULT PRIVILEGES` is for those that come later.",
                misconception="forgets-future-tables",
                case=case,
            )
        if then["SELECT"] == _DONE:
            raise NotYet(
                "Default privileges are for tables that come later. The table that exists got nothing: it needs "
                "`GRANT … ON ALL TABLES IN SCHEMA` as well.",
                misconception="forgets-existing-tables",
                case=case,
            )
    raise NotYet(
        f"The application lacks the right to {wrong}. It needs four: SELECT, INSERT, UPDATE and DELETE.",
        misconception="forgets-a-right",
        case=case,
    )


def _judge_reader_reads(place: _Place, reads: dict[str, str]) -> None:
    for table, said in reads.items():
        if said != _DONE:
            what = "a table that the owner made afterwards" if table == "later" else "the table that exists"
            raise NotYet(
                f"The reader can't select from {what}.",
                misconception="forgets-the-reader",
                case=_case(place, f"the reader: SELECT from {what}", said),
            )


async def _judge_excess(place: _Place, table: str) -> None:
    create = await _try(place, "application", "CREATE TABLE {s}.mine (id int)")
    create_too = await _try(place, "reader", "CREATE TABLE {s}.mine (id int)")
    if _DONE in (create, create_too):
        raise NotYet(
            "A role can create tables in the schema: `ALL` on a schema includes `CREATE`. `USAGE` is enough.",
            misconception="grants-create",
            case=_case(place, "CREATE TABLE in the schema", _DONE, "refused"),
        )
    for right, statement in {name: sql for name, sql in _RIGHTS.items() if name != "SELECT"}.items():
        if await _try(place, "reader", statement.format(table=table)) == _DONE:
            raise NotYet(
                f"The reader can {right}. A role for reports reads, and nothing else.",
                misconception="reader-can-write",
                case=_case(place, f"the reader: {right}", _DONE, "refused"),
            )
    for role in ("reader", "application"):
        if await _try(place, role, f"TRUNCATE {{s}}.{table}") == _DONE:
            raise NotYet(
                f"The {role} can truncate the table, so it can empty it at once: `ALL` includes `TRUNCATE`. Name the "
                "rights that it needs.",
                misconception="grants-all",
                case=_case(place, f"the {role}: TRUNCATE", _DONE, "refused"),
            )
    if await _try(place, "reader", f"SELECT nextval('{{s}}.{table}_id_seq')") == _DONE:
        raise NotYet(
            "The reader can draw numbers from the sequence, which changes it. A role that only reads needs no right "
            "on sequences.",
            misconception="reader-can-write",
            case=_case(place, "the reader: nextval", _DONE, "refused"),
        )
    if await _try(place, "other", f"SELECT * FROM {{s}}.{table}") == _DONE:
        raise NotYet(
            "A role that nobody named can read the table: `PUBLIC` means everybody. Name the roles.",
            misconception="grants-to-public",
            case=_case(place, "another role: SELECT", _DONE, "refused"),
        )
