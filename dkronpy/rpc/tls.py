"""TLS between nodes, from certificate files: each end shows a certificate of the cluster's own authority. Names are
not looked at: who a node is, the greeting of a lane proves."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


class BadCertificate(Exception):
    """A file of a certificate can't be used."""


@dataclass(frozen=True)
class Tls:
    """What a node serves and connects with."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def load(certificate: Path, key: Path, authority: Path) -> Tls:
    """Read PEM files: this node's certificate (with what leads from it to the authority), its key, and the
    authority's certificate. Raises BadCertificate."""
    try:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        client = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
        server.verify_mode = ssl.CERT_REQUIRED
        client.check_hostname = False
        for context in (server, client):
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        files = f"rpc-cert-file {certificate}, rpc-key-file {key}, rpc-ca-file {authority}"
        raise BadCertificate(f"{files}: {error.strerror or error}") from error
    return Tls(server, client)
