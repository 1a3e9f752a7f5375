"""A micro-batch: messages in the order they were read, with the offsets that they cover."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import lt
from typing import TYPE_CHECKING

from lakehouse.errors import RetryableError

if TYPE_CHECKING:
    from confluent_kafka import Message

Positions = Mapping[tuple[str, int], int | None]  # (topic, partition) -> next offset to read


@dataclass(frozen=True)
class Span:
    """Offsets of one partition in a batch: from `start` (None: the partition's first read) up to before `next`."""

    start: int | None
    next: int


@dataclass(frozen=True)
class Limits:
    """What ends a micro-batch: so many messages, so many bytes, or so long since it was begun."""

    rows: int = 30_000
    megabytes: float = 24.0
    seconds: float = 1.0


class Batch:
    """Messages by topic, each partition's offsets strictly rising from its position."""

    def __init__(self, positions: Positions) -> None:
        self._start = dict(positions)
        self._next: dict[tuple[str, int], int] = {}
        self.messages: dict[str, list[Message]] = {}
        self.rows = 0
        self.bytes = 0

    def add(self, messages: "Sequence[Message]") -> None:
        """Take messages in the order they were read.

        Raises:
            RetryableError: one does not follow the one before it. To land it would break the ledger; who starts again
                reads from where the sink stands.
        """
        places = [(message.topic() or "", message.partition()) for message in messages]
        changes = (number for number in range(1, len(places)) if places[number] != places[number - 1])
        for start, end in itertools.pairwise([0, *changes, len(places)]):
            if end > start:
                self._add_run(places[start], messages[start:end])

    def _add_run(self, place: tuple[str, int], run: "Sequence[Message]") -> None:
        """Take messages of one partition that were read one after the other."""
        expected = self._next.get(place, self._start.get(place, -1) or 0)
        offsets = [message.offset() for message in run]
        if expected < 0 or offsets[0] < expected or not all(map(lt, offsets, offsets[1:])):
            raise RetryableError(
                f"Expected offsets from {expected} on, rising, of {place}, but the client read {offsets[:20]}."
            )
        self._next[place] = offsets[-1] + 1
        self.messages.setdefault(place[0], []).extend(run)
        self.rows += len(run)
        self.bytes += sum(map(len, run))

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
