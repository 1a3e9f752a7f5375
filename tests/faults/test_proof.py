"""The proof itself must detect a missing event, a duplicated one, and a broken ledger."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from ingestion.contract_validation import EncodedEvent
from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.producer import EventProducer
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from tests.faults.proof import TABLE_FILE, Line, prove
from tests.faults.report_page import page, read

TOPIC = "okr_user_events"


@pytest.fixture
def landed(pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]) -> Settings:
    """Twenty events and one invalid message, landed and loaded."""
    for number in range(20):
        producer.send(check_in(number))
    producer.send_raw(TOPIC, b"k", b"{")
    producer.flush()
    land(pipeline, threading.Event(), drain=True)
    load(pipeline)
    return pipeline


def test_a_proof_writes_a_line_and_detects_a_missing_and_a_duplicated_event(
    landed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "lines"
    monkeypatch.setenv(TABLE_FILE, str(table))
    line = prove(landed, fault="none", sent=21)
    assert (line.sent, line.found, line.lost, line.duplicated) == (21, 21, 0, 0)
    with pytest.raises(AssertionError, match="lost=1"):
        prove(landed, fault="one more was sent", sent=22)
    with pytest.raises(AssertionError, match="duplicated=1"):
        prove(landed, fault="one less was sent", sent=20, distinct=21)
    assert [each.fault for each in read(table)] == ["none", "one more was sent", "one less was sent"]
    assert json.loads(table.read_text().splitlines()[0])["test"].startswith("tests/faults/test_proof.py::")


def test_a_broken_ledger_fails_the_proof_even_if_the_counts_are_right(landed: Settings) -> None:
    found = DeltaTable(table_uri(landed.lake_uri, TOPIC))
    write_deltalake(found, found.to_pyarrow_dataset().head(1), mode="append")
    with pytest.raises(AssertionError, match="occurs 2 times"):
        prove(landed, fault="a row written twice", sent=22, distinct=21)


def test_the_page_sums_the_proofs_of_one_test_and_names_the_threads() -> None:
    one = Line("tests/faults/test_x.py::test_a[b]", "killed", "delta-rs #1", "twice", 10, 10, 0, 0)
    text = page([one, one, Line("tests/faults/test_x.py::test_b", "frozen", "", "", 5, 4, 1, 0)])
    assert "2 tests; 1 of them inject faults that were reported in other projects (1 reports)." in text
    assert "25 events sent, 1 lost, 0 duplicated." in text
    assert "| killed | delta-rs #1 | twice | `test_x.py test_a[b]` | 20 | 20 | 0 | 0 |" in text
