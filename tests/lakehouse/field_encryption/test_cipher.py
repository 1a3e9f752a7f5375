"""Encrypted values: deterministic, and bound to their field and entity."""

import uuid

import pytest

from lakehouse.field_encryption.cipher import (
    ValueChanged,
    as_text,
    context,
    decrypt,
    encrypt,
    from_text,
    key_id_of,
)
from lakehouse.field_encryption.data_keys import DataKey
from lakehouse.field_encryption.decryption import NO_KEY, BoundValue, Decryption, PersonalColumn
from lakehouse.field_encryption.personal_columns import personal_column, personal_columns

KEY = DataKey(uuid.uuid4(), "user:ada", b"1" * 32)
OTHER = DataKey(uuid.uuid4(), "user:ben", b"2" * 32)
NAME = context("user.name", "ada")


@pytest.mark.parametrize("text", ["", "Ada", "\N{SNOWMAN}" * 10_000, "enc1:looks-encrypted"])
def test_a_value_can_be_read_again(text: str) -> None:
    stored = as_text(encrypt(KEY, NAME, text.encode()))
    encrypted = from_text(stored)
    assert encrypted is not None
    assert key_id_of(encrypted) == KEY.key_id
    assert decrypt(KEY, NAME, encrypted) == text.encode()
    assert from_text(as_text(encrypted, index="ab12")) == encrypted


def test_the_same_text_gives_the_same_value_only_in_the_same_place() -> None:
    value = encrypt(KEY, NAME, b"Ada")
    assert encrypt(KEY, NAME, b"Ada") == value
    others = [
        encrypt(KEY, context("user.email", "ada"), b"Ada"),
        encrypt(KEY, context("user.name", "adb"), b"Ada"),
        encrypt(OTHER, NAME, b"Ada"),
        encrypt(KEY, NAME, b"Adb"),
    ]
    assert len({value, *others}) == 5


@pytest.mark.parametrize(
    "bound_to", [context("user.email", "ada"), context("user.name", "ben"), context("user", "name\0ada")]
)
def test_a_value_from_another_place_is_detected(bound_to: bytes) -> None:
    with pytest.raises(ValueChanged):
        decrypt(KEY, bound_to, encrypt(KEY, NAME, b"Ada"))


@pytest.mark.parametrize("at", [16, 20, -1])
def test_a_changed_value_is_detected(at: int) -> None:
    changed = bytearray(encrypt(KEY, NAME, b"Ada"))
    changed[at] ^= 1
    with pytest.raises(ValueChanged):
        decrypt(KEY, NAME, bytes(changed))
    with pytest.raises(ValueChanged):
        decrypt(KEY, NAME, encrypt(KEY, NAME, b"Ada")[:20])


def test_nothing_is_encrypted_with_a_destroyed_key() -> None:
    destroyed = DataKey(KEY.key_id, KEY.owner, None)
    assert encrypt(destroyed, NAME, b"Ada") == KEY.key_id.bytes
    assert decrypt(destroyed, NAME, encrypt(KEY, NAME, b"Ada")) is None


@pytest.mark.parametrize("text", ["", "Ada", "enc1:", "enc1:short", "enc1:not base64 \N{SNOWMAN}"])
def test_other_texts_are_not_encrypted(text: str) -> None:
    assert from_text(text) is None


def test_without_keys_encrypted_values_stay_unreadable_and_others_are_shown() -> None:
    rows = [
        {"user_id": "ada", "name": as_text(encrypt(KEY, NAME, b"Ada"))},
        {"user_id": "ben", "name": "Ben"},
        {"user_id": "cy", "name": None},
    ]
    Decryption(None).rows(rows, {"name": PersonalColumn("user.name", "user_id")})
    assert [row["name"] for row in rows] == [NO_KEY, "Ben", None]
    assert Decryption(None).plain([BoundValue("user.name", "ada", None)]) == [None]


def test_the_column_of_a_personal_field_is_what_the_contract_says() -> None:
    assert personal_column("okr.objective.archived.v1", "reason") == PersonalColumn("objective.reason", "objective_id")
    assert personal_columns("okr.team.defined.v1") == {}
    with pytest.raises(ValueError, match=r"Expected a personal field of okr.user.defined.v1, got 'team_id'"):
        personal_column("okr.user.defined.v1", "team_id")
