"""Does each mode accept what libpq's documentation says, and nothing more? Asked of real servers."""

import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from course_lib.servers import PostgresServer
from course_lib.servers.certificates import Authority, ServerTLS
from course_lib.tls import ssl_context_for, tls_from_url

GOOD, WRONG_HOST, EXPIRED, OTHER_CA, NO_TLS = "good", "wrong host", "expired", "other CA", "no TLS"
PLAIN, ENCRYPTED, REFUSED = "plain text", "encrypted", "refused"
AUTHORITY = Authority()
CERTIFICATES = {
    GOOD: AUTHORITY.server_certificate(),
    WRONG_HOST: AUTHORITY.server_certificate(["db.example"]),
    EXPIRED: AUTHORITY.server_certificate(expired=True),
    OTHER_CA: Authority().server_certificate(),
}
EVERYWHERE = (GOOD, WRONG_HOST, EXPIRED, OTHER_CA)
SECRET = "example-passphrase"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without PostgreSQL's files, and no variable that speaks about TLS."""
    for name in [name for name in os.environ if name.startswith(("PG", "SSL_CERT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def ca(home: Path) -> Path:
    path = home / "ca.pem"
    path.write_bytes(AUTHORITY.pem)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    async with PostgresServer() as plain, PostgresServer(tls=True) as secured:
        yield plain, secured


async def state(url: Any, arguments: dict[str, Any]) -> str:
    """Whether an engine connects, and how the server sees the connection."""
    engine = create_async_engine(url, connect_args={"timeout": 5, **arguments}, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            found = await connection.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
            return ENCRYPTED if found else PLAIN
    except (ssl.SSLCertVerificationError, ConnectionError) as error:
        assert "verify failed" in str(error) or "rejected SSL upgrade" in str(error)
        return REFUSED
    finally:
        await engine.dispose()


def ladder(*, plain: tuple[str, ...] = (), encrypted: tuple[str, ...] = ()) -> dict[str, str]:
    every = (*EVERYWHERE, NO_TLS)
    return {each: PLAIN if each in plain else ENCRYPTED if each in encrypted else REFUSED for each in every}


@pytest.mark.asyncio(loop_scope="module")
async def test_the_whole_ladder(servers: tuple[PostgresServer, PostgresServer], ca: Path) -> None:
    """One test, so that each certificate is set once."""
    default = ca.parent / ".postgresql" / "root.crt"
    modes = {
        "disable": (ssl_context_for("disable"), ladder(plain=(*EVERYWHERE, NO_TLS))),
        "allow": (ssl_context_for("allow"), ladder(plain=(*EVERYWHERE, NO_TLS))),
        "prefer": (ssl_context_for("prefer"), ladder(plain=(NO_TLS,), encrypted=EVERYWHERE)),
        "require": (ssl_context_for("require"), ladder(encrypted=EVERYWHERE)),
        "require with a CA": (ssl_context_for("require", ca), ladder(encrypted=(GOOD, WRONG_HOST))),
        "verify-ca": (ssl_context_for("verify-ca", str(ca)), ladder(encrypted=(GOOD, WRONG_HOST))),
        "verify-full": (ssl_context_for("verify-full", ca), ladder(encrypted=(GOOD,))),
        "this machine's authorities": (ssl_context_for("verify-full"), ladder()),
        "system": (ssl_context_for("verify-full", "system"), ladder()),
    }
    default.parent.mkdir()
    default.write_bytes(AUTHORITY.pem)
    modes["require and root.crt"] = (ssl_context_for("require"), ladder(encrypted=(GOOD, WRONG_HOST)))
    modes["verify-full and root.crt"] = (ssl_context_for("verify-full"), ladder(encrypted=(GOOD,)))
    default.unlink()
    plain, secured = servers
    found: dict[str, dict[str, str]] = {name: {} for name in modes}
    for certificate in (*EVERYWHERE, NO_TLS):
        if certificate in CERTIFICATES:
            await secured.change_tls(ServerTLS(CERTIFICATES[certificate]))
        url = (plain if certificate == NO_TLS else secured).url.set(host="localhost")
        for name, (argument, _) in modes.items():
            found[name][certificate] = await state(url, {"ssl": argument})
    assert found == {name: expected for name, (_, expected) in modes.items()}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_url_with_tls_files_connects(servers: tuple[PostgresServer, PostgresServer], home: Path) -> None:
    _, secured = servers
    clients, role = Authority(), str(secured.url.username)
    access = ("hostssl all all 127.0.0.1/32 cert",)
    await secured.change_tls(ServerTLS(CERTIFICATES[GOOD], access=access, client_ca=clients.pem))
    client = clients.client_certificate(role)
    for name, content in {"c a.pem": AUTHORITY.pem, "c+lient.pem": client.chain, "client.key": client.key}.items():
        (home / name).write_bytes(content)
        (home / name).chmod(0o600)
    address = f"postgres://{role}@localhost:{secured.port}/course?application_name=x"
    folder = str(home).replace(" ", "%20")
    with pytest.raises(ValueError, match="application_name"):
        tls_from_url(address)
    url, arguments = tls_from_url(
        f"postgres://{role}@localhost:{secured.port}/course?sslmode=verify-full&sslrootcert={folder}/c%20a.pem"
        f"&channel_binding=prefer&sslcert={folder}/c+lient.pem&sslkey={folder}/client.key&command_timeout=9"
    )
    assert url == f"postgresql+asyncpg://{role}@localhost:{secured.port}/course?command_timeout=9"
    assert await state(url, arguments) == ENCRYPTED
    (home / "both.pem").write_bytes(client.chain + client.key)
    (home / "both.pem").chmod(0o600)
    argument = ssl_context_for("verify-full", home / "c a.pem", home / "both.pem")
    assert await state(url, {"ssl": argument, "direct_tls": True}) == ENCRYPTED
    await secured.change_tls(ServerTLS(CERTIFICATES[GOOD]))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a@h/d", {}),
        ("postgresql://a@h/d?sslmode=disable", {"ssl": False}),
        ("postgresql://a@h/d?sslmode=allow", {"ssl": "allow"}),
        ("postgres://a@h/d?sslmode=prefer&channel_binding=prefer", {"ssl": "prefer"}),
        ("postgresql+asyncpg://a@h/d?ssl=prefer", {"ssl": "prefer"}),
        ("postgresql://a@h/d?sslrootcert=", {}),
    ],
)
def test_modes_in_a_url(url: str, expected: dict[str, Any]) -> None:
    assert tls_from_url(url) == ("postgresql+asyncpg://a@h/d", expected)


def test_channel_binding_makes_tls_required() -> None:
    url, arguments = tls_from_url("postgresql://a:example-pw@h/d?channel_binding=require")
    assert url == "postgresql+asyncpg://a:example-pw@h/d"
    assert isinstance(arguments["ssl"], ssl.SSLContext)


def test_a_context_verifies_as_strictly_as_python_does(ca: Path) -> None:
    for mode in ("verify-ca", "verify-full"):
        context = ssl_context_for(mode, ca)
        assert isinstance(context, ssl.SSLContext)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname is (mode == "verify-full")
        assert context.verify_flags == ssl.create_default_context().verify_flags
        # TLS 1.2 in Python's own builds; Debian's Python leaves it to OpenSSL's configuration.
        assert context.minimum_version == ssl.create_default_context().minimum_version
        assert context.cert_store_stats()["x509_ca"] == 1, "this authority and no other"


@pytest.mark.parametrize(
    ("variables", "mode", "reason"),
    [
        ({"PGSSLROOTCERT": "system"}, "require", "Ask for verify-full"),
        ({"PGSSLROOTCERT": "system"}, "verify-ca", "Ask for verify-full"),
        ({"PGSSLROOTCERT": "/nowhere/ca.pem"}, "require", "'/nowhere/ca.pem' can't be read: No such file"),
        ({"HOME": "/nowhere"}, "verify-ca", "needs the file of the authority"),
    ],
)
def test_what_the_environment_asks_for_is_kept(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], mode: str, reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=reason):
        ssl_context_for(mode)


@pytest.mark.parametrize("mode", ["", "Require", "true", "verify_full", None, True, 3])
def test_an_unknown_mode_is_refused(mode: Any) -> None:
    with pytest.raises(ValueError, match="must be one of disable, allow, prefer, require, verify-ca, verify-full"):
        ssl_context_for(mode)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
@pytest.mark.parametrize("name", ["cafile", "certfile", "keyfile"])
def test_files_that_would_not_be_used_are_refused(mode: str, name: str, ca: Path) -> None:
    with pytest.raises(ValueError, match=f"sslmode={mode} promises nothing"):
        ssl_context_for(mode, **{name: str(ca)})


def test_files_without_a_mode_in_a_url(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://a@h/d?sslrootcert={ca}"
    with pytest.raises(ValueError, match="sslmode=prefer promises nothing"):
        tls_from_url(url)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert tls_from_url(url)[1]["ssl"].check_hostname


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://a@h/d?sslmode=verify-full&sslcrl=/x.crl", "sslcrl"),
        ("postgresql://a@h/d?sslmode=always", "must be one of"),
        ("postgresql://a:p?w@h/d?sslrootcert=/x.pem", "password|sslrootcert"),
        ("postgresql+psycopg_async://a@h/d?sslmode=require", "tls_from_url is for asyncpg"),
        ("sqlite:///x.db", "tls_from_url is for asyncpg"),
        (None, "no database URL"),
    ],
)
def test_a_url_that_cannot_be_kept_is_refused(url: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tls_from_url(url)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no certificate in PEM form"),
        (b"example\n", "holds no certificate in PEM form"),
        (b"\xff\xfe\x00", "holds no certificate in PEM form"),
        (b"<html>Not found</html>", "holds a web page"),
        (AUTHORITY.pem[:200], "a certificate that can't be read, perhaps cut off"),
        (AUTHORITY.pem + AUTHORITY.pem[:200], "a certificate that can't be read, perhaps cut off"),
        (AUTHORITY.pem.replace(b"MI", b"??"), "a certificate that can't be read, perhaps cut off"),
        (CERTIFICATES[GOOD].key, "holds a private key"),
        (ssl.PEM_cert_to_DER_cert(AUTHORITY.pem.decode()), "DER form"),
    ],
    # The certificates are new in each process: workers of one run have to agree on the names.
    ids=["empty", "words", "bytes", "page", "cut", "one whole, one cut", "spoilt", "key", "DER"],
)
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_ca_file_that_is_none(home: Path, content: bytes, reason: str, mode: str) -> None:
    path = home / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        ssl_context_for(mode, path)
    assert "bad.pem" in str(caught.value)
    assert all(line.decode("latin-1") not in str(caught.value) for line in content.split() if len(line) > 11)


