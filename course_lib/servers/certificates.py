"""A throw-away certificate authority and a server certificate for loopback, made with trustme."""

from collections.abc import Iterable
from dataclasses import dataclass

import trustme

LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, repr=False)
class ServerCertificate:
    """PEM texts: the authority that a client trusts, and the server's certificate chain and private key."""

    ca: bytes
    chain: bytes
    key: bytes


def server_certificate(hosts: Iterable[str] = LOOPBACK) -> ServerCertificate:
    """Issue a server certificate for ``hosts`` from a new authority that nothing else trusts.

    Args:
        hosts: host names and IP addresses that the certificate is valid for.
    Returns:
        The texts to write; the authority's own key is forgotten, so it can sign nothing more.
    """
    authority = trustme.CA()
    issued = authority.issue_cert(*hosts)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return ServerCertificate(authority.cert_pem.bytes(), chain, issued.private_key_pem.bytes())
