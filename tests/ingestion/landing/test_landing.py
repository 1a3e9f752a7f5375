"""Kafka to the lake, exactly once, through crashes and races."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ingestion.batch import Limits, Span
from ingestion.contract_validation import EncodedEvent
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.landing.consumer import land
from ingestion.ledger import verify
from ingestion.producer import EventProducer
from lakehouse.errors import PermanentError
from lakehouse.lake import landing_schema, table_uri
from lakehouse.settings import Settings
from tests.ingestion.crash import run_until_killed

TOPIC = "okr_user_events"
Events = Callable[[int], EncodedEvent]
DRAIN = "from ingestion.landing.consumer import land; land(settings, stop, drain=True)"


def drain(settings: Settings, limits: Limits | None = None) -> int:
    return land(settings, threading.Event(), limits=limits, drain=True)


def lake_rows(settings: Settings, topic: str = TOPIC) -> pa.Table:
    return DeltaTable(table_uri(settings.lake_uri, topic)).to_pyarrow_dataset().to_table()


def assert_landed_once(settings: Settings, sent: int) -> None:
    ledger = verify(settings)
    assert ledger.passed, [topic.problems for topic in ledger.topics]
    assert lake_rows(settings).num_rows == sent
    assert len(set(lake_rows(settings)["event_id"].to_pylist())) == sent


def test_a_batch_with_one_invalid_message_keeps_the_other_999(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    for number in range(999):
        producer.send(check_in(number))
    producer.send_raw(TOPIC, b"k\xff", b'{"torn":')
    producer.flush()
    assert drain(pipeline) == 1000
    rows = lake_rows(pipeline).to_pylist()
    good = [row for row in rows if row["rejection_reason"] is None]
    (bad,) = [row for row in rows if row["rejection_reason"] is not None]
    assert len({row["event_id"] for row in good}) == 999
    assert (bad["rejection_reason"], bad["rejected_value"], bad["rejected_key"]) == ("not_json", b'{"torn":', b"k\xff")
    assert bad["event_id"] is None
    assert bad["data"] is None


def test_a_restart_continues_at_the_offset_of_the_lake(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    for number in range(300):
        producer.send(check_in(number))
    producer.flush()
    assert drain(pipeline, Limits(rows=70)) == 300
    assert drain(pipeline) == 0
    producer.send(check_in(300))
    producer.flush()
    assert drain(pipeline) == 1
    assert_landed_once(pipeline, 301)


def test_after_a_worker_is_killed_between_both_commits_every_event_is_landed_once(
    pipeline: Settings, producer: EventProducer, check_in: Events, tmp_path: Path
) -> None:
    """tests/faults/test_landing_kills.py kills it at every other step."""
    for number in range(500):
        producer.send(check_in(number * 300))  # over several days, so that a batch has several files
    producer.flush()
    kafka_commit = "import confluent_kafka as k; k.Consumer = type('Client', (k.Consumer,), {'commit': die})"
    run_until_killed(pipeline, kafka_commit, DRAIN, tmp_path)
    assert lake_rows(pipeline).num_rows == 500, "it was not killed after the Delta commit"
    for number in range(100):
        producer.send(check_in(1 + number * 300))
    producer.flush()
    drain(pipeline)
    assert_landed_once(pipeline, 600)


def batch(start: int, end: int) -> pa.Table:
    row = {"kafka_partition": 0, "logged_at": 0, "event_date": 0}
    rows = [{name: row.get(name) for name in landing_schema().names} | {"kafka_offset": n} for n in range(start, end)]
    return pa.Table.from_pylist(rows, landing_schema())


def test_of_racing_workers_one_lands_each_offset_and_the_others_are_fenced(tmp_path: Path) -> None:
    def race(worker: int) -> int:
        table, fenced = LandingTable(str(tmp_path), TOPIC, "cluster", "group"), 0
        while (start := table.next_offset(0) or 0) < 200:
            end = start + 5 + worker  # with different sizes, so that batches of two workers have different ends
            try:
                table.append(batch(start, end), {0: Span(table.next_offset(0), end)})
            except FencedError:
                fenced += 1
                table.refresh()
        return fenced

    with ThreadPoolExecutor(3) as workers:
        fenced = sum(workers.map(race, range(3)))
    offsets = DeltaTable(table_uri(str(tmp_path), TOPIC)).to_pyarrow_dataset().to_table()["kafka_offset"].to_pylist()
    assert fenced > 0, "the workers never raced"
    assert sorted(offsets) == list(range(len(offsets)))
    assert len(offsets) >= 200


def test_a_worker_that_wakes_up_with_an_old_batch_is_fenced(tmp_path: Path) -> None:
    zombie = LandingTable(str(tmp_path), TOPIC, "cluster", "group")
    worker = LandingTable(str(tmp_path), TOPIC, "cluster", "group")
    worker.append(batch(0, 10), {0: Span(None, 10)})
    with pytest.raises(FencedError, match="the lake is at 10"):
        zombie.append(batch(0, 10), {0: Span(None, 10)})


def test_an_error_of_a_commit_that_succeeded_does_not_duplicate_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """delta-rs #2609."""
    commit, calls = DeltaTable.create_write_transaction, []

    def commit_and_fail(*arguments: Any, **named: Any) -> None:
        calls.append(1)
        commit(*arguments, **named)
        raise DeltaError("the answer was lost")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", commit_and_fail)
    table = LandingTable(str(tmp_path), TOPIC, "cluster", "group")
    table.append(batch(0, 10), {0: Span(None, 10)})
    assert len(calls) == 1
    assert DeltaTable(table_uri(str(tmp_path), TOPIC)).to_pyarrow_dataset().count_rows() == 10


