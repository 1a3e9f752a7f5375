"""Proving the invariant for each topic and partition, from the broker, the Delta log and PostgreSQL.

1. The landed offsets, good and rejected, run from the first to the transaction version without gap or repeat, but for
   gaps the broker itself made (control records, compaction).
2. landed = rejected + loaded + waiting: `raw` holds exactly the good rows below its watermark.
3. loaded = distinct events + duplicates.

PostgreSQL is read first, then the lake, then the broker: each may only be ahead of the one before, so that a running
pipeline never looks broken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from ingestion.ledger.broker import Bounds, Broker
from ingestion.ledger.landed import LandedPartition, read_landed
from ingestion.ledger.loaded import LoadedPartition, LoadedTopic, read_loaded
from ingestion.ledger.offsets import Gap, find_gaps, find_repeats
from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    import numpy as np

SHOWN = 5  # problems of one kind and partition that are named


@dataclass
class TopicLedger:
    """One topic's account, in events. `produced` is None where the broker could not be asked."""

    topic: str
    produced: int | None = None
    partitions: int = 0
    landed: int = 0
    rejected: int = 0
    loaded: int = 0
    waiting: int = 0
    distinct_events: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        """Events that a source sent again; staging removes them."""
        return self.loaded - self.distinct_events

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


def verify(settings: Settings) -> Ledger:
    """Draw up the ledger; it does not raise for what it finds.

    Raises:
        RetryableError: PostgreSQL or the lake cannot be read. (Without the broker, gaps cannot be excused.)
    """
    loaded = read_loaded(settings.require("dsn_loader"), TOPICS)
    landed = {topic: read_landed(settings.require("lake_uri"), topic) for topic in TOPICS}
    with Broker(settings.require("kafka_bootstrap")) as broker:
        topics = [_verify_topic(topic, landed[topic], loaded[topic], broker) for topic in TOPICS]
    return Ledger(datetime.now(UTC), topics)


def record(settings: Settings, ledger: Ledger) -> None:
    """Keep a ledger in ops.ledger, one row per topic."""
    with connect(settings.require("dsn_loader"), application="okr-ledger") as connection:
        for topic in ledger.topics:
            values = {name: getattr(topic, name) for name in _COLUMNS}
            connection.execute(
                read_sql("ingestion.ledger", "record"),
                values | {"verified_at": ledger.verified_at, "problems": Jsonb(topic.problems)},
            )


_COLUMNS = ("topic", "produced", "landed", "rejected", "loaded", "waiting", "distinct_events", "duplicates", "passed")


def _verify_topic(
    topic: str, landed: Mapping[int, LandedPartition], loaded: LoadedTopic, broker: Broker
) -> TopicLedger:
    ledger = TopicLedger(topic, distinct_events=loaded.distinct_events)
    bounds = _ask(broker, topic)
    if bounds is not None:
        ledger.produced = sum(each.high for each in bounds.values())
    for partition in sorted({*landed, *loaded.partitions}):
        there = landed.get(partition) or LandedPartition.empty()
        offsets = _sorted(there.offsets)
        where = f"partition {partition}"
        ledger.problems += [f"{where}: {each}" for each in _landing_problems(topic, partition, there, bounds, broker)]
        in_raw = loaded.partitions.get(partition, LoadedPartition())
        good = _sorted(there.offsets[~there.is_rejected])
        ledger.problems += [f"{where}: {each}" for each in _loading_problems(good, in_raw)]
        ledger.partitions += 1
        ledger.landed += len(offsets)
        ledger.rejected += int(there.is_rejected.sum())
        ledger.loaded += in_raw.rows
        ledger.waiting += int((good >= in_raw.watermark).sum())
    if ledger.landed != ledger.rejected + ledger.loaded + ledger.waiting:
        ledger.problems.append(
            f"{ledger.landed} landed, but {ledger.rejected} rejected, {ledger.loaded} loaded, {ledger.waiting} waiting"
        )
    return ledger


def _ask(broker: Broker, topic: str) -> dict[int, Bounds] | None:
    try:
        return broker.bounds(topic)
    except RetryableError:
        return None  # shown as an unknown `produced`; gaps then stay unexcused


def _landing_problems(
    topic: str, partition: int, there: LandedPartition, bounds: Mapping[int, Bounds] | None, broker: Broker
) -> list[str]:
    offsets = _sorted(there.offsets)
    if there.next_offset is None:
        return [f"{len(offsets)} rows, but no transaction"] if len(offsets) else []
    problems = [f"offset {each.offset} is there {each.times} times" for each in find_repeats(offsets)[:SHOWN]]
    beyond = offsets[offsets >= there.next_offset]
    if len(beyond):
        problems.append(f"{len(beyond)} rows at or beyond the transaction version {there.next_offset}")
    bound = (bounds or {}).get(partition)
    if bound and there.next_offset > bound.high:
        problems.append(f"the lake is at {there.next_offset}, the broker ends at {bound.high}: was its log truncated?")
    # Landing began at the broker's first offset, which since then can only have risen.
    known = [int(offsets[0])] if len(offsets) else []
    first = min([*known, bound.low] if bound else known, default=0)
    for gap in find_gaps(offsets, first, there.next_offset):
        reason = _unexcused(topic, partition, gap, broker) if bounds is not None else "the broker could not be asked"
        if reason:
            problems.append(f"offsets {gap} are missing: {reason}")
    return problems


def _unexcused(topic: str, partition: int, gap: Gap, broker: Broker) -> str:
    """Return why a gap is a loss, or nothing where the broker itself has no record there."""
    try:
        return "the broker has them" if broker.has_record(topic, partition, gap) else ""
    except RetryableError as error:
        return str(error)


def _loading_problems(good: "np.ndarray", in_raw: LoadedPartition) -> list[str]:
    below = good[good < in_raw.watermark]
    problems = []
    if len(below) != in_raw.rows:
        problems.append(f"{len(below)} good rows below the watermark {in_raw.watermark}, but {in_raw.rows} in raw")
    elif int(below.sum()) != in_raw.offset_sum:
        problems.append("raw holds other offsets than the lake")
    if in_raw.last_offset >= in_raw.watermark:
        problems.append(f"raw holds offset {in_raw.last_offset}, at or beyond its watermark {in_raw.watermark}")
    return problems


def _sorted(offsets: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return np.sort(offsets)
