"""A micro-batch: parsed messages and the offsets that they cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion.decoding import parse_messages
from lakehouse.errors import RetryableError

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message

Positions = Mapping[tuple[str, int], int | None]  # (topic, partition) -> next offset to read


@dataclass(frozen=True)
class Span:
    """Offsets of one partition in a batch: from `start` (None for the start of its log) to `next`, exclusive."""

    start: int | None
    next: int


@dataclass(frozen=True)
class Limits:
    """Limits of a micro-batch: number of messages, uncompressed megabytes, and seconds since reading started.

    A batch with messages also ends when no further message arrives within `idle_seconds`.
    """

    rows: int = 80_000
    megabytes: float = 64.0
    seconds: float = 1.0
    idle_seconds: float = 0.2  # otherwise, a single event would be delayed by up to a second


class Batch:
    """Parsed messages by topic. Within a partition, offsets increase strictly and start at or after its position."""

    def __init__(self, positions: Positions) -> None:
        self._start = dict(positions)
        self._next: dict[tuple[str, int], int] = {}
        self.parsed: dict[str, list[pa.RecordBatch]] = {}
        self.rows = 0
        self.bytes = 0

    def add(self, messages: "Sequence[Message]") -> None:
        """Add messages in the order in which they were read.

        Raises:
            RetryableError: the offsets of a partition do not increase. If such messages landed, the ledger would not
                balance. After a restart, reading continues at the sink's offset.
            PermanentError: a topic is not configured to store the broker's time.
        """
        for topic, topic_messages in _by_topic(messages):
            parsed = parse_messages(topic, topic_messages)
            self._advance(topic, parsed)
            self.parsed.setdefault(topic, []).append(parsed)
            self.rows += len(topic_messages)
            self.bytes += sum(parsed[name].nbytes for name in ("value", "key", "headers"))

    def _advance(self, topic: str, parsed: "pa.RecordBatch") -> None:
        """Check the messages' offsets and advance the position of each partition."""
        import numpy as np

        partitions, offsets = parsed["kafka_partition"].to_numpy(), parsed["kafka_offset"].to_numpy()
        for partition in np.unique(partitions).tolist():
            topic_partition, read = (topic, partition), offsets[partitions == partition]
            expected = self._next.get(topic_partition, self._start.get(topic_partition, -1) or 0)
            if expected < 0 or read[0] < expected or (np.diff(read) <= 0).any():
                raise RetryableError(
                    f"Expected increasing offsets of {topic_partition}, starting at {expected}, but read "
                    f"{read[:20].tolist()}. The consumer restarts at the stored offsets."
                )
            self._next[topic_partition] = int(read[-1]) + 1

    def is_full(self, limits: Limits) -> bool:
        """Return whether the batch has reached its limit of rows or bytes."""
        return self.rows >= limits.rows or self.bytes >= limits.megabytes * 1e6

    def ends(self) -> dict[tuple[str, int], int]:
        """Return the next offset after the batch, by (topic, partition)."""
        return dict(self._next)

    def spans(self, topic: str) -> dict[int, Span]:
        """Return the range of offsets that the batch covers in each partition of a topic."""
        return {
            partition: Span(self._start[(name, partition)], next_offset)
            for (name, partition), next_offset in self._next.items()
            if name == topic
        }


def _by_topic(messages: "Sequence[Message]") -> "list[tuple[str, Sequence[Message]]]":
    """Group messages by topic and preserve their order. For a single topic, the usual case, this is almost free."""
    topics = [message.topic() or "" for message in messages]
    distinct = set(topics)
    if len(distinct) == 1:
        return [(topics[0], messages)]
    pairs = list(zip(topics, messages, strict=True))
    return [(topic, [message for name, message in pairs if name == topic]) for topic in distinct]
