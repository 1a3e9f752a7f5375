"""`okr consume land`: the loop that moves events from Kafka to the lake, exactly once."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ingestion.batch import Batch, Limits
from ingestion.consumer_groups import LANDING_GROUP, landing_group
from ingestion.decoding import decode_batch
from ingestion.kafka_consumer import KafkaConsumer
from ingestion.landing.announce import Announcer
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.personal_field_encryption import FieldEncryption
from lakehouse.contracts import TOPICS
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.readiness import report_alive, report_ready
from lakehouse.settings import Settings

log = get_logger(__name__)

ANNOUNCED_TOPIC = "okr_user_events"
DRAIN_IDLE_SECONDS = 0.1  # short, because at the end of the log there is nothing to wait for


def land(settings: Settings, stop: threading.Event, *, limits: Limits | None = None, drain: bool = False) -> int:
    """Land the four topics until `stop` is set or, with `drain`, until the end of the log.

    Return the number of landed rows. While one batch is being landed, the next one is read, so that at most two batches
    are in memory.

    Raises:
        RetryableError: Kafka, the lake or, with field encryption, PostgreSQL failed; a restart continues at the offsets
            in the lake.
        PermanentError: an offset is out of the broker's range, the lake's events come from another log, or the key file
            is wrong.
    """
    limits = limits or (Limits(idle_seconds=DRAIN_IDLE_SECONDS) if drain else Limits())
    settings.require_all("kafka_bootstrap", *(["airflow_landing_password"] if settings.airflow_url else []))
    lake_uri = settings.require("lake_uri")
    keys = open_data_keys(settings, "dsn_landing", writes=True)
    if keys is not None:
        keys.check()
    reader = KafkaConsumer(KafkaConnection.of(settings), landing_group(settings), TOPICS)
    tables = {topic: LandingTable(lake_uri, topic, reader.log_ids[topic], LANDING_GROUP) for topic in TOPICS}
    announcer = Announcer.from_settings(settings)
    # Creating the first pyarrow array imports pandas, which takes seconds. Do this before partitions are assigned.
    decode_batch(ANNOUNCED_TOPIC, [])
    lander = Lander(reader, tables, announcer, None if keys is None else FieldEncryption(keys))
    try:
        reader.start(lambda assigned: _stored_offsets(tables, assigned), settle=lander.settle)
        report_ready()
        while not stop.is_set():
            report_alive()
            batch = reader.poll(limits)
            lander.settle()
            if lander.take_fenced():
                reader.rewind()  # the partition's current owner reads the discarded messages again
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
    """Lands one batch at a time in a separate thread. From `submit` to `settle`, only that thread uses the tables."""

    def __init__(
        self,
        reader: KafkaConsumer,
        tables: Mapping[str, LandingTable],
        announcer: Announcer,
        encryption: FieldEncryption | None = None,
    ) -> None:
        self.rows = 0
        self._reader, self._tables, self._announcer, self._encryption = reader, tables, announcer, encryption
        self._thread = ThreadPoolExecutor(1, "landing")
        self._in_flight: tuple[Batch, Future[None]] | None = None
        self._was_fenced = False

    def submit(self, batch: Batch) -> None:
        """Start landing a batch; the previous one must have been settled."""
        self._in_flight = batch, self._thread.submit(self._land, batch)

    def settle(self) -> None:
        """Wait until the batch in flight has landed, then commit its offsets to Kafka. Discard it if it was fenced.

        Raises:
            RetryableError: the lake could not be written, or the keys could not be read or created.
        """
        if self._in_flight is None:
            return
        (batch, landed), self._in_flight = self._in_flight, None
        try:
            landed.result()
        except FencedError as fenced:
            log.warning("fenced; the batch is discarded", reason=str(fenced))
            self._was_fenced = True
            return
        for topic in batch.parsed:
            self._reader.report_stored(topic, batch.spans(topic))

    def take_fenced(self) -> bool:
        """Return whether a batch was fenced since the last call."""
        was_fenced, self._was_fenced = self._was_fenced, False
        return was_fenced

    def close(self) -> None:
        """Wait for the batch in flight, whether it lands or fails."""
        self._thread.shutdown()

    def _land(self, batch: Batch) -> None:
        for topic, parsed in batch.parsed.items():
            rows = decode_batch(topic, parsed)
            if self._encryption is not None:
                rows = self._encryption.rows(topic, rows)
            self._tables[topic].append(rows, batch.spans(topic))
            self.rows += rows.num_rows
            log.info("landed", topic=topic, rows=rows.num_rows)
            if topic == ANNOUNCED_TOPIC:
                self._announcer.landed()


def _stored_offsets(
    tables: Mapping[str, LandingTable], assigned: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int | None]:
    """Return the lake's next offset of each assigned partition."""
    for topic in {topic for topic, _ in assigned}:
        tables[topic].refresh()
    return {(topic, partition): tables[topic].next_offset(partition) for topic, partition in assigned}
