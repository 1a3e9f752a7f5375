import base64
import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from ingestion.commands import app
from ingestion.rejected_messages_report import NOW_ACCEPTED, read_rejected
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import landing_schema, table_uri
from tests.ingestion.decoding.equivalence import check_in_bytes

AT = datetime(2026, 12, 1, 12, tzinfo=UTC)


def row(offset, **others):
    empty = dict.fromkeys(landing_schema().names)
    place = {
        "kafka_partition": 0,
        "kafka_offset": offset,
        "logged_at": AT.replace(second=offset),
        "event_date": AT.date(),
    }
    return {**empty, **place, **others}


def lake_of(folder, rows, schema=None):
    table = pa.Table.from_pylist(rows, schema=schema or landing_schema())
    write_deltalake(table_uri(str(folder), "okr_user_events"), table, partition_by="event_date")
    return str(folder)


@pytest.fixture
def lake(tmp_path):
    headers = json.dumps([["trace", base64.b64encode(b"7").decode()]])
    rows = [
        row(0, event_id="good"),
        row(1, rejection_reason="not_json", rejected_value=b"\x1b[31m{", rejected_key=b"k1", rejected_headers=headers),
        row(2, rejection_reason="null_value"),
        row(3, rejection_reason="bad_data", rejected_value=check_in_bytes(), rejected_key=b"k1"),
    ]
    return lake_of(tmp_path, rows)


def test_rejected_messages_are_listed_newest_first_with_reason_and_content(lake):
    found = read_rejected(lake, 10)
    assert found.by_reason == {"bad_data": 1, "not_json": 1, "null_value": 1}
    assert [(each.offset, each.reason) for each in found.newest] == [
        (3, "bad_data"),
        (2, "null_value"),
        (1, "not_json"),
    ]
    torn = found.newest[2]
    assert (torn.key, torn.value, torn.headers) == (b"k1", b"\x1b[31m{", [["trace", "Nw=="]])
    assert "okr_user_events/0/1" in torn.as_lines()
    assert r"\x1b[31m{" in torn.as_lines()  # escaped, so that it cannot control the terminal
    assert read_rejected(lake, 1).newest == found.newest[:1]


def test_the_reason_in_words_comes_from_the_present_contract(lake):
    once_bad, null, _ = read_rejected(lake, 10).newest
    assert once_bad.detail == NOW_ACCEPTED
    assert null.detail == "The message has no value; expected a CloudEvents JSON document."


def test_the_command_filters_and_prints_all_bytes(lake, monkeypatch):
    monkeypatch.setenv("OKR_LAKE_URI", lake)
    answer = CliRunner().invoke(app, ["lake", "rejected", "--reason", "not_json", "--json"])
    document = json.loads(answer.stdout)
    assert document["rejected"] == {"bad_data": 1, "not_json": 1, "null_value": 1}
    assert len(document["newest"]) == 1
    assert base64.b64decode(document["newest"][0]["value"]) == b"\x1b[31m{"
    assert (
        "3 shown; in total: bad_data 1, not_json 1, null_value 1."
        in CliRunner().invoke(app, ["lake", "rejected"]).stdout
    )
    mistyped = CliRunner().invoke(app, ["lake", "rejected", "--reason", "bad_json"]).stdout
    assert mistyped == "0 shown; in total: bad_data 1, not_json 1, null_value 1.\n"
    wrong = CliRunner().invoke(app, ["lake", "rejected", "--topic", "events"])
    assert "okr_user_events" in str(wrong.exception)


def test_messages_with_the_same_time_are_ordered_by_offset(tmp_path):
    rows = [row(0, rejection_reason="not_json", rejected_value=b"{") | {"kafka_offset": each} for each in range(20)]
    assert [each.offset for each in read_rejected(lake_of(tmp_path, rows), 3).newest] == [19, 18, 17]


def test_an_unreadable_table_is_reported(tmp_path):
    old = pa.schema([field for field in landing_schema() if field.name != "rejected_key"])
    with pytest.raises(RetryableError, match="rejected_key"):
        read_rejected(lake_of(tmp_path, [row(0, event_id="good")], old), 3)


def test_a_reason_that_differs_from_the_stored_one_is_marked(tmp_path):
    rows = [row(0, rejection_reason="bad_data", rejected_value=b"{")]
    assert (
        read_rejected(lake_of(tmp_path, rows), 1)
        .newest[0]
        .detail.startswith("Under the current contract, the reason would be not_json: ")
    )


def test_a_missing_lake_is_an_error_and_not_one_without_rejected_messages(tmp_path):
    with pytest.raises(PermanentError, match="OKR_LAKE_URI"):
        read_rejected(str(tmp_path), 10)
