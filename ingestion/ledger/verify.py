"""Prove that no event was lost or duplicated between the broker and `raw`: compare the broker, the lake and PostgreSQL.

For each topic and partition:
1. Each offset from the first landed one to the transaction version is in the lake exactly once, as a valid or a
   rejected row. Gaps that the broker itself made (control records, compaction) are excused. Therefore
   produced = landed + absent + unlanded.
2. `raw` has exactly the valid rows below its watermark. Therefore landed = rejected + loaded + waiting.
3. loaded = distinct events + duplicates.

The proof covers the offsets after those that were pruned at the end of their retention (`pruned`). For the pruned
offsets, the same was proved before their rows were deleted.

PostgreSQL is read first, then the lake, then the broker. Each of them can only be ahead of the previous one, so the
ledger of a running pipeline balances too, and a partition that is added in the meantime is included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

from ingestion.ledger.broker import Bounds, Broker
from ingestion.ledger.landed import LandedPartition, landed_log, read_landed
from ingestion.ledger.loaded import LoadedPartition, LoadedTopic, read_loaded
from ingestion.ledger.offsets import Gap
from ingestion.ledger.pruned import Pruned, pruned_ends
from ingestion.ledger.result import Ledger, PartitionLedger, TopicLedger
from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings

ATTEMPTS = 3
MAX_SHOWN_PROBLEMS = 5  # per kind and partition


def verify(settings: Settings, topics: Sequence[str] = TOPICS) -> Ledger:
    """Create the ledger. Problems are part of the result and do not raise an error.

    Raises:
        RetryableError: PostgreSQL or the lake cannot be read. An unavailable broker raises no error, but then no new
            gap is excused.
    """
    lake_uri = settings.require("lake_uri")
    read = partial(_read_loaded, settings.require("dsn_loader"), lake_uri)
    loaded = read(topics)
    with Broker(KafkaConnection.of(settings)) as broker:
        found = [_verify_topic(topic, lake_uri, loaded[topic], broker, read) for topic in topics]
    return Ledger(datetime.now(UTC), found)


def _read_loaded(dsn: str, lake_uri: str, topics: Sequence[str]) -> dict[str, LoadedTopic]:
    return read_loaded(dsn, topics, partial(landed_log, lake_uri), partial(pruned_ends, lake_uri))


@dataclass(frozen=True)
class BrokerTopic:
    """The broker's data about a topic; `bounds` and `log_id` are None if it did not answer.

    `lake_log_id` identifies the log of the lake's table. `excused` contains the gaps in that log that earlier runs
    excused, by partition.
    """

    broker: Broker
    topic: str
    lake_log_id: str | None
    excused: Mapping[int, Sequence[Gap]]
    bounds: Mapping[int, Bounds] | None = None
    log_id: str | None = None

    def query(self) -> Self:
        """Query the broker for the bounds and the log id."""
        try:
            bounds, log_id = self.broker.bounds(self.topic), self.broker.log_id(self.topic)
        except RetryableError:
            return self  # `produced` is shown as unknown, and only gaps that earlier runs excused remain excused
        return replace(self, bounds=bounds, log_id=log_id)

    def is_final(self, partition: int, gap: Gap) -> bool:
        """Return whether the broker's answer about a gap is final.

        The answer is final if the broker has the same log as the lake and still retains the whole range of the gap.
        """
        bound = self.bound(partition)
        return (
            bound is not None and self.log_id == self.lake_log_id and bound.low <= gap.start and gap.end <= bound.high
        )

    def bound(self, partition: int) -> Bounds | None:
        """Return a partition's bounds."""
        return (self.bounds or {}).get(partition)

    def loss_reason(self, partition: int, gap: Gap) -> str:
        """Return why a gap is a loss, or "" if the broker confirmed, now or earlier, that it has no record there."""
        was_excused = gap.is_within(self.excused.get(partition, ()))
        if self.bounds is None:
            return "" if was_excused else "the broker did not answer"
        try:
            return "the broker has them" if self.broker.has_record(self.topic, partition, gap) else ""
        except RetryableError as error:
            return "" if was_excused else str(error)


