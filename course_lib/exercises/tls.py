"""The exercises of lesson 09: verify fully, ask the server, translate libpq's modes."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from course_lib.exercises._tls_lab import (
    GOOD,
    HOSTSSL,
    NO_TLS,
    OTHER_CA,
    OTHER_HOST,
    REFUSED,
    TLSLab,
    folders_of_authorities,
    tls_lab,
    tls_variables,
    trusts_others,
    what_it_is,
)
from course_lib.exercises._tls_questions import judge_question
from course_lib.exercises._tls_verdicts import (
    EXPECTED,
    EXPIRED,
    PUBLIC,
    VERIFYING,
    judge_context,
    judge_modes,
)
from course_lib.exercises.core import AnswerError, Case, NotAttempted, NotYet, ask, exercise
from course_lib.servers.certificates import Authority

__all__ = ["q1", "q2", "q3"]


@exercise(
    "09.1",
    title="A context that verifies fully",
    hints=(
        "A word such as `verify-full` can't carry a file. Which of asyncpg's values can?",
        "Python's `ssl.create_default_context()` verifies authority, host name and dates. By default it trusts the "
        "public authorities of this machine; an argument tells it to trust a file in their place.",
        "`ssl.create_default_context(cafile=ca_file)`, and nothing switched off afterwards.",
    ),
    seconds=20,
)
async def q1(tls_argument: Callable[[str], Any]) -> None:
    """09.1: real connections to servers with good and bad certificates."""
    ours, second = Authority(), Authority()
    async with tls_lab() as lab:
        first_file = lab.file_of(ours, f"{secrets.token_hex(4)}.pem")
        second_file = lab.file_of(second, f"{secrets.token_hex(4)}.pem")
        before = tls_variables()
        with folders_of_authorities() as folders:
            first = await _argument(tls_argument, first_file)
        more = bool(folders) or trusts_others(first, first_file)
        other = await _argument(tls_argument, second_file)
        _unchanged(before)
        found = {NO_TLS: await lab.outcome(first, without_tls=True)}
        for name, certificate in (
            (GOOD, ours.server_certificate()),
            (OTHER_HOST, ours.server_certificate(["db.example"])),
            (EXPIRED, ours.server_certificate(expired=True)),
            (OTHER_CA, Authority().server_certificate()),
            (PUBLIC, lab.public.server_certificate()),
        ):
            await lab.present(certificate)
            found[name] = await lab.outcome(first)
        judge_context(first, found, trusts_others=more)
        await lab.present(second.server_certificate())
        await _keep_apart(lab, first, other)
        await _must_fail(tls_argument, lab, "tls_argument({})")


async def _keep_apart(lab: TLSLab, first: Any, other: Any) -> None:
    """The server shows a certificate of the second file's authority: it counts for the second value alone."""
    if (await lab.outcome(other))[0] == REFUSED or (await lab.outcome(first))[0] != REFUSED:
        raise NotYet(
            "Called with two files, your function does not keep them apart: each value has to trust its own file "
            "and no other. Make a new context in each call.",
            misconception="shares-one-context",
        )


async def _argument(answer: Any, ca_file: str) -> Any:
    argument = await ask(answer, ca_file, given="tls_argument(ca_file)")
    if argument is ...:
        raise NotAttempted
    if mistake := what_it_is(argument, ca_file):
        raise NotYet(mistake[1], misconception=mistake[0])
    return argument


@exercise(
    "09.2",
    title="Ask the server whether the connection is encrypted",
    hints=(
        "Who knows what came of a connection: the URL, the server's settings, or the server's list of connections?",
        "`pg_stat_ssl` has a row for each backend. Which of them is yours? PostgreSQL has a function that says it.",
        "`select ssl from pg_stat_ssl where pid = pg_backend_pid()`, in one `async with engine.connect()`; return the "
        "value, not the row.",
    ),
    seconds=20,
)
async def q2(is_encrypted: Callable[[AsyncEngine], Any]) -> None:
    """09.2: engines with and without TLS, direct, through proxies, beside other connections."""
    async with tls_lab() as lab:
        await judge_question(is_encrypted, lab)


