"""TLS for asyncpg in libpq's words: `sslmode` and its files become what `connect_args["ssl"]` takes.

The reference that lesson 09 ends with. It follows libpq where both say something, and is never weaker than asked:
https://www.postgresql.org/docs/current/libpq-ssl.html
"""

import os
import re
import ssl
import stat
import sys
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote_plus

from sqlalchemy import make_url

from course_lib._url_query import TLS_MODES
from course_lib.urls import get_async_database_url

__all__ = ["TLSArgument", "ssl_context_for", "tls_from_url"]

#: What `connect_args["ssl"]` takes: no TLS, TLS if it happens to work out (asyncpg's own words), or a context.
TLSArgument = Literal[False, "allow", "prefer"] | ssl.SSLContext
_Path = str | os.PathLike[str]

_FILES = {"sslrootcert": "cafile", "sslcert": "certfile", "sslkey": "keyfile"}


def ssl_context_for(
    sslmode: str, cafile: _Path | None = None, certfile: _Path | None = None, keyfile: _Path | None = None
) -> TLSArgument:
    """Return what asyncpg takes as `ssl` for one of libpq's six modes.

    | Mode | Result | The server's certificate |
    |---|---|---|
    | disable | False | |
    | allow, prefer | the word itself: no context falls back to plain text | not looked at |
    | require | a context | not looked at without a CA file, else as with verify-ca, as libpq does |
    | verify-ca | a context | must come from a trusted authority |
    | verify-full | a context | must come from a trusted authority and name the host |

    Args:
        sslmode: one of the six.
        cafile: PEM file with the authorities to trust. None: the file that libpq takes, PGSSLROOTCERT or
            ~/.postgresql/root.crt, if there is one. Without it, or with the word `system`, verify-full trusts the
            authorities that this machine trusts; libpq does so for `system` alone.
        certfile: PEM file with the client's certificate, the authorities between following it. None: no
            certificate is sent; PGSSLCERT and ~/.postgresql/postgresql.crt are not looked at.
        keyfile: PEM file with its private key; None if the key stands in `certfile`.

    Returns:
        A value for `create_async_engine(url, connect_args={"ssl": …})`.

    Raises:
        ValueError: for an unknown mode, for files that the mode would not use, and for a file that is missing,
            unreadable or not what it should be. No content of a file is shown.
    """
    if not isinstance(sslmode, str) or sslmode not in TLS_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(TLS_MODES)}.")
    if sslmode in ("disable", "allow", "prefer"):
        if cafile is not None or certfile is not None or keyfile is not None:
            raise ValueError(
                f"sslmode={sslmode} promises nothing, so asyncpg would not use the files. Ask for verify-full, "
                "or leave the files out."
            )
        return False if sslmode == "disable" else "allow" if sslmode == "allow" else "prefer"
    if keyfile is not None and certfile is None:
        raise ValueError("There is a private key without its certificate. Give certfile (in a URL: sslcert) as well.")
    context = _context(sslmode, cafile)
    if certfile is not None:
        _load_client_certificate(context, certfile, keyfile)
    # asyncpg sets it in contexts of its own; a direct TLS connection (direct_tls=True) needs it.
    context.set_alpn_protocols(["postgresql"])
    return context


def tls_from_url(url: str) -> tuple[str, dict[str, Any]]:
    """Turn a URL for libpq, TLS files and all, into a URL and `connect_args` for an async engine.

    What `get_async_database_url` refuses because no URL can say it to asyncpg (`sslrootcert`, `sslcert`, `sslkey`)
    becomes a context here. Without a word about TLS in the URL, `connect_args` stays empty, and asyncpg decides by
    PGSSLMODE, else by prefer.

    Args:
        url: such as ``postgresql://app@db.example/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem``.

    Returns:
        The two arguments for `create_async_engine(url, connect_args=connect_args)`.

    Raises:
        ValueError: as for `get_async_database_url` and `ssl_context_for`.
    """
    files: dict[str, str] = {}
    head, question, query = url.partition("?") if isinstance(url, str) else (url, "", "")
    if question and "@" not in query:  # else it isn't clear what belongs to the password, and the next line says so
        kept = []
        for item in query.split("&"):
            name, _, value = item.partition("=")
            if name in _FILES and value:
                files[_FILES[name]] = unquote_plus(value.replace("+", "%2B"))
            elif name not in _FILES:
                kept.append(item)
        url = f"{head}?{'&'.join(kept)}" if kept else head
    address = make_url(get_async_database_url(url))
    if not address.drivername.endswith("+asyncpg"):
        raise ValueError("tls_from_url is for asyncpg. Begin the URL with postgresql:// and without another driver.")
    asked = address.query.get("ssl")
    if asked is None and files:
        asked = os.environ.get("PGSSLMODE") or "prefer"  # what libpq and asyncpg take then
    arguments = {} if asked is None else {"ssl": ssl_context_for(str(asked), **files)}
    return address.difference_update_query(["ssl"]).render_as_string(hide_password=False), arguments


