"""`okr lake accept-loss`: let landing continue after the broker deleted events that had not landed.

Landing never resets an offset automatically, and the ledger reports the offsets of these events as a gap. When an
operator accepts the loss, the offsets are first recorded in `ops.excused_gap` as lost. Then an empty commit, made with
landing's protocol, moves the lake to the broker's first offset. From then on, the ledger counts the lost offsets as
absent. After a crash between the two steps, the record exists but the gap remains. The command can then be repeated.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion.batch import Span
from ingestion.consumer_groups import LANDING_GROUP
from ingestion.decoding import decode_batch
from ingestion.landing.commit import LandingTable
from ingestion.ledger.broker import Broker
from ingestion.ledger.offsets import Gap
from lakehouse.contracts import TOPICS
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import table_uri
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = get_logger(__name__)


@dataclass(frozen=True)
class Loss:
    """Offsets of a partition that never landed and that the broker no longer has."""

    topic: str
    log_id: str
    partition: int
    gap: Gap

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}: {self.gap.end - self.gap.start:,} offsets ({self.gap})"


def find_losses(settings: Settings) -> "list[Loss]":
    """Return the lost offsets, by topic and partition.

    Raises:
        RetryableError: the broker does not answer, or the lake cannot be read.
        PermanentError: the lake's events come from another log.
    """
    lake_uri = settings.require("lake_uri")
    with Broker(KafkaConnection.of(settings)) as broker:
        return [loss for topic in TOPICS for loss in _losses_of_topic(lake_uri, topic, broker)]


def accept(settings: Settings, losses: "Sequence[Loss]") -> None:
    """Record losses and move the lake beyond them.

    Raises:
        RetryableError: PostgreSQL or the lake cannot be written, or a worker landed events in the meantime. The call
            can be repeated.
    """
    with connect(settings.require("dsn_loader"), application="okr-accept-loss") as connection:
        for loss in losses:
            key_columns = {"log_id": loss.log_id, "topic": loss.topic, "partition": loss.partition}
            gap_columns = {"start": loss.gap.start, "end": loss.gap.end}
            connection.execute(read_sql("ingestion.maintenance", "record_loss"), key_columns | gap_columns)
    for topic, log_id in dict.fromkeys((loss.topic, loss.log_id) for loss in losses):
        table = LandingTable(settings.require("lake_uri"), topic, log_id, LANDING_GROUP)
        spans = {loss.partition: Span(loss.gap.start, loss.gap.end) for loss in losses if loss.topic == topic}
        table.append(decode_batch(topic, []), spans)
        log.warning("a loss was accepted", topic=topic, partitions=sorted(spans))


def _losses_of_topic(lake_uri: str, topic: str, broker: Broker) -> "Iterator[Loss]":
    from deltalake import DeltaTable

    if not DeltaTable.is_deltatable(table_uri(lake_uri, topic)):
        return  # nothing has landed, so landing starts at the broker's first offset
    log_id = broker.log_id(topic)
    table = LandingTable(lake_uri, topic, log_id, LANDING_GROUP)
    for partition, bound in broker.bounds(topic).items():
        next_offset = table.next_offset(partition)
        if next_offset is not None and next_offset < bound.low:
            yield Loss(topic, log_id, partition, Gap(next_offset, bound.low))
