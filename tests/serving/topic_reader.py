"""Read a topic from its start, for tests that look for one message."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Consumer

from lakehouse.settings import Settings


@dataclass(frozen=True)
class Read:
    """A message that was found."""

    key: bytes
    value: bytes


def read_until(settings: Settings, topic: str, wanted: Callable[[bytes], bool], limit_s: float = 30) -> Read:
    """Return the first message whose value is wanted; fail after `limit_s` seconds."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            "group.id": str(uuid.uuid4()),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    deadline = time.monotonic() + limit_s
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None and wanted(message.value() or b""):
                return Read(message.key() or b"", message.value() or b"")
    finally:
        consumer.close()
    raise AssertionError(f"The message did not come on {topic} within {limit_s} s.")
