"""Append a batch to its landing table exactly once. The Delta commit also commits the Kafka offsets.

The steps of the protocol:
1. The snapshot is refreshed. Each partition's next offset in it must be the start of this batch. (Transaction ids alone
   do not ensure this, because delta-rs can accept the same id twice: delta-rs #2580.)
2. The rows are written to files, which no reader sees yet, and the files are flushed to the disk.
3. A single commit on that snapshot adds the files and sets the next offset of each partition. If another worker has
   committed since step 1, the commit fails, and this worker is fenced.
4. After any error, the table is read again. Its transaction versions show whether the commit succeeded. The exception
   does not, because delta-rs can raise an error for a commit that succeeded (#2609).

A batch with messages that have already landed fails step 1. Its worker discards it and reads on from the offsets in the
table. An event that a producer sent twice, with the same event id, is landed twice; dbt drops the second row
(dbt_project/macros/deduplicate_events.sql).
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.batch import Span
from ingestion.delta.fsync import sync
from ingestion.delta.log import DeltaLog
from ingestion.delta.torn_commits import torn_reason
from ingestion.landing.parquet_files import STATISTICS_COLUMNS, write_files
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import PARTITION_COLUMN, application_id, cause, landing_schema, table_uri
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction

log = get_logger(__name__)

ATTEMPTS = 3
LONGEST_TRANSACTION_SECONDS = 3600.0  # maintenance deletes unreferenced files that are older than two days
# Readers use the statistics that `parquet_files` writes to skip files.
TABLE_PROPERTIES: dict[str, str | None] = {
    "delta.dataSkippingStatsColumns": ",".join(STATISTICS_COLUMNS),
    # Each maintenance run writes a checkpoint. This limits the size of the Delta log if no maintenance runs.
    "delta.checkpointInterval": "1000",
}


class FencedError(RetryableError):
    """Another worker has landed this partition. Discard the batch and continue at the table's offsets."""


