"""Lake to raw, exactly once, through crashes and races."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from deltalake import DeltaTable

from ingestion.batch import Span
from ingestion.consumer_groups import LANDING_GROUP
from ingestion.contract_validation import EncodedEvent
from ingestion.landing.commit import LandingTable
from ingestion.landing.consumer import land
from ingestion.ledger import verify
from ingestion.loading import load, read_pending
from ingestion.producer import EventProducer
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import table_uri
from lakehouse.settings import Settings

TOPIC = "okr_user_events"
Land = Callable[[int, int], None]


@pytest.fixture
def land_check_ins(pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]) -> Land:
    def produce_and_land(start: int, end: int) -> None:
        for number in range(start, end):
            producer.send(check_in(number))
        producer.flush()
        land(pipeline, threading.Event(), drain=True)

    return produce_and_land


def raw_rows(settings: Settings) -> int:
    with psycopg.connect(settings.require("dsn_loader")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM raw.okr_user_events").fetchone() or (0,)
    return int(rows)


def test_only_new_valid_rows_are_loaded(pipeline: Settings, producer: EventProducer, land_check_ins: Land) -> None:
    producer.send_raw(TOPIC, b"k", b"not an event")
    land_check_ins(0, 200)
    assert load(pipeline)[TOPIC] == 200
    assert load(pipeline)[TOPIC] == 0
    land_check_ins(200, 210)
    assert load(pipeline)[TOPIC] == 10
    ledger = next(topic for topic in verify(pipeline).topics if topic.topic == TOPIC)
    assert (ledger.landed, ledger.rejected, ledger.loaded, ledger.waiting, ledger.problems) == (211, 1, 210, 0, [])


def test_sent_events_arrive_unchanged_in_raw(
    pipeline: Settings, check_in: Callable[[int], EncodedEvent], land_check_ins: Land
) -> None:
    land_check_ins(7, 8)
    load(pipeline)
    with psycopg.connect(pipeline.require("dsn_loader")) as connection:
        row = connection.execute(
            "SELECT event_id::text, event_type, source, subject, data, recorded_at = logged_at, occurred_at"
            " FROM raw.okr_user_events"
        ).fetchone()
    assert row is not None
    table, _ = read_pending(pipeline, TOPIC)
    assert table.num_rows == 0
    assert row[1:4] == ("okr.check_in.recorded.v1", "test", "k7")
    assert (row[4]["check_in_id"], row[4]["value"], row[5]) == ("c7", 7.0, True)


def test_only_rows_that_the_gate_checked_are_loaded(pipeline: Settings, land_check_ins: Land) -> None:
    land_check_ins(0, 100)
    checked, end_offsets = read_pending(pipeline, TOPIC)
    land_check_ins(100, 150)
    # Passed from task to task as JSON, as Airflow does.
    through_json = {TOPIC: {str(partition): offset for partition, offset in end_offsets.items()}}
    assert load(pipeline, through_json)[TOPIC] == checked.num_rows == 100
    assert load(pipeline, {})[TOPIC] == 0
    assert load(pipeline)[TOPIC] == 50
    assert verify(pipeline).passed


def land_elsewhere(settings: Settings, log_id: str, folder: Path) -> Settings:
    """Copy the rows of a lake to a new one, as if a re-created broker had assigned these offsets."""
    rows = DeltaTable(table_uri(settings.lake_uri, TOPIC)).to_pyarrow_dataset().to_table()
    ends = rows.group_by("kafka_partition").aggregate([("kafka_offset", "max")]).to_pylist()
    spans = {each["kafka_partition"]: Span(None, each["kafka_offset_max"] + 1) for each in ends}
    LandingTable(str(folder), TOPIC, log_id, LANDING_GROUP).append(rows, spans)
    return settings.model_copy(update={"lake_uri": str(folder)})


def watermark_logs(settings: Settings) -> set[str | None]:
    with psycopg.connect(settings.require("dsn_loader")) as connection:
        found = connection.execute("SELECT log_id FROM raw.load_watermark WHERE topic = %s", [TOPIC]).fetchall()
    return {log_id for (log_id,) in found}


def test_the_lake_of_another_cluster_is_rejected_and_not_loaded(
    pipeline: Settings, land_check_ins: Land, tmp_path: Path
) -> None:
    land_check_ins(0, 100)
    load(pipeline)
    (known,) = watermark_logs(pipeline)
    assert known == DeltaTable(table_uri(pipeline.lake_uri, TOPIC)).metadata().description
    land_check_ins(100, 150)
    elsewhere = land_elsewhere(pipeline, "a-new-broker", tmp_path / "new lake")
    for attempt in (lambda: load(elsewhere), lambda: read_pending(elsewhere, TOPIC)):
        with pytest.raises(PermanentError, match=f"{re.escape(known)}.*a-new-broker"):
            attempt()
    assert raw_rows(pipeline) == 100
    assert load(pipeline)[TOPIC] == 50


def test_a_missing_lake_is_not_mistaken_for_an_empty_one(
    pipeline: Settings, land_check_ins: Land, tmp_path: Path
) -> None:
    land_check_ins(0, 100)
    nowhere = pipeline.model_copy(update={"lake_uri": str(tmp_path / "nowhere")})
    assert load(nowhere)[TOPIC] == 0  # nothing is loaded yet: landing may not have started
    load(pipeline)
    with pytest.raises(RetryableError, match="OKR_LAKE_URI"):
        load(nowhere)
    assert raw_rows(pipeline) == 100


def test_watermarks_without_a_log_id_get_that_of_the_lake(pipeline: Settings, land_check_ins: Land) -> None:
    land_check_ins(0, 100)
    load(pipeline)
    known = watermark_logs(pipeline)
    with psycopg.connect(pipeline.require("dsn_loader")) as connection:
        connection.execute("UPDATE raw.load_watermark SET log_id = NULL")
    assert load(pipeline)[TOPIC] == 0
    assert watermark_logs(pipeline) == known
    assert verify(pipeline).passed


def test_a_large_load_updates_statistics_for_the_next_models(
    pipeline: Settings, land_check_ins: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.loading.copy.ANALYZE_MIN_ROWS", 40)  # too few for autovacuum to analyze the table
    land_check_ins(0, 45)
    load(pipeline)
    with psycopg.connect(pipeline.require("dsn_loader")) as connection:
        query = "SELECT reltuples FROM pg_class WHERE oid = 'raw.okr_user_events'::regclass"
        assert connection.execute(query).fetchone() == (45,)
