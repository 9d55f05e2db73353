"""Lesson 09: what the results of tried connections say about an answer."""

import re
import ssl
from collections.abc import Callable
from typing import Any

from course_lib.exercises._tls_lab import GOOD, HOSTSSL, NO_TLS, OTHER_CA, OTHER_HOST, PLAIN, REFUSED, TLS
from course_lib.exercises.core import Case, NotYet
from course_lib.exercises.tracebacks import one_line

EXPIRED, PUBLIC = "an expired certificate", "a certificate of a public authority"
# OpenSSL's numbers for a certificate whose issuer it does not know.
# Source: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_UNKNOWN_ISSUER = {18, 19, 20, 21}
_Found = dict[str, tuple[str, Exception | None]]


def _case(call: str, server: str, expected: str, found: tuple[str, Exception | None]) -> Case:
    state, error = found
    # The check's home folder is another one at each run.
    said = "" if error is None else re.sub(r'"[^"]*(?=[/\\]\.?postgresql[/\\])', '"~', one_line(error))
    got = f"{state}: {said}" if said else state
    return Case(given=f"{call}, then a server with {server}", expected=expected, got=got)


def _is_word(argument: Any) -> bool:
    """Whether it is one of asyncpg's words, as a text or as a member of its SSLMode."""
    return not isinstance(argument, bool | ssl.SSLContext)


def _issuer_unknown(error: Exception | None) -> bool:
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _UNKNOWN_ISSUER


def judge_context(argument: Any, found: _Found, *, trusts_others: bool) -> None:
    """09.1: does this value connect to the good server and to no other?"""

    def wrong(misconception: str, message: str, server: str, expected: str = REFUSED) -> NotYet:
        case = _case("tls_argument(ca_file)", server, expected, found[server])
        return NotYet(message, misconception=misconception, case=case)

    accepted = {server for server, (state, _) in found.items() if state != REFUSED}
    if found[NO_TLS][0] == PLAIN:
        raise wrong(
            "falls-back-to-plain-text",
            "With this value asyncpg talks in plain text to a server without TLS. Only a context, `True`, and the "
            "words from `require` on insist on TLS.",
            NO_TLS,
        )
    if _is_word(argument) and OTHER_CA in accepted:
        raise wrong(
            "encrypts-and-does-not-verify",
            "This word encrypts and trusts everybody: any server with a certificate of its own making passes. Return "
            "a context that has loaded `ca_file`.",
            OTHER_CA,
        )
    if OTHER_CA in accepted:
        raise wrong(
            "verifies-nothing",
            "A server with a certificate of its own making passes: this context does not verify, or not always "
            "(`CERT_NONE`). `ssl.create_default_context` verifies by default; leave its `verify_mode` alone.",
            OTHER_CA,
        )
    if OTHER_HOST in accepted:
        raise wrong(
            "skips-the-host-name",
            "A server passes whose certificate was made for another host. Leave `check_hostname` on: without it, "
            "whoever has any certificate of this authority can stand in for your server.",
            OTHER_HOST,
        )
    if GOOD not in accepted:
        raise _refuses_good(argument, found, wrong)
    if EXPIRED in accepted:
        raise wrong(
            "accepts-expired",
            "An expired certificate passes. Leave the verification of dates on.",
            EXPIRED,
        )
    if PUBLIC in accepted:
        raise wrong("trusts-public-authorities", _BESIDE, PUBLIC)
    if trusts_others:
        raise NotYet(
            "Other authorities are trusted beside the file: the context has loaded more than `ca_file`. "
            "`create_default_context(cafile=…)` trusts the file alone.",
            misconception="trusts-public-authorities",
        )


