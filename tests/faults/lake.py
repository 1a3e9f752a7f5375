"""What the lake holds, for tests that wait for it."""

from collections.abc import Mapping

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.contracts import TOPICS
from lakehouse.lake import table_uri
from lakehouse.settings import Settings

TOPIC = "okr_user_events"


def landed_rows(settings: Settings, topic: str = TOPIC) -> int:
    """Count the rows of a landing table by the Delta log; 0 when there is no table yet."""
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
