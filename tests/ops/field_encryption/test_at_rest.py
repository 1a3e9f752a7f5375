"""Personal fields cannot be read in the lake, in PostgreSQL's files, in logs or in an emptied spool."""

import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Stack
from ingestion.contract_validation import EncodedEvent, decode
from ingestion.landing.consumer import land
from ingestion.personal_field_encryption import FieldEncryption
from ingestion.rejected_messages_report import read_rejected
from ingestion.spool import Drainer, Spool
from ingestion.state.from_lake import _make_comparable
from lakehouse.field_encryption.decryption import NO_KEY, NOT_READABLE
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ops.field_encryption.conftest import Send, check_in, new_key, planted, user, with_keys
from tests.ops.field_encryption.reading import (
    PERSONAL,
    drain,
    lake_rows,
    personal_texts,
    places_with,
    raw_rows,
)

STORED_IN = {
    "lake",
    "raw.okr_user_events",
    "app.event",
    "app.newest_event",
    "app.check_ins",
    "app.users",
    "heap",
    "wal",
}


def new_mark() -> str:
    return f"planted{uuid.uuid4().hex[:12]}"


def test_personal_fields_are_unreadable_at_rest_and_readable_with_the_key(
    encrypted: Settings, send: Send, test_stack: Stack, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mark = new_mark()
    events = planted(mark)
    send(*events, raw=f'{{"torn": "{mark}'.encode())
    drain(encrypted)
    assert places_with(encrypted, test_stack, mark, tmp_path) == set()
    captured = capfd.readouterr()
    assert mark not in captured.out + captured.err
    texts = [text for row in personal_texts(encrypted, raw_rows(encrypted)) for text in row.values()]
    parts = (" Lovelace", "@example.org", " note", " note without an author", " comment", " reason")
    assert sorted(texts) == sorted(mark + part for part in parts)
    (rejected,) = read_rejected(encrypted.lake_uri, 10, keys=open_data_keys(encrypted)).newest
    assert rejected.value == f'{{"torn": "{mark}'.encode()
    assert rejected.reason == "not_json"


def test_the_search_finds_personal_fields_that_are_not_encrypted(
    pipeline: Settings, send: Send, test_stack: Stack
) -> None:
    mark = new_mark()
    send(*planted(mark))
    drain(pipeline)
    assert places_with(pipeline, test_stack, mark) == STORED_IN


def test_everything_else_is_stored_as_without_encryption(encrypted: Settings, send: Send, tmp_path: Path) -> None:
    send(*planted("Ada"), raw=b"\xff")
    plain = encrypted.model_copy(update={"lake_uri": str(tmp_path / "plain")})
    for settings in (encrypted, with_keys(plain)):
        land(settings, threading.Event(), drain=True)
    personal = {"data", "rejected_value"}
    for ours, theirs in zip(lake_rows(encrypted), lake_rows(plain), strict=True):
        assert {name: ours[name] for name in ours.keys() - personal} == {
            name: theirs[name] for name in theirs.keys() - personal
        }
    drain(encrypted)
    for row in raw_rows(encrypted):
        for field in PERSONAL.get(row["event_type"], {}):
            assert (row["data"].get(field) or "enc1:").startswith("enc1:")


def test_a_spool_that_was_emptied_contains_no_personal_field(pipeline: Settings, tmp_path: Path) -> None:
    """Until the broker has confirmed an event, the spool contains it in plaintext (its file has mode 0600)."""
    mark = new_mark()
    spool = Spool(tmp_path / "spool", "test")
    spool.append(planted(mark))
    assert any(mark.encode() in path.read_bytes() for path in (tmp_path / "spool").iterdir())
    drainer = Drainer(spool, KafkaConnection.of(pipeline))
    assert drainer.drain(30).sent == len(planted(mark))
    drainer.close()
    spool.close()
    assert not [path for path in (tmp_path / "spool").iterdir() if mark.encode() in path.read_bytes()]


@pytest.fixture
def keyed(fresh_database: Settings) -> Settings:
    """An empty warehouse with a key file."""
    return with_keys(fresh_database, new_key())


def stored(settings: Settings, *events: EncodedEvent) -> list[dict[str, Any]]:
    """Return events as rows of raw, encrypted as landing does."""
    keys = open_data_keys(settings)
    assert keys is not None
    decoded = [decode(event.topic, event.value, event.key) for event in events]
    pairs = [(each.envelope.type, each.data) for each in decoded]
    data = FieldEncryption(keys).data(pairs)
    return [{"event_type": kind, "data": json.loads(text)} for (kind, _), text in zip(pairs, data, strict=True)]


def test_rows_of_the_lake_become_those_of_the_state_tables(keyed: Settings) -> None:
    """After a restore, the state consumer may have to take events from the lake (`okr consume state --from-lake`)."""
    keys = open_data_keys(keyed, writes=True)
    assert keys is not None
    encryption = FieldEncryption(keys)
    decoded = [
        decode(each.topic, each.value, each.key) for each in (user("ada", "Ada", "a@example.org"), *planted("X"))
    ]
    pairs = [(each.envelope.type, each.data) for each in decoded]
    rows = [
        {"event_type": kind, "data": data}
        for (kind, _), data in zip(pairs, encryption.data(pairs), strict=True)
    ]  # fmt: skip
    _make_comparable(rows, keys)
    assert [row["data"] for row in rows] == encryption.data(pairs, has_index=True)


def test_values_exchanged_between_rows_are_detected(keyed: Settings) -> None:
    users = stored(keyed, user("ada", "Ada", "ada@example.org"), user("ben", "Ben", "ben@example.org"))
    notes = stored(keyed, check_in(1, "first", user_id="ada"), check_in(2, "second", user_id="ada"))
    for (one, other), fields in ((users, ("name", "email")), (notes, ("note",))):
        for field in fields:
            one["data"][field], other["data"][field] = other["data"][field], one["data"][field]
    found = personal_texts(keyed, [*users, *notes])
    assert {text for texts in found for text in texts.values()} == {NOT_READABLE}


def test_a_value_moved_to_another_field_is_detected(keyed: Settings) -> None:
    (row,) = stored(keyed, user("ada", "Ada", "ada@example.org"))
    row["data"]["name"] = row["data"]["email"]
    assert personal_texts(keyed, [row]) == [{"name": NOT_READABLE, "email": "ada@example.org"}]


def test_a_value_whose_key_was_lost_is_marked(keyed: Settings) -> None:
    (row,) = stored(keyed, user("ada", "Ada", "ada@example.org"))
    with connect(keyed.require("dsn_owner")) as connection:
        connection.execute("DELETE FROM app.data_key")
    assert personal_texts(keyed, [row]) == [{"name": NOT_READABLE, "email": NOT_READABLE}]


def test_without_the_key_file_values_are_marked_as_encrypted(keyed: Settings) -> None:
    (row,) = stored(keyed, user("ada", "Ada", "ada@example.org"))
    assert personal_texts(with_keys(keyed), [row]) == [{"name": NO_KEY, "email": NO_KEY}]


def test_consumers_can_create_keys_but_neither_change_nor_delete_them(keyed: Settings) -> None:
    for dsn in ("dsn_loader", "dsn_landing", "dsn_serving"):
        with connect(keyed.require(dsn)) as connection:
            allowed = connection.execute(
                "SELECT array_agg(privilege_type::text ORDER BY 1) FROM information_schema.role_table_grants "
                "WHERE table_schema = 'app' AND table_name = 'data_key' AND grantee = current_user"
            ).fetchone()
        assert allowed == (["INSERT", "SELECT"],)
    with connect(keyed.require("dsn_owner")) as connection:
        others = connection.execute(
            "SELECT array_agg(DISTINCT grantee::text) FROM information_schema.role_table_grants "
            "WHERE table_schema = 'app' AND table_name = 'data_key'"
        ).fetchone()
    assert others is not None
    assert set(others[0]) == {"okr_landing", "okr_loader", "okr_owner", "okr_serving"}
