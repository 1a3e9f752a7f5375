"""The ledger must detect every loss and every repeat, and excuse gaps that the broker itself made."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ingestion.commands import app
from ingestion.contract_validation import EncodedEvent
from ingestion.landing.consumer import land
from ingestion.ledger import Ledger, PartitionLedger, TopicLedger, record, verify
from ingestion.ledger.offsets import Gap, Tally
from ingestion.ledger.record import METRICS_FILE, as_metrics, write_metrics
from ingestion.ledger.report import as_document, as_table
from ingestion.loading import load
from ingestion.maintenance.accept_loss import accept, find_losses
from ingestion.producer import EventProducer
from lakehouse.lake import table_uri
from lakehouse.settings import Settings

TOPIC = "okr_user_events"


@pytest.fixture(autouse=True)
def _short_broker_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """An available broker answers within milliseconds."""
    monkeypatch.setattr("ingestion.ledger.broker.ANSWER_SECONDS", 2.0)


@pytest.fixture
def filled(pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]) -> Settings:
    """A pipeline with 200 events in the lake and in raw, one sent twice."""
    for number in range(199):
        producer.send(check_in(number))
    event = check_in(199)
    producer.send(event)
    producer.send(event)
    producer.flush()
    land(pipeline, threading.Event(), drain=True)
    load(pipeline)
    return pipeline


def problems(settings: Settings) -> list[str]:
    ledger = verify(settings)
    return [problem for topic in ledger.topics for problem in topic.problems]


def test_a_whole_pipeline_passes_and_duplicates_are_counted(filled: Settings) -> None:
    ledger = verify(filled)
    topic = next(each for each in ledger.topics if each.topic == TOPIC)
    assert ledger.passed
    assert (topic.landed, topic.loaded, topic.distinct_events, topic.duplicates) == (201, 201, 200, 1)
    record(filled, ledger)
    assert all(each.produced == each.landed + each.absent + (each.unlanded or 0) for each in topic.by_partition)
    metrics = (filled.metrics_dir / METRICS_FILE).read_text()
    assert "okr_ledger_passed 1" in metrics
    assert f'okr_ledger_duplicates{{topic="{TOPIC}"}} 1' in metrics
    with psycopg.connect(filled.require("dsn_loader")) as connection:
        kept = connection.execute(
            "SELECT topic, landed, passed, problems FROM ops.ledger WHERE produced = landed + absent + unlanded"
        ).fetchall()
        partitions = connection.execute(
            "SELECT kafka_partition, landed, loaded, unlanded FROM ops.ledger_partition WHERE topic = %s", [TOPIC]
        ).fetchall()
    assert (TOPIC, 201, True, []) in kept
    assert len(kept) == 4
    assert sorted(partitions) == sorted((each.partition, each.landed, each.loaded, 0) for each in topic.by_partition)


def test_an_injected_gap_is_found(filled: Settings) -> None:
    table = DeltaTable(table_uri(filled.lake_uri, TOPIC))
    rows = table.to_pyarrow_dataset().to_table()
    gone = rows.filter(pc.equal(rows["kafka_partition"], 0))["kafka_offset"].to_pylist()[3]
    table.delete(f"kafka_partition = 0 AND kafka_offset = {gone}")
    found = problems(filled)
    assert f"partition 0: offsets {gone} are missing: the broker has them" in found
    assert any("in raw" in problem for problem in found)


def test_an_injected_repeat_is_found(filled: Settings) -> None:
    table = DeltaTable(table_uri(filled.lake_uri, TOPIC))
    row = table.to_pyarrow_dataset().to_table().slice(0, 1)
    write_deltalake(table, row, mode="append")
    place = row.to_pylist()[0]
    expected = f"partition {place['kafka_partition']}: offset {place['kafka_offset']} occurs 2 times"
    assert expected in problems(filled)


def test_a_row_missing_from_raw_is_found(filled: Settings) -> None:
    with psycopg.connect(filled.require("dsn_loader")) as connection:
        connection.execute(
            "DELETE FROM raw.okr_user_events WHERE (kafka_partition, kafka_offset) ="
            " (SELECT kafka_partition, kafka_offset FROM raw.okr_user_events LIMIT 1)"
        )
    assert any("valid rows below the watermark" in problem for problem in problems(filled))


def test_a_different_offset_in_raw_is_found(filled: Settings) -> None:
    with psycopg.connect(filled.require("dsn_owner")) as connection:
        moved = connection.execute(
            "UPDATE raw.okr_user_events SET kafka_offset = -1 WHERE (kafka_partition, kafka_offset) ="
            " (SELECT kafka_partition, kafka_offset FROM raw.okr_user_events LIMIT 1) RETURNING kafka_partition"
        ).fetchone()
    assert moved is not None
    assert problems(filled) == [f"partition {moved[0]}: raw has different offsets from the lake"]


def test_an_empty_lake_proves_nothing_when_the_broker_has_events_or_does_not_answer(
    pipeline: Settings,
    producer: EventProducer,
    check_in: Callable[[int], EncodedEvent],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer.send(check_in(1))
    producer.flush()
    for name in ("kafka_bootstrap", "lake_uri", "dsn_loader"):
        monkeypatch.setenv(f"OKR_{name.upper()}", pipeline.require(name))
    monkeypatch.setenv("OKR_STATE", pipeline.lake_uri)
    answer = CliRunner().invoke(app, ["lake", "verify"])
    assert answer.exit_code == 1
    assert "Nothing is proved: 0 landed rows of 0 partitions checked, but the broker has events" in answer.output
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    answer = CliRunner().invoke(app, ["lake", "verify"])
    assert answer.exit_code == 1
    assert "but the broker did not answer" in answer.output
    land(pipeline, threading.Event(), drain=True)
    answer = CliRunner().invoke(app, ["lake", "verify"])
    assert answer.exit_code == 1, "it is unknown whether all events have landed"
    assert "The broker did not answer queries about okr_user_events" in answer.output
    expected = "Every event in the lake landed exactly once and was loaded at most once: 1 landed rows of 1 partitions"
    assert expected in answer.output


def test_unlanded_events_are_counted_by_partition_and_are_no_problem(
    filled: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]
) -> None:
    for number in range(300, 320):
        producer.send(check_in(number))
    producer.flush()
    ledger = verify(filled)
    topic = as_document(ledger)["topics"][TOPIC]
    assert ledger.passed
    assert (topic["unlanded"], sum(each["unlanded"] for each in topic["by_partition"])) == (20, 20)
    assert topic["produced"] == topic["landed"] + 20


def test_a_partition_without_rows_is_found_by_its_load_watermark(filled: Settings) -> None:
    """Without a broker, only the watermark names a partition whose rows are all deleted."""
    DeltaTable(table_uri(filled.lake_uri, TOPIC)).delete("kafka_partition = 0")
    alone = filled.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    assert any(each.startswith("partition 0: offsets") for each in problems(alone))


def test_metrics_that_cannot_be_written_do_not_hide_the_ledger(tmp_path: Path) -> None:
    topic = TopicLedger(TOPIC, by_partition=[PartitionLedger(3, landed=5)], is_broker_known=False)
    ledger = Ledger(datetime.now(UTC), [topic])
    (tmp_path / "file").touch()
    write_metrics(tmp_path / "file" / "ledger.prom", ledger)
    lines = list(as_metrics(ledger))
    assert f'okr_ledger_broker_known{{topic="{TOPIC}"}} 0' in lines
    assert f'okr_ledger_events{{topic="{TOPIC}",partition="3",stage="landed"}} 5' in lines
    assert not [line for line in lines if "produced" in line]  # it is unknown, not zero


def test_before_the_first_event_there_is_nothing_to_prove() -> None:
    empty = Ledger(datetime.now(UTC), [TopicLedger(TOPIC, by_partition=[PartitionLedger(0, produced=0)])])
    assert empty.passed
    assert "0 landed rows of 0 partitions checked" in as_table(empty)


def test_offsets_that_the_broker_used_itself_are_no_problem(
    filled: Settings, check_in: Callable[[int], EncodedEvent], producer: EventProducer
) -> None:
    """Committed and aborted transactions leave offsets that no consumer reads."""
    from confluent_kafka import Producer

    transactional = Producer({"bootstrap.servers": filled.kafka_bootstrap, "transactional.id": "test-ledger"})
    transactional.init_transactions(30)
    for start, end in ((300, 320), (320, 340), (340, 360)):
        transactional.begin_transaction()
        for number in range(start, end):
            event = check_in(number)
            transactional.produce(event.topic, event.value, event.key)
        transactional.flush(10)
        transactional.abort_transaction(30) if start == 320 else transactional.commit_transaction(30)
    producer.send(check_in(400))
    producer.flush()
    land(filled, threading.Event(), drain=True)
    load(filled)
    ledger = verify(filled)
    topic = next(each for each in ledger.topics if each.topic == TOPIC)
    assert topic.problems == []
    assert topic.landed == 201 + 40 + 1
    record(filled, ledger)
    delete_records(filled)
    # It is unknown whether offsets after the last message were events, so an operator must decide.
    losses = find_losses(filled)
    assert [each for each in problems(filled) if "never landed, and the broker no longer has them" in each] == [
        f"partition {each.partition}: offsets {each.gap} never landed, and the broker no longer has them"
        for each in losses
    ]
    accept(filled, losses)
    assert problems(filled) == [], "an excused gap stays excused after the broker's retention"
    assert problems(filled.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})) == []
    with psycopg.connect(filled.require("dsn_loader")) as connection:
        assert connection.execute("UPDATE ops.excused_gap SET log_id = 'another/log'").rowcount > 0
    assert any("can no longer be read" in problem for problem in problems(filled)), (
        "a gap of another log is not excused"
    )


def delete_records(settings: Settings) -> None:
    """Make the broker delete all records, as its retention does."""
    from confluent_kafka import OFFSET_END, TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    places = [TopicPartition(TOPIC, each, OFFSET_END) for each in admin.list_topics(TOPIC, 10).topics[TOPIC].partitions]
    for each in admin.delete_records(places, request_timeout=10).values():
        each.result(10)


@pytest.mark.parametrize(
    ("gap", "is_within"),
    [(Gap(3, 5), True), (Gap(4, 9), True), (Gap(2, 4), False), (Gap(8, 12), False), (Gap(20, 21), False)],
)
def test_a_gap_is_excused_only_by_gaps_that_cover_all_of_it(gap: Gap, *, is_within: bool) -> None:
    assert gap.is_within([Gap(0, 1), Gap(3, 6), Gap(5, 7), Gap(7, 10), Gap(11, 13)]) == is_within
    assert not gap.is_within([])


def test_without_a_broker_the_ledger_is_created_but_no_gap_is_excused(filled: Settings) -> None:
    alone = filled.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    ledger = verify(alone)
    assert ledger.passed
    assert {topic.produced for topic in ledger.topics} == {None}
    DeltaTable(table_uri(filled.lake_uri, TOPIC)).delete("kafka_offset % 7 = 3")
    assert any("did not answer" in problem for problem in problems(alone))


def test_the_command_exits_with_1_and_names_the_problem(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kafka_bootstrap", "lake_uri", "dsn_loader"):
        monkeypatch.setenv(f"OKR_{name.upper()}", filled.require(name))
    monkeypatch.setenv("OKR_STATE", filled.lake_uri)
    assert CliRunner().invoke(app, ["lake", "verify"]).exit_code == 0
    write_deltalake(
        table := DeltaTable(table_uri(filled.lake_uri, TOPIC)), table.to_pyarrow_dataset().head(1), mode="append"
    )
    answer = CliRunner().invoke(app, ["lake", "verify"])
    assert answer.exit_code == 1
    assert "occurs 2 times" in answer.output
    assert CliRunner().invoke(app, ["lake", "status", "--json"]).exit_code == 0


def tally(*batches: Sequence[int]) -> Tally:
    found = Tally()
    for batch in batches:
        found.add(np.array(batch, np.int64))
    return found


@pytest.mark.parametrize(
    "batches", [([2, 3, 3, 6, 7, 7, 7],), ([7, 3], [], [7, 6, 2], [3, 7]), ([7], [2, 3, 3, 7, 7, 6])]
)
def test_gaps_and_repeats_of_offsets(batches: Sequence[Sequence[int]]) -> None:
    found = tally(*batches)
    assert found.gaps(0, 10) == [Gap(0, 2), Gap(4, 6), Gap(8, 10)]
    assert [(each.offset, each.times) for each in found.repeats()] == [(3, 2), (7, 3)]
    assert (found.first, found.distinct(0, 7), found.distinct_from(6), found.distinct_from(8)) == (2, 3, 2, 0)


def test_offsets_far_from_zero_and_from_each_other() -> None:
    far = 5_000_000_000
    found = tally([far], [far - 3_000_000], [far + 3_000_000])
    assert found.gaps(far - 3_000_000, far + 1) == [Gap(far - 2_999_999, far)]
    assert found.first == far - 3_000_000
    assert tally().gaps(3, 5) == [Gap(3, 5)]
    assert tally([9]).gaps(3, 5) == [Gap(3, 5)]
    assert tally(range(5)).gaps(0, 5) == []
    assert tally().first is None


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(0, 60), max_size=80), st.integers(0, 70), st.integers(0, 70))
def test_a_tally_counts_as_a_set_does(offsets: list[int], first: int, end: int) -> None:
    found = tally(offsets[::2], offsets[1::2])
    missing = [offset for gap in found.gaps(first, end) for offset in range(gap.start, gap.end)]
    assert missing == [offset for offset in range(first, end) if offset not in offsets]
    assert found.distinct_from(first) == len({offset for offset in offsets if offset >= first})