def _refuses_good(argument: Any, found: _Found, wrong: Callable[..., NotYet]) -> NotYet:
    error = found[GOOD][1]
    if isinstance(argument, ssl.SSLContext) and argument.protocol == ssl.PROTOCOL_TLS_SERVER:
        return wrong(
            "context-for-a-server",
            "This context is made for a server (`Purpose.CLIENT_AUTH` or `PROTOCOL_TLS_SERVER`), and asyncpg is a "
            "client. The default purpose, `SERVER_AUTH`, means: to verify servers.",
            GOOD,
            TLS,
        )
    if found[PUBLIC][0] == TLS:
        return wrong(
            "system-authorities-only",
            "The file is not used: this value trusts the public authorities of this machine, and they don't know "
            "your server. Pass the file: `cafile=`.",
            GOOD,
            TLS,
        )
    if _is_word(argument):
        return wrong(
            "word-without-the-file",
            "asyncpg looks for the CA file of this word in PGSSLROOTCERT and in the home folder, and does not know "
            "`ca_file`. Return a context that has loaded it.",
            GOOD,
            TLS,
        )
    if _issuer_unknown(error):
        return wrong(
            "loads-no-file",
            "The good server is refused: the context verifies, and has not loaded `ca_file`.",
            GOOD,
            TLS,
        )
    return wrong(
        "refuses-the-good-server",
        "With this value asyncpg can't connect to the good server. The last line says why.",
        GOOD,
        TLS,
    )


_BESIDE = (
    "The authorities of this machine are trusted beside the file. `create_default_context(cafile=…)` trusts the file "
    "alone; without `cafile` it loads those of the machine, and a file loaded later is added to them."
)
_ANY = (GOOD, OTHER_CA)
_STRICT = dict.fromkeys((OTHER_CA, NO_TLS, EXPIRED, PUBLIC), REFUSED)
# Who the server is makes no difference to the first four: for them one bad certificate stands for all.
EXPECTED: dict[str, dict[str, str]] = {
    "disable": {**dict.fromkeys(_ANY, PLAIN), NO_TLS: PLAIN, HOSTSSL: REFUSED},
    "allow": {**dict.fromkeys(_ANY, PLAIN), NO_TLS: PLAIN, HOSTSSL: TLS},
    "prefer": {**dict.fromkeys(_ANY, TLS), NO_TLS: PLAIN, HOSTSSL: TLS},
    "require": {**dict.fromkeys(_ANY, TLS), NO_TLS: REFUSED, HOSTSSL: TLS},
    "verify-ca": {**_STRICT, GOOD: TLS, OTHER_HOST: TLS, HOSTSSL: TLS},
    "verify-full": {**_STRICT, GOOD: TLS, OTHER_HOST: REFUSED, HOSTSSL: TLS},
}
VERIFYING = ("verify-ca", "verify-full")

