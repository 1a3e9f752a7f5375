"""Landing beside a tuned loop that only reads: the ratio of their rates in the same run, by medians."""

import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from ingestion.events import encode
from ingestion.landing.consumer import land
from ingestion.producer import EventProducer
from ingestion.reader import PartitionReader
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.settings import Settings

TOPIC = "okr_user_events"
EVENTS = 200_000
ROUNDS = 3
LEAST_RATIO = 0.02  # the bulk decoder will have its own limit; this one notices a landing gone wrong
TUNED = {
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 262_144,
    "fetch.message.max.bytes": 8_388_608,
    "fetch.queue.backoff.ms": 5,
}


@pytest.fixture
def filled(kafka: Settings) -> Settings:
    """Check-ins of 30 days, 1 % of them torn."""
    begun = datetime.now(UTC) - timedelta(days=30)
    with EventProducer(kafka.kafka_bootstrap) as producer:
        for number in range(EVENTS):
            data = CheckInRecorded(
                check_in_id=f"c{number}", key_result_id=f"k{number % 2000}", user_id=f"u{number % 300}",
                value=number / 7, confidence=0.5, note="as agreed on Monday",
            )  # fmt: skip
            event = encode(data, at=begun + timedelta(days=30 * number / EVENTS), source="bench")
            value = event.value[:-20] if number % 100 == 0 else event.value
            producer.send_raw(event.topic, event.key, value)
    return kafka


def read_only(bootstrap: str) -> float:
    """Return the seconds it takes to read every message and look at none."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(TUNED | {"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    begun, read = time.perf_counter(), 0
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in partitions])
    while read < EVENTS:
        read += len(consumer.consume(10_000, timeout=5.0))
    seconds = time.perf_counter() - begun
    consumer.close()
    return seconds


class Watch:
    """Times from the hand-over of the partitions to the last commit, without start-up and the wait at the end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.ended = 0.0
        rewind, landed = PartitionReader.rewind, PartitionReader.landed

        def begin(reader: PartitionReader) -> None:
            rewind(reader)
            self.begun = time.perf_counter()

        def end(reader: PartitionReader, *arguments: object) -> None:
            landed(reader, *arguments)  # type: ignore[arg-type]
            self.ended = time.perf_counter()

        monkeypatch.setattr(PartitionReader, "rewind", begin)
        monkeypatch.setattr(PartitionReader, "landed", end)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    return Watch(monkeypatch)


@pytest.mark.timeout(900)
def test_landing_beside_a_loop_that_only_reads(filled: Settings, watch: Watch, tmp_path: Path) -> None:
    bare, landing, cpu = [], [], []
    for number in range(ROUNDS):
        bare.append(read_only(filled.kafka_bootstrap))
        settings = Settings(
            kafka_bootstrap=filled.kafka_bootstrap, lake_uri=str(tmp_path / str(number)), airflow_url=""
        )
        used = time.process_time()
        assert land(settings, threading.Event(), drain=True) == EVENTS
        cpu.append(time.process_time() - used)
        landing.append(watch.ended - watch.begun)
    ratio = statistics.median(bare) / statistics.median(landing)
    memory = psutil.Process().memory_full_info().uss / 1e6
    print(
        f"\nread only {EVENTS / statistics.median(bare):>12,.0f} msg/s"
        f"\nlanding   {EVENTS / statistics.median(landing):>12,.0f} msg/s"
        f"  {statistics.median(cpu) / EVENTS * 1e6:.1f} CPU s per million  {memory:.0f} MB with read-ahead"
        f"\nratio     {ratio:>12.3f}"
    )
    assert ratio >= LEAST_RATIO
