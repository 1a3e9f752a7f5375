"""`okr consume land`: the loop that takes events from Kafka to the lake, exactly once. Read it from top to bottom."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ingestion.batch import Batch, Limits
from ingestion.consumer_groups import LANDING_GROUP, landing_group
from ingestion.decoding import decode_batch
from ingestion.kafka_consumer import KafkaConsumer
from ingestion.landing.announce import Announcer
from ingestion.landing.commit import FencedError, LandingTable
from lakehouse.contracts import TOPICS
from lakehouse.logs import get_logger
from lakehouse.readiness import report_ready
from lakehouse.settings import Settings

log = get_logger(__name__)

ANNOUNCED_TOPIC = "okr_user_events"
DRAIN_IDLE_SECONDS = 0.1  # where nothing is left there is nothing to wait for


def land(settings: Settings, stop: threading.Event, *, limits: Limits | None = None, drain: bool = False) -> int:
    """Land the four topics until `stop` is set, or, with `drain`, until nothing is left; return the rows landed.

    While a batch is landed, the next one is read; never more than these two are in memory.

    Raises:
        RetryableError: Kafka or the lake failed; start again, it goes on where the lake stands.
        PermanentError: an offset is out of the broker's range, or the lake holds another log's events.
    """
    limits = limits or (Limits(idle_seconds=DRAIN_IDLE_SECONDS) if drain else Limits())
    lake_uri = settings.require("lake_uri")
    reader = KafkaConsumer(settings.require("kafka_bootstrap"), landing_group(settings), TOPICS)
    tables = {topic: LandingTable(lake_uri, topic, reader.log_ids[topic], LANDING_GROUP) for topic in TOPICS}
    announcer = Announcer.from_settings(settings)
    decode_batch(ANNOUNCED_TOPIC, [])  # pyarrow's first array imports pandas: seconds, better before we own partitions
    lander = Lander(reader, tables, announcer)
    try:
        reader.start(lambda assigned: _stored_offsets(tables, assigned), settle=lander.settle)
        report_ready()
        while not stop.is_set():
            batch = reader.poll(limits)
            lander.settle()
            if lander.take_fenced():
                reader.rewind()  # what was read meanwhile is read again, by whoever has the partition now
            elif batch.rows:
                lander.submit(batch)
            elif drain and reader.is_at_end():
                break
        lander.settle()
    finally:
        lander.close()
        reader.close()
        announcer.close()
    return lander.rows


class Lander:
    """Lands one batch at a time, in a thread of its own. `settle` waits for it; no other method touches the tables."""

    def __init__(self, reader: KafkaConsumer, tables: Mapping[str, LandingTable], announcer: Announcer) -> None:
        self.rows = 0
        self._reader, self._tables, self._announcer = reader, tables, announcer
        self._thread = ThreadPoolExecutor(1, "landing")
        self._in_hand: tuple[Batch, Future[None]] | None = None
        self._was_fenced = False

    def submit(self, batch: Batch) -> None:
        """Land a batch; the one before it must be settled."""
        self._in_hand = batch, self._thread.submit(self._land, batch)

    def settle(self) -> None:
        """Wait until the batch in hand is landed and tell Kafka; one that was fenced off is thrown away.

        Raises:
            RetryableError: the lake could not be written.
        """
        if self._in_hand is None:
            return
        (batch, landed), self._in_hand = self._in_hand, None
        try:
            landed.result()
        except FencedError as fenced:
            log.warning("fenced, the batch is thrown away", reason=str(fenced))
            self._was_fenced = True
            return
        for topic in batch.prevalidated:
            self._reader.report_stored(topic, batch.spans(topic))

    def take_fenced(self) -> bool:
        """Say whether a batch was fenced off since this was last asked."""
        was_fenced, self._was_fenced = self._was_fenced, False
        return was_fenced

    def close(self) -> None:
        """Wait for the batch in hand, whatever comes of it."""
        self._thread.shutdown()

    def _land(self, batch: Batch) -> None:
        for topic, prevalidated in batch.prevalidated.items():
            rows = decode_batch(topic, prevalidated)
            self._tables[topic].append(rows, batch.spans(topic))
            self.rows += rows.num_rows
            log.info("landed", topic=topic, rows=rows.num_rows)
            if topic == ANNOUNCED_TOPIC:
                self._announcer.landed()


def _stored_offsets(
    tables: Mapping[str, LandingTable], assigned: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int | None]:
    """Where the lake stands, for each assigned partition."""
    for topic in {topic for topic, _ in assigned}:
        tables[topic].refresh()
    return {(topic, partition): tables[topic].next_offset(partition) for topic, partition in assigned}
