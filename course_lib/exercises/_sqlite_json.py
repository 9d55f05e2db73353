"""The check of exercise 10.2: a column that is `jsonb` on PostgreSQL and JSON on SQLite."""

import json
import secrets
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Table, text
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises._shown import shown
from course_lib.exercises.core import Case, NotAttempted, NotYet, using_answer
from course_lib.exercises.lab import lab

_TYPE_ON = {
    "postgresql": (
        "select data_type from information_schema.columns where table_name = :table and column_name = 'payload'"
    ),
    "sqlite": "select type from pragma_table_info(:table) where name = 'payload'",
}
# What kind of JSON is stored, and the word in it: asked of the database itself, past the column's type in Python.
_STORED_ON = {
    "postgresql": "select jsonb_typeof(payload), payload ->> 'word' from {}",
    "sqlite": "select json_type(payload), json_extract(payload, '$.word') from {}",
}


async def judge_payload(model: Any) -> None:
    """10.2: is the column `jsonb` on PostgreSQL and JSON on SQLite, and does it keep a dictionary on both?

    Raises:
        NotYet: it is wrong, with the reason.
        NotAttempted: the model has no column `payload` yet.
    """
    table = _table_of(model)
    memory = create_async_engine("sqlite+aiosqlite://")
    async with lab() as box:
        engines = {"postgresql": create_async_engine(box.url), "sqlite": memory}
        try:
            types = {name: await _declared(table, engine) for name, engine in engines.items()}
            _judge_types(types["postgresql"], types["sqlite"])
            for name, engine in engines.items():
                await _judge_round_trip(model, table, engine, name)
            async with using_answer("validating an Event"):
                _judge_field(model)
        finally:
            for engine in engines.values():
                await engine.dispose()


def _table_of(model: Any) -> Table:
    if not (isinstance(model, type) and issubclass(model, SQLModel)):
        raise NotYet("The check takes the class `Event` itself, a SQLModel.", misconception="passes-no-model")
    table = getattr(model, "__table__", None)
    if not isinstance(table, Table):
        raise NotYet(f"`{model.__name__}` has no table. Keep `table=True` behind its base.", misconception="no-table")
    if "payload" not in table.columns:
        if "payload" in model.model_fields:
            raise NotYet(
                "`payload` is a field of the model under another column name. Call the column `payload` as well.",
                misconception="another-column-name",
            )
        raise NotAttempted
    if "title" not in table.columns:
        raise NotYet("Keep the field `title`: the check fills it in.", misconception="drops-the-title")
    return table


async def _declared(table: Table, engine: AsyncEngine) -> str:
    """The column's type, as the database names it; SQLAlchemy 2.0 refuses `JSONB` for SQLite."""
    name = engine.dialect.name
    try:
        async with using_answer(f"creating your table on {name}"), engine.begin() as connection:
            await connection.run_sync(table.create)
            found = await connection.scalar(text(_TYPE_ON[name]), {"table": table.name})
    except Exception as error:
        if name == "sqlite" and isinstance(error.__cause__, CompileError) and "JSONB" in str(error.__cause__):
            return "jsonb, refused"
        raise
    return str(found).lower()


def _jsonb_on_sqlite(got: str) -> NotYet:
    return NotYet(
        "On SQLite the column is a `JSONB` as well. SQLAlchemy 2.0 refuses to create such a table, and 2.1 creates "
        "it without PostgreSQL's operators. Give SQLite the generic `JSON`, which every version knows.",
        misconception="jsonb-everywhere",
        case=Case("CREATE TABLE on SQLite", "JSON", got),
    )


def _judge_types(on_postgresql: str, on_sqlite: str) -> None:
    case = Case("CREATE TABLE on PostgreSQL", "jsonb", on_postgresql)
    if on_postgresql == "json":
        if on_sqlite != "json":
            raise NotYet(
                "The two are the wrong way round: PostgreSQL has `json` now, and SQLite the other. The type that you "
                "name first is for every database, the variant for the one that you name.",
                misconception="wrong-way-round",
                case=case,
            )
        raise NotYet(
            "On PostgreSQL the column is `json`: it keeps the text as it came, and has neither `@>` nor equality nor "
            "a GIN index. Make it `jsonb` there.",
            misconception="json-everywhere",
            case=case,
        )
    if on_postgresql in ("text", "character varying"):
        raise NotYet(
            "On PostgreSQL the column is text. The database can't look into it, and any text is accepted. Take the "
            "types for JSON.",
            misconception="stores-text",
            case=case,
        )
    if on_postgresql != "jsonb":
        raise NotYet(
            f"On PostgreSQL the column is `{on_postgresql}`, and the task wants `jsonb`.",
            misconception="another-type",
            case=case,
        )
    if on_sqlite.startswith("jsonb"):
        raise _jsonb_on_sqlite(on_sqlite.upper())
    if on_sqlite != "json":
        raise NotYet(
            f"On SQLite the column is declared as `{on_sqlite}`, and the task wants `JSON`.",
            misconception="another-type-on-sqlite",
            case=Case("CREATE TABLE on SQLite", "JSON", on_sqlite.upper()),
        )


async def _judge_round_trip(model: Any, table: Table, engine: AsyncEngine, name: str) -> None:
    word = secrets.token_hex(4)
    payload = {"word": word, "tags": ["a", word], "deep": {"n": secrets.randbelow(1000), "none": None}}
    async with using_answer(f"storing an Event on {name}"):
        async with AsyncSession(engine, expire_on_commit=False) as session:
            session.add(model(title="the check's", payload=payload))
            await session.commit()
        async with AsyncSession(engine) as session:
            got = (await session.exec(select(model.payload))).one()
        async with engine.connect() as connection:
            quoted = engine.dialect.identifier_preparer.format_table(table)
            kind, found = (await connection.execute(text(_STORED_ON[name].format(quoted)))).one()
        got_back = isinstance(got, dict) and json.dumps(got, sort_keys=True) == json.dumps(payload, sort_keys=True)
    case = Case(f"an Event with payload={payload!r} on {name}", repr(payload), shown(got))
    if kind != "object":
        raise NotYet(
            f"For the database the stored value is a JSON `{kind}`, not an object: it was turned into text before the "
            "type did the same. Hand the dictionary over as it is.",
            misconception="encodes-twice",
            case=case,
        )
    if not got_back:
        raise NotYet(
            "A dictionary goes in, and something else comes back.", misconception="changes-the-value", case=case
        )
    if found != word:
        raise NotYet(
            "The dictionary comes back, and the database holds something else: a query does not find its keys. Store "
            "the dictionary as it is.",
            misconception="stores-something-else",
            case=Case(f"the key 'word' of the stored payload on {name}", repr(word), shown(found)),
        )


def _judge_field(model: type[SQLModel]) -> None:
    """Does the field take a dictionary where SQLModel validates it, as it does for a request?"""
    try:
        model.model_validate({"title": "the check's", "payload": {"word": "a"}})
    except ValidationError as error:
        if any(each["loc"][:1] == ("payload",) for each in error.errors()):
            raise NotYet(
                "The column fits, and the field's annotation refuses a dictionary: `model_validate` says so. Annotate "
                "it as `dict`.",
                misconception="annotation-refuses-dictionaries",
            ) from None
