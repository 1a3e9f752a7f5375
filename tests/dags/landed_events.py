"""Helpers: user events in a lake, and publications that cover them, without running the steps."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from dags.steps.dbt_docs import fingerprint
from dags.steps.dbt_manifest import PROJECT
from lakehouse.lake import landing_schema, table_uri
from lakehouse.publishing.carry_over import hash_of_inputs
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

TOPIC = "okr_user_events"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def land(settings: Settings, offsets: range, partition: int = 0, reason: str | None = None) -> None:
    """Append rows to the lake."""
    from deltalake import write_deltalake

    names = landing_schema().names
    rows = [dict.fromkeys(names) | _row(partition, offset, reason) for offset in offsets]
    table = pa.Table.from_pylist(rows, landing_schema())
    uri = table_uri(settings.lake_uri, TOPIC)
    write_deltalake(uri, table, mode="append", partition_by=["event_date"], description="cluster/topic")


def _row(partition: int, offset: int, reason: str | None) -> dict[str, Any]:
    row = {"kafka_partition": partition, "kafka_offset": offset, "logged_at": NOW, "event_date": NOW.date()}
    return row | {"rejection_reason": reason}


def publish(settings: Settings, *, project: str | None = None, is_noted: bool = True, **offsets: int) -> None:
    """Make a publication of these offsets by partition the current one, built now by the present project."""
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute("UPDATE ops.publication SET is_current = false")
        of_now = hash_of_inputs(connection, project or fingerprint(PROJECT)) if is_noted else None
        covered = ", ".join(f'"{name.removeprefix("p")}": {offset}' for name, offset in offsets.items())
        connection.execute(
            "INSERT INTO ops.publication "
            "(published_at, data_as_of, offsets, inputs, dbt_run_id, gate, rows, is_current) "
            "VALUES (now(), now(), %s, %s, 'run', '{}', '{}', true)",
            (f'{{"{TOPIC}": {{{covered}}}}}', of_now),
        )
