"""The one producer that every source uses: idempotent, acknowledged by all replicas, never silent about a loss."""

import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ingestion.client_errors import QUIET, ClientErrors
from ingestion.events import EncodedEvent
from lakehouse.errors import ContractViolation, OkrError, RetryableError
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = get_logger(__name__)

CONNECT_SECONDS = 30.0
QUEUE_FULL_SECONDS = 60.0
QUEUE_MESSAGES = 100_000
QUEUE_KILOBYTES = 65_536
MAX_MESSAGE_BYTES = 1_048_588  # the broker's default; the client's own is less than MAX_VALUE_BYTES and a key


class EventProducer:
    """Sends events and counts what the broker acknowledged. Use as a context manager: leaving it flushes.

    `send` returns before the broker answered; a message the broker did not take within a minute is counted in
    `failed`, logged, and raised by the next `flush`. Not for use by several threads at once, but for `send`.
    """

    def __init__(self, bootstrap: str, *, client_id: str = "okr", connect_seconds: float = CONNECT_SECONDS) -> None:
        """Connect to the broker.

        Raises:
            RetryableError: no broker answers within `connect_seconds`.
        """
        self.delivered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._first_error = ""
        self._bootstrap = bootstrap
        self._producer = _connect(bootstrap, client_id, connect_seconds)

    def send(self, event: EncodedEvent) -> None:
        """Queue an event; waits while the queue is full (back-pressure).

        Raises:
            RetryableError: the queue stayed full for a minute, so the broker is away or far too slow; or the client
                does not take the event.
            ContractViolation: the event is larger than the broker takes.
        """
        self.send_raw(event.topic, event.key, event.value)

    def send_raw(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Queue any bytes, for replays and for the malformed messages of a simulation; else as `send`."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + QUEUE_FULL_SECONDS
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._on_delivery)
            except BufferError as error:
                if time.monotonic() > deadline:
                    raise RetryableError(
                        f"{len(self._producer)} messages wait and the broker at {self._bootstrap} has taken none for "
                        f"{QUEUE_FULL_SECONDS:.0f} s. Is it up (`make status`)? Nothing more was queued."
                    ) from error
                self._producer.poll(0.1)
            except KafkaException as error:
                raise _refusal(error.args[0], topic, len(key or b"") + len(value or b"")) from error
            else:
                self._producer.poll(0)
                return

    def flush(self, limit_seconds: float = 90.0) -> None:
        """Wait until the broker has acknowledged everything that was sent.

        Raises:
            RetryableError: something was not acknowledged; `failed` counts it by topic.
        """
        waiting = self._producer.flush(limit_seconds)
        if waiting or self.failed:
            lost = sum(self.failed.values())
            raise RetryableError(
                f"The broker at {self._bootstrap} took {sum(self.delivered.values())} messages, refused {lost} and did "
                f"not answer for {waiting}. {self._first_error} Send those again: the same event id is counted once."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
        elif self._producer.flush(5.0):
            log.error("producer left with unacknowledged messages", waiting=len(self._producer))

    def _on_delivery(self, error: "KafkaError | None", message: "Message") -> None:
        topic = message.topic() or ""
        if error is None:
            self.delivered[topic] += 1
            return
        if not self.failed:
            self._first_error = f"First error: {error.str()}."
            log.error("the broker did not take a message", topic=topic, error=error.str())
        self.failed[topic] += 1


def _refusal(error: "KafkaError", topic: str, size: int) -> OkrError:
    from confluent_kafka import KafkaError

    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return ContractViolation(
            "too_large",
            f"A message to {topic} has {size} bytes, key and value; the broker takes at most {MAX_MESSAGE_BYTES}. It "
            "was not sent: shorten it at its source.",
        )
    return RetryableError(
        f"The Kafka client did not take a message to {topic}: {error.str()}. It was not sent; send it again when the "
        "broker is well (`make status`)."
    )


def _connect(bootstrap: str, client_id: str, limit_seconds: float) -> "Producer":
    from confluent_kafka import KafkaException, Producer
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

    settings: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "enable.idempotence": True,
        "acks": "all",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "zstd",
        "linger.ms": 5,
        "queue.buffering.max.messages": QUEUE_MESSAGES,
        "queue.buffering.max.kbytes": QUEUE_KILOBYTES,
        "delivery.timeout.ms": 60_000,
        "allow.auto.create.topics": False,
        "error_cb": ClientErrors(),
        **QUIET,
    }
    producer = Producer(settings)
    attempts = Retrying(
        retry=retry_if_exception_type(KafkaException),
        wait=wait_exponential_jitter(multiplier=0.2, max=2.0),
        stop=stop_after_delay(limit_seconds),
        reraise=True,
    )
    try:
        for attempt in attempts:
            with attempt:
                producer.list_topics(timeout=min(5.0, limit_seconds))
    except KafkaException as error:
        raise RetryableError(
            f"No Kafka broker answers at {bootstrap} after {limit_seconds:.0f} s ({error.args[0].str()}). "
            "Is the stack up (`make status`)?"
        ) from error
    return producer
