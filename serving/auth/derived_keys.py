"""Derive a separate key for each purpose from the installation's secret (OKR_JWT_SECRET)."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lakehouse.configuration.requirements import MIN_JWT_SECRET_BYTES
from lakehouse.errors import PermanentError

KEY_BYTES = 32


def derived_key(secret: str, purpose: str) -> bytes:
    """Return the key of a purpose by HKDF (RFC 5869) with SHA-256.

    Raises:
        PermanentError: the secret is too short to be random.
    """
    if len(secret.encode()) < MIN_JWT_SECRET_BYTES:
        raise PermanentError(f"OKR_JWT_SECRET must be at least {MIN_JWT_SECRET_BYTES} bytes; generate a random one.")
    hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"okr-lakehouse {purpose}".encode())
    return hkdf.derive(secret.encode())
