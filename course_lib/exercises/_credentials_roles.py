"""Where lesson 08's check of grants tries what roles may: a schema, its roles, and a session that plays them."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import URL

from course_lib.exercises.core import NotYet
from course_lib.exercises.lab import Lab

DONE = "done"


class Place(NamedTuple):
    """The check's schema and roles, and the superuser's connection that plays each role."""

    schema: str
    owner: URL
    admin: URL
    roles: dict[str, str]
    played: Any


@asynccontextmanager
async def _connected(url: URL) -> AsyncIterator[Any]:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain, timeout=10)
    try:
        yield connection
    finally:
        with contextlib.suppress(TimeoutError):  # it is cut off then: an answer may have left it in the middle
            await connection.close(timeout=2)


@asynccontextmanager
async def made_place(box: Lab) -> AsyncIterator[Place]:
    """A schema of the learner's with a table in it, and three roles without rights; all is gone afterwards."""
    mark = secrets.token_hex(3)
    roles = {word: f"{word}_{mark}" for word in ("application", "reader", "other")}
    admin, schema = box.server.admin_url.set(database=box.url.database), f"shop_{mark}"
    async with _connected(admin) as played:
        await played.execute(
            "".join(f"CREATE ROLE {name};" for name in roles.values())
            + f"SET SESSION AUTHORIZATION {box.url.username}; CREATE SCHEMA {schema};"
            + f"CREATE TABLE {schema}.item (id serial PRIMARY KEY, title text); RESET SESSION AUTHORIZATION"
        )
        try:
            yield Place(schema, box.url, admin, roles, played)
        finally:
            # Whatever the answer made of them, in this database and in the cluster, goes with the roles.
            names = ", ".join(roles.values())
            await played.execute(f"REASSIGN OWNED BY {names} TO CURRENT_USER; DROP OWNED BY {names}; DROP ROLE {names}")


async def run_all(url: URL, statements: list[str]) -> tuple[str, Exception] | None:
    """Run all of them; the one that the server refused and its error, if there is one."""
    async with _connected(url) as connection:
        for statement in statements:
            try:
                await connection.execute(statement, timeout=3)
            except TimeoutError:
                raise NotYet(
                    "A statement did not end within 3 seconds. Grants take a moment: look for one that waits.",
                    misconception="statement-hangs",
                ) from None
            except (asyncpg.PostgresError, UnicodeError) as error:
                return statement, error
            except AttributeError:
                continue  # what asyncpg makes of a statement that is only a comment
        if connection.is_in_transaction():
            raise NotYet(
                "The last statement left a transaction open, so all is taken back. End it with `COMMIT`, or leave "
                "`BEGIN` out.",
                misconception="leaves-a-transaction-open",
            )
    return None


async def attempt(place: Place, role: str, statement: str) -> str:
    """Run a statement as a role, and undo it; "done", or what the server said."""
    session = place.played
    try:
        await session.execute(
            f"BEGIN; SET LOCAL SESSION AUTHORIZATION {place.roles[role]}; {statement.format(s=place.schema)}", timeout=5
        )
    except asyncpg.PostgresError as error:
        return str(error).partition("\n")[0]
    else:
        return DONE
    finally:
        await session.execute("ROLLBACK")


async def has_right(place: Place, role: str, function: str, thing: str, right: str) -> bool:
    """What the server's own function says about a role's right, such as has_table_privilege."""
    found: bool = await place.played.fetchval(
        f"SELECT pg_catalog.{function}($1::name, $2::text, $3)", place.roles[role], thing, right
    )
    return found
