"""The ingestion path on real services: Kafka's four topics emptied, a lake folder and a database of one test alone."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.events import EncodedEvent, encode
from ingestion.producer import EventProducer
from lakehouse.contracts import TOPICS
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.settings import Settings


@pytest.fixture
def pipeline(kafka: Settings, redis_server: Settings, fresh_database: Settings, tmp_path: Path) -> Settings:
    """Settings of an empty pipeline without an Airflow to announce to."""
    _empty_topics(kafka.kafka_bootstrap)
    return fresh_database.model_copy(
        update={
            "kafka_bootstrap": kafka.kafka_bootstrap,
            "redis_url": redis_server.redis_url,
            "lake_uri": str(tmp_path / "lake"),
            "airflow_url": "",
        }
    )


@pytest.fixture
def check_in() -> Callable[[int], EncodedEvent]:
    """A good event by number: key result k<number mod 50>, value <number>, one second after the number before."""
    begun = datetime.now(UTC) - timedelta(days=2)

    def event(number: int) -> EncodedEvent:
        data = CheckInRecorded(check_in_id=f"c{number}", key_result_id=f"k{number % 50}", value=float(number))
        return encode(data, at=begun + timedelta(seconds=number), source="test")

    return event


@pytest.fixture
def producer(pipeline: Settings) -> Iterator[EventProducer]:
    """A producer to the pipeline's broker."""
    with EventProducer(pipeline.kafka_bootstrap) as producer:
        yield producer


def _empty_topics(bootstrap: str) -> None:
    from confluent_kafka import OFFSET_END, TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = admin.list_topics(timeout=10).topics
    partitions = [TopicPartition(topic, number, OFFSET_END) for topic in TOPICS for number in topics[topic].partitions]
    for deleted in admin.delete_records(partitions, request_timeout=10).values():
        deleted.result(10)
