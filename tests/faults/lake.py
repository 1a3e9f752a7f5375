"""Send and land events in small batches, and inspect the lake."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from ingestion.batch import Limits
from ingestion.consumer_groups import LANDING_GROUP
from ingestion.contract_validation import EncodedEvent
from ingestion.delta.log import DeltaLog
from ingestion.landing.consumer import land
from ingestion.producer import EventProducer
from lakehouse.contracts import TOPICS
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import application_id, table_uri
from lakehouse.settings import Settings

TOPIC = "okr_user_events"
Events = Callable[[int], EncodedEvent]  # check-ins by number
DAY_SECONDS = 86_400


def landed_rows(settings: Settings, topic: str = TOPIC) -> int:
    """Count the rows of a landing table by its Delta log; 0 if there is no table yet."""
    uri = table_uri(settings.require("lake_uri"), topic)
    if not DeltaTable.is_deltatable(uri):
        return 0
    actions = pa.table(DeltaTable(uri).get_add_actions(flatten=True))
    return sum(actions["num_records"].to_pylist()) if actions.num_rows else 0


def all_landed_rows(settings: Settings) -> int:
    """Count the rows of all landing tables."""
    return sum(landed_rows(settings, topic) for topic in TOPICS)


def rows_by_partition(settings: Settings, topic: str = TOPIC) -> Mapping[int, list[int]]:
    """Return the landed offsets of each partition, sorted."""
    rows = DeltaTable(table_uri(settings.require("lake_uri"), topic)).to_pyarrow_dataset()
    found: dict[int, list[int]] = {}
    for row in rows.to_table(columns=["kafka_partition", "kafka_offset"]).to_pylist():
        found.setdefault(row["kafka_partition"], []).append(row["kafka_offset"])
    return {partition: sorted(offsets) for partition, offsets in found.items()}


def send(producer: EventProducer, check_in: Events, numbers: range) -> None:
    """Send check-ins and wait until the broker has them."""
    for number in numbers:
        producer.send(check_in(number))
    producer.flush()


def send_to(settings: Settings, check_in: Events, numbers: range) -> None:
    """Send check-ins to the test's own broker with a separate producer."""
    with EventProducer(KafkaConnection.of(settings)) as producer:
        send(producer, check_in, numbers)


def drain(settings: Settings, rows: int = 100) -> int:
    """Land all waiting events, in batches of at most `rows`; return the number of rows landed."""
    return land(settings, threading.Event(), limits=Limits(rows=rows, seconds=0.3), drain=True)


def uri(settings: Settings) -> str:
    """Return the URI of TOPIC's landing table."""
    return table_uri(settings.lake_uri, TOPIC)


def data_files(settings: Settings) -> set[Path]:
    """Return the table's data files, including those that no commit references."""
    return set(Path(uri(settings)).glob("event_date=*/*.parquet"))


def age(paths: set[Path], days: float) -> None:
    """Set the modification time of files to some days ago."""
    past = time.time() - days * DAY_SECONDS
    for path in paths:
        os.utime(path, (past, past))


def log_of(settings: Settings) -> DeltaLog:
    """Return the Delta log of TOPIC's landing table."""
    return DeltaLog(uri(settings))


def committed(settings: Settings) -> dict[int, int | None]:
    """Return the next offset by partition, from the Delta log."""
    table = DeltaTable(uri(settings))
    cluster = table.metadata().description
    return {each: table.transaction_version(application_id(cluster, LANDING_GROUP, TOPIC, each)) for each in range(8)}
