"""What a wrong URL tells about how it was made, for lesson 08's checks of URLs from secrets."""

from typing import Any
from urllib.parse import quote, quote_plus, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from course_lib.exercises.core import Case, NotYet
from course_lib.exercises.tracebacks import one_line

Parts = dict[str, Any]
SHOWN = {"username": "username", "password": "password", "host": "host", "port": "port", "database": "dbname"}
_PUT_TOGETHER = (
    "The URL was put together as text, and a character of the password is read as a part of the URL. Use `URL.create`, "
    "which takes the parts as they are."
)


def judge_url(got: object, expected: Parts, earlier: list[Parts], given: str) -> None:
    """Is this the async URL with these parts?

    Args:
        got: what the answer returned.
        expected: the parts that it should hold.
        earlier: the parts of the calls before.
        given: the call, as text.

    Raises:
        NotYet: with the most specific reason.
    """
    shown = _listed(expected)

    def case(found: str) -> Case:
        return Case(given, shown, found, made_up=True)

    if not isinstance(got, str | URL):
        raise NotYet(
            "Return a URL, as an object or as text.",
            misconception="returns-no-url",
            case=case("None" if got is None else f"an object of type {type(got).__name__}"),
        )
    try:
        url = make_url(got)
    except (ArgumentError, ValueError) as error:
        raise NotYet(_PUT_TOGETHER, misconception="f-string", case=case(one_line(error))) from error
    found = {name: getattr(url, name) for name in expected}
    held = case(_listed(found))
    if found in earlier:
        raise NotYet(
            "This is the secret of an earlier call. It was changed in between, and a value that is kept in a global or "
            "a cache is the old one. Fetch it in each call.",
            misconception="fetched-once",
            case=held,
        )
    if found == expected:
        if url.drivername != "postgresql+asyncpg":
            raise NotYet(
                f"The URL names the driver `{url.drivername}`. An async engine with asyncpg needs "
                "`postgresql+asyncpg`.",
                misconception="another-driver",
                case=case(url.drivername),
            )
        return
    raise _mistake(found, expected, held)


def _plain(value: object) -> str:
    if value is None or type(value) is str or (type(value) is int and abs(value) < 10**9):
        return repr(value)
    return "a huge number" if type(value) is int else f"an object of type {type(value).__name__}"


def _listed(parts: Parts) -> str:
    """The parts by their names in the secret; an odd object of an answer by its type."""
    plain = {name: _plain(value) for name, value in parts.items()}
    return ", ".join(f"{SHOWN[name]}={value}" for name, value in plain.items())


def _mistake(found: Parts, expected: Parts, case: Case) -> NotYet:
    password, wanted = found["password"], expected["password"]
    line_breaks = {name for name, value in found.items() if isinstance(value, str) and value.endswith(("\n", "\r"))}
    if line_breaks:
        return NotYet(
            "The line break at the end of the file came along. The server refuses such a password, and the database "
            "of that name does not exist. Take off one line break: `.removesuffix` knows how.",
            misconception="keeps-the-line-break",
            case=case,
        )
    if password == "***":
        return NotYet(
            "The password is `***`: `str(url)` hides it. Return the URL object, or text from "
            "`render_as_string(hide_password=False)`.",
            misconception="masked-url",
            case=case,
        )
    if (
        isinstance(password, str)
        and password != wanted
        and password in (quote(wanted), quote(wanted, ""), quote_plus(wanted))
    ):
        return NotYet(
            "The password was percent-encoded, and then taken as it is: the server would get the encoded one. "
            "`URL.create` encodes nothing and needs nothing encoded. Encode only what goes into text.",
            misconception="encodes-for-url-create",
            case=case,
        )
    if isinstance(password, str) and password == unquote(wanted) != wanted and found["host"] == expected["host"]:
        return NotYet(
            "A `%41` in the password became an `A`. It was decoded: by `unquote`, or because it was put into the text "
            "of a URL as it is. `URL.create` takes the parts as they are.",
            misconception="f-string",
            case=case,
        )
    if found["host"] != expected["host"] and "@" in wanted:
        return NotYet(
            "A part of the password became the host: it holds an `@`, and text was put together with it. "
            "Use `URL.create`, which takes the parts as they are.",
            misconception="password-becomes-host",
            case=case,
        )
    if isinstance(password, str) and password != wanted and password.strip() == wanted.strip():
        return NotYet(
            "Spaces at the ends of the password were taken off, and they belong to it. Take off one line break and "
            "nothing else.",
            misconception="strips-spaces",
            case=case,
        )
    if isinstance(password, str) and password.replace("+", " ") == wanted.replace("+", " ") and password != wanted:
        return NotYet(
            "`quote_plus` writes a space as `+`, and SQLAlchemy reads a `+` in a password as it is. Use `URL.create`.",
            misconception="quote-plus",
            case=case,
        )
    others = [name for name in found if name != "password"]
    if type(password) is str and password != wanted and all(found[name] == expected[name] for name in others):
        return NotYet(_PUT_TOGETHER, misconception="f-string", case=case)
    if all(str(expected[name])[:-1] == _plain(found[name]).strip("'") for name in ("username", "host", "database")):
        return NotYet(
            "The last character of each value is gone. Not every file ends with a line break: take it off only where "
            "it is. `.removesuffix` knows how.",
            misconception="cuts-the-last-character",
            case=case,
        )
    wrong = [SHOWN[name] for name in found if found[name] != expected[name]]
    if len(wrong) == len(found):
        return NotYet(
            "Nothing in this URL comes from the secret that was asked for. Was it read when the cell ran, or from "
            "another place? Read what the arguments name, in each call.",
            misconception="read-before-the-call",
            case=case,
        )
    return NotYet(f"Not all parts arrived: {', '.join(wrong)}.", misconception="loses-a-part", case=case)