def _verify_topic(
    topic: str, lake_uri: str, loaded: LoadedTopic, broker: Broker, read: Callable[[Sequence[str]], Mapping[str, Any]]
) -> TopicLedger:
    for _ in range(ATTEMPTS):
        watermarks = {partition: each.watermark for partition, each in loaded.partitions.items()}
        ends = {partition: each.end for partition, each in loaded.pruned.items()}
        landed = read_landed(lake_uri, topic, watermarks, broker.partitions(topic), pruned=ends)
        if pruned_ends(lake_uri, topic, sorted(watermarks)) == loaded.pruned_in_lake:
            break
        loaded = read([topic])[topic]  # maintenance has pruned between the reads of PostgreSQL and the lake
    else:
        raise RetryableError(f"{topic} was pruned during every attempt to verify it. Try again.")
    lake_log_id = landed_log(lake_uri, topic)
    excused = {partition: gaps for (log_id, partition), gaps in loaded.excused.items() if log_id == lake_log_id}
    broker_topic = BrokerTopic(broker, topic, lake_log_id, excused).query()
    partitions = [
        _verify_partition(
            partition,
            landed.get(partition) or LandedPartition(),
            loaded.partitions.get(partition) or LoadedPartition(),
            loaded.pruned.get(partition) or Pruned(),
            broker_topic,
        )
        for partition in sorted({*landed, *loaded.partitions, *(broker_topic.bounds or ())})
    ]
    return TopicLedger(
        topic,
        loaded.distinct_events,
        partitions,
        is_broker_known=broker_topic.bounds is not None,
        is_same_log=None in (lake_log_id, broker_topic.log_id) or lake_log_id == broker_topic.log_id,
        log_id=broker_topic.log_id,
    )


def _verify_partition(
    partition: int, landed: LandedPartition, loaded: LoadedPartition, pruned: Pruned, broker_topic: BrokerTopic
) -> PartitionLedger:
    counts = PartitionLedger(
        partition, pruned=pruned.rows, landed=landed.rows, rejected=landed.rejected, loaded=loaded.rows,
        waiting=landed.valid_waiting,
    )  # fmt: skip
    bound = broker_topic.bound(partition)
    first, end = pruned.end or _first_offset(landed, bound), landed.next_offset or 0
    gaps = landed.offsets.gaps(first, end)
    deleted = _deleted_before_landing(landed, bound)
    counts.absent = sum(gap.end - gap.start for gap in (*gaps, deleted)) + pruned.offsets - pruned.rows
    if bound is not None:
        counts.produced = max(bound.high, end) - first + pruned.offsets
        counts.unlanded = max(bound.high - max(deleted.end, first), 0)
    counts.problems += _landing_problems(landed, bound)
    reasons = [(gap, broker_topic.loss_reason(partition, gap)) for gap in gaps]
    counts.excused = [gap for gap, reason in reasons if not reason and broker_topic.is_final(partition, gap)]
    counts.problems += [f"offsets {gap} are missing: {reason}" for gap, reason in reasons if reason]
    counts.problems += _loading_problems(landed, loaded)
    if counts.landed != counts.rejected + counts.loaded + counts.waiting:
        counts.problems.append(
            f"{counts.landed} landed, but {counts.rejected} rejected, {counts.loaded} loaded, {counts.waiting} waiting"
        )
    return counts


def _first_offset(landed: LandedPartition, bound: Bounds | None) -> int:
    """Return the offset at which landing started.

    This was the broker's first offset at that time, which can only have increased since then.
    """
    if landed.offsets.first is None:
        return 0  # nothing has landed, so everything that was ever produced is unlanded
    return min(landed.offsets.first, bound.low) if bound is not None else landed.offsets.first


def _deleted_before_landing(landed: LandedPartition, bound: Bounds | None) -> Gap:
    """Return the offsets that the broker deleted before they could land, or an empty gap."""
    start = landed.next_offset or 0
    return Gap(start, max(bound.low, start) if bound is not None and landed.next_offset is not None else start)


def _landing_problems(landed: LandedPartition, bound: Bounds | None) -> list[str]:
    if landed.next_offset is None:
        return [f"{landed.rows} rows, but no transaction"] if landed.rows else []
    problems = [
        f"offset {each.offset} occurs {each.times} times" for each in landed.offsets.repeats()[:MAX_SHOWN_PROBLEMS]
    ]
    beyond = landed.offsets.distinct_from(landed.next_offset)
    if beyond:
        problems.append(f"{beyond} rows at or beyond the transaction version {landed.next_offset}")
    deleted = _deleted_before_landing(landed, bound)
    if deleted.end > deleted.start:
        problems.append(f"offsets {deleted} never landed, and the broker no longer has them")
    if bound and landed.next_offset > bound.high:
        problems.append(
            f"the lake is at offset {landed.next_offset}, but the log ends at {bound.high}: was it truncated?"
        )
    return problems


def _loading_problems(landed: LandedPartition, loaded: LoadedPartition) -> list[str]:
    problems = []
    if landed.valid_loaded != loaded.rows:
        problems.append(
            f"{landed.valid_loaded} valid rows below the watermark {loaded.watermark}, but {loaded.rows} in raw"
        )
    elif landed.valid_loaded_sum != loaded.offset_sum:
        problems.append("raw has different offsets from the lake")
    if loaded.last_offset >= loaded.watermark:
        problems.append(f"raw has offset {loaded.last_offset}, at or beyond its watermark {loaded.watermark}")
    return problems
