"""Find and read the lake's waiting rows, which are at or beyond the watermarks of `raw`.

Watermarks are offsets, because a "newest timestamp" would lose late events and events of failed loads (cal-itp #2541).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from ingestion.loading.lake_files import LakeFile, Wanted, files_of, read_files
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import landing_schema, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

Offsets = dict[int, int]  # partition -> next offset


@dataclass(frozen=True)
class Watermarks:
    """The offsets up to which a topic is loaded, and the id of their Kafka log (None if unknown or not loaded yet)."""

    offsets: Offsets
    log_id: str | None = None


@dataclass(frozen=True)
class Pending:
    """A topic's rows at or beyond the watermarks, in one snapshot of the lake; `batches` reads them."""

    wanted: Wanted
    files: Sequence[LakeFile]
    log_id: str | None
    _ends: Offsets = field(default_factory=dict)

    def batches(self, columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        """Yield the rows, including rejected ones, in batches; `columns` must include partition and offset.

        Raises:
            RetryableError: the lake cannot be read.
            PermanentError: a file of the lake is damaged.
        """
        for batch in read_files(self.files, self.wanted, columns):
            self._advance_ends(batch)
            yield batch

    def ends(self) -> Watermarks:
        """Return the watermarks after the rows that `batches` has yielded."""
        return Watermarks(dict(self.wanted.watermarks) | self._ends, self.log_id)

    def _advance_ends(self, batch: "pa.RecordBatch") -> None:
        import numpy as np

        partitions, offsets = batch["kafka_partition"].to_numpy(), batch["kafka_offset"].to_numpy()
        for partition in map(int, np.unique(partitions)):
            end = int(offsets[partitions == partition].max()) + 1
            self._ends[partition] = max(end, self._ends.get(partition, 0))


def read_watermarks(connection: "psycopg.Connection[tuple[object, ...]]", topic: str) -> Watermarks:
    """Read a topic's watermarks in the current transaction."""
    rows = connection.execute(read_sql(__package__ or "", "watermarks"), {"topic": topic}).fetchall()
    offsets = {int(str(partition)): int(str(offset)) for partition, offset, _ in rows}
    return Watermarks(offsets, next((str(log_id) for *_, log_id in rows if log_id is not None), None))


def loaded_offsets(settings: Settings, topic: str) -> Offsets:
    """Return the next offset to load for each partition of a topic.

    Raises:
        RetryableError: PostgreSQL cannot be reached.
    """
    with connect(settings.require("dsn_loader"), application="okr-load-pending") as connection:
        return dict(read_watermarks(connection, topic).offsets)


def read_pending(
    settings: Settings, topic: str, connection: "psycopg.Connection[tuple[object, ...]] | None" = None
) -> "tuple[pa.Table, Offsets]":
    """Return the rows of a topic that `okr load` would load now, and their end offsets, to which `load` can be limited.

    The table has the landing schema and is in log order. It includes rejected rows, because a gate checks those, too.
    Callers that read several topics can pass an open connection with the loader's role.

    Raises:
        RetryableError: the lake or PostgreSQL cannot be read.
        PermanentError: the events in the lake and in `raw` come from different Kafka logs.
    """
    import pyarrow as pa

    if connection is None:
        with connect(settings.require("dsn_loader"), application="okr-load-pending", autocommit=True) as own_connection:
            return read_pending(settings, topic, own_connection)
    watermarks = read_watermarks(connection, topic)
    pending = find_pending(settings.require("lake_uri"), topic, watermarks)
    schema = landing_schema()
    rows = pa.Table.from_batches(pending.batches(schema.names), schema)
    return rows.sort_by([("kafka_partition", "ascending"), ("kafka_offset", "ascending")]), pending.ends().offsets


def find_pending(
    lake_uri: str, topic: str, watermarks: Watermarks, end_offsets: Mapping[int, int] | None = None
) -> Pending:
    """Find a topic's rows at or beyond the watermarks in the newest snapshot of the lake.

    A partition without a watermark is read from its first row. With `end_offsets`, only the partitions that it names
    are read, and only below its offsets.

    Raises:
        RetryableError: the lake cannot be read, or is missing although `raw` has rows from it.
        PermanentError: the events in the lake and in `raw` come from different Kafka logs.
    """
    wanted = Wanted(watermarks.offsets, end_offsets)
    loaded = watermarks.offsets
    if end_offsets is not None and all(end <= loaded.get(partition, 0) for partition, end in end_offsets.items()):
        return Pending(wanted, (), watermarks.log_id)  # already loaded or never landed, so the lake need not be opened
    uri = table_uri(lake_uri, topic)
    table = _open(uri)
    if table is None and not watermarks.offsets:
        return Pending(wanted, (), watermarks.log_id)  # landing may not have started yet
    if table is None:
        raise RetryableError(
            f"raw.{topic} is loaded up to the offsets {watermarks.offsets} (by partition), but there is no lake table "
            f"at {uri}. Nothing was loaded. Is OKR_LAKE_URI right? If the lake is lost, see "
            "docs/runbooks/lake-verify.md."
        )
    log_id = _log_id(table, topic, watermarks)
    return Pending(wanted, files_of(table, uri, wanted), log_id)


def _log_id(table: "DeltaTable", topic: str, watermarks: Watermarks) -> str:
    """Return the id of the lake's Kafka log. It must equal the id in `raw`, or offsets would not be comparable."""
    found = str(table.metadata().description)
    if watermarks.log_id not in (None, found):
        raise PermanentError(
            f"raw.{topic} is loaded from the Kafka log {watermarks.log_id} (cluster id/topic id), but the lake table "
            f"{table.table_uri} has events of the log {found}. The offsets of that log start again at 0, so its events "
            "would appear to be loaded already. Nothing was loaded. Set OKR_LAKE_URI to the lake from which this "
            "warehouse was filled, or load the new lake into a new warehouse (a new OKR_STATE, or an empty database "
            "with `okr migrate`)."
        )
    return found


def _open(uri: str) -> "DeltaTable | None":
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(uri)
    except TableNotFoundError:
        return None  # nothing has landed yet
    except (DeltaError, OSError) as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {error}. Is the disk mounted?") from error
