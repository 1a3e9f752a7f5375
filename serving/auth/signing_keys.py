"""The keys that sign access tokens: stored in PostgreSQL, rotated, and encrypted with a key that is not stored there.

A new key signs only after every worker has had time to learn it, and the key before it verifies until its last token
has expired. Therefore a rotation logs no one out.
"""

import base64
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger
from serving.publication_reader import Connection, Reader, Row, Warehouse

PACKAGE = "serving.auth"
NONCE_BYTES = 12
LEARNED_AFTER_S = 60  # every worker reads the keys at least this often
VERIFIES_FOR = timedelta(minutes=30)  # after it stopped signing: longer than an access token lives
UNKNOWN_KEY_PAUSE_S = 1.0  # tokens with made-up key ids must not cause a query each


@dataclass(frozen=True)
class SigningKey:
    """A key pair."""

    kid: str
    private_key: Ed25519PrivateKey
    public_key: Ed25519PublicKey
    signs_from: datetime
    verifies_until: datetime | None

    def jwk(self) -> dict[str, str]:
        """Return the public key as a JSON Web Key (RFC 8037)."""
        x = base64.urlsafe_b64encode(self.public_key.public_bytes_raw()).decode().rstrip("=")
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "use": "sig", "alg": "EdDSA"}


class SigningKeys:
    """The keys in auth.signing_key. Call `prepare` before use and `load` at least every LEARNED_AFTER_S seconds."""

    def __init__(self, warehouse: Warehouse, encryption_key: bytes) -> None:
        self._warehouse = warehouse
        self._cipher = AESGCM(encryption_key)
        self._keys: dict[str, SigningKey] = {}
        self._loaded_at = -UNKNOWN_KEY_PAUSE_S
        self._is_outdated = False  # whether the last attempt to read them failed
        self._undecrypted: set[str] = set()
        self._log = get_logger(__name__)

    def prepare(self) -> None:
        """Load the keys. Create the first one, or one for a changed OKR_JWT_SECRET.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        with self._warehouse.connection() as connection:
            Reader(connection).rows(PACKAGE, "signing_key_lock")
            if not self._decrypted(Reader(connection).rows(PACKAGE, "signing_keys")):
                self._insert(connection, datetime.now(UTC))
        self.load()

    def rotate(self, record: Callable[[Connection, SigningKey], object] | None = None) -> SigningKey:
        """Create a key that starts signing in LEARNED_AFTER_S seconds, and end the others 30 minutes later.

        `record` is called in the same transaction. If the newest key does not sign yet, return it and change nothing.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        now = datetime.now(UTC)
        signs_from = now + timedelta(seconds=LEARNED_AFTER_S)
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            reader.rows(PACKAGE, "signing_key_lock")
            known = self._decrypted(reader.rows(PACKAGE, "signing_keys"))
            # Keys that are further in the future were created before the clock was set back.
            waiting = [key for key in known if key.verifies_until is None and now < key.signs_from <= signs_from]
            if waiting:
                return waiting[0]
            reader.rows(PACKAGE, "retire_signing_keys", {"verifies_until": signs_from + VERIFIES_FOR})
            key = self._insert(connection, signs_from)
            if record is not None:
                record(connection, key)
        self.load()
        return key

    def listed(self) -> list[SigningKey]:
        """Return the keys whose tokens may still be valid, newest first.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        self.load()
        return sorted(self._keys.values(), key=lambda key: key.signs_from, reverse=True)

    def load(self) -> None:
        """Read the keys."""
        with self._warehouse.connection() as connection:
            self.load_from(connection)

    def load_from(self, connection: Connection) -> None:
        """Read the keys over a connection."""
        rows = Reader(connection).rows(PACKAGE, "signing_keys")
        self._keys = {key.kid: key for key in self._decrypted(rows)}
        self._loaded_at, self._is_outdated = time.monotonic(), False

    def signing(self) -> SigningKey:
        """Return the key that signs now.

        Raises:
            RetryableError: no key has been loaded.
        """
        now = datetime.now(UTC)
        keys = sorted(self._keys.values(), key=lambda key: key.signs_from)
        if not keys:
            raise RetryableError("No signing key has been loaded yet. Try again in a few seconds.")
        # After a jump of the clock to the past, every key may be in the future. Then the oldest one signs.
        return next((key for key in reversed(keys) if key.signs_from <= now), keys[0])

    def verifying(self, kid: str) -> Ed25519PublicKey | None:
        """Return the public key with an id, or None. An unknown id may be of a new key, so the keys are read again.

        Raises:
            RetryableError: the keys cannot be read now, so nobody knows whether the id is that of a key.
        """
        key = self._keys.get(kid)
        if key is None and time.monotonic() - self._loaded_at > UNKNOWN_KEY_PAUSE_S:
            self._loaded_at, self._is_outdated = time.monotonic(), True  # also if PostgreSQL is unavailable
            self.load()
            key = self._keys.get(kid)
        if key is None and self._is_outdated:
            raise RetryableError("The keys of access tokens cannot be read at the moment. Try again in a few seconds.")
        if key is None or (key.verifies_until is not None and key.verifies_until < datetime.now(UTC)):
            return None
        return key.public_key

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys whose tokens are accepted, as a JSON Web Key Set (RFC 7517)."""
        now = datetime.now(UTC)
        keys = (key for key in self._keys.values() if key.verifies_until is None or key.verifies_until >= now)
        return {"keys": [key.jwk() for key in sorted(keys, key=lambda key: key.signs_from, reverse=True)]}

    def _insert(self, connection: Connection, signs_from: datetime) -> SigningKey:
        private = Ed25519PrivateKey.generate()
        public, kid, nonce = private.public_key().public_bytes_raw(), uuid.uuid4().hex[:16], os.urandom(NONCE_BYTES)
        encrypted = nonce + self._cipher.encrypt(nonce, private.private_bytes_raw(), kid.encode() + public)
        values: dict[str, Any] = {
            "kid": kid, "public_key": public, "encrypted_private_key": encrypted, "signs_from": signs_from,
        }  # fmt: skip
        Reader(connection).rows(PACKAGE, "insert_signing_key", values)
        return SigningKey(kid, private, private.public_key(), signs_from, None)

    def _decrypted(self, rows: list[Row]) -> list[SigningKey]:
        """Return the keys that this installation's secret decrypts. Others do not verify either."""
        found = []
        for row in rows:
            public, encrypted = bytes(row["public_key"]), bytes(row["encrypted_private_key"])
            nonce, ciphertext = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
            try:
                raw = self._cipher.decrypt(nonce, ciphertext, row["kid"].encode() + public)
            except (InvalidTag, ValueError):
                self._warn_of(row["kid"])
                continue
            private = Ed25519PrivateKey.from_private_bytes(raw)
            found.append(
                SigningKey(row["kid"], private, private.public_key(), row["signs_from"], row["verifies_until"])
            )
        return found

    def _warn_of(self, kid: str) -> None:
        if kid not in self._undecrypted:
            self._undecrypted.add(kid)
            self._log.warning("a signing key was encrypted with another OKR_JWT_SECRET and is not used", kid=kid)
