"""Certificate authorities and server certificates for tests, as PEM files."""

import ipaddress
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

THIS_HOST = ("localhost", "127.0.0.1")
LIFETIME = timedelta(days=7)


@dataclass(frozen=True)
class ServerCertificate:
    """The files of a server: its key (mode 0600, PKCS #8), its certificate, and both in one file, the key first."""

    key: Path
    certificate: Path
    both: Path


class CertificateAuthority:
    """An authority whose certificate is in the file `file`, and which signs server certificates."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name, self._key = folder, name, ec.generate_private_key(ec.SECP256R1())
        key_usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self._certificate = (
            _builder(
                _subject(f"{name} of tests"), self._key, datetime.now(UTC) - LIFETIME, datetime.now(UTC) + LIFETIME
            )
            .issuer_name(_subject(f"{name} of tests"))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        hosts: Iterable[str] = THIS_HOST,
        *,
        ends_at: datetime | None = None,
        owner: str | None = None,
        is_client: bool = False,
    ) -> ServerCertificate:
        """Return a certificate for host names and addresses. `ends_at` can be in the past; `owner` owns the files.

        With `is_client`, a client can use it, too.
        """
        ends_at = ends_at or datetime.now(UTC) + LIFETIME
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if is_client else [])]
        key = ec.generate_private_key(ec.SECP256R1())
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(_subject(name), key, ends_at - LIFETIME, ends_at)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files = [self._folder / f"{name}{suffix}" for suffix in (".key", ".pem", ".both.pem")]
        for file, content in zip(files, (private, certificate, private + certificate), strict=True):
            _write(file, content, owner)
        return ServerCertificate(*files)


def expired() -> datetime:
    """Return an end of validity that is just over, within the validity of the authority."""
    return datetime.now(UTC) - timedelta(hours=1)


def _write(file: Path, content: bytes, owner: str | None) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    if owner is not None:
        shutil.chown(file, owner, owner)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, starts_at: datetime, ends_at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts_at)
        .not_valid_after(ends_at)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
