"""Proving the invariant for each topic and partition, from the broker, the Delta log and PostgreSQL.

1. The landed offsets, good and rejected, run from the first to the transaction version without gap or repeat, but for
   gaps the broker itself made (control records, compaction): produced = landed + absent + unlanded.
2. landed = rejected + loaded + waiting: `raw` holds exactly the good rows below its watermark.
3. loaded = distinct events + duplicates.

PostgreSQL is read first, then the lake, then the broker: each may only be ahead of the one before, so that a running
pipeline never looks broken, and a partition that is added meanwhile is seen by the first that has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from ingestion.ledger.broker import Bounds, Broker
from ingestion.ledger.counts import Ledger, PartitionLedger, TopicLedger
from ingestion.ledger.landed import LandedPartition, landed_log, read_landed
from ingestion.ledger.loaded import LoadedPartition, LoadedTopic, read_loaded
from ingestion.ledger.offsets import Gap
from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings

SHOWN = 5  # problems of one kind and partition that are named


def verify(settings: Settings) -> Ledger:
    """Draw up the ledger; it does not raise for what it finds.

    Raises:
        RetryableError: PostgreSQL or the lake cannot be read. (Without the broker, gaps cannot be excused.)
    """
    lake_uri = settings.require("lake_uri")
    loaded = read_loaded(settings.require("dsn_loader"), TOPICS)
    with Broker(settings.require("kafka_bootstrap")) as broker:
        topics = [_verify_topic(topic, lake_uri, loaded[topic], broker) for topic in TOPICS]
    return Ledger(datetime.now(UTC), topics)


@dataclass(frozen=True)
class BrokerTopic:
    """What the broker knows of a topic; `bounds` and `log_id` are None where it could not be asked.

    `landed_id` is the log that the lake holds; `excused` are that log's gaps that earlier runs excused, by partition.
    """

    broker: Broker
    topic: str
    landed_id: str | None
    excused: Mapping[int, Sequence[Gap]]
    bounds: Mapping[int, Bounds] | None = None
    log_id: str | None = None

    def ask(self) -> Self:
        """Ask for the bounds, and which log it is, now."""
        try:
            bounds, log_id = self.broker.bounds(self.topic), self.broker.log_id(self.topic)
        except RetryableError:
            return self  # shown as an unknown `produced`; gaps stay unexcused, but for those that once were
        return replace(self, bounds=bounds, log_id=log_id)

    def is_sure(self, partition: int, gap: Gap) -> bool:
        """Say whether the broker's word about a gap may be kept: it has the lake's log, and all of the gap."""
        bound = self.bound(partition)
        return bound is not None and self.log_id == self.landed_id and bound.low <= gap.start and gap.end <= bound.high

    def bound(self, partition: int) -> Bounds | None:
        """Return a partition's bounds."""
        return (self.bounds or {}).get(partition)

    def unexcused(self, partition: int, gap: Gap) -> str:
        """Return why a gap is a loss, or nothing where the broker itself has, or once had, no record there."""
        was_excused = gap.is_within(self.excused.get(partition, ()))
        if self.bounds is None:
            return "" if was_excused else "the broker could not be asked"
        try:
            return "the broker has them" if self.broker.has_record(self.topic, partition, gap) else ""
        except RetryableError as error:
            return "" if was_excused else str(error)


def _verify_topic(topic: str, lake_uri: str, loaded: LoadedTopic, broker: Broker) -> TopicLedger:
    watermarks = {partition: each.watermark for partition, each in loaded.partitions.items()}
    landed = read_landed(lake_uri, topic, watermarks, broker.partitions(topic))
    landed_id = landed_log(lake_uri, topic)
    excused = {partition: gaps for (log_id, partition), gaps in loaded.excused.items() if log_id == landed_id}
    log = BrokerTopic(broker, topic, landed_id, excused).ask()
    accounts = [
        _verify_partition(
            partition,
            landed.get(partition) or LandedPartition(),
            loaded.partitions.get(partition) or LoadedPartition(),
            log,
        )
        for partition in sorted({*landed, *loaded.partitions, *(log.bounds or ())})
    ]
    return TopicLedger(
        topic,
        loaded.distinct_events,
        accounts,
        is_broker_known=log.bounds is not None,
        is_same_log=None in (landed_id, log.log_id) or landed_id == log.log_id,
        log_id=log.log_id,
    )


def _verify_partition(
    partition: int, there: LandedPartition, in_raw: LoadedPartition, log: BrokerTopic
) -> PartitionLedger:
    account = PartitionLedger(
        partition, landed=there.rows, rejected=there.rejected, loaded=in_raw.rows, waiting=there.good_waiting
    )
    bound = log.bound(partition)
    first, end = _first(there, bound), there.next_offset or 0
    gaps = there.offsets.gaps(first, end)
    gone = _gone(there, bound)
    account.absent = sum(gap.end - gap.start for gap in (*gaps, gone))
    if bound is not None:
        account.produced = max(bound.high, end) - first
        account.unlanded = max(bound.high - max(gone.end, first), 0)
    account.problems += _landing_problems(there, bound)
    reasons = [(gap, log.unexcused(partition, gap)) for gap in gaps]
    account.excused = [gap for gap, reason in reasons if not reason and log.is_sure(partition, gap)]
    account.problems += [f"offsets {gap} are missing: {reason}" for gap, reason in reasons if reason]
    account.problems += _loading_problems(there, in_raw)
    if account.landed != account.rejected + account.loaded + account.waiting:
        account.problems.append(
            f"{account.landed} landed, but {account.rejected} rejected, {account.loaded} loaded, "
            f"{account.waiting} waiting"
        )
    return account


def _first(there: LandedPartition, bound: Bounds | None) -> int:
    """Return where landing began: at the broker's first offset, which since then can only have risen."""
    if there.offsets.first is None:
        return 0  # nothing of it landed, and all that was ever produced is still to land
    return min(there.offsets.first, bound.low) if bound is not None else there.offsets.first


def _gone(there: LandedPartition, bound: Bounds | None) -> Gap:
    """Return the offsets at which landing would go on, but that the broker has deleted; an empty gap where none are."""
    start = there.next_offset or 0
    return Gap(start, max(bound.low, start) if bound is not None and there.next_offset is not None else start)


def _landing_problems(there: LandedPartition, bound: Bounds | None) -> list[str]:
    if there.next_offset is None:
        return [f"{there.rows} rows, but no transaction"] if there.rows else []
    problems = [f"offset {each.offset} is there {each.times} times" for each in there.offsets.repeats()[:SHOWN]]
    beyond = there.offsets.distinct_from(there.next_offset)
    if beyond:
        problems.append(f"{beyond} rows at or beyond the transaction version {there.next_offset}")
    gone = _gone(there, bound)
    if gone.end > gone.start:
        problems.append(f"offsets {gone} never landed, and the broker no longer has them")
    if bound and there.next_offset > bound.high:
        problems.append(f"the lake is at {there.next_offset}, the broker ends at {bound.high}: was its log truncated?")
    return problems


def _loading_problems(there: LandedPartition, in_raw: LoadedPartition) -> list[str]:
    problems = []
    if there.good_loaded != in_raw.rows:
        problems.append(
            f"{there.good_loaded} good rows below the watermark {in_raw.watermark}, but {in_raw.rows} in raw"
        )
    elif there.good_loaded_sum != in_raw.offset_sum:
        problems.append("raw holds other offsets than the lake")
    if in_raw.last_offset >= in_raw.watermark:
        problems.append(f"raw holds offset {in_raw.last_offset}, at or beyond its watermark {in_raw.watermark}")
    return problems
