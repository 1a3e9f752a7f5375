"""The idempotent producer of all sources. All in-sync replicas acknowledge each message; a lost one raises an error."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ingestion.client_errors import ClientErrors, call_client
from ingestion.contract_validation import EncodedEvent
from lakehouse.errors import ContractViolation, OkrError, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.retry import attempts

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = get_logger(__name__)

CONNECT_SECONDS = 30.0
QUEUE_FULL_SECONDS = 60.0
QUEUE_MESSAGES = 100_000
QUEUE_KILOBYTES = 65_536
MAX_MESSAGE_BYTES = 1_048_588  # the broker's default; the client's default is less than MAX_VALUE_BYTES plus a key
DELIVERY_MS = 60_000
# The client retries for up to DELIVERY_MS, with exponential backoff and a jitter of at least 20 %.
RETRIES: dict[str, Any] = {
    "delivery.timeout.ms": DELIVERY_MS,
    "retry.backoff.ms": 100,
    "retry.backoff.max.ms": 2_000,
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 5_000,
}
# Two settings preserve the order of messages with the same key. Messages have no timeout, because a message that times
# out may have been written, and sending it again could place it after a later one. Each batch contains a single
# message, because a rejected message fails its whole batch, and the other messages of the batch would then be sent
# after later ones. The throughput is still 1,400 messages per second or more.
IN_ORDER: dict[str, Any] = {"delivery.timeout.ms": 0, "batch.num.messages": 1}

OnResult = Callable[["KafkaError | None"], None]


class EventProducer:
    """Sends events and counts acknowledged messages. Use it as a context manager, so that it is flushed at the end.

    `send` returns before the broker has acknowledged the event. If the broker does not accept a message within a
    minute, the message is counted in `failed`, and the next `flush` raises an error. Only the first such message is
    logged. Only `send` is thread-safe.
    """

    def __init__(
        self,
        kafka: KafkaConnection,
        *,
        client_id: str = "okr",
        connect_seconds: float = CONNECT_SECONDS,
        is_in_order: bool = False,
    ) -> None:
        """Connect to the broker. With `connect_seconds=0`, return without waiting for it; call `check_broker` later.

        With `is_in_order`, no message is written before an earlier one with the same key, even if the earlier one is
        sent again by another producer. Messages have no timeout in this mode. Limit the time of each `flush`, and
        `abandon` the producer if `flush` raises an error.

        Raises:
            RetryableError: no broker responds within `connect_seconds`.
        """
        self.delivered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._first_error = ""
        self._kafka = kafka
        self._producer = new_producer(kafka, client_id, IN_ORDER if is_in_order else {})
        if connect_seconds:
            wait_for_broker(self._producer, kafka, connect_seconds)

    def check_broker(self, limit_seconds: float) -> None:
        """Check that the broker is available.

        Raises:
            RetryableError: the broker does not respond within the limit.
        """
        wait_for_broker(self._producer, self._kafka, limit_seconds)

    def send(self, event: EncodedEvent) -> None:
        """Queue an event. While the queue is full, wait (back-pressure).

        Raises:
            RetryableError: the queue was full for a minute, because the broker is unavailable or too slow, or the
                client did not accept the event.
            ContractViolation: the event is larger than the broker accepts.
        """
        self.send_raw(event.topic, event.key, event.value)

    def send_raw(self, topic: str, key: bytes | None, value: bytes | None, on_result: OnResult | None = None) -> None:
        """Queue arbitrary bytes, in the same way as `send`: for replays and for the simulator's malformed messages.

        A later `send` or `flush` calls `on_result` with the broker's error, or with None on success.
        """
        from confluent_kafka import KafkaException

        def on_delivery(error: "KafkaError | None", message: "Message") -> None:
            self._on_delivery(error, message)
            if on_result is not None:
                on_result(error)

        deadline = time.monotonic() + QUEUE_FULL_SECONDS
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=on_delivery if on_result else self._on_delivery)
            except BufferError as error:
                if time.monotonic() > deadline:
                    raise RetryableError(
                        f"{len(self._producer)} messages are queued; the broker at {self._kafka.bootstrap} has "
                        f"accepted none for {QUEUE_FULL_SECONDS:.0f} s. Is it running (`make status`)? The message was "
                        "not queued."
                    ) from error
                self._call_client(self._producer.poll, 0.1)
            except KafkaException as error:
                raise _producer_error(error.args[0], topic, len(key or b"") + len(value or b"")) from error
            else:
                self._call_client(self._producer.poll, 0)
                return

    def flush(self, limit_seconds: float = 90.0) -> None:
        """Wait until the broker has acknowledged all messages.

        Raises:
            RetryableError: messages were not acknowledged; `failed` counts them by topic.
        """
        waiting = self._call_client(self._producer.flush, limit_seconds)
        if waiting or self.failed:
            rejected = sum(self.failed.values())
            raise RetryableError(
                f"The broker at {self._kafka.bootstrap} accepted {sum(self.delivered.values())} messages, rejected "
                f"{rejected} and did not acknowledge {waiting}. {self._first_error} Send again the messages that were "
                "not accepted; each event id counts once."
            )

    def abandon(self) -> None:
        """Drop queued messages without waiting. Messages in flight may or may not have been written."""
        self._producer.purge()
        with contextlib.suppress(RetryableError):
            self._call_client(self._producer.flush, 1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
        elif self._producer.flush(5.0):
            log.error("the producer was closed with unacknowledged messages", waiting=len(self._producer))

    def _call_client(self, call: Callable[[float], int], seconds: float) -> int:
        """Call a method of the client.

        Raises:
            RetryableError: the client has failed permanently. It reports such a failure on the next call.
        """
        result, reason = call_client(self._kafka, partial(call, seconds))
        if reason:
            raise RetryableError(
                f"The Kafka client for {self._kafka.bootstrap} failed ({reason}). Send unacknowledged messages again "
                "with a new producer: each event id counts once."
            )
        return result

    def _on_delivery(self, error: "KafkaError | None", message: "Message") -> None:
        topic = message.topic() or ""
        if error is None:
            self.delivered[topic] += 1
            return
        if not self.failed:
            why = self._kafka.explain(error)
            self._first_error = f"First error: {why.rstrip('.')}."
            log.error("the broker did not accept a message", topic=topic, error=why)
        self.failed[topic] += 1


def _producer_error(error: "KafkaError", topic: str, size: int) -> OkrError:
    from confluent_kafka import KafkaError

    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return ContractViolation(
            "too_large",
            f"A message to {topic} has {size} bytes in key and value; the broker accepts at most {MAX_MESSAGE_BYTES}. "
            "It was not sent: shorten it at its source.",
        )
    return RetryableError(
        f"The Kafka client did not accept a message to {topic}: {error.str()}. It was not sent; send it again when "
        "the broker is available (`make status`)."
    )


def new_producer(kafka: KafkaConnection, client_id: str, overrides: dict[str, Any]) -> "Producer":
    """Return a new client that retries and is idempotent. It connects in the background."""
    from confluent_kafka import Producer

    settings: dict[str, Any] = {
        **kafka.client_settings(),
        "client.id": client_id,
        "enable.idempotence": True,
        "acks": "all",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "zstd",
        "linger.ms": 5,
        "queue.buffering.max.messages": QUEUE_MESSAGES,
        "queue.buffering.max.kbytes": QUEUE_KILOBYTES,
        "allow.auto.create.topics": False,
        "error_cb": ClientErrors(kafka),
        **RETRIES,
    }
    return Producer(settings | overrides)


def wait_for_broker(producer: "Producer", kafka: KafkaConnection, limit_seconds: float) -> None:
    """Return when the broker responds.

    Raises:
        RetryableError: it does not respond within the limit, or waiting does not help, for example because of an
            expired certificate or a wrong password.
    """
    from confluent_kafka import KafkaException

    def check() -> None:
        try:
            producer.list_topics(timeout=min(5.0, limit_seconds))
        except KafkaException:
            kafka.require_usable()
            raise

    try:
        attempts(KafkaException, limit_seconds)(check)
    except KafkaException as error:
        raise RetryableError(
            f"No Kafka broker answered at {kafka.bootstrap} within {limit_seconds:.0f} s ({error.args[0].str()}). "
            "Is the stack up (`make status`)?"
        ) from error
