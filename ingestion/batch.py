"""A micro-batch: the messages that were read, sifted, with the offsets that they cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import lt
from typing import TYPE_CHECKING, Any

from ingestion.decoding import sift
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
    """What ends a micro-batch: so many messages, so many bytes of values, so long since it was begun.

    Or, once it holds a message, so long without another.
    """

    rows: int = 80_000
    megabytes: float = 64.0
    seconds: float = 1.0
    idle_seconds: float = 1.0


class Batch:
    """Sifted messages by topic, each partition's offsets strictly rising from its position."""

    def __init__(self, positions: Positions) -> None:
        self._start = dict(positions)
        self._next: dict[tuple[str, int], int] = {}
        self.sifted: dict[str, list[pa.RecordBatch]] = {}
        self.rows = 0
        self.bytes = 0

    def add(self, messages: "Sequence[Message]") -> None:
        """Take messages in the order they were read.

        Raises:
            RetryableError: one does not follow the one before it. To land it would break the ledger; who starts again
                reads from where the sink stands.
            PermanentError: a topic does not carry the broker's time.
        """
        for topic, own in _grouped([message.topic() or "" for message in messages], messages):
            offsets = [message.offset() for message in own]
            for partition, each in _grouped([message.partition() for message in own], offsets):
                self._follow((topic, partition), each)
            self.sifted.setdefault(topic, []).append(sift(topic, own))
            self.rows += len(own)
            self.bytes += sum(map(len, own))

    def _follow(self, place: tuple[str, int], offsets: Sequence[int]) -> None:
        """Go on to the end of offsets that were read one after the other."""
        expected = self._next.get(place, self._start.get(place, -1) or 0)
        if expected < 0 or offsets[0] < expected or not all(map(lt, offsets, offsets[1:])):
            raise RetryableError(
                f"Expected offsets from {expected} on, rising, of {place}, but the client read {offsets[:20]}."
            )
        self._next[place] = offsets[-1] + 1

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


def _grouped(keys: Sequence[Any], values: Sequence[Any]) -> list[tuple[Any, Sequence[Any]]]:
    """Return the values by key, in their order. Mostly there is one key, and that costs next to nothing."""
    different = set(keys)
    if len(different) == 1:
        return [(keys[0], values)]
    return [(each, [value for key, value in zip(keys, values, strict=True) if key == each]) for each in different]
