import time
import uuid

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.kafka.topics import PARTITIONS
from infra.local.kafka import Kafka
from infra.local.stack import Stack
from lakehouse.contracts import TOPICS
from lakehouse.settings import Settings


def test_every_topic_of_the_contracts_exists_with_its_partitions(kafka: Settings) -> None:
    topics = AdminClient({"bootstrap.servers": kafka.kafka_bootstrap}).list_topics(timeout=10).topics
    assert set(TOPICS) == set(PARTITIONS)
    assert {name: len(topics[name].partitions) for name in TOPICS} == PARTITIONS


def test_topics_that_the_broker_lists_late_exist_when_the_start_ends(
    kafka: Settings, test_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller confirms a topic before the broker lists it; a fault test once deleted topics in between."""
    late = [set(TOPICS[:1]), set(TOPICS[:3]), set(TOPICS)]
    monkeypatch.setattr("infra.kafka.topics.topic_names", lambda _kafka: late.pop(0))
    Kafka(test_stack).after_start()
    assert late == []


@pytest.mark.parametrize("topic", TOPICS)
def test_the_broker_sets_the_timestamp_regardless_of_the_producer(kafka: Settings, topic: str) -> None:
    delivered: list[Message] = []
    producer = Producer({"bootstrap.servers": kafka.kafka_bootstrap, "enable.idempotence": True})
    started_ms = time.time_ns() // 1_000_000
    for at_ms in (1_000, started_ms + 86_400_000):
        producer.produce(topic, b"probe", timestamp=at_ms, on_delivery=lambda _error, sent: delivered.append(sent))
        assert producer.flush(30) == 0
    ended_ms = time.time_ns() // 1_000_000
    consumer = Consumer({"bootstrap.servers": kafka.kafka_bootstrap, "group.id": uuid.uuid4().hex})
    try:
        for sent in delivered:
            consumer.assign([TopicPartition(topic, sent.partition(), sent.offset())])
            message = consumer.poll(30)
            assert message is not None
            assert message.error() is None
            assert (message.offset(), message.value()) == (sent.offset(), b"probe")
            kind, at_ms = message.timestamp()
            assert kind == TIMESTAMP_LOG_APPEND_TIME
            assert started_ms <= at_ms <= ended_ms
    finally:
        consumer.close()
    assert len(delivered) == 2


def test_a_mistyped_topic_is_not_created(kafka: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.kafka_bootstrap})
    topic = admin.list_topics("okr_user_event", timeout=10).topics["okr_user_event"]
    assert topic.error is not None
    assert "okr_user_event" not in admin.list_topics(timeout=10).topics
