"""Key-encryption keys: the interface of a key management service, and its implementation with a key file."""

import base64
import binascii
import hashlib
import os
from collections.abc import Collection
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lakehouse.errors import PermanentError, RetryableError

SETTING = "OKR_FIELD_ENCRYPTION_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12
ID_DIGITS = 12
MAKE_A_KEY = "`openssl rand -base64 32` makes it"


class KeyEncryption(Protocol):
    """Wraps data keys. A key management service can implement this; only `wrap` and `unwrap` would call it."""

    @property
    def current_id(self) -> str:
        """Return the id of the key-encryption key that wraps new data keys."""

    @property
    def ids(self) -> Collection[str]:
        """Return the ids of all key-encryption keys that can unwrap."""

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Encrypt a data key with the current key-encryption key, bound to its context (id and owner)."""

    def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            RetryableError: this process does not have the key-encryption key.
            PermanentError: the wrapped key or its context was changed.
        """


class KeyFile:
    """Key-encryption keys in the text of a file: one key of 32 bytes in base64 per line. The first one is current."""

    def __init__(self, text: str) -> None:
        """Read the keys.

        Raises:
            PermanentError: the text is not a key file. The message does not contain it.
        """
        keys = [_key(number, line) for number, line in enumerate(text.split(), start=1)]
        if not keys:
            raise PermanentError(f"{SETTING} is empty. Expected a key of {KEY_BYTES} bytes in base64, as {MAKE_A_KEY}.")
        self._ciphers = {_id(key): AESGCM(key) for key in keys}
        self._current_id = _id(keys[0])

    @property
    def current_id(self) -> str:
        """Return the id of the first key."""
        return self._current_id

    @property
    def ids(self) -> Collection[str]:
        """Return the ids of all keys in the file."""
        return self._ciphers.keys()

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Encrypt a data key with AES-256-GCM and a random nonce."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[self._current_id].encrypt(nonce, data_key, context)

    def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key (`KeyEncryption.unwrap`)."""
        cipher = self._ciphers.get(kek_id)
        if cipher is None:
            raise RetryableError(unknown_key(kek_id, self))
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
        except InvalidTag as error:
            raise PermanentError(
                f"it is not what the key-encryption key {kek_id} wrapped. Restore its row of app.data_key from a "
                "backup, or destroy it if there is none (`okr keys destroy`)."
            ) from error


def unknown_key(kek_id: str, known: KeyEncryption) -> str:
    """Return what to do if the key-encryption key of a data key is missing."""
    return (
        f"{SETTING} does not contain the key-encryption key {kek_id}, with which data keys in app.data_key are "
        f"wrapped. It contains {', '.join(known.ids)}. Add the missing key to the key file and restart; nothing was "
        "changed."
    )


def _key(number: int, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise PermanentError(
            f"{SETTING}: key {number} is not {KEY_BYTES} bytes in base64 (44 characters; got {len(text)}). "
            f"Expected a key as {MAKE_A_KEY}."
        )
    return key


def _id(key: bytes) -> str:
    return hashlib.sha256(b"okr key-encryption key" + key).hexdigest()[:ID_DIGITS]
