"""Key-encryption keys in a file."""

import base64
import os

import pytest

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.field_encryption.key_file import KeyFile


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_the_first_key_wraps_and_every_key_unwraps() -> None:
    old, new = new_key(), new_key()
    before, after = KeyFile(old), KeyFile(f"{new}\n{old}\n")
    wrapped = before.wrap(b"d" * 32, b"owner")
    assert after.current_id != before.current_id
    assert after.unwrap(before.current_id, wrapped, b"owner") == b"d" * 32
    assert KeyFile(new).unwrap(after.current_id, after.wrap(b"d" * 32, b"owner"), b"owner") == b"d" * 32


def test_a_wrapped_key_belongs_to_its_owner() -> None:
    keys = KeyFile(new_key())
    wrapped = keys.wrap(b"d" * 32, b"ada")
    with pytest.raises(PermanentError, match="it is not what the key-encryption key"):
        keys.unwrap(keys.current_id, wrapped, b"ben")


def test_a_missing_key_is_named_and_a_restart_may_find_it() -> None:
    old, other = KeyFile(new_key()), KeyFile(new_key())
    with pytest.raises(RetryableError, match=f"does not contain the key-encryption key {old.current_id}"):
        other.unwrap(old.current_id, old.wrap(b"d" * 32, b""), b"")


INVALID_FILES = {
    "empty": "", "blank": "  \n", "not base64": "secret-word", "too short": "c2hvcnQ=", "cut off": new_key()[:-4],
    "a second line that is no key": f"{new_key()}\nsecret-word",
}  # fmt: skip


@pytest.mark.parametrize("text", INVALID_FILES.values(), ids=INVALID_FILES)
def test_an_invalid_file_is_described_in_one_line_without_its_content(text: str) -> None:
    with pytest.raises(PermanentError) as caught:
        KeyFile(text)
    message = str(caught.value)
    assert message.startswith("OKR_FIELD_ENCRYPTION_KEY")
    assert "openssl rand -base64 32" in message
    assert "\n" not in message
    assert "secret-word" not in message
