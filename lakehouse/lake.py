"""The lake: one Delta table per topic, its schema, its URI, and the application id of a partition's commits."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lakehouse.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable


def landing_schema() -> "pa.Schema":
    """Return the columns of every landing table. Grain: one Kafka message, valid or rejected.

    `rejection_reason` is null for valid events. In the row of a rejected message, the event columns are null, and the
    `rejected_` columns contain its raw bytes. `recorded_at` is the envelope's `recordedtime`, but never later than
    `logged_at`. Without a `recordedtime`, it is `logged_at`. `extensions` is a JSON object of the envelope attributes
    that the contract does not define, or null.
    """
    import pyarrow as pa

    moment = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            pa.field("kafka_partition", pa.int32(), nullable=False),
            pa.field("kafka_offset", pa.int64(), nullable=False),
            pa.field("logged_at", moment, nullable=False),
            pa.field("event_date", pa.date32(), nullable=False),
            pa.field("event_id", pa.string()),
            pa.field("event_type", pa.string()),
            pa.field("source", pa.string()),
            pa.field("subject", pa.string()),
            pa.field("occurred_at", moment),
            pa.field("recorded_at", moment),
            pa.field("recorded_at_assumed", pa.bool_()),
            pa.field("data", pa.string()),
            pa.field("rejection_reason", pa.string()),
            pa.field("rejected_value", pa.binary()),
            pa.field("rejected_key", pa.binary()),
            pa.field("rejected_headers", pa.string()),
            # New columns must be nullable and come last, because they are added to existing tables when those are
            # opened.
            pa.field("extensions", pa.string()),
        ]
    )


PARTITION_COLUMN = "event_date"
POSITION_COLUMNS = ("kafka_partition", "kafka_offset", "logged_at")
# The columns of a valid event and its position in the log. Landing tables share them with raw, which has them in this
# order.
EVENT_COLUMNS = (
    *POSITION_COLUMNS,
    "event_id",
    "event_type",
    "source",
    "subject",
    "occurred_at",
    "recorded_at",
    "recorded_at_assumed",
    "data",
    "extensions",
)


def table_uri(lake_uri: str, topic: str) -> str:
    """Return the URI of a topic's landing table, for deltalake, polars and DuckDB.

    Raises:
        PermanentError: the lake is at a local path that delta-rs cannot open.
    """
    if "://" not in lake_uri and "%" in lake_uri:
        raise PermanentError(
            f"The lake's path {lake_uri} contains a % sign, which the Delta library treats as an escape. Choose a "
            "folder without one (OKR_STATE or OKR_LAKE_URI)."
        )
    return f"{lake_uri.rstrip('/')}/{topic}" if "://" in lake_uri else str(Path(lake_uri).absolute() / topic)


def require_lake(lake_uri: str, topics: Sequence[str]) -> None:
    """Raise an error if the lake does not exist; an empty lake is accepted.

    Raises:
        PermanentError: none of the topics has a landing table there.
        RetryableError: the location cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        exists = any(DeltaTable.is_deltatable(table_uri(lake_uri, topic)) for topic in topics)
    except (DeltaError, OSError) as error:
        raise RetryableError(f"The lake at {lake_uri} cannot be read: {cause(error)}.") from error
    if not exists:
        raise PermanentError(
            f"There is no lake at {lake_uri}: expected a folder with a landing table of {', '.join(topics)}. Has "
            "landing started (`make status`), and is OKR_LAKE_URI right?"
        )


def open_table(uri: str) -> "DeltaTable":
    """Open a Delta table for readers such as polars.

    For a local table, `file_uris` returns unescaped paths, because polars does not find files whose names delta-rs has
    escaped.

    Raises:
        deltalake.exceptions.TableNotFoundError: the table does not exist (yet).
    """
    from deltalake import DeltaTable

    class LocalPaths(DeltaTable):  # type: ignore[misc]
        def file_uris(self, *args: Any, **kwargs: Any) -> list[str]:
            found: list[str] = super().file_uris(*args, **kwargs)
            return [each if "://" in each else unquote(each) for each in found]

    return LocalPaths(uri)


def application_id(log_id: str, group: str, topic: str, partition: int) -> str:
    """Return the Delta application id of a partition. The version stored under this id is the next offset to read.

    `log_id` consists of the ids of the Kafka cluster and the topic. In a re-created cluster or topic, offsets start
    again at 0. Because the re-created one has a new id, these offsets are never compared with the old ones.
    """
    return f"{log_id}/{group}/{topic}/{partition}"


def cause(error: object) -> str:
    """Return an error of the Delta library in one line, without the backtrace that may follow."""
    lines = itertools.takewhile(lambda line: not line.lstrip().startswith("0: "), str(error).splitlines())
    return " ".join(line.strip() for line in lines)
