"""The ledger's figures: what was produced, landed and loaded, by partition, by topic and as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingestion.ledger.offsets import Gap


@dataclass
class PartitionLedger:
    """One partition's account, in events. What only the broker knows is None where it could not be asked.

    produced = landed + absent + unlanded, where no offset is in the lake twice; landed = rejected + loaded + waiting.
    `excused` are the gaps in which the broker said, in this run, that it has no record.
    """

    partition: int
    produced: int | None = None
    landed: int = 0
    rejected: int = 0
    absent: int = 0
    unlanded: int | None = None
    loaded: int = 0
    waiting: int = 0
    problems: list[str] = field(default_factory=list)
    excused: list[Gap] = field(default_factory=list)


@dataclass
class TopicLedger:
    """One topic's account, in events."""

    topic: str
    distinct_events: int = 0
    by_partition: Sequence[PartitionLedger] = ()
    is_broker_known: bool = True
    is_same_log: bool = True
    log_id: str | None = None

    @property
    def produced(self) -> int | None:
        """Offsets that the broker gave since landing began; None when it could not be asked."""
        return sum(each.produced or 0 for each in self.by_partition) if self.is_broker_known else None

    @property
    def unlanded(self) -> int | None:
        """Offsets that are on their way to the lake; None when the broker could not be asked."""
        return sum(each.unlanded or 0 for each in self.by_partition) if self.is_broker_known else None

    @property
    def absent(self) -> int:
        """Offsets that the lake has passed without a row: the broker has no record there, or there is a problem."""
        return sum(each.absent for each in self.by_partition)

    @property
    def partitions(self) -> int:
        """Partitions that were checked."""
        return len([each for each in self.by_partition if each.landed or each.loaded])

    @property
    def landed(self) -> int:
        """Rows in the lake."""
        return sum(each.landed for each in self.by_partition)

    @property
    def rejected(self) -> int:
        """Rows in the lake that break their contract."""
        return sum(each.rejected for each in self.by_partition)

    @property
    def loaded(self) -> int:
        """Rows in raw."""
        return sum(each.loaded for each in self.by_partition)

    @property
    def waiting(self) -> int:
        """Good rows in the lake at or beyond the load's watermark."""
        return sum(each.waiting for each in self.by_partition)

    @property
    def duplicates(self) -> int:
        """Events that a source sent again; staging removes them."""
        return self.loaded - self.distinct_events

    @property
    def problems(self) -> list[str]:
        """What is missing, double or does not add up."""
        found = [f"partition {each.partition}: {problem}" for each in self.by_partition for problem in each.problems]
        if self.is_same_log:
            return found
        return [
            "the lake holds events of another log: the broker's topic was made anew, its offsets mean others",
            *found,
        ]

    @property
    def passed(self) -> bool:
        """Whether nothing is missing or double."""
        return not self.problems


@dataclass(frozen=True)
class Ledger:
    """All topics at one time."""

    verified_at: datetime
    topics: Sequence[TopicLedger]

    @property
    def passed(self) -> bool:
        """Whether something was checked, where there may be something, and nothing is missing or double."""
        return not self.checked_nothing and all(topic.passed for topic in self.topics)

    @property
    def checked_nothing(self) -> bool:
        """Whether the lake is empty although the broker has events, or may have: that proves nothing."""
        if any(topic.landed for topic in self.topics):
            return False
        return any(topic.produced is None or topic.produced > 0 for topic in self.topics)
