"""The format of an encrypted value: `enc1:` and, in base64, the id of the data key and the ciphertext.

AES-256-GCM-SIV (RFC 8452) encrypts deterministically: the same text in the same field of the same entity gives the same
value. So an event that is read again has the same row, and a definition that repeats the previous one is recognised as
a repetition. The ciphertext is bound to its field and entity, so values cannot be exchanged between rows.
`ingestion.personal_field_encryption` decides which fields of an event are encrypted.
"""

import base64
import binascii
from uuid import UUID

from cryptography.exceptions import InvalidTag

from lakehouse.errors import PermanentError
from lakehouse.field_encryption.data_keys import DataKey

PREFIX = "enc1:"
BYTES_PREFIX = PREFIX.encode()
NONCE = bytes(12)  # constant: with AES-GCM-SIV, a repeated nonce only shows that two texts are equal
KEY_ID_BYTES = 16
INDEX_SEPARATOR = "."
URL_SAFE = bytes.maketrans(b"+/", b"-_")


class ValueChanged(PermanentError):
    """An encrypted value does not belong to its field and entity, or was changed."""


def context(field: str, entity_id: str) -> bytes:
    """Return what a value is bound to: its field (`user.name`) and its entity. Neither contains a NUL character."""
    return f"{field}\0{entity_id}".encode()


def encrypt(key: DataKey, bound_to: bytes, plaintext: bytes) -> bytes:
    """Return the key's id and the ciphertext. Without a ciphertext, the value says that the key was destroyed."""
    if key.cipher is None:
        return key.prefix
    return key.prefix + key.cipher.encrypt(NONCE, plaintext, bound_to)


def decrypt(key: DataKey, bound_to: bytes, encrypted: bytes) -> bytes | None:
    """Return the plaintext, or None if the key was destroyed.

    Raises:
        ValueChanged: the value is not what `encrypt` returned for this field and entity.
    """
    if key.cipher is None:
        return None
    try:
        return key.cipher.decrypt(NONCE, encrypted[KEY_ID_BYTES:], bound_to)
    except (InvalidTag, ValueError) as error:
        raise ValueChanged("An encrypted value was changed, or moved from another row or field.") from error


def key_id_of(encrypted: bytes) -> UUID:
    """Return the id of the data key."""
    return UUID(bytes=encrypted[:KEY_ID_BYTES])


def as_text(encrypted: bytes, *, index: str = "") -> str:
    """Return an encrypted value as text. `index` is a keyed hash of the plaintext, by which values are compared."""
    text = PREFIX + binascii.b2a_base64(encrypted, newline=False).translate(URL_SAFE).decode()
    return f"{text}{INDEX_SEPARATOR}{index}" if index else text


def from_text(value: str) -> bytes | None:
    """Return the encrypted value in a text, or None if the text is not encrypted."""
    if not value.startswith(PREFIX):
        return None
    try:
        encrypted = base64.urlsafe_b64decode(value[len(PREFIX) :].partition(INDEX_SEPARATOR)[0])
    except (binascii.Error, ValueError):
        return None
    return encrypted if len(encrypted) >= KEY_ID_BYTES else None
