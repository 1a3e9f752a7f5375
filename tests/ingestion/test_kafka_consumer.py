"""What the client does between two reads, when no broker can be made to do it at that moment."""

from collections.abc import Callable
from typing import Any

from ingestion.batch import Limits
from ingestion.event_codec import EncodedEvent
from ingestion.producer import EventProducer
from lakehouse.settings import Settings
from tests.ingestion.manual_assignment import GivenByHand, reader_by_hand

TOPIC = "okr_user_events"
LIMITS = Limits(seconds=30, idle_seconds=0.5)


class TakenWhileWaiting(GivenByHand):
    """Gives messages, then loses its partitions while it waits for more: once."""

    has_given = was_taken = False

    def consume(self, size: int, timeout: float) -> list[Any]:
        if self.has_given and not self.was_taken:
            self.was_taken = True
            self.take(TOPIC, range(4))
            return []
        messages: list[Any] = super().consume(size, timeout)
        self.has_given |= any(message.error() is None for message in messages)
        return messages


def test_what_was_read_before_a_rebalance_is_thrown_away_and_read_again_by_who_is_given_it(
    pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]
) -> None:
    producer.send(check_in(1))
    producer.flush()
    reader, client = reader_by_hand(TakenWhileWaiting, pipeline.require("kafka_bootstrap"), "test-reader", [TOPIC])
    try:
        reader.start(dict.fromkeys)
        client.give(TOPIC, range(4))
        reader.rewind()
        assert reader.poll(LIMITS).rows == 0
        assert client.was_taken, "after it had given the message"
        client.give(TOPIC, range(4))
        reader.rewind()
        assert reader.poll(LIMITS).rows == 1
    finally:
        reader.close()
