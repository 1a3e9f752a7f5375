"""Read the messages of a topic by key, in log order."""

import time
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from lakehouse.settings import Settings


def values_by_key(settings: Settings, topic: str) -> dict[bytes, list[bytes]]:
    """Read a topic from its start to its current end."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            "group.id": str(uuid.uuid4()),
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    found: dict[bytes, list[bytes]] = {}
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        ended: set[int] = set()
        deadline = time.monotonic() + 60
        while len(ended) < len(partitions):
            assert time.monotonic() < deadline, f"the end of {topic} was not read within a minute"
            for message in consumer.consume(1_000, timeout=0.2):
                if message.error() is not None:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    ended.add(message.partition())
                else:
                    found.setdefault(message.key() or b"", []).append(message.value() or b"")
    finally:
        consumer.close()
    return found
