"""The stack's own certificate authority and nginx's certificate, for this host's loopback addresses only."""

import ipaddress
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from infra.certificates.issue import Request, ends_soon, new_authority, new_certificate, read_issuer

# A browser that trusts this authority accepts no certificate from it for any other host.
PERMITTED = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")))
AUTHORITY_LIFE, SERVER_LIFE, RENEWAL = timedelta(days=3_650), timedelta(days=90), timedelta(days=30)


def ensure_certificates(folder: Path) -> None:
    """Create `ca.pem`, `server.pem` and their keys in a private folder, or renew those that end within a month."""
    authority, authority_key = folder / "ca.pem", folder / "ca-key.pem"
    if ends_soon(authority, AUTHORITY_LIFE / 10) or not authority_key.is_file():
        new_authority(authority, authority_key, "OKR lakehouse, local stack", AUTHORITY_LIFE, PERMITTED)
        (folder / "server.pem").unlink(missing_ok=True)
    if ends_soon(folder / "server.pem", RENEWAL) or not (folder / "server-key.pem").is_file():
        request = Request("localhost", ("localhost", "127.0.0.1"))
        issuer = read_issuer(authority, authority_key)
        new_certificate(folder / "server.pem", folder / "server-key.pem", issuer, request, SERVER_LIFE)
