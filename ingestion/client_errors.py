"""The Kafka client's errors: which of them are permanent, and rate-limited logging of connection errors."""

import time
from collections.abc import Callable
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


def call_client(kafka: KafkaConnection, call: Callable[[], int]) -> tuple[int, str]:
    """Call methods of a client. Return the result and "", or 0 and why the client failed permanently.

    A failed client raises KafkaException; or KafkaError, which lacks the attributes of an exception and must not become
    the context of another one, because tracebacks could not be printed; or SystemError, if it has called a function of
    ours after its failure.
    """
    from confluent_kafka import KafkaError, KafkaException

    try:
        return call(), ""
    except KafkaException as error:
        return 0, kafka.explain(error.args[0])
    except KafkaError as error:
        return 0, kafka.explain(error)
    except (SystemError, BufferError) as error:
        return 0, str(error)


def is_permanent(error: "KafkaError") -> bool:
    """Return whether sending the same bytes again would fail even with a healthy broker."""
    from confluent_kafka import KafkaError

    return error.code() in (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
    )
