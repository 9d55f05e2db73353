"""What lesson 08's check of grants tries: each role does what it may and what it may not, on a real server."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.schema import ExecutableDDLElement

from course_lib.exercises._credentials_roles import DONE, Place, attempt, has_right, made_place, run_all
from course_lib.exercises.core import Case, NotYet, ask, using_answer
from course_lib.exercises.lab import lab
from course_lib.exercises.tracebacks import one_line


def _as_statements(got: object) -> list[str]:
    if isinstance(got, Iterable) and not isinstance(got, str | bytes | Mapping):
        found = list(itertools.islice(got, 1000))
    else:
        found = [got]
    wrong = next((each for each in found if not isinstance(each, str | TextClause | ExecutableDDLElement)), None)
    if wrong is not None or not found or got is None:
        raise NotYet(
            "Return a list of SQL statements as text"
            + (f", not {type(got).__name__}." if wrong is got else f"; there is {type(wrong).__name__} in it."),
            misconception="returns-no-statements",
        )
    return [str(each) for each in found if str(each).strip()]


async def judge_grants(grants: Callable[[str, str, str], Any]) -> None:
    """08.5: can each role do what it needs, and nothing else, with tables of today and of tomorrow?

    Raises:
        NotYet: with the most specific reason.
    """
    async with lab() as box, made_place(box) as place:
        names = (place.schema, place.roles["application"], place.roles["reader"])
        given = "grants('shop', 'application', 'reader')"
        statements = _as_statements(await ask(grants, *names, given=given))
        refused = await run_all(place.owner, statements)
        if refused:
            await _judge_refusal(place, statements, *refused)
        async with using_answer("making and filling tables after your statements had run"):
            await place.played.execute(
                f"SET SESSION AUTHORIZATION {place.owner.username};"
                f"CREATE TABLE {place.schema}.later (id serial PRIMARY KEY, title text); RESET SESSION AUTHORIZATION;"
                f"INSERT INTO {place.schema}.item (title) VALUES ('tea');"
                f"INSERT INTO {place.schema}.later (title) VALUES ('tea')",
                timeout=5,
            )
        await _judge(place)


async def _judge_refusal(place: Place, statements: list[str], statement: str, error: Exception) -> None:
    # The owner may not give itself away; as the superuser it would be done, and then it can be told what it means.
    if (
        getattr(error, "sqlstate", "") == "42501"
        and await run_all(place.admin, statements) is None
        and await attempt(place, "application", "DROP TABLE {s}.item") == DONE
    ):
        raise _owner()
    raise NotYet(
        "The server refused one of the statements, which ran as the owner of the schema.",
        misconception="statement-refused",
        case=Case(_generic(place, statement), "done", _generic(place, one_line(error))),
    )


def _generic(place: Place, text: str) -> str:
    """Without what differs from run to run."""
    return text.replace("_" + place.schema.rpartition("_")[2], "")


def _owner() -> NotYet:
    return NotYet(
        "The application can drop the table: it owns it, is a member of the owner's role, or is a superuser. Then a "
        "stolen password takes everything. Leave the ownership where it is and grant the four rights.",
        misconception="makes-it-the-owner",
        case=Case("the application: DROP TABLE", "refused", DONE),
    )


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


# Before PostgreSQL 15 everybody may create in the schema "public".
_CREATES = """
    SELECT has_database_privilege($1::name, current_database()::text, 'CREATE') OR EXISTS (
        SELECT FROM pg_namespace
        WHERE has_schema_privilege($1::name, oid, 'CREATE') AND nspname NOT LIKE 'pg\\_%'
        AND (nspname <> 'public' OR current_setting('server_version_num')::int >= 150000))
