"""The Kafka client's errors: which of them are permanent, and rate-limited logging of connection errors."""

import time
from typing import TYPE_CHECKING

from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

log = get_logger(__name__)

QUIET_SECONDS = 30.0


class ClientErrors:
    """An `error_cb` that logs an error when it first occurs, and after that at most every 30 seconds."""

    def __init__(self, kafka: KafkaConnection) -> None:
        self._kafka = kafka
        self._last: dict[int, float] = {}

    def __call__(self, error: "KafkaError") -> None:
        """Log an error unless it was logged recently."""
        now = time.monotonic()
        if now - self._last.get(error.code(), float("-inf")) > QUIET_SECONDS:
            self._last[error.code()] = now
            log.warning("the Kafka client has a problem and keeps retrying", error=self._kafka.explain(error))


def is_permanent(error: "KafkaError") -> bool:
    """Return whether sending the same bytes again would fail even with a healthy broker."""
    from confluent_kafka import KafkaError

    return error.code() in (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
    )
