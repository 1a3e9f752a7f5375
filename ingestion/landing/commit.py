"""Appending a batch to its landing table exactly once: the Delta commit is the offset commit.

The protocol, and what each step is for:
1. The snapshot is refreshed and must say, for each partition, that its next offset is where this batch starts.
   (A transaction id alone is no guard: delta-rs #2580 let the same one in twice.)
2. The rows are written as files, which nobody sees yet, and flushed to the disk.
3. The files are added on that snapshot together with the partitions' new next offsets, in one commit. A worker that
   raced past us since step 1 makes the commit fail: we are fenced.
4. After any error the table is read again and its versions decide, never the exception: an error may come back although
   the write landed (delta-rs #2609).
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
LONGEST_TRANSACTION_SECONDS = 3600.0  # maintenance deletes files that no commit names when they are two days old
# Readers skip files by the statistics that `files` writes.
CONFIGURATION: dict[str, str | None] = {
    "delta.dataSkippingStatsColumns": ",".join(STATISTICS_COLUMNS),
    "delta.checkpointInterval": "1000",  # maintenance writes one at every run; this is for a stack without it
}


class FencedError(RetryableError):
    """Another worker has landed this partition: throw the batch away, read the table's offsets, go on from there."""


class LandingTable:
    """One topic's table in the lake, as one consumer group commits to it."""

    def __init__(self, lake_uri: str, topic: str, log_id: str, group: str) -> None:
        """Open the table; it is made when missing.

        Raises:
            PermanentError: its events came from another log, of a cluster or topic that was made anew.
        """
        self._uri = table_uri(lake_uri, topic)
        self._topic, self._log_id, self._group = topic, log_id, group
        self._table = self._open_or_create()
        known = self._table.metadata().description
        if known != log_id:
            raise PermanentError(
                f"The lake table {self._uri} holds events of the log {known} (cluster id/topic id), but the topic of "
                f"this broker is {log_id}: it was made anew, its offsets start anew and must not be mixed with the old "
                "ones. Point OKR_LAKE_URI at a new folder, or connect to the broker that the lake was filled from. "
                "Nothing was written."
            )

    def next_offset(self, partition: int) -> int | None:
        """Return the next offset to read by the snapshot in hand, None when nothing of the partition ever landed."""
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
            raise self._unreadable(error) from error

    def append(self, rows: "pa.Table", spans: Mapping[int, Span]) -> None:
        """Append a batch that covers `spans` by partition.

        Raises:
            FencedError: the table is not where this batch starts; nothing of the batch was written.
            RetryableError: the lake could not be written; nothing of the batch was written.
        """
        self.refresh()
        self._check_start(spans)
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps, and nobody sets it
        try:
            files = write_files(rows, self._uri)
            self._flush(file.path for file in files)
        except OSError as failed:
            raise self._unwritable(failed) from failed
        error: Exception | None = None
        for _ in range(ATTEMPTS):
            if time.clock_gettime(time.CLOCK_BOOTTIME) - begun > LONGEST_TRANSACTION_SECONDS:
                raise FencedError(
                    f"{self._topic}: this batch's files are so old that maintenance may have deleted them."
                )
            before = self._table.version()
            error = self._try_commit(files, spans)
            if error is None:
                self._flush_commits(before)
                return
            log.warning("a commit failed, the table decides", topic=self._topic, error=cause(error))
            self._table = self._open_or_create()
            if all(self.next_offset(partition) == span.next for partition, span in spans.items()):
                self._flush_commits(before)
                return
            self._check_start(spans)
        raise self._unwritable(error) from error

    def _flush(self, paths: Iterable[str]) -> None:
        if "://" not in self._uri:
            sync(Path(self._uri, path) for path in paths)

    def _flush_commits(self, before: int) -> None:
        """Flush the commits since a version: after a power cut the lake must not be behind what Kafka was told."""
        self.refresh()
        delta_log = DeltaLog(self._uri)
        try:
            if delta_log.folder is not None:
                commits = map(delta_log.commit, range(before + 1, self._table.version() + 1))
                sync(path for path in commits if path.is_file())
        except OSError as failed:
            raise self._unwritable(failed) from failed

    def _unreadable(self, error: object) -> RetryableError:
        return RetryableError(
            f"The lake table {self._uri} cannot be read ({cause(error)}). Nothing is lost: the events stay in Kafka. "
            "Is the disk there? Was the power cut, or the folder changed by hand? See docs/runbooks/lake-repair.md."
        )

    def _unwritable(self, error: Exception | None) -> RetryableError:
        return RetryableError(
            f"The lake table {self._uri} could not be written ({cause(error)}). Is the disk full or read-only? "
            "Nothing is lost: the events stay in Kafka and are landed once it can. See docs/runbooks/lake-full.md."
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
                # The counts let `torn_commits` tell this commit from its first lines.
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
            self._require_whole_end()
            return _with_all_columns(DeltaTable(self._uri))
        except TableNotFoundError:
            log.info("making a landing table", uri=self._uri)
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error
        try:
            return DeltaTable.create(
                self._uri,
                landing_schema(),
                partition_by=PARTITION_COLUMN,
                name=self._topic,
                description=self._log_id,
                configuration=CONFIGURATION,
            )
        except (DeltaError, OSError) as error:
            try:
                return DeltaTable(self._uri)  # another worker made it meanwhile
            except (DeltaError, OSError):
                raise self._unwritable(error) from error

    def _require_whole_end(self) -> None:
        """Read the newest commit file: a power cut may have left its first lines alone, which delta-rs would believe.

        Raises:
            RetryableError: it is torn.
        """
        delta_log = DeltaLog(self._uri)
        for version in delta_log.commits()[-1:]:
            if reason := torn_reason(delta_log.commit(version).read_bytes()):
                raise self._unreadable(f"commit {version} is torn: {reason}")

    def _application_id(self, partition: int) -> str:
        return application_id(self._log_id, self._group, self._topic, partition)


def _with_all_columns(table: "DeltaTable") -> "DeltaTable":
    """Add the columns that the landing schema got after the table was made; its old rows have null there."""
    from deltalake import Schema
    from deltalake.exceptions import DeltaError

    known = {field.name for field in table.schema().fields}
    missing = [field for field in Schema.from_arrow(landing_schema()).fields if field.name not in known]
    if missing:
        log.info("adding columns", uri=table.table_uri, columns=[field.name for field in missing])
        try:
            table.alter.add_columns(missing)
        except DeltaError as error:  # another worker has added them meanwhile, or the next attempt tells why not
            log.warning("columns not added, the table is read again", error=str(error))
        table.update_incremental()
    return table
