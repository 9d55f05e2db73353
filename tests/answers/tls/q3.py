# %% right: a table of contexts and words
import ssl


def ssl_argument(sslmode, ca_file=None):
    words = {"disable": False, "allow": "allow", "prefer": "prefer"}
    if sslmode in words:
        return words[sslmode]
    if sslmode == "require":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if sslmode not in {"verify-ca", "verify-full"} or not ca_file:
        raise ValueError("unknown mode, or no file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = sslmode == "verify-full"
    context.load_verify_locations(ca_file)
    return context


# %% right: match, async
import ssl


async def ssl_argument(sslmode, ca_file=None, *, more=None):
    match sslmode:
        case "disable" | "allow" | "prefer" | "require":
            return sslmode
        case "verify-ca" | "verify-full" if ca_file is not None:
            context = ssl.create_default_context(cafile=ca_file)
            if sslmode == "verify-ca":
                context.check_hostname = False
            return context
    raise ValueError("no such mode, or no file")


# %% right: the course's own, with asyncpg's own modes for the rest
from asyncpg.connect_utils import SSLMode

from course_lib.tls import ssl_context_for


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "require"):
        return SSLMode.parse(sslmode)
    if ca_file is None and sslmode.startswith("verify"):
        raise ValueError("no file")
    return ssl_context_for(sslmode, ca_file)


# %% wrong: weakens-verify-full | verifies nothing here
def ssl_argument(sslmode, ca_file=None):
    return "require" if sslmode.startswith("verify") else sslmode


# %% wrong: skips-the-host-name | has to be on for it
import ssl


def ssl_argument(sslmode, ca_file=None):
    if not sslmode.startswith("verify"):
        return sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False
    return context


# %% wrong: verify-ca-checks-the-host | Set `check_hostname = False` for this mode
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode.startswith("verify"):
        return ssl.create_default_context(cafile=ca_file)
    return sslmode


# %% wrong: weakens-verify-ca | only the host name does not count
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    context = ssl.create_default_context(cafile=ca_file)
    if sslmode == "verify-ca":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


# %% wrong: word-without-the-file | does not know `ca_file`
def ssl_argument(sslmode, ca_file=None):
    return sslmode


# %% wrong: file-not-loaded | is not trusted
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    context = ssl.create_default_context()
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: require-verifies | which nobody asked for
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer"):
        return sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: require-falls-back | It has to insist on TLS
import ssl


def ssl_argument(sslmode, ca_file=None):
    if not sslmode.startswith("verify"):
        return "prefer" if sslmode == "require" else sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: prefer-without-fallback | No context can say that
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow"):
        return sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    if not sslmode.startswith("verify"):
        context.verify_mode = ssl.CERT_NONE
    return context


# %% wrong: prefer-never-encrypts | takes TLS where the server offers it
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer"):
        return False
    if sslmode == "require":
        return sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: disable-encrypts | to asyncpg it means `prefer`
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode == "disable":
        return None
    if not sslmode.startswith("verify"):
        return sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: allow-prefers-tls | begins in plain text
import ssl


def ssl_argument(sslmode, ca_file=None):
    if not sslmode.startswith("verify"):
        return "prefer" if sslmode == "allow" else sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: allow-never-encrypts | as with `hostssl`
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow"):
        return False
    if not sslmode.startswith("verify"):
        return sslmode
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: guesses-unknown-modes | a typing mistake decides about safety
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("verify-ca", "verify-full"):
        if ca_file is None:
            raise ValueError("no file")
        context = ssl.create_default_context(cafile=ca_file)
        context.check_hostname = sslmode == "verify-full"
        return context
    return sslmode


# %% wrong: raises-another-error | Raise a `ValueError`
import ssl


def ssl_argument(sslmode, ca_file=None):
    words = {"disable": False, "allow": "allow", "prefer": "prefer", "require": "require"}
    if sslmode not in ("verify-ca", "verify-full"):
        return words[sslmode]
    if ca_file is None:
        raise ValueError("no file")
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: verifies-without-a-file | A verifying mode without a file gets a value
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    if sslmode not in ("verify-ca", "verify-full"):
        raise ValueError("no such mode")
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: returns-a-dict | Return the value itself
def ssl_argument(sslmode, ca_file=None):
    return {"ssl": sslmode}


