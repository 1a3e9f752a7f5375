"""Metrics that are old, in the lake and in raw, and newer ones."""

import threading
import time
from datetime import UTC, datetime

import polars as pl

from ingestion.contract_validation import encode
from ingestion.landing.consumer import land
from ingestion.ledger import TopicLedger, verify
from ingestion.loading import load
from ingestion.maintenance.pruning import prune
from ingestion.producer import EventProducer
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import open_table, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

TOPIC = "okr_system_metrics"
OLD, NEW = 60, 20  # valid samples
LOSS = "DELETE FROM raw.okr_system_metrics WHERE kafka_offset = (SELECT min(kafka_offset) FROM raw.okr_system_metrics)"


def send(settings: Settings, numbers: range) -> None:
    """Send a sample per number, of several hosts, so that all partitions have some."""
    with EventProducer(KafkaConnection.of(settings)) as producer:
        for number in numbers:
            sample = HostMetricSampled(host=f"h{number % 7}", metric="cpu_busy", value=number / 1000, unit="ratio")
            producer.send(encode(sample, at=datetime.now(UTC), source="test"))
        producer.flush()


def fill(settings: Settings, old: int, new: int) -> float:
    """Land and load old samples, one of them malformed, then new ones. Return a time between them."""
    send(settings, range(old))
    with EventProducer(KafkaConnection.of(settings)) as producer:
        producer.send_raw(TOPIC, b"h0", b"{malformed")
        producer.flush()
    land(settings, threading.Event(), drain=True)
    load(settings)
    time.sleep(0.05)
    border = time.time()
    time.sleep(0.05)
    send(settings, range(old, old + new))
    land(settings, threading.Event(), drain=True)
    load(settings)
    return border


def prune_before(settings: Settings, border: float) -> int:
    """Prune what was logged before a time."""
    uri = table_uri(settings.lake_uri, TOPIC)
    return prune(settings, TOPIC, open_table(uri), uri, datetime.fromtimestamp(border, UTC))


def ledger_of(settings: Settings) -> TopicLedger:
    """Return the ledger of the topic."""
    return next(each for each in verify(settings).topics if each.topic == TOPIC)


def raw_rows(settings: Settings) -> int:
    """Return the number of rows in raw."""
    with connect(settings.require("dsn_loader")) as connection:
        found = connection.execute("SELECT count(*) FROM raw.okr_system_metrics").fetchone()
    assert found is not None
    return int(str(found[0]))


def lake_rows(settings: Settings) -> int:
    """Return the number of rows in the lake."""
    return int(pl.scan_delta(open_table(table_uri(settings.lake_uri, TOPIC))).collect().height)


def execute(settings: Settings, statement: str) -> None:
    """Run a statement as the owner of the warehouse."""
    with connect(settings.require("dsn_owner")) as connection:
        connection.execute(statement.encode())
