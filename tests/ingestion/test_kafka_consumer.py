"""Behaviour of the client between two reads that cannot be provoked with a broker."""

from collections.abc import Callable
from typing import Any

from ingestion.batch import Limits
from ingestion.contract_validation import EncodedEvent
from ingestion.producer import EventProducer
from lakehouse.settings import Settings
from tests.ingestion.manual_assignment import ManualConsumer, reader_by_hand

TOPIC = "okr_user_events"
LIMITS = Limits(seconds=30, idle_seconds=0.5)


class RevokedWhileWaiting(ManualConsumer):
    """Returns messages, then loses its partitions once while it waits for more."""

    has_given = was_revoked = False

    def consume(self, size: int, timeout: float) -> list[Any]:
        if self.has_given and not self.was_revoked:
            self.was_revoked = True
            self.take(TOPIC, range(4))
            return []
        messages: list[Any] = super().consume(size, timeout)
        self.has_given |= any(message.error() is None for message in messages)
        return messages


def test_messages_read_before_a_rebalance_are_discarded_and_read_again_by_the_new_owner(
    pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]
) -> None:
    producer.send(check_in(1))
    producer.flush()
    reader, client = reader_by_hand(RevokedWhileWaiting, pipeline.require("kafka_bootstrap"), "test-reader", [TOPIC])
    try:
        reader.start(dict.fromkeys)
        client.give(TOPIC, range(4))
        reader.rewind()
        assert reader.poll(LIMITS).rows == 0
        assert client.was_revoked, "after it had returned the message"
        client.give(TOPIC, range(4))
        reader.rewind()
        assert reader.poll(LIMITS).rows == 1
    finally:
        reader.close()