def _context(sslmode: str, cafile: _Path | None) -> ssl.SSLContext:
    """A context that trusts as the mode asks for, still without a client's certificate."""
    cafile = cafile if cafile is not None else os.environ.get("PGSSLROOTCERT") or None
    by_system = cafile is not None and str(cafile) == "system"
    trusted = None if by_system else _default_file() if cafile is None else str(_readable(cafile, "CA file"))
    if trusted is None and by_system and sslmode != "verify-full":
        raise ValueError(
            f"With the authorities of this machine, {sslmode} would accept everyone who has any public certificate. "
            "Ask for verify-full."
        )
    if trusted is None and sslmode == "verify-ca":
        raise ValueError(
            "verify-ca needs the file of the authority that you trust: pass cafile (in a URL: sslrootcert). Your "
            "provider offers it for download. With the authorities of this machine, ask for verify-full."
        )
    if trusted is None and sslmode == "require":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cafile=trusted)
    except ssl.SSLError:
        raise ValueError(_no_authority(Path(trusted or ""))) from None
    if trusted is not None and not context.cert_store_stats()["x509"]:
        raise ValueError(_no_authority(Path(trusted)))
    context.check_hostname = sslmode == "verify-full"
    return context


def _default_file() -> str | None:
    """libpq's own file of authorities to trust, if it is there."""
    try:
        windows = sys.platform == "win32"
        folder = Path(os.environ["APPDATA"], "postgresql") if windows else Path.home() / ".postgresql"
    except (KeyError, RuntimeError):  # no home
        return None
    default = folder / "root.crt"
    return str(_readable(default, "CA file")) if default.exists() else None


def _readable(path: _Path, what: str) -> Path:
    try:
        found = Path(path)
        with found.open("rb"):
            return found
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "this is no path"
        raise ValueError(
            f"The {what} {_named(path)} can't be read: {reason}. Check the path, and who may read the file."
        ) from None


def _named(path: _Path) -> str:
    """A path for an error message; no text that looks like the content of a file."""
    shown = str(path)
    return repr(shown) if re.fullmatch(r"[^\n]{1,300}", shown) and "-----" not in shown else "(not a path)"


def _no_authority(path: Path) -> str:
    content = path.read_bytes()
    if b"PRIVATE KEY-----" in content and b"BEGIN CERTIFICATE-----" not in content:
        found = "a private key. Take the certificate of the authority; a key has no place on the client"
    elif b"-----BEGIN CERTIFICATE-----" in content:
        found = "a certificate that can't be read, perhaps cut off. Download it again"
    elif content[:1] == b"\x30":
        found = (
            "what looks like a certificate in DER form. Convert it with `openssl x509 -inform der -in … -out ca.pem`"
        )
    elif content.lstrip()[:1] == b"<":
        found = "a web page. Download the file itself"
    else:
        found = "no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----. Download it again"
    return f"The CA file {_named(path)} holds {found}."


def _load_client_certificate(context: ssl.SSLContext, certfile: _Path, keyfile: _Path | None) -> None:
    certificate = _readable(certfile, "client certificate")
    key = certificate if keyfile is None else _readable(keyfile, "private key")
    _refuse_open_key(key)
    asked = []

    def passphrase() -> str:
        # Without this function OpenSSL would wait for somebody to type.
        asked.append(True)
        return ""

    try:
        context.load_cert_chain(certificate, key, password=passphrase)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", "") or ""
        if asked:
            said = (
                f"The private key {_named(key)} is locked with a passphrase, and nobody is there to type it. Store it "
                "unlocked, readable for the application alone: `openssl pkey -in locked.key -out client.key`."
            )
        elif reason == "KEY_VALUES_MISMATCH":
            said = f"The private key {_named(key)} does not belong to the certificate {_named(certificate)}."
        elif keyfile is None and b"PRIVATE KEY-----" not in certificate.read_bytes():
            said = f"There is no private key in {_named(certificate)}. Name its file: keyfile (in a URL: sslkey)."
        else:
            said = (
                f"The client certificate {_named(certificate)} or its private key {_named(key)} can't be read. Both "
                "have to be in PEM form, a text with BEGIN and END lines."
            )
        raise ValueError(said) from None


def _refuse_open_key(key: Path) -> None:
    """Refuse a key that others on this machine can read, by libpq's rule."""
    if sys.platform == "win32":
        return
    # Source: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-CLIENTCERT
    found = key.stat()
    allowed = 0o640 if found.st_uid == 0 else 0o600
    if stat.S_IMODE(found.st_mode) & ~allowed & 0o077:
        raise ValueError(
            f"Others can read the private key {_named(key)} (mode {stat.S_IMODE(found.st_mode):04o}). Allow it to its "
            "owner alone: `chmod 600`, or `defaultMode: 0400` for a secret in Kubernetes."
        )
