"""`okr lake maintain`: maintain one table after the other, while landing, loading and readers continue.

Only one maintenance run is active at a time, across all hosts.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from ingestion.delta.log import DeltaLog
from ingestion.maintenance import report
from ingestion.maintenance.compaction import compact, fence
from ingestion.maintenance.log_cleanup import clean_up_log
from ingestion.maintenance.pruning import prune
from ingestion.maintenance.report import TableMaintenance
from lakehouse.contracts import TOPICS
from lakehouse.errors import OkrError, RetryableError
from lakehouse.lake import cause, open_table, table_uri
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from deltalake import DeltaTable

log = get_logger(__name__)

PACKAGE = "ingestion.maintenance"
VACUUM_INTERVAL_SECONDS = 6 * 3600.0  # a vacuum lists every file of the table
CLOCK_TOLERANCE_SECONDS = 3600.0
PRUNED_TOPIC = "okr_system_metrics"  # technical telemetry; all other events are kept
PRUNING_INTERVAL_SECONDS = 24 * 3600.0  # looking for old rows reads the whole table


def maintain(settings: Settings) -> list[TableMaintenance] | None:
    """Maintain every landing table; return the reports, or None if another maintenance run is in progress.

    Raises:
        RetryableError: PostgreSQL is unavailable, or the maintenance of a table failed. Nothing is lost, and the other
            tables were maintained.
        InvariantBroken: rows to prune differ between the lake and raw; none was deleted from raw.
        PermanentError: a checkpoint is torn (docs/runbooks/lake-repair.md), or the events in the lake and in raw come
            from different Kafka logs, so nothing was pruned.
    """
    lake_uri = settings.require("lake_uri")
    done: list[TableMaintenance] = []
    failed: list[OkrError] = []
    with _exclusive(settings.require("dsn_loader")) as database_now_s:
        if database_now_s is None:
            log.info("another maintenance run is in progress")
            return None
        is_clock_correct = _is_clock_correct(database_now_s)
        last = report.read_last(lake_uri)
        for topic in TOPICS:
            try:
                report_of_table, error = _maintain_table(settings, topic, last.get(topic, {}), is_clock_correct)
            except RetryableError as failure:
                report_of_table, error = None, failure
            if error is not None:
                log.warning("maintenance of a table failed", topic=topic, error=str(error))
                failed.append(error)
            done += [report_of_table] if report_of_table else []
        _save_report(lake_uri, done)
    if failed:
        raise failed[0]
    return done


@contextmanager
def _exclusive(dsn: str) -> Iterator[float | None]:
    """Take the lock and yield the database's time in UTC seconds, or None if another maintenance run has the lock.

    The lock only avoids redundant work. If it is lost, no event is lost or duplicated (see `compact`).
    """
    with connect(dsn, application="okr-maintenance", autocommit=True) as connection:
        is_ours, now_s = connection.execute(read_sql(PACKAGE, "lock")).fetchone() or (False, 0.0)
        try:
            yield float(str(now_s)) if is_ours else None
        finally:
            # Without this, the lock would be released only some time after the disconnect. A broken connection has
            # already released it.
            with suppress(psycopg.Error):
                connection.execute(read_sql(PACKAGE, "unlock"))


def _save_report(lake_uri: str, done: list[TableMaintenance]) -> None:
    from pyarrow import ArrowException

    try:
        report.save(lake_uri, done)
    except (OSError, ArrowException) as error:  # the maintenance itself is complete
        log.warning("the report could not be stored", error=str(error))


def _is_clock_correct(database_now_s: float) -> bool:
    """Compare this host's clock with the database's, because with a wrong clock current files could look expired."""
    difference = time.time() - database_now_s
    if abs(difference) <= CLOCK_TOLERANCE_SECONDS:
        return True
    log.warning("this host's clock differs from the database's; nothing is deleted", seconds=round(difference))
    return False


def _maintain_table(
    settings: Settings, topic: str, last: Mapping[str, Any], is_clock_correct: bool
) -> tuple[TableMaintenance | None, OkrError | None]:
    """Return the report, if there is a table, and the error if its old rows could not be pruned."""
    from deltalake.exceptions import DeltaError, TableNotFoundError

    uri, retention_days = table_uri(settings.lake_uri, topic), settings.lake_retention_days
    try:
        table = open_table(uri)
    except TableNotFoundError:
        return None, None  # nothing has landed yet
    except (DeltaError, OSError) as failure:
        raise _maintenance_error(uri, failure) from failure
    started_at_s, started = time.time(), time.monotonic()
    version, (files, size) = table.version(), _files_and_bytes(table)
    may_delete = is_clock_correct and not _is_newest_commit_in_future(table, started_at_s)
    vacuumed_at_s, deleted = last.get("vacuumed_at_s"), 0
    checked_at_s, pruned = last.get("pruning_checked_at_s"), 0
    error: OkrError | None = None
    try:
        _set_properties(table, retention_days)
        compacted, _ = compact(table, uri)
        if may_delete and started_at_s - (vacuumed_at_s or 0.0) > VACUUM_INTERVAL_SECONDS:
            deleted, vacuumed_at_s = _vacuum(table, retention_days), started_at_s
        clean_up_log(table, uri, may_delete=may_delete)
    except (DeltaError, OSError) as failure:
        raise _maintenance_error(uri, failure) from failure
    if may_delete and topic == PRUNED_TOPIC and started_at_s - (checked_at_s or 0.0) > PRUNING_INTERVAL_SECONDS:
        pruned, error = _prune(settings, topic, table, uri)
        checked_at_s = checked_at_s if error else started_at_s
    files_after, size_after = _files_and_bytes(table)
    done = TableMaintenance(
        topic=topic, started_at_s=started_at_s, seconds=round(time.monotonic() - started, 3), version_before=version,
        version_after=table.version(), files_before=files, files_after=files_after, bytes_before=size,
        bytes_after=size_after, compacted_files=compacted, deleted_files=deleted, log_files=_log_files(uri),
        vacuumed_at_s=vacuumed_at_s, pruned_rows=pruned, pruning_checked_at_s=checked_at_s,
    )  # fmt: skip
    log.info("maintained", **report.as_documents([done])[0])
    return done, error


def _prune(settings: Settings, topic: str, table: "DeltaTable", uri: str) -> tuple[int, OkrError | None]:
    """Return the number of pruned rows, and the error if pruning failed: what was done before it is still reported."""
    from deltalake.exceptions import DeltaError

    cutoff = datetime.now(UTC) - timedelta(days=settings.system_metrics_retention_days)
    try:
        return prune(settings, topic, table, uri, cutoff), None
    except OkrError as error:
        return 0, error
    except (DeltaError, OSError) as error:
        return 0, _maintenance_error(uri, error)


def _maintenance_error(uri: str, error: Exception) -> RetryableError:
    return RetryableError(
        f"The maintenance of the lake table {uri} failed ({cause(error)}). Nothing is lost: replaced files "
        "stay until the retention is over. Is the disk full or read-only (docs/runbooks/lake-full.md), or the log "
        "damaged (docs/runbooks/lake-repair.md)?"
    )


def _files_and_bytes(table: "DeltaTable") -> tuple[int, int]:
    sizes = table.get_add_actions(flatten=True)["size_bytes"].to_pylist()
    return len(sizes), sum(sizes)


def _is_newest_commit_in_future(table: "DeltaTable", now_s: float) -> bool:
    """Return whether the newest commit is dated in the future. If so, this host's clock or the writer's is wrong."""
    newest_s: float = table.history(1)[0].get("timestamp", 0) / 1000
    if newest_s <= now_s + CLOCK_TOLERANCE_SECONDS:
        return False
    log.warning("the newest commit is in the future; nothing is deleted", seconds=round(newest_s - now_s))
    return True


def _set_properties(table: "DeltaTable", retention_days: int) -> None:
    """Set the table properties that all writers and vacuums use, unless they are already set."""
    from deltalake.exceptions import CommitFailedError

    retention = f"interval {retention_days} days"
    wanted = {
        "delta.deletedFileRetentionDuration": retention,
        "delta.logRetentionDuration": retention,
        "delta.enableExpiredLogCleanup": "false",  # `clean_up_log` does this after it has flushed a checkpoint
        # Each maintenance run writes a checkpoint. This limits the size of the Delta log if no maintenance runs.
        "delta.checkpointInterval": "1000",
    }
    if wanted.items() - table.metadata().configuration.items():
        try:
            table.alter.set_table_properties(wanted)
        except CommitFailedError:  # a worker has added a column, or another run has set them; the next run checks again
            table.update_incremental()


def _vacuum(table: "DeltaTable", retention_days: int) -> int:
    """Delete expired files: of versions beyond the retention, and equally old files that killed workers left behind.

    Files that landing has written but not yet committed are younger than the retention (delta-rs #3645).
    """
    fence(table)  # no compaction that started earlier may reference the deleted files
    return len(table.vacuum(retention_hours=retention_days * 24, dry_run=False, full=True))


def _log_files(uri: str) -> int:
    delta_log = DeltaLog(uri)
    return len(delta_log.commits()) + len(delta_log.checkpoints())
