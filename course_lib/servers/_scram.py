"""Passwords as PostgreSQL stores them, so that no statement and no server log ever holds one in clear."""

import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata

_ITERATIONS = 4096  # the server's default, scram_iterations


def new_password() -> str:
    """A random password of 144 bits, of characters that need no escaping in a URL."""
    return secrets.token_urlsafe(18)


def scram_verifier(password: str) -> str:
    """The SCRAM-SHA-256 verifier of ``password``, as in ``pg_authid.rolpassword``.

    Source: RFC 5802, section 3; https://www.postgresql.org/docs/17/catalog-pg-authid.html
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", _normalised(password).encode(), salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"


def _normalised(password: str) -> str:
    # The mapping step of SASLprep (RFC 4013), which the drivers apply before they prove the password.
    if password.isascii():
        return password
    mapped = (
        " " if stringprep.in_table_c12(character) else character
        for character in password
        if not stringprep.in_table_b1(character)
    )
    return unicodedata.normalize("NFKC", "".join(mapped))
