"""Encode facts as messages. About 1 % of them are sent twice, and malformed copies of about 0.3 % are added."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from ingestion.contract_validation import EncodedEvent, encode
from ingestion.sources.simulator.facts import Fact
from ingestion.sources.simulator.malformed_messages import malformed
from ingestion.sources.simulator.teams_and_users import Organisation
from ingestion.sources.simulator.timeline import timeline
from lakehouse.ids import uuid7_of

DUPLICATED_PER_MILLE = 10
MALFORMED_PER_MILLE = 3
MAX_DUPLICATE_DELAY = 5_000  # facts between a message and its duplicate


class MessageKind(StrEnum):
    """How a message is counted in the tally."""

    NEW = "new"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"


class Message(NamedTuple):
    """A message that must be sent unchanged."""

    event: EncodedEvent
    kind: MessageKind


@dataclass
class Tally:
    """The number of messages by topic and kind. A pipeline must arrive at the same numbers."""

    counts: dict[str, Counter[MessageKind]] = field(default_factory=dict)

    def add(self, message: Message) -> None:
        """Count a message."""
        self.counts.setdefault(message.event.topic, Counter())[message.kind] += 1

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return, by topic, the numbers of messages, duplicates, malformed messages and distinct valid events."""
        return {
            topic: {
                "produced": sum(count.values()),
                "duplicates": count[MessageKind.DUPLICATE],
                "malformed": count[MessageKind.MALFORMED],
                "distinct": count[MessageKind.NEW],
            }
            for topic, count in sorted(self.counts.items())
        }

    def as_lines(self) -> list[str]:
        """Return the tally as text, one line per topic."""
        return [
            f"sent to {topic}: {n['produced']} messages = {n['distinct']} events + {n['duplicates']} duplicates"
            f" + {n['malformed']} malformed"
            for topic, n in self.as_json().items()
        ]


def messages(organisation: Organisation, as_of: datetime) -> Iterator[Message]:
    """Yield the history up to `as_of` as messages, in the order of sending. Equal arguments give equal bytes."""
    duplicates: list[tuple[int, int, EncodedEvent]] = []  # index when due, index of the original (unique), event
    for index, fact in enumerate(timeline(organisation, as_of)):
        event_id, event = encode_fact(organisation, fact)
        yield Message(event, MessageKind.NEW)
        draw, malformation, delay = _draws(event_id)
        if draw < DUPLICATED_PER_MILLE:
            heapq.heappush(duplicates, (index + 1 + delay, index, event))
        elif draw >= 1000 - MALFORMED_PER_MILLE:
            yield Message(malformed(event, malformation), MessageKind.MALFORMED)
        while duplicates and duplicates[0][0] <= index:
            yield Message(heapq.heappop(duplicates)[2], MessageKind.DUPLICATE)
    while duplicates:
        yield Message(heapq.heappop(duplicates)[2], MessageKind.DUPLICATE)


def encode_fact(organisation: Organisation, fact: Fact) -> tuple[UUID, EncodedEvent]:
    """Return the deterministic event id and the encoded event of a fact."""
    event_id = uuid7_of(fact.occurred_at, organisation.id, type(fact.data).__name__, fact.name)
    source = f"okr-simulation/{organisation.scale.name}/{organisation.seed}"
    event = encode(fact.data, at=fact.occurred_at, source=source, event_id=event_id, recorded_at=fact.recorded_at)
    return event_id, event


def _draws(event_id: UUID) -> tuple[int, int, int]:
    """Return a number from 0 to 999, the number of a malformation and a delay, derived from the bits of an event id."""
    bits = event_id.int & (1 << 60) - 1
    return bits % 1000, bits // 1000 % 1009, bits // 1_000_000 % MAX_DUPLICATE_DELAY


def report(organisation: Organisation, as_of: datetime, tally: Tally) -> dict[str, Any]:
    """Return a summary of the simulation as plain values."""
    return {
        "seed": organisation.seed,
        "scale": organisation.scale.name,
        "as_of": as_of.isoformat(),
        "topics": tally.as_json(),
    }