@pytest.mark.parametrize("name", ["cafile", "certfile", "keyfile"])
def test_a_file_that_cannot_be_read(home: Path, ca: Path, name: str) -> None:
    good = home / "client.pem"
    good.write_bytes(CERTIFICATES[GOOD].chain + CERTIFICATES[GOOD].key)
    good.chmod(0o600)
    files: dict[str, Any] = {"cafile": ca, "certfile": good, "keyfile": good}
    for bad, reason in (
        (home / "none.pem", "No such file"),
        (home, "Is a directory"),
        ("a\0b", "this is no path"),
        (5.5, ""),
    ):
        with pytest.raises(ValueError, match=f"can't be read: {reason}"):
            ssl_context_for("verify-full", **{**files, name: bad})
    with pytest.raises(ValueError, match="can't be read") as caught:
        ssl_context_for("verify-full", **{**files, name: CERTIFICATES[GOOD].key.decode()})
    assert CERTIFICATES[GOOD].key.decode()[40:60] not in str(caught.value), "content was given where a path belongs"


def test_a_file_that_others_own(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:  # the tests may run as root, who reads every file
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match="Permission denied"):
        ssl_context_for("verify-full", ca)


def locked(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    lock = serialization.BestAvailableEncryption(SECRET.encode())
    return loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def test_a_client_key_that_does_not_fit(home: Path, ca: Path) -> None:
    client, other = AUTHORITY.client_certificate("app"), AUTHORITY.client_certificate("app")
    certificate, key = home / "client.pem", home / "client.key"
    certificate.write_bytes(client.chain)
    for content, reason in (
        (locked(client.key), "locked with a passphrase"),
        (other.key, "does not belong to the certificate"),
        (b"example", "can't be read. Both have to be in PEM form"),
        (client.chain, "can't be read. Both have to be in PEM form"),
    ):
        key.write_bytes(content)
        key.chmod(0o600)
        with pytest.raises(ValueError, match=reason) as caught:
            ssl_context_for("verify-full", ca, certificate, key)
        assert SECRET not in str(caught.value)
        assert caught.value.__suppress_context__
    certificate.chmod(0o600)
    with pytest.raises(ValueError, match="There is no private key in"):
        ssl_context_for("require", certfile=certificate)
    with pytest.raises(ValueError, match="a private key without its certificate"):
        ssl_context_for("require", keyfile=key)


def test_a_key_that_others_can_read_is_refused(home: Path, ca: Path) -> None:
    client = AUTHORITY.client_certificate("app")
    certificate, key = home / "client.pem", home / "client.key"
    certificate.write_bytes(client.chain)
    key.write_bytes(client.key)
    by_root = key.stat().st_uid == 0
    for mode, fine in ((0o644, False), (0o660, False), (0o604, False), (0o640, by_root), (0o600, True), (0o400, True)):
        key.chmod(mode)
        if fine:
            assert isinstance(ssl_context_for("verify-full", ca, certificate, key), ssl.SSLContext)
        else:
            with pytest.raises(ValueError, match=rf"Others can read .*client.key' \(mode {mode:04o}\).*chmod 600"):
                ssl_context_for("verify-full", ca, certificate, key)