# Mode, server, what came of it: the weakest first, since that is what counts most.
_MISTAKES: tuple[tuple[str, str, str, str, str], ...] = (
    (
        "verify-full",
        OTHER_CA,
        TLS,
        "weakens-verify-full",
        "`verify-full` verifies nothing here. It promises a trusted authority and the right host name.",
    ),
    (
        "verify-full",
        NO_TLS,
        PLAIN,
        "falls-back-to-plain-text",
        "`verify-full` goes on in plain text where the server has no TLS. Return a context for it.",
    ),
    (
        "verify-full",
        OTHER_HOST,
        TLS,
        "skips-the-host-name",
        "`verify-full` compares the host name too: `check_hostname` has to be on for it.",
    ),
    (
        "verify-ca",
        OTHER_CA,
        TLS,
        "weakens-verify-ca",
        "`verify-ca` verifies nothing here. It promises a trusted authority; only the host name does not count.",
    ),
    (
        "verify-ca",
        NO_TLS,
        PLAIN,
        "falls-back-to-plain-text",
        "`verify-ca` goes on in plain text where the server has no TLS. Return a context for it.",
    ),
    *(
        (mode, server, TLS, misconception, f"`{mode}`: {message}")
        for mode in ("verify-full", "verify-ca")
        for server, misconception, message in (
            (EXPIRED, "accepts-expired", "An expired certificate passes. Leave the verification of dates on."),
            (PUBLIC, "trusts-public-authorities", _BESIDE),
        )
    ),
    (
        "require",
        NO_TLS,
        PLAIN,
        "require-falls-back",
        "`require` goes on in plain text where the server has no TLS. It has to insist on TLS.",
    ),
    (
        "require",
        OTHER_CA,
        REFUSED,
        "require-verifies",
        "`require` without a file encrypts and does not verify. `True` and a default context do verify, which nobody "
        "asked for here: such URLs would stop working.",
    ),
    (
        "verify-ca",
        OTHER_HOST,
        REFUSED,
        "verify-ca-checks-the-host",
        "`verify-ca` does not compare the host name: whoever connects by an address that is not in the certificate "
        "asks for it. Set `check_hostname = False` for this mode, and leave `verify_mode` alone.",
    ),
    (
        "prefer",
        NO_TLS,
        REFUSED,
        "prefer-without-fallback",
        "`prefer` goes on in plain text where the server has no TLS. No context can say that; asyncpg's word `prefer` "
        "does.",
    ),
    (
        "prefer",
        GOOD,
        PLAIN,
        "prefer-never-encrypts",
        "`prefer` takes TLS where the server offers it. `False` never does; asyncpg's word `prefer` says it.",
    ),
    (
        "disable",
        GOOD,
        TLS,
        "disable-encrypts",
        "`disable` means no TLS. `None` does not say that: to asyncpg it means `prefer`. `False` does, or the word.",
    ),
    (
        "allow",
        GOOD,
        TLS,
        "allow-prefers-tls",
        "`allow` begins in plain text and takes TLS only if the server refuses that. asyncpg knows the word.",
    ),
    (
        "allow",
        HOSTSSL,
        REFUSED,
        "allow-never-encrypts",
        "`allow` takes TLS when the server refuses plain text, as with `hostssl`. asyncpg knows the word.",
    ),
)


def judge_modes(returned: dict[str, Any], found: dict[str, _Found]) -> None:
    """09.3: does each mode connect where it should, and nowhere else?"""

    def wrong(misconception: str, message: str, mode: str, server: str) -> NotYet:
        call = f"ssl_argument({mode!r}, {'ca_file' if mode in VERIFYING else None})"
        case = _case(call, server, EXPECTED[mode][server], found[mode][server])
        return NotYet(message, misconception=misconception, case=case)

    contexts = [returned[mode] for mode in VERIFYING]
    if contexts[0] is contexts[1] and isinstance(contexts[0], ssl.SSLContext):
        raise NotYet(
            "`verify-ca` and `verify-full` get the same context object, and what is set last counts for both. Make a "
            "new context in each call.",
            misconception="shares-one-context",
        )
    for mode, server, state, misconception, message in _MISTAKES:
        if found[mode][server][0] == state:
            if mode in VERIFYING and found[mode][GOOD][0] == REFUSED:
                continue  # it refuses everything; the next lines say why
            raise wrong(misconception, message, mode, server)
    for mode in VERIFYING:
        if found[mode][GOOD][0] == REFUSED:
            if _is_word(returned[mode]):
                name, said = (
                    "word-without-the-file",
                    f"asyncpg looks for the CA file of the word `{mode}` in PGSSLROOTCERT and in the home folder, "
                    "and does not know `ca_file`. Return a context that has loaded it.",
                )
            elif _issuer_unknown(found[mode][GOOD][1]):
                name, said = (
                    "file-not-loaded",
                    f"The good server is refused: for `{mode}`, the authority in `ca_file` is not trusted. Load the "
                    "file: `ssl.create_default_context(cafile=ca_file)`.",
                )
            else:
                name, said = "refuses-the-good-server", "The good server is refused. The last line says why."
            raise wrong(name, said, mode, GOOD)
    for mode, row in EXPECTED.items():
        for server, state in row.items():
            if found[mode][server][0] != state:
                raise wrong("differs-from-the-table", "The result is another than the table's.", mode, server)
