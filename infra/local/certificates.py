"""The stack's own certificate authority and nginx's certificate, for this host's loopback addresses only."""

import contextlib
import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
# A browser that trusts this authority accepts no certificate from it for any other host.
PERMITTED = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")))
AUTHORITY_LIFE, SERVER_LIFE, RENEWAL = timedelta(days=3_650), timedelta(days=90), timedelta(days=30)


def ensure_certificates(folder: Path) -> None:
    """Create `ca.pem`, `server.pem` and their keys in a private folder, or renew those that end within a month."""
    authority, authority_key = folder / "ca.pem", folder / "ca-key.pem"
    if _ends_soon(authority, AUTHORITY_LIFE / 10) or not authority_key.is_file():
        _create(authority, authority_key, issuer=None)
        (folder / "server.pem").unlink(missing_ok=True)
    if _ends_soon(folder / "server.pem", RENEWAL) or not (folder / "server-key.pem").is_file():
        issuer = x509.load_pem_x509_certificate(authority.read_bytes())
        issuer_key = load_pem_private_key(authority_key.read_bytes(), password=None)
        if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{authority_key} has another kind of key than this program writes")
        _create(folder / "server.pem", folder / "server-key.pem", issuer=(issuer, issuer_key))


def _ends_soon(file: Path, margin: timedelta) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc - datetime.now(UTC) < margin
    return True


def _create(file: Path, key_file: Path, *, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None) -> None:
    """Write a key and a certificate, signed by the issuer or, without one, that of an authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = "OKR lakehouse, local stack" if issuer is None else "localhost"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing_key = key if issuer is None else issuer[1]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + (AUTHORITY_LIFE if issuer is None else SERVER_LIFE))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), False)
    )
    if issuer is None:
        builder = builder.add_extension(x509.NameConstraints(PERMITTED, None), True).add_extension(_signs_only(), True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName(HOSTS), False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False
        )
    certificate = builder.sign(signing_key, hashes.SHA256())
    _write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(file, certificate.public_bytes(Encoding.PEM))


def _signs_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    new.replace(file)
