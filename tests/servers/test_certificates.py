"""Do the certificates mean what they say, to the real server and to Python's strictest verification?"""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from server_helpers import connect, value

from course_lib.servers import PostgresServer, ServerError, SettingError
from course_lib.servers.certificates import Authority, Certificate, ServerTLS

HOSTSSL = ("hostssl all all 127.0.0.1/32 scram-sha-256",)
BY_CERTIFICATE = ("hostssl all all 127.0.0.1/32 cert",)
STATE = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def secured(authority: Authority) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(max_connections=12, tls=ServerTLS(authority.server_certificate())) as server:
        yield server


def trusting(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    # What Python 3.13 and newer ask for by default.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def with_certificate(authority: Authority, certificate: Certificate, folder: Path) -> ssl.SSLContext:
    context = trusting(authority)
    (folder / "client.pem").write_bytes(certificate.chain + certificate.key)
    context.load_cert_chain(folder / "client.pem")
    return context


async def encrypted(server: PostgresServer, context: ssl.SSLContext, **parts: str | None) -> object:
    connection = await connect(server.url._replace(host="localhost", **parts), ssl=context)
    try:
        return await connection.fetchval(STATE)
    finally:
        await connection.close()


async def test_each_certificate_is_taken_or_refused_for_its_own_reason(
    secured: PostgresServer, authority: Authority
) -> None:
    context = trusting(authority)
    assert await encrypted(secured, context) is True
    for certificate, reason in (
        (authority.server_certificate(["db.example"]), "Hostname mismatch"),
        (authority.server_certificate(expired=True), "certificate has expired"),
        (Authority().server_certificate(), "unable to get local issuer certificate"),
    ):
        await secured.change_tls(ServerTLS(certificate))
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            await encrypted(secured, context)
    await secured.change_tls(ServerTLS(authority.server_certificate()))
    assert await encrypted(secured, context) is True


async def test_a_renewed_certificate_needs_no_restart_and_ends_no_connection(
    secured: PostgresServer, authority: Authority
) -> None:
    old = await connect(secured.url, ssl=trusting(authority))
    started = await old.fetchval("SELECT pg_postmaster_start_time()")
    other = Authority()
    await secured.change_tls(ServerTLS(other.server_certificate()))
    assert secured.ca_file.read_bytes() == other.pem
    assert await encrypted(secured, trusting(other)) is True
    assert await old.fetchval("SELECT pg_postmaster_start_time()") == started
    await old.close()
    await secured.restart()
    assert await encrypted(secured, trusting(other)) is True, "it survives a restart"


async def test_hostssl_refuses_plain_text_and_never_the_course_itself(
    secured: PostgresServer, authority: Authority
) -> None:
    await secured.change_tls(ServerTLS(authority.server_certificate(), access=HOSTSSL))
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await value(secured.url, "SELECT 1")
    assert await encrypted(secured, trusting(authority)) is True
    assert await value(secured.admin_url, STATE) is False
    url = await secured.create_database("made_all_the_same")
    assert url.database == "made_all_the_same"


async def test_a_client_certificate_names_the_role(
    secured: PostgresServer, authority: Authority, tmp_path: Path
) -> None:
    clients = Authority()
    role = str(secured.url.username)
    tls = ServerTLS(authority.server_certificate(), access=BY_CERTIFICATE, client_ca=clients.pem)
    await secured.change_tls(tls)
    good = with_certificate(authority, clients.client_certificate(role), tmp_path)
    assert await encrypted(secured, good, password=None) is True
    other = with_certificate(authority, clients.client_certificate("somebody"), tmp_path)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="certificate authentication failed"):
        await encrypted(secured, other, password=None)
    stranger = with_certificate(authority, Authority().client_certificate(role), tmp_path)
    with pytest.raises((ssl.SSLError, ConnectionError, asyncpg.PostgresConnectionError)):
        await encrypted(secured, stranger, password=None)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="valid client certificate"):
        await encrypted(secured, trusting(authority), password=None)
    both = ("hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full",)
    await secured.change_tls(ServerTLS(authority.server_certificate(), access=both, client_ca=clients.pem))
    assert await encrypted(secured, good) is True
    with pytest.raises(asyncpg.InvalidPasswordError):
        await encrypted(secured, good, password="example-wrong")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("hostssl all all", "end-of-line before IP address"),
        ("https all all 127.0.0.1/32 trust", "invalid connection type"),
        ("host all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust", "one line each"),
        ("", "one line each"),
    ],
)
async def test_a_rule_that_cannot_be_read_changes_nothing(
    secured: PostgresServer, authority: Authority, rule: str, reason: str
) -> None:
    before = trusting(authority)
    with pytest.raises(SettingError, match=reason):
        await secured.change_tls(ServerTLS(Authority().server_certificate(), access=(rule,)))
    await secured.restart()
    assert await encrypted(secured, before) is True
    assert secured.ca_file.read_bytes() == authority.pem


async def test_a_rule_that_cannot_be_read_at_the_start_leaves_nothing() -> None:
    with pytest.raises(ServerError):
        await PostgresServer.start(tls=ServerTLS(access=("hostssl all all",)))


async def test_a_server_without_tls_says_so(server: PostgresServer) -> None:
    async with PostgresServer() as plain:
        with pytest.raises(ServerError, match="tls=True"):
            await plain.change_tls(ServerTLS())
    with pytest.raises(ServerError, match="not running"):
        await plain.change_tls(ServerTLS())


def test_no_key_is_shown(authority: Authority) -> None:
    certificate = authority.server_certificate()
    for shown in (repr(certificate), repr(ServerTLS(certificate)), repr(authority)):
        assert "PRIVATE" not in shown
        assert "CERTIFICATE" not in shown
