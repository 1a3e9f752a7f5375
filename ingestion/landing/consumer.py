"""`okr consume land`: the loop that takes events from Kafka to the lake, exactly once. Read it from top to bottom."""

import threading
from collections.abc import Mapping, Sequence

from ingestion.batch import Limits
from ingestion.landing.announce import Announcer
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.landing.decode import decode_batch
from ingestion.reader import PartitionReader
from lakehouse.contracts import TOPICS
from lakehouse.logs import get_logger
from lakehouse.settings import Settings

log = get_logger(__name__)

GROUP = "okr-landing"
ANNOUNCED_TOPIC = "okr_user_events"


def land(settings: Settings, stop: threading.Event, *, limits: Limits | None = None, drain: bool = False) -> int:
    """Land the four topics until `stop` is set, or, with `drain`, until nothing is left; return the rows landed.

    Raises:
        RetryableError: Kafka or the lake failed; start again, it goes on where the lake stands.
        PermanentError: an offset is out of the broker's range, or the lake belongs to another cluster.
    """
    limits = limits or Limits()
    reader = PartitionReader(settings.require("kafka_bootstrap"), GROUP, TOPICS)
    lake_uri = settings.require("lake_uri")
    tables = {topic: LandingTable(lake_uri, topic, reader.cluster_id, GROUP) for topic in TOPICS}
    announcer = Announcer.from_settings(settings)
    decode_batch(ANNOUNCED_TOPIC, ())  # pyarrow's first array imports pandas: seconds, better before we own partitions
    rows = 0
    try:
        reader.start(lambda assigned: _stored_offsets(tables, assigned))
        while not stop.is_set():
            batch = reader.poll(limits)
            for topic, messages in batch.messages.items():
                spans = batch.spans(topic)
                try:
                    tables[topic].append(decode_batch(topic, messages), spans)
                except FencedError as fenced:
                    log.warning("fenced, the batch is thrown away", reason=str(fenced))
                    reader.rewind()
                    break
                reader.landed(topic, spans)
                rows += len(messages)
                log.info("landed", topic=topic, rows=len(messages))
                if topic == ANNOUNCED_TOPIC:
                    announcer.landed()
            if drain and batch.rows == 0 and reader.is_at_end():
                break
    finally:
        reader.close()
        announcer.close()
    return rows


def _stored_offsets(
    tables: Mapping[str, LandingTable], assigned: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int | None]:
    """Where the lake stands, for each assigned partition."""
    for topic in {topic for topic, _ in assigned}:
        tables[topic].refresh()
    return {(topic, partition): tables[topic].next_offset(partition) for topic, partition in assigned}
