"""The result of `verify`: counts of produced, landed and loaded events, by partition, by topic and in total."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingestion.ledger.offsets import Gap
from lakehouse.errors import InvariantBroken, RetryableError


@dataclass
class PartitionLedger:
    """Event counts of one partition. Counts that need the broker are None if it could not be queried.

    If no offset is in the lake twice, produced = pruned + landed + absent + unlanded. If loading is correct, landed =
    rejected + loaded + waiting. `pruned` counts the rows that were deleted after their retention; all other counts of
    rows exclude them. `excused` contains the gaps for which the broker confirmed in this run that it has no record.
    """

    partition: int
    produced: int | None = None
    pruned: int = 0
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
    """Event counts of one topic."""

    topic: str
    distinct_events: int = 0
    by_partition: Sequence[PartitionLedger] = ()
    is_broker_known: bool = True
    is_same_log: bool = True
    log_id: str | None = None

    @property
    def produced(self) -> int | None:
        """Offsets that the broker has assigned since landing started, or None if it could not be queried."""
        return sum(each.produced or 0 for each in self.by_partition) if self.is_broker_known else None

    @property
    def unlanded(self) -> int | None:
        """Offsets that have not landed yet, or None if the broker could not be queried."""
        return sum(each.unlanded or 0 for each in self.by_partition) if self.is_broker_known else None

    @property
    def absent(self) -> int:
        """Offsets that will never have a row in the lake: the broker has no record there, or an event is missing."""
        return sum(each.absent for each in self.by_partition)

    @property
    def pruned(self) -> int:
        """Rows that were landed and loaded, and deleted after their retention."""
        return sum(each.pruned for each in self.by_partition)

    @property
    def partitions(self) -> int:
        """Number of partitions with landed or loaded rows."""
        return len([each for each in self.by_partition if each.landed or each.loaded])

    @property
    def landed(self) -> int:
        """Rows in the lake."""
        return sum(each.landed for each in self.by_partition)

    @property
    def rejected(self) -> int:
        """Rows in the lake that violate their contract."""
        return sum(each.rejected for each in self.by_partition)

    @property
    def loaded(self) -> int:
        """Rows in raw."""
        return sum(each.loaded for each in self.by_partition)

    @property
    def waiting(self) -> int:
        """Valid rows in the lake at or beyond the load's watermark."""
        return sum(each.waiting for each in self.by_partition)

    @property
    def duplicates(self) -> int:
        """Further copies of events that a source sent more than once. Staging removes these copies."""
        return self.loaded - self.distinct_events

    @property
    def problems(self) -> list[str]:
        """Everything that is missing, duplicated or does not add up."""
        found = [f"partition {each.partition}: {problem}" for each in self.by_partition for problem in each.problems]
        if self.is_same_log:
            return found
        return [
            "the lake has events of a different log: the broker's topic was re-created, so the same offsets now belong "
            "to different events",
            *found,
        ]

    @property
    def passed(self) -> bool:
        """Whether nothing is missing or duplicated."""
        return not self.problems


@dataclass(frozen=True)
class Ledger:
    """The counts of all topics at one point in time."""

    verified_at: datetime
    topics: Sequence[TopicLedger]

    @property
    def passed(self) -> bool:
        """Whether nothing is missing or duplicated. If there are events, at least one must have been checked."""
        return not self.checked_nothing and all(topic.passed for topic in self.topics)

    @property
    def checked_nothing(self) -> bool:
        """Whether the ledger proves nothing, because the lake is empty although the broker has, or may have, events."""
        if any(topic.landed for topic in self.topics):
            return False
        return any(topic.produced is None or topic.produced > 0 for topic in self.topics)

    def require_proved(self) -> None:
        """Return if the ledger proves that all events have landed exactly once.

        Raises:
            InvariantBroken: an event is missing or duplicated, or nothing was checked.
            RetryableError: the landed events are correct, but the broker did not answer.
        """
        if self.checked_nothing:
            raise InvariantBroken(
                "The ledger proves nothing: the lake is empty, but the broker is not, or did not answer. Is "
                "OKR_LAKE_URI right?"
            )
        if not self.passed:
            raise InvariantBroken(
                "The ledger does not balance: see above. Stop writing to the lake, and read "
                "docs/runbooks/lake-verify.md before you change anything."
            )
        if not all(topic.is_broker_known for topic in self.topics):
            raise RetryableError(
                "The landed events are correct, but it is unknown whether all events have landed: the broker did not "
                "answer. Start it, then verify again."
            )
