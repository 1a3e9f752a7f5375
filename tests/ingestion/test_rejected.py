from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake

from ingestion.rejected import as_line, read_rejected
from lakehouse.lake import landing_schema, table_uri

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(offset, **others):
    empty = dict.fromkeys(landing_schema().names)
    place = {
        "kafka_partition": 0,
        "kafka_offset": offset,
        "logged_at": AT.replace(second=offset),
        "event_date": AT.date(),
    }
    return {**empty, **place, **others}


def test_rejected_messages_are_listed_newest_first_with_reason_and_raw_bytes(tmp_path):
    rows = [
        row(0, event_id="good"),
        row(1, rejection_reason="not_json", rejected_value=b"\x1b[31m{"),
        row(2, rejection_reason="null_value"),
    ]
    write_deltalake(
        table_uri(str(tmp_path), "okr_user_events"), pa.Table.from_pylist(rows, schema=landing_schema()),
        partition_by="event_date",
    )  # fmt: skip
    found = read_rejected(str(tmp_path), 10)
    assert [(each["kafka_offset"], each["rejection_reason"]) for each in found] == [(2, "null_value"), (1, "not_json")]
    assert "okr_user_events/0/1" in as_line(found[1])
    assert r"\x1b[31m{" in as_line(found[1])  # shown, never obeyed by the terminal
    assert read_rejected(str(tmp_path), 1) == found[:1]


def test_an_empty_lake_has_rejected_nothing(tmp_path):
    assert read_rejected(str(tmp_path), 10) == []