def test_an_offset_out_of_the_brokers_range_stops_the_worker(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    for number in range(100):
        producer.send(check_in(number))
    producer.flush()
    drain(pipeline)
    for number in range(100, 300):
        producer.send(check_in(number))
    producer.flush()
    landed = [row["kafka_offset"] for row in lake_rows(pipeline).to_pylist() if row["kafka_partition"] == 0]
    admin = AdminClient({"bootstrap.servers": pipeline.kafka_bootstrap})
    for truncated in admin.delete_records([TopicPartition(TOPIC, 0, max(landed) + 2)]).values():
        truncated.result(10)
    with pytest.raises(PermanentError, match="Nothing was skipped"):
        drain(pipeline)


def test_a_lake_filled_from_another_cluster_is_rejected(tmp_path: Path) -> None:
    LandingTable(str(tmp_path), TOPIC, "old cluster", "group")
    with pytest.raises(PermanentError, match="old cluster"):
        LandingTable(str(tmp_path), TOPIC, "new cluster", "group")


def test_two_workers_share_the_partitions_and_land_everything_once(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    stop, landed = threading.Event(), []

    def work() -> None:
        landed.append(land(pipeline, stop, limits=Limits(rows=50, seconds=0.2)))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for number in range(2000):
        if number == 500:
            workers[0].start()
        if number == 1000:
            workers[1].start()
        producer.send(check_in(number))
        if number % 100 == 0:
            producer.flush()
    producer.flush()
    deadline = threading.Event()
    for _ in range(300):
        if sum(topic.landed for topic in verify(pipeline).topics) == 2000:
            break
        deadline.wait(0.1)
    stop.set()
    for worker in workers:
        worker.join(30)
    assert_landed_once(pipeline, 2000)


def test_a_lake_in_a_folder_with_special_characters_works(tmp_path: Path) -> None:
    folder = tmp_path / "a b ü #1"
    LandingTable(str(folder), TOPIC, "cluster", "group").append(batch(0, 10), {0: Span(None, 10)})
    assert DeltaTable(table_uri(str(folder), TOPIC)).to_pyarrow_dataset().count_rows() == 10
    (written,) = folder.glob("*/event_date=*/*.parquet")
    assert written.stat().st_size > 0
