"""A micro-batch: the messages that were read, prevalidated, with the offsets that they cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion.decoding import prevalidate
from lakehouse.errors import RetryableError

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message

Positions = Mapping[tuple[str, int], int | None]  # (topic, partition) -> next offset to read


@dataclass(frozen=True)
class Span:
    """Offsets of one partition in a batch: from `start` (None: the partition's first read) up to before `next`."""

    start: int | None
    next: int


@dataclass(frozen=True)
class Limits:
    """What ends a micro-batch: so many messages, so many bytes as they came, so long since it was begun.

    Or, once it holds a message, so long without another.
    """

    rows: int = 80_000
    megabytes: float = 64.0
    seconds: float = 1.0
    idle_seconds: float = 0.2  # a lone event need not wait for the rest of the second


class Batch:
    """Sifted messages by topic, each partition's offsets strictly rising from its position."""

    def __init__(self, positions: Positions) -> None:
        self._start = dict(positions)
        self._next: dict[tuple[str, int], int] = {}
        self.prevalidated: dict[str, list[pa.RecordBatch]] = {}
        self.rows = 0
        self.bytes = 0

    def add(self, messages: "Sequence[Message]") -> None:
        """Take messages in the order they were read.

        Raises:
            RetryableError: one does not follow the one before it. To land it would break the ledger; who starts again
                reads from where the sink stands.
            PermanentError: a topic does not carry the broker's time.
        """
        for topic, own in _by_topic(messages):
            prevalidated = prevalidate(topic, own)
            self._follow(topic, prevalidated)
            self.prevalidated.setdefault(topic, []).append(prevalidated)
            self.rows += len(own)
            self.bytes += sum(prevalidated[name].nbytes for name in ("value", "key", "headers"))

    def _follow(self, topic: str, prevalidated: "pa.RecordBatch") -> None:
        """Go on to the end of what was read, partition by partition."""
        import numpy as np

        partitions, offsets = prevalidated["kafka_partition"].to_numpy(), prevalidated["kafka_offset"].to_numpy()
        for partition in np.unique(partitions).tolist():
            place, own = (topic, partition), offsets[partitions == partition]
            expected = self._next.get(place, self._start.get(place, -1) or 0)
            if expected < 0 or own[0] < expected or (np.diff(own) <= 0).any():
                raise RetryableError(
                    f"Expected offsets from {expected} on, rising, of {place}, but the client read {own[:20].tolist()}."
                )
            self._next[place] = int(own[-1]) + 1

    def is_full(self, limits: Limits) -> bool:
        """Say whether the batch has reached its rows or bytes."""
        return self.rows >= limits.rows or self.bytes >= limits.megabytes * 1e6

    def ends(self) -> dict[tuple[str, int], int]:
        """Return the next offset after the batch, by (topic, partition) that it covers."""
        return dict(self._next)

    def spans(self, topic: str) -> dict[int, Span]:
        """Return the offsets of a topic that the batch covers, by partition."""
        return {
            partition: Span(self._start[(name, partition)], next_offset)
            for (name, partition), next_offset in self._next.items()
            if name == topic
        }


def _by_topic(messages: "Sequence[Message]") -> "list[tuple[str, Sequence[Message]]]":
    """Return the messages by topic, in their order. Mostly there is one topic, and that costs next to nothing."""
    topics = [message.topic() or "" for message in messages]
    different = set(topics)
    if len(different) == 1:
        return [(topics[0], messages)]
    return [(each, [own for topic, own in zip(topics, messages, strict=True) if topic == each]) for each in different]
