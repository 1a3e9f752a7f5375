"""`okr lake rejected`: the messages that broke their contract, with reason and raw bytes, newest first."""

from typing import Any

from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.lake import open_table, table_uri

SHOWN_BYTES = 120
COLUMNS = ("logged_at", "kafka_partition", "kafka_offset", "rejection_reason", "rejected_value")


def read_rejected(lake_uri: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest rejected messages of all topics: topic, logged_at, place in the log, reason, raw value.

    Raises:
        RetryableError: a landing table cannot be read.
    """
    import polars as pl
    from deltalake.exceptions import DeltaError, TableNotFoundError

    found: list[dict[str, Any]] = []
    for topic in TOPICS:
        uri = table_uri(lake_uri, topic)
        try:
            rows = pl.scan_delta(open_table(uri)).filter(pl.col("rejection_reason").is_not_null()).select(COLUMNS)
            newest = rows.sort("logged_at", descending=True).head(limit).collect()
        except TableNotFoundError:
            continue
        except (DeltaError, OSError) as error:
            raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error
        found += [{"topic": topic, **row} for row in newest.to_dicts()]
    return sorted(found, key=lambda row: row["logged_at"], reverse=True)[:limit]


def as_line(row: dict[str, Any]) -> str:
    """Return one message for a terminal; bytes are shown escaped, so that none of them can command it."""
    value = ascii(bytes(row["rejected_value"])[:SHOWN_BYTES])[1:] if row["rejected_value"] is not None else "null"
    place = f"{row['topic']}/{row['kafka_partition']}/{row['kafka_offset']}"
    return f"{row['logged_at']:%Y-%m-%d %H:%M:%S}  {place:<32} {row['rejection_reason']:<20} {value}"