# %% wrong: returns-nothing | for every mode
def ssl_argument(sslmode, ca_file=None):
    print(sslmode, ca_file)


# %% wrong: takes-other-parameters | Keep the starter's parameters
def ssl_argument(sslmode):
    return sslmode


# %% error: KeyError
def ssl_argument(sslmode, ca_file=None):
    return {"disable": False}[sslmode]


# %% wrong: returns-an-unknown-word | It knows disable, allow, prefer
def ssl_argument(sslmode, ca_file=None):
    return sslmode.replace("verify-", "")


# %% right: pydantic decides about the words
import ssl
from typing import Literal

from pydantic import TypeAdapter

words = TypeAdapter(Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])


def ssl_argument(sslmode, ca_file=None, /):
    mode = words.validate_python(sslmode)
    if not mode.startswith("verify"):
        return mode
    if not ca_file:
        raise ValueError("no file")
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = mode.endswith("full")
    return context


# %% right: asyncpg's own refusal is a ValueError too
import ssl

import asyncpg
from asyncpg.connect_utils import SSLMode


async def ssl_argument(mode, file=None):
    try:
        parsed = SSLMode[mode.replace("-", "_")]
    except KeyError:
        raise asyncpg.ClientConfigurationError("no mode") from None
    if parsed <= SSLMode.require:
        return parsed
    if file is None:
        raise UnicodeError("no file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = parsed is SSLMode.verify_full
    context.load_verify_locations(file)
    return context


# %% right: a callable object, words in any case
import ssl
from pathlib import Path


class Modes:
    def __call__(self, sslmode: str, ca_file=None):
        mode = sslmode.strip().lower()
        if mode in {"disable"}:
            return False
        if mode in {"allow", "prefer", "require"}:
            return mode
        if mode in {"verify-ca", "verify-full"}:
            if ca_file is None:
                raise ValueError
            context = ssl.create_default_context(cadata=Path(ca_file).read_text())
            context.check_hostname = mode == "verify-full"
            return context
        raise ValueError(sslmode)


ssl_argument = Modes()


# %% wrong: hides-a-missing-file | nothing weaker in its place
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError:
        return "require"
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: shares-one-context | counts for both
import ssl

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    context.load_verify_locations(ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: shares-one-context | does not keep them apart
import functools
import ssl

first = {}


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    if sslmode not in first:
        first[sslmode] = ssl.create_default_context(cafile=ca_file)
        first[sslmode].check_hostname = sslmode == "verify-full"
    return first[sslmode]


# %% wrong: trusts-public-authorities | beside the file
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: accepts-expired | dates
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "prefer", "require"):
        return sslmode
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    if sslmode == "verify-ca":
        context.verify_flags |= ssl.VerifyFlags(0x200000)
    return context


# %% wrong: changes-the-environment | and change nothing else
import os


def ssl_argument(sslmode, ca_file=None):
    if sslmode not in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
        raise ValueError("no")
    if ca_file:
        os.environ["PGSSLROOTCERT"] = ca_file
    elif sslmode.startswith("verify"):
        raise ValueError("no")
    return sslmode


# %% wrong: guesses-unknown-modes | a typing mistake decides about safety
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode.startswith(("disable", "allow", "prefer", "require")):
        return next(word for word in ("disable", "allow", "prefer", "require") if sslmode.startswith(word))
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: guesses-unknown-modes | a typing mistake decides about safety
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode and sslmode in "disable allow prefer require":
        return "require" if sslmode == "require" else "prefer" if sslmode == "prefer" else "allow" if sslmode == "allow" else False
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context


# %% wrong: leaves-it-to-the-environment | PGSSLMODE
import ssl


def ssl_argument(sslmode, ca_file=None):
    if sslmode in ("disable", "allow", "require"):
        return sslmode
    if sslmode == "prefer":
        return None
    if sslmode not in ("verify-ca", "verify-full") or not ca_file:
        raise ValueError("no")
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = sslmode == "verify-full"
    return context
