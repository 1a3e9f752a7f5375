"""The ledger's step of data_quality_dag: it passes on a complete lake and reports missing offsets."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dags.steps.quality import verify_lake
from ingestion.contract_validation import EncodedEvent
from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.producer import EventProducer
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

pytestmark = pytest.mark.usefixtures("airflow_home")

PUBLISHED = """
INSERT INTO ops.publication (data_as_of, offsets, dbt_run_id, gate, rows, is_current)
VALUES (now(), '{}', 'run', '{}', '{}', true)
"""


@pytest.fixture
def loaded(
    pipeline: Settings,
    producer: EventProducer,
    check_in: Callable[[int], EncodedEvent],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """Ten landed and loaded events that the step finds through its settings."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    for name in ("kafka_bootstrap", "lake_uri", "dsn_loader", "dsn_transform"):
        monkeypatch.setenv(f"OKR_{name.upper()}", pipeline.require(name))
    for number in range(10):
        producer.send(check_in(number))
    producer.flush()
    land(pipeline, threading.Event(), drain=True)
    load(pipeline)
    return pipeline


def test_a_complete_lake_passes_and_a_missing_row_or_broker_fails_the_step(
    loaded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    with pytest.raises(AirflowSkipException, match="Nothing is published yet"):
        verify_lake()
    with connect(loaded.require("dsn_transform")) as connection:
        connection.execute(PUBLISHED)
    verify_lake()
    with monkeypatch.context() as away:
        away.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
        with pytest.raises(RetryableError, match="unknown whether all events have landed"):
            verify_lake()
    with connect(loaded.require("dsn_loader")) as connection:
        connection.execute("DELETE FROM raw.okr_user_events WHERE subject = 'k3'")
    with pytest.raises(AirflowFailException, match="lake-verify"):
        verify_lake()
    with connect(loaded.require("dsn_loader")) as connection:
        stored = connection.execute("SELECT count(DISTINCT verified_at) FROM ops.ledger").fetchone()
    assert stored == (3,), "each ledger is stored, including the failed one"
