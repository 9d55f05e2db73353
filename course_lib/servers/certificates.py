"""Throw-away certificate authorities, the certificates they issue, and what a server does with them (trustme)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

LOOPBACK = ("localhost", "127.0.0.1")
#: SCRAM for all, on loopback only; TLS is the client's choice, as with most providers.
ANYONE = ("host all all 127.0.0.1/32 scram-sha-256",)


@dataclass(frozen=True, repr=False)
class Certificate:
    """PEM texts: the authority that issued it, the certificate with its chain, and its private key."""

    ca: bytes
    chain: bytes
    key: bytes


class Authority:
    """A new certificate authority that nothing trusts yet. It lives in memory: its key is never written to a file."""

    def __init__(self) -> None:
        import trustme  # with the library behind it, a quarter of the time that a lesson's first import takes

        self._ca = trustme.CA()

    @property
    def pem(self) -> bytes:
        """The authority's own certificate, which a client needs to verify a server, and a server to verify a client."""
        return self._ca.cert_pem.bytes()

    def server_certificate(self, hosts: Iterable[str] = LOOPBACK, *, expired: bool = False) -> Certificate:
        """Issue a certificate for a server.

        Args:
            hosts: host names and IP addresses that it is valid for.
            expired: whether its time is over: it was valid for 90 days, until yesterday.
        """
        until = datetime.now(UTC) - timedelta(days=1) if expired else None
        since = until - timedelta(days=90) if until else None
        return self._certificate(self._ca.issue_cert(*hosts, not_before=since, not_after=until))

    def client_certificate(self, role: str) -> Certificate:
        """Issue a certificate for a client. PostgreSQL reads the role's name in its common name (CN).

        Source: https://www.postgresql.org/docs/17/auth-cert.html
        """
        return self._certificate(self._ca.issue_cert("client.example", common_name=role))

    def _certificate(self, issued: "trustme.LeafCert") -> Certificate:
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return Certificate(self.pem, chain, issued.private_key_pem.bytes())


def _new_certificate() -> Certificate:
    return Authority().server_certificate()


@dataclass(frozen=True, repr=False)
class ServerTLS:
    """How a server uses TLS.

    Args:
        certificate: what it shows to clients; by default one for loopback, from an authority of its own.
        access: lines of pg_hba.conf for everyone but the superuser, the first that fits counts. `hostssl` at the
            beginning of a line asks for TLS, `clientcert=verify-full` at its end for a client certificate too.
            https://www.postgresql.org/docs/17/auth-pg-hba-conf.html
        client_ca: the authority (PEM) whose client certificates it accepts; None: it asks for none.
    """

    certificate: Certificate = field(default_factory=_new_certificate)
    access: tuple[str, ...] = ANYONE
    client_ca: bytes | None = None

    def files(self) -> dict[str, bytes]:
        """The files that the server reads, by name."""
        files = {
            "ca.pem": self.certificate.ca,
            "server.pem": self.certificate.chain,
            "server.key": self.certificate.key,
        }
        if self.client_ca is not None:
            files["client_ca.pem"] = self.client_ca
        return files
