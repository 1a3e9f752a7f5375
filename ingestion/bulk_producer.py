"""Send many independent messages at little cost: in batches, with callbacks for failures only.

`EventProducer` has a callback for each message, which costs more than all other processing of a small event.
"""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ingestion.client_errors import call_client, is_permanent
from ingestion.producer import DELIVERY_MS, new_producer, wait_for_broker
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

CONNECT_S = 3.0


class KeyedMessage(NamedTuple):
    """A message's key and value."""

    key: bytes
    value: bytes


class BulkProducer:
    """Sends batches to one topic. Their order is not preserved. It connects on first use and again after a failure."""

    def __init__(self, kafka: KafkaConnection, topic: str, client_id: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._client_id = client_id
        self._producer: Producer | None = None
        self._failed: list[tuple[KeyedMessage, KafkaError]] = []

    def send(self, messages: Sequence[KeyedMessage], limit_s: float) -> list[tuple[KeyedMessage, str]]:
        """Send messages, wait until all replicas have them, and return those that the broker will never accept.

        Raises:
            RetryableError: some messages may not have been written. Send all of them again: event ids make duplicates
                harmless.
        """
        self._failed.clear()
        unsent, failure = call_client(self._kafka, partial(self._deliver, messages, limit_s))
        if failure:
            self.close()
            raise RetryableError(
                f"The Kafka client for {self._kafka.bootstrap} failed ({failure}). The messages will be sent again."
            )
        transient = [error for _, error in self._failed if not is_permanent(error)]
        if unsent or transient:
            self.close()
            reason = f" ({self._kafka.explain(transient[0])})" if transient else ""
            raise RetryableError(
                f"The broker at {self._kafka.bootstrap} did not accept {unsent + len(transient)} of {len(messages)} "
                f"messages within {limit_s:.0f} s{reason}. They will be sent again."
            )
        return [(message, error.str()) for message, error in self._failed]

    def _deliver(self, messages: Sequence[KeyedMessage], limit_s: float) -> int:
        """Send messages and wait. Return how many were not sent within the limit."""
        producer = self._connected(min(CONNECT_S, limit_s))
        waiting = [{"key": each.key, "value": each.value} for each in messages]
        while waiting:
            producer.produce_batch(self._topic, waiting, on_delivery=self._on_failure)
            waiting = [each for each in waiting if each.pop("_error", None) is not None]
            if waiting and producer.flush(limit_s):
                break  # the client's queue stayed full until the time limit
        return len(waiting) + int(producer.flush(limit_s))

    def close(self) -> None:
        """Disconnect, without waiting for messages in flight."""
        if self._producer is not None:
            self._producer.purge()
            with contextlib.suppress(Exception):
                self._producer.flush(1.0)
            self._producer = None

    def _connected(self, limit_s: float) -> "Producer":
        if self._producer is None:
            settings = {
                "delivery.report.only.error": True,
                "delivery.timeout.ms": DELIVERY_MS,
                "linger.ms": 20,
                "compression.type": "lz4",  # zstd takes 2 us per message, a third of all work on it
            }
            producer = new_producer(self._kafka, self._client_id, settings)
            wait_for_broker(producer, self._kafka, limit_s)
            self._producer = producer
        return self._producer

    def _on_failure(self, error: "KafkaError | None", message: "Message") -> None:
        if error is not None:
            self._failed.append((KeyedMessage(message.key() or b"", message.value() or b""), error))