class LandingTable:
    """One topic's table in the lake, with the offsets of one consumer group."""

    def __init__(self, lake_uri: str, topic: str, log_id: str, group: str) -> None:
        """Open the table, or create it.

        Raises:
            PermanentError: the table's events come from another log, because the cluster or topic was re-created.
        """
        self._uri = table_uri(lake_uri, topic)
        self._topic, self._log_id, self._group = topic, log_id, group
        self._table = self._open_or_create()
        table_log_id = self._table.metadata().description
        if table_log_id != log_id:
            raise PermanentError(
                f"The lake table {self._uri} has events of the log {table_log_id} (cluster id/topic id), but this "
                f"broker has the log {log_id}: the topic was re-created, so its offsets start again at 0 and must not "
                "be mixed with the old ones. Set OKR_LAKE_URI to a new folder, or connect to the broker from which the "
                "lake was filled. Nothing was written."
            )

    def next_offset(self, partition: int) -> int | None:
        """Return a partition's next offset in the current snapshot, or None if none of its events have landed."""
        version: int | None = self._table.transaction_version(self._application_id(partition))
        return version

    def refresh(self) -> None:
        """Load the newest snapshot.

        Raises:
            RetryableError: the table cannot be read.
        """
        from deltalake.exceptions import DeltaError

        try:
            self._table.update_incremental()
        except (DeltaError, OSError) as error:
            raise self._read_error(error) from error

    def append(self, rows: "pa.Table", spans: Mapping[int, Span]) -> None:
        """Append a batch; `spans` are the offsets that it covers, by partition.

        Raises:
            FencedError: the table's offset is not the start of this batch; nothing was committed.
            RetryableError: the lake could not be written; nothing was committed.
        """
        self.refresh()
        self._check_start(spans)
        started = time.clock_gettime(time.CLOCK_BOOTTIME)  # this clock also runs during suspend and cannot be set
        try:
            files = write_files(rows, self._uri)
            self._flush(file.path for file in files)
        except OSError as failed:
            raise self._write_error(failed) from failed
        error: Exception | None = None
        for _ in range(ATTEMPTS):
            if time.clock_gettime(time.CLOCK_BOOTTIME) - started > LONGEST_TRANSACTION_SECONDS:
                raise FencedError(
                    f"{self._topic}: this batch's files are so old that maintenance may have deleted them."
                )
            previous_version = self._table.version()
            error = self._try_commit(files, spans)
            if error is None:
                self._flush_commits(previous_version)
                return
            log.warning("a commit returned an error; reading the table again", topic=self._topic, error=cause(error))
            self._table = self._open_or_create()
            if all(self.next_offset(partition) == span.next for partition, span in spans.items()):
                self._flush_commits(previous_version)
                return
            self._check_start(spans)
        raise self._write_error(error) from error

    def _flush(self, paths: Iterable[str]) -> None:
        if "://" not in self._uri:
            sync(Path(self._uri, path) for path in paths)

    def _flush_commits(self, previous_version: int) -> None:
        """Flush the commits after a version. Otherwise, a power cut could put the lake behind the offsets in Kafka."""
        self.refresh()
        delta_log = DeltaLog(self._uri)
        try:
            if delta_log.folder is not None:
                commits = map(delta_log.commit, range(previous_version + 1, self._table.version() + 1))
                sync(path for path in commits if path.is_file())
        except OSError as failed:
            raise self._write_error(failed) from failed

    def _read_error(self, error: object) -> RetryableError:
        return RetryableError(
            f"The lake table {self._uri} cannot be read ({cause(error)}). Nothing is lost: the events stay in Kafka. "
            "Is the disk mounted? Was there a power cut or a manual change? See docs/runbooks/lake-repair.md."
        )

    def _write_error(self, error: Exception | None) -> RetryableError:
        return RetryableError(
            f"The lake table {self._uri} could not be written ({cause(error)}). Is the disk full or read-only? "
            "Nothing is lost: the events stay in Kafka and are landed later. See docs/runbooks/lake-full.md."
        )

    def _check_start(self, spans: Mapping[int, Span]) -> None:
        for partition, span in spans.items():
            stored = self.next_offset(partition)
            if stored != span.start:
                raise FencedError(
                    f"{self._topic}/{partition}: this batch starts at {span.start}, but the lake is at {stored}: "
                    "another worker has landed it."
                )

    def _try_commit(self, files: "list[AddAction]", spans: Mapping[int, Span]) -> Exception | None:
        from deltalake import CommitProperties, Transaction
        from deltalake.exceptions import DeltaError

        transactions = [Transaction(self._application_id(partition), span.next) for partition, span in spans.items()]
        try:
            self._table.create_write_transaction(
                files,
                mode="append",
                schema=self._table.schema(),
                partition_by=PARTITION_COLUMN,
                # `torn_commits` uses these counts to detect that only the first lines of this commit survived.
                commit_properties=CommitProperties(
                    app_transactions=transactions,
                    custom_metadata={"files": len(files), "partitions": len(transactions)},
                ),
            )
        except (DeltaError, OSError) as error:
            return error
        return None

    def _open_or_create(self) -> "DeltaTable":
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            self._check_newest_commit()
            return _with_all_columns(DeltaTable(self._uri))
        except TableNotFoundError:
            log.info("creating a landing table", uri=self._uri)
        except (DeltaError, OSError) as error:
            raise self._read_error(error) from error
        try:
            return DeltaTable.create(
                self._uri,
                landing_schema(),
                partition_by=PARTITION_COLUMN,
                name=self._topic,
                description=self._log_id,
                configuration=TABLE_PROPERTIES,
            )
        except (DeltaError, OSError) as error:
            try:
                return DeltaTable(self._uri)  # another worker has created it in the meantime
            except (DeltaError, OSError):
                raise self._write_error(error) from error

    def _check_newest_commit(self) -> None:
        """Check the newest commit file, of which a power cut may have left only the first lines.

        delta-rs would accept such a file.

        Raises:
            RetryableError: the file is torn.
        """
        delta_log = DeltaLog(self._uri)
        for version in delta_log.commits()[-1:]:
            if reason := torn_reason(delta_log.commit(version).read_bytes()):
                raise self._read_error(f"commit {version} is torn: {reason}")

    def _application_id(self, partition: int) -> str:
        return application_id(self._log_id, self._group, self._topic, partition)


def _with_all_columns(table: "DeltaTable") -> "DeltaTable":
    """Add the columns that the landing schema has gained since the table was created; they are null in old rows."""
    from deltalake import Schema
    from deltalake.exceptions import DeltaError

    known = {field.name for field in table.schema().fields}
    missing = [field for field in Schema.from_arrow(landing_schema()).fields if field.name not in known]
    if missing:
        log.info("adding columns", uri=table.table_uri, columns=[field.name for field in missing])
        try:
            table.alter.add_columns(missing)
        except DeltaError as error:  # another worker has added them, or the next attempt fails with the cause
            log.warning("columns not added; reading the table again", error=str(error))
        table.update_incremental()
    return table
