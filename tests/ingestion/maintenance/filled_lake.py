"""A lake table of small files, and what maintenance must leave as it is."""

import os
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from ingestion.batch import Span
from ingestion.landing.commit import LandingTable
from ingestion.maintenance import maintain
from ingestion.maintenance.report import TableMaintenance
from lakehouse.lake import application_id, landing_schema, open_table, table_uri
from lakehouse.settings import Settings

TOPIC = "okr_user_events"
TODAY = datetime.now(UTC).date()
DAY_SECONDS = 86_400


def batch(partition: int, start: int, rows: int, day: date = TODAY) -> pa.Table:
    row = {"kafka_partition": partition, "logged_at": datetime.now(UTC), "event_date": day, "event_type": "okr.t.t.v1"}
    return pa.Table.from_pylist(
        [
            {name: row.get(name) for name in landing_schema().names}
            | {"kafka_offset": offset, "event_id": str(uuid.uuid4()), "data": f'{{"number":{offset}}}'}
            for offset in range(start, start + rows)
        ],
        landing_schema(),
    )


def fill(settings: Settings, files: int, *, rows: int = 10, days: int = 1, partitions: int = 1) -> LandingTable:
    """Land batches of one file each, for the days up to today and the partitions in turn."""
    table = LandingTable(settings.lake_uri, TOPIC, "cluster", "okr-landing")
    for number in range(files):
        partition = number % partitions
        table.refresh()
        start = table.next_offset(partition)
        day = TODAY - timedelta(days=number % days)
        table.append(batch(partition, start or 0, rows, day), {partition: Span(start, (start or 0) + rows)})
    return table


def uri(settings: Settings) -> str:
    return table_uri(settings.lake_uri, TOPIC)


def places(settings: Settings) -> list[tuple[int, int]]:
    rows = pl.scan_delta(open_table(uri(settings))).select("kafka_partition", "kafka_offset").collect()
    return sorted(rows.rows())


def next_offsets(settings: Settings, partitions: int) -> list[int | None]:
    table = DeltaTable(uri(settings))
    return [
        table.transaction_version(application_id("cluster", "okr-landing", TOPIC, number))
        for number in range(partitions)
    ]


def kept(settings: Settings) -> TableMaintenance:
    (table,) = maintain(settings) or []
    return table


def age(path: Path, days: float) -> None:
    past = time.time() - days * DAY_SECONDS
    os.utime(path, (past, past))
