"""An own certificate authority: keys and certificates as PEM files, all for names inside one installation or stack."""

import contextlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lakehouse.errors import PermanentError

CLOCK_DIFFERENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Issuer:
    """The certificate of an authority and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Request:
    """A certificate that an authority signs: its common name, its names and addresses, and who may show it."""

    name: str
    hosts: tuple[str, ...]
    is_client: bool = False  # also for clients, not only for servers


def read_issuer(file: Path, key_file: Path) -> Issuer:
    """Return an authority.

    Raises:
        PermanentError: the key is of another kind than this program writes.
    """
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PermanentError(f"{key_file} is not a key on an elliptic curve, as this program writes it.")
    return Issuer(x509.load_pem_x509_certificate(file.read_bytes()), key)


def new_authority(
    file: Path, key_file: Path, name: str, life: timedelta, permitted: Sequence[x509.GeneralName] = ()
) -> None:
    """Write an authority, whose certificates clients accept only for the `permitted` names if there are any."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(key, name, name, life).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    builder = builder.add_extension(_signs_only(), True)
    if permitted:
        builder = builder.add_extension(x509.NameConstraints(permitted, None), True)
    _write(key_file, _pem(key))
    _write(file, _signed(builder, key))


def new_certificate(file: Path, key_file: Path, issuer: Issuer, request: Request, life: timedelta) -> None:
    """Write a key (PKCS #8) and a certificate; both into one file, the key first, if the files are the same."""
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if request.is_client else [])]
    builder = (
        _builder(key, request.name, issuer.certificate.subject, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in request.hosts]), False)
        .add_extension(x509.ExtendedKeyUsage(usages), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
    )
    certificate = _signed(builder, issuer.key)
    if file == key_file:
        _write(file, _pem(key) + certificate)
        return
    _write(key_file, _pem(key))
    _write(file, certificate)


def ends_soon(file: Path, margin: timedelta) -> bool:
    """Return whether a certificate is missing, unreadable, or valid for less than `margin`."""
    with contextlib.suppress(OSError, ValueError):
        return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc - datetime.now(UTC) < margin
    return True


def is_from(issuer: Issuer, file: Path) -> bool:
    """Return whether an authority has signed a certificate, the first one in the file."""
    with contextlib.suppress(OSError, ValueError, TypeError, InvalidSignature):
        x509.load_pem_x509_certificate(file.read_bytes()).verify_directly_issued_by(issuer.certificate)
        return True
    return False


def _builder(
    key: ec.EllipticCurvePrivateKey, name: str, issuer: str | x509.Name, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(_subject(issuer) if isinstance(issuer, str) else issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_DIFFERENCE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


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