@exercise(
    "09.3",
    title="Translate libpq's six modes",
    hints=(
        "asyncpg knows the six words too. For which of them does the word alone not do what the table says?",
        "Four words can be handed over as they are. The two that verify need a file, and a word can't carry one: make "
        "a context. What do these two differ in?",
        "`context = ssl.create_default_context(cafile=ca_file)`, then `context.check_hostname = sslmode == "
        "'verify-full'`. Before that, `raise ValueError(…)` for other words and where there is no `ca_file`.",
    ),
    seconds=20,
)
async def q3(ssl_argument: Callable[..., Any]) -> str | None:
    """09.3: the table of the lesson, by real connections."""
    ours, second = Authority(), Authority()
    async with tls_lab() as lab:
        ca_file = lab.file_of(ours, f"{secrets.token_hex(4)}.pem")
        returned: dict[str, Any] = {}
        before = tls_variables()
        for mode in EXPECTED:
            path = ca_file if mode in VERIFYING else None
            given = f"ssl_argument({mode!r}, {'ca_file' if path else None})"
            returned[mode] = await ask(ssl_argument, mode, path, given=given)
            if returned[mode] is ...:
                raise NotAttempted
            mistake = what_it_is(returned[mode], path)
            if mistake and mistake[0] != "returns-nothing":
                raise NotYet(
                    mistake[1], misconception=mistake[0], case=Case(given, "a value for `ssl`", "another thing")
                )
        if all(value is None for value in returned.values()):
            raise NotYet("Your function returns `None` for every mode.", misconception="returns-nothing")
        _unchanged(before)
        found: dict[str, dict[str, tuple[str, Exception | None]]] = {mode: {} for mode in EXPECTED}
        for server, certificate in (
            (NO_TLS, None),
            (GOOD, ours.server_certificate()),
            (OTHER_HOST, ours.server_certificate(["db.example"])),
            (EXPIRED, ours.server_certificate(expired=True)),
            (PUBLIC, lab.public.server_certificate()),
            (HOSTSSL, ours.server_certificate()),
            (OTHER_CA, second.server_certificate()),
        ):
            if certificate is not None:
                await lab.present(certificate, insists=server == HOSTSSL)
            modes = [mode for mode in EXPECTED if server in EXPECTED[mode]]
            outcomes = (lab.outcome(returned[mode], without_tls=certificate is None) for mode in modes)
            for mode, outcome in zip(modes, await asyncio.gather(*outcomes), strict=True):
                found[mode][server] = outcome
        judge_modes(returned, found)
        if any(trusts_others(returned[mode], ca_file) for mode in VERIFYING):
            raise NotYet(
                "Other authorities are trusted beside the file: a context has loaded more than `ca_file`.",
                misconception="trusts-public-authorities",
            )
        second_file = lab.file_of(second, f"{secrets.token_hex(4)}.pem")
        other = await ask(ssl_argument, "verify-full", second_file, given="ssl_argument('verify-full', another_file)")
        _unchanged(before)
        await _keep_apart(lab, returned["verify-full"], other)
        if None in returned.values():
            raise NotYet(
                "`None` says nothing to asyncpg: it takes the word in the environment variable PGSSLMODE, and "
                "`prefer` only if there is none. Return the word.",
                misconception="leaves-it-to-the-environment",
            )
        await _must_fail(ssl_argument, lab, "ssl_argument('verify-full', {})", "verify-full")
        return await _judge_refusals(ssl_argument, ca_file)


async def _judge_refusals(ssl_argument: Callable[..., Any], ca_file: str) -> str | None:
    known = ("verify", "prefe", "")
    for mode in (*known, *(word + secrets.token_hex(3) for word in ("verify-", "require", "prefer", "disable", ""))):
        shown = repr(mode) if mode in known else "another word"
        await _must_raise(ssl_argument, mode, ca_file, f"ssl_argument({shown}, ca_file)", "guesses-unknown-modes")
    for mode in VERIFYING:
        await _must_raise(ssl_argument, mode, None, f"ssl_argument({mode!r}, None)", "verifies-without-a-file")
    try:
        await ask(ssl_argument, "verify-full", "", given="ssl_argument('verify-full', '')")
    except Exception:
        return None
    return (
        "One thing to look at: `ssl_argument('verify-full', '')` gets a value. To `create_default_context` an empty "
        "path is none, and it then trusts the public authorities of this machine. `if not ca_file` refuses both."
    )


def _unchanged(before: dict[str, str]) -> None:
    if tls_variables() != before:
        raise NotYet(
            "Your function changes the environment, which counts for the whole process: other connections would "
            "follow the last file. Return a context that has loaded the file, and change nothing else.",
            misconception="changes-the-environment",
        )


async def _must_fail(answer: Any, lab: TLSLab, given: str, *before: str) -> None:
    """A file that can't be used has to end in an exception, whichever."""
    broken = lab.folder / "broken.pem"
    broken.write_text("no certificate")
    for path, said, misconception in (
        (lab.folder / "missing.pem", "is missing", "hides-a-missing-file"),
        (broken, "holds no certificate", "hides-a-broken-file"),
    ):
        call = given.format(repr(path.name))
        came_out = False
        try:
            await ask(answer, *before, str(path), given=call)
        except NotYet:
            raise
        except Exception:
            came_out = True
        if not came_out:
            raise NotYet(
                f"The file {said} and nothing was raised. A program with a wrong file should fail at its start, and "
                "say so: let the error out, and put nothing weaker in its place.",
                misconception=misconception,
                case=Case(given=call, expected="an exception", got="a value"),
            )


async def _must_raise(answer: Any, mode: str, ca_file: str | None, given: str, misconception: str) -> None:
    case = Case(given=given, expected="ValueError", got="a value")
    try:
        await ask(answer, mode, ca_file, given=given)
    except ValueError:
        return
    except NotYet:
        raise
    except Exception as error:
        raised = type((error.__cause__ or error) if isinstance(error, AnswerError) else error).__name__
        raise NotYet(
            f"That raises `{raised}`. Raise a `ValueError` that says what is allowed, or that a file is needed.",
            misconception="raises-another-error",
            case=Case(given, "ValueError", raised),
        ) from None
    raise NotYet(
        "An unknown word gets a value, so a typing mistake decides about safety. Raise a `ValueError` for it."
        if misconception == "guesses-unknown-modes"
        else "A verifying mode without a file gets a value. The task asks for a `ValueError` then: a program with a "
        "forgotten setting should not start.",
        misconception=misconception,
        case=case,
    )
