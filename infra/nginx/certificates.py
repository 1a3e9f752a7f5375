"""Check a server's certificate and key before nginx loads them: nginx itself accepts one that clients refuse."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lakehouse.errors import PermanentError

SOON = timedelta(days=14)
# nginx.conf.j2 recognizes the nginx of other hosts, and services of other hosts, by these names.
PROXY, SERVICE = "okr-api", "okr-client"
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH


def check_certificate(
    file: Path, key_file: Path, host: str, now: datetime | None = None, *, origin: str = "the host in OKR_API_URL"
) -> datetime:
    """Return when the first certificate in a PEM file ends. `host` is the name or address that clients use.

    Raises:
        PermanentError: the certificate is not valid now or not for this host, the key is not its key, or a file cannot
            be used.
    """
    now = now or datetime.now(UTC)
    certificate = _certificates(file)[0]
    if certificate.not_valid_after_utc <= now:
        raise PermanentError(f"The certificate {file} expired on {_day(certificate.not_valid_after_utc)}. Renew it.")
    if certificate.not_valid_before_utc > now:
        raise PermanentError(
            f"The certificate {file} is valid only from {_day(certificate.not_valid_before_utc)}, and it is "
            f"{_day(now)}. Is the clock of this host right?"
        )
    names = list(_names(certificate))
    if not any(_covers(name, host) for name in names):
        raise PermanentError(
            f"The certificate {file} is for {', '.join(names) or 'no host'}, not for {host}, {origin}."
        )
    if _public_key(key_file) != certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise PermanentError(f"The key {key_file} does not belong to the certificate {file}.")
    return certificate.not_valid_after_utc


def check_peer_certificate(file: Path, key_file: Path, peer: str) -> datetime:
    """Return when a certificate ends with which nginx reaches other hosts.

    Raises:
        PermanentError: as `check_certificate`, or the other host would refuse it.
    """
    ends_at = check_certificate(file, key_file, peer, origin="a name between hosts")
    certificate = _certificates(file)[0]
    names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [peer]:
        raise PermanentError(
            f"The certificate {file} has the common name {', '.join(names) or '(none)'}: other hosts would refuse it. "
            f"Issue it with the common name {peer}."
        )
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ends_at
    if CLIENT_AUTH not in usages:
        raise PermanentError(f"The certificate {file} is only for servers. Issue it for clients, too (clientAuth).")
    return ends_at


def missing_issuer(file: Path) -> str | None:
    """Return the name of the authority that signed the first certificate if the file does not have it, or None.

    Browsers find the certificate of an intermediate authority elsewhere, so nobody notices; programs refuse the server.
    """
    first, *others = _certificates(file)
    is_complete = any(each.subject == first.issuer for each in (first, *others))
    return None if is_complete else first.issuer.rfc4514_string()


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        raise PermanentError(f"The certificate {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise PermanentError(f"{file} has no certificate in PEM format.") from error


def _public_key(file: Path) -> bytes:
    try:
        if file.stat().st_mode & 0o007:
            raise PermanentError(f"Every user can read the key {file}. Run `chmod 600 {file}`.")
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise PermanentError(f"The key {file} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:  # the latter: it has a password
        raise PermanentError(f"{file} has no key in PEM format without a password.") from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:  # browsers ignore the common name
        return
    yield from names.get_values_for_type(x509.DNSName)
    yield from map(str, names.get_values_for_type(x509.IPAddress))


def _covers(name: str, host: str) -> bool:
    """Return whether a name in a certificate, which can begin with `*.`, is valid for a host (RFC 6125)."""
    try:
        return ip_address(name) == ip_address(host)
    except ValueError:
        name, host = name.lower(), host.lower()
        return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
