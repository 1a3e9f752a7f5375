"""/admin/rejected-messages: the functions of `okr lake rejected`."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.lake import landing_schema, table_uri
from serving.admin.rejected_messages.service import RejectedMessages
from serving.errors import NotConfigured
from tests.ingestion.test_rejected_messages_report import AT, row
from tests.serving.admin.operators import OperatorClient

BYTES = b"\x00\xff<script>{"


@pytest.fixture(scope="module")
def lake(operator: OperatorClient) -> str:
    """A lake with one good message and five rejected ones, three of which were logged at the same time."""
    uri = operator.api.settings.lake_uri
    tables = {
        "okr_user_events": [
            row(0, event_id="good"),
            row(1, rejection_reason="not_json", rejected_value=BYTES, rejected_key=b"k1"),
            row(2, rejection_reason="null_value", logged_at=AT),
            row(3, rejection_reason="null_value", logged_at=AT),
        ],
        "okr_system_metrics": [
            row(2, rejection_reason="null_value", logged_at=AT),
            row(4, rejection_reason="bad_data", rejected_value=b"{}"),
        ],
    }
    for topic, rows in tables.items():
        table = pa.Table.from_pylist(rows, schema=landing_schema())
        write_deltalake(table_uri(uri, topic), table, partition_by="event_date")
    return uri


@pytest.mark.usefixtures("lake")
def test_rejected_messages_are_listed_newest_first_page_by_page(operator: OperatorClient) -> None:
    listed = operator.pages("/rejected-messages", "rejected_messages", limit=1)
    assert [(each["topic"], each["offset"]) for each in listed] == [
        ("okr_system_metrics", 4), ("okr_user_events", 1), ("okr_user_events", 3), ("okr_user_events", 2),
        ("okr_system_metrics", 2),
    ]  # fmt: skip
    nulls = operator.get("/rejected-messages", topic="okr_user_events", reason="null_value")
    assert nulls["rejected_messages"] == listed[2:4]
    assert nulls["by_reason"] == {"not_json": 1, "null_value": 2}


@pytest.mark.usefixtures("lake")
def test_the_bytes_of_a_rejected_message_are_returned_as_they_were_sent(operator: OperatorClient) -> None:
    at = "/rejected-messages/okr_user_events/0/1"
    answer = operator.api.client.get(f"/admin{at}/value", headers=operator.headers)
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="okr_user_events-0-1.bin"'
    assert operator.get(at)["reason"] == "not_json"
    operator.get("/rejected-messages/okr_user_events/0/0", status=404)  # it was accepted
    operator.get("/rejected-messages/okr_ai_predictions/0/0", status=404)
    operator.get("/rejected-messages/other/0/0", status=422)


def test_before_anything_has_landed_the_answer_is_501_with_a_hint(
    operator: OperatorClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The folder of the lake exists, but no table in it."""
    without_tables = operator.api.settings.model_copy(update={"lake_uri": str(tmp_path)})
    monkeypatch.setattr(operator.api.services.admin.rejected_messages, "_settings", without_tables)
    for path in ("", "/okr_user_events/0/1", "/okr_user_events/0/1/value"):
        problem = operator.get(f"/rejected-messages{path}", status=501)
        assert problem["type"] == "urn:okr:problem:not-configured"
        assert "Has landing started (`make status`), and is OKR_LAKE_URI right?" in problem["detail"]


def test_a_host_without_the_lake_says_so(operator: OperatorClient) -> None:
    elsewhere = RejectedMessages(operator.api.settings.model_copy(update={"lake_uri": "/nowhere/lake"}))
    with pytest.raises(NotConfigured, match="There is no lake at /nowhere/lake"):
        elsewhere.page(10, None, topic=None, reason=None)
    with pytest.raises(NotConfigured, match="There is no lake at /nowhere/lake"):
        elsewhere.get("okr_user_events", 0, 1)