"""


async def _rights(place: Place, role: str, table: str, what: dict[str, str]) -> dict[str, str]:
    return {name: await attempt(place, role, sql.format(table=table)) for name, sql in what.items()}


async def _judge(place: Place) -> None:
    powers = {**await _rights(place, "application", "item", _POWERS), **await _rights(place, "reader", "item", _POWERS)}
    if DONE in powers.values() or await attempt(place, "reader", "DROP TABLE {s}.item") == DONE:
        raise _owner()
    now = await _rights(place, "application", "item", _RIGHTS)
    then = await _rights(place, "application", "later", _RIGHTS)
    reads = {table: await attempt(place, "reader", f"SELECT * FROM {{s}}.{table}") for table in ("item", "later")}
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


def _case(place: Place, what: str, said: str, expected: str = DONE) -> Case:
    return Case(what, expected, _generic(place, said))


def _judge_application(place: Place, rights: dict[str, str], table: str, then: dict[str, str]) -> None:
    later = table == "later"
    if all(said == DONE for said in rights.values()):
        return
    what = "a table that the owner made afterwards" if later else "the table that exists"
    wrong = next(name for name, said in rights.items() if said != DONE)
    case = _case(place, f"the application: {wrong} in {what}", rights[wrong])
    if "for sequence" in rights[wrong]:
        raise NotYet(
            "The application may insert into the table, and still can't: a `serial` column takes its number from a "
            "sequence, which has rights of its own. Grant `USAGE` on the sequences"
            + (", for later ones with `ALTER DEFAULT PRIVILEGES`." if later else "."),
            misconception="forgets-later-sequences" if later else "forgets-sequences",
            case=case,
        )
    if all(said != DONE for said in rights.values()):
        if later:
            raise NotYet(
                "With the next migration the application stops working: `GRANT … ON ALL TABLES` means the tables that "
                "exist now. `ALTER DEFAULT PRIVILEGES` is for those that come later.",
                misconception="forgets-future-tables",
                case=case,
            )
        if then["SELECT"] == DONE:
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


def _judge_reader_reads(place: Place, reads: dict[str, str]) -> None:
    for table, said in reads.items():
        if said != DONE:
            what = "a table that the owner made afterwards" if table == "later" else "the table that exists"
            raise NotYet(
                f"The reader can't select from {what}.",
                misconception="forgets-the-reader",
                case=_case(place, f"the reader: SELECT from {what}", said),
            )


async def _judge_excess(place: Place, table: str) -> None:
    create = await attempt(place, "application", "CREATE TABLE {s}.mine (id int)")
    create_too = await attempt(place, "reader", "CREATE TABLE {s}.mine (id int)")
    if DONE in (create, create_too):
        raise NotYet(
            "A role can create tables in the schema: `ALL` on a schema includes `CREATE`. `USAGE` is enough.",
            misconception="grants-create",
            case=_case(place, "CREATE TABLE in the schema", DONE, "refused"),
        )
    for right, statement in {name: sql for name, sql in _RIGHTS.items() if name != "SELECT"}.items():
        if await attempt(place, "reader", statement.format(table=table)) == DONE:
            raise NotYet(
                f"The reader can {right}. A role for reports reads, and nothing else.",
                misconception="reader-can-write",
                case=_case(place, f"the reader: {right}", DONE, "refused"),
            )
    for role in ("reader", "application"):
        if await attempt(place, role, f"TRUNCATE {{s}}.{table}") == DONE:
            raise NotYet(
                f"The {role} can truncate the table, so it can empty it at once: `ALL` includes `TRUNCATE`. Name the "
                "rights that it needs.",
                misconception="grants-all",
                case=_case(place, f"the {role}: TRUNCATE", DONE, "refused"),
            )
    if await attempt(place, "reader", f"SELECT nextval('{{s}}.{table}_id_seq')") == DONE:
        raise NotYet(
            "The reader can draw numbers from the sequence, which changes it. A role that only reads needs no right "
            "on sequences.",
            misconception="reader-can-write",
            case=_case(place, "the reader: nextval", DONE, "refused"),
        )
    await _judge_further(place, table)


async def _judge_further(place: Place, table: str) -> None:
    """What no statement of the two roles would show: rights to trigger, to pass on, on the database, of everybody."""
    here, its = f"{place.schema}.{table}", f"{place.schema}.{table}_id_seq"
    all_rights = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"
    if (
        await has_right(place, "other", "has_table_privilege", here, all_rights)
        or await has_right(place, "other", "has_any_column_privilege", here, "SELECT, INSERT, UPDATE, REFERENCES")
        or await has_right(place, "other", "has_sequence_privilege", its, "USAGE, SELECT, UPDATE")
        or await has_right(place, "other", "has_schema_privilege", place.schema, "USAGE, CREATE")
    ):
        raise NotYet(
            "A role that nobody named has rights here: `PUBLIC` means everybody. Name the roles.",
            misconception="grants-to-public",
            case=_case(place, "another role: any right in the schema", "granted", "none"),
        )
    passed_on = ", ".join(f"{right} WITH GRANT OPTION" for right in all_rights.split(", "))
    for role in ("reader", "application"):
        if await has_right(place, role, "has_table_privilege", here, passed_on) or await has_right(
            place, role, "has_schema_privilege", place.schema, "USAGE WITH GRANT OPTION"
        ):
            raise NotYet(
                f"The {role} may pass its rights on to any other role. Only the owner grants: leave out "
                "`WITH GRANT OPTION`.",
                misconception="with-grant-option",
            )
        further = [
            right
            for right in ("REFERENCES", "TRIGGER", *(("INSERT", "UPDATE") if role == "reader" else ()))
            if await has_right(
                place, role, "has_any_column_privilege" if right != "TRIGGER" else "has_table_privilege", here, right
            )
        ]
        if further:
            raise NotYet(
                f"The {role} has a right that it does not need: {further[0]}. Name only those of the task.",
                misconception="grants-more",
                case=_case(place, f"the {role}: {further[0]}", "granted", "not granted"),
            )
        if await place.played.fetchval(_CREATES, place.roles[role]):
            raise NotYet(
                f"The {role} can create schemas or tables elsewhere in the database. It needs rights in this schema "
                "alone.",
                misconception="grants-more",
                case=_case(place, f"the {role}: CREATE on the database or another schema", "granted", "not granted"),
            )
