"""`okr lake maintain`: one at a time on all hosts, table by table. Safe beside landing, loading and every reader."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg

from ingestion.delta.log import DeltaLog
from ingestion.maintenance import report
from ingestion.maintenance.compaction import compact, fence
from ingestion.maintenance.log_cleanup import clean_up_log
from ingestion.maintenance.report import TableMaintenance
from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.lake import cause, open_table, table_uri
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from deltalake import DeltaTable

log = get_logger(__name__)

PACKAGE = "ingestion.maintenance"
VACUUM_PAUSE_SECONDS = 6 * 3600.0  # a vacuum lists every file of the table
CLOCK_TOLERANCE_SECONDS = 3600.0


def maintain(settings: Settings) -> list[TableMaintenance] | None:
    """Keep every landing table; return what was done, or None when another maintenance run is in progress.

    Raises:
        RetryableError: PostgreSQL is away, or a table could not be kept; the others were, and nothing is lost.
        PermanentError: a checkpoint is torn (docs/runbooks/lake-repair.md).
    """
    lake_uri = settings.require("lake_uri")
    done, failed = [], []
    with _turn(settings.require("dsn_loader")) as database_now_s:
        if database_now_s is None:
            log.info("another maintenance run is in progress")
            return None
        is_clock_right = _is_clock_right(database_now_s)
        last = report.read_last(lake_uri)
        for topic in TOPICS:
            try:
                kept = _maintain_table(
                    lake_uri, topic, settings.lake_retention_days, last.get(topic, {}), is_clock_right
                )
            except RetryableError as error:
                log.warning("a table could not be kept", topic=topic, error=str(error))
                failed.append(error)
                continue
            done += [kept] if kept else []
        _save_report(lake_uri, done)
    if failed:
        raise failed[0]
    return done


@contextmanager
def _turn(dsn: str) -> Iterator[float | None]:
    """Hold the lock, and give the database's time in UTC seconds; None where another maintenance run holds it.

    Only that no work is done twice hangs on it. A lock that was lost loses and doubles nothing (see `compact`).
    """
    with connect(dsn, application="okr-maintenance", autocommit=True) as connection:
        is_ours, now_s = connection.execute(read_sql(PACKAGE, "lock")).fetchone() or (False, 0.0)
        try:
            yield float(str(now_s)) if is_ours else None
        finally:
            with suppress(psycopg.Error):  # a connection that was cut has given it back
                connection.execute(read_sql(PACKAGE, "unlock"))  # else it would end some time after the connection


def _save_report(lake_uri: str, done: list[TableMaintenance]) -> None:
    try:
        report.save(lake_uri, done)
    except OSError as error:  # the work is done all the same, and what could not be done is told by its own error
        log.warning("the report was not kept", error=str(error))


def _is_clock_right(database_now_s: float) -> bool:
    """Compare this host's clock with the database's: what is old is judged by the clock, so a wrong one deletes."""
    difference = time.time() - database_now_s
    if abs(difference) <= CLOCK_TOLERANCE_SECONDS:
        return True
    log.warning("this host's clock differs from the database's, nothing is deleted", seconds=round(difference))
    return False


def _maintain_table(
    lake_uri: str, topic: str, retention_days: int, last: Mapping[str, Any], is_clock_right: bool
) -> TableMaintenance | None:
    from deltalake.exceptions import DeltaError, TableNotFoundError

    uri = table_uri(lake_uri, topic)
    try:
        table = open_table(uri)
    except TableNotFoundError:
        return None  # nothing has landed yet
    except (DeltaError, OSError) as error:
        raise _failed(uri, error) from error
    started_at_s, begun = time.time(), time.monotonic()
    version, (files, size) = table.version(), _size(table)
    may_delete = is_clock_right and not _is_of_the_future(table, started_at_s)
    vacuumed_at_s, deleted = last.get("vacuumed_at_s"), 0
    try:
        _set_properties(table, retention_days)
        compacted, _ = compact(table, uri)
        if may_delete and started_at_s - (vacuumed_at_s or 0.0) > VACUUM_PAUSE_SECONDS:
            deleted, vacuumed_at_s = _vacuum(table, retention_days), started_at_s
        clean_up_log(table, uri, may_delete=may_delete)
    except (DeltaError, OSError) as error:
        raise _failed(uri, error) from error
    files_after, size_after = _size(table)
    kept = TableMaintenance(
        topic=topic, started_at_s=started_at_s, seconds=round(time.monotonic() - begun, 3), version_before=version,
        version_after=table.version(), files_before=files, files_after=files_after, bytes_before=size,
        bytes_after=size_after, compacted_files=compacted, deleted_files=deleted, log_files=_log_files(uri),
        vacuumed_at_s=vacuumed_at_s,
    )  # fmt: skip
    log.info("kept", **report.as_documents([kept])[0])
    return kept


def _failed(uri: str, error: Exception) -> RetryableError:
    return RetryableError(
        f"The maintenance of the lake table {uri} failed ({cause(error)}). Nothing is lost: what it replaces "
        "stays until the retention is over. Is the disk full or read-only (docs/runbooks/lake-full.md), or the log "
        "damaged (docs/runbooks/lake-repair.md)?"
    )


def _size(table: "DeltaTable") -> tuple[int, int]:
    sizes = table.get_add_actions(flatten=True)["size_bytes"].to_pylist()
    return len(sizes), sum(sizes)


def _is_of_the_future(table: "DeltaTable", now_s: float) -> bool:
    """Say whether the newest commit was made later than now: then this clock, or the writer's, is wrong."""
    newest_s: float = table.history(1)[0].get("timestamp", 0) / 1000
    if newest_s <= now_s + CLOCK_TOLERANCE_SECONDS:
        return False
    log.warning("the newest commit is of the future, nothing is deleted", seconds=round(newest_s - now_s))
    return True


def _set_properties(table: "DeltaTable", retention_days: int) -> None:
    """Write down, where it is not, what every writer and vacuum of this table goes by."""
    from deltalake.exceptions import CommitFailedError

    retention = f"interval {retention_days} days"
    wanted = {
        "delta.deletedFileRetentionDuration": retention,
        "delta.logRetentionDuration": retention,
        "delta.enableExpiredLogCleanup": "false",  # only after a checkpoint was flushed, see `clean_up_log`
        "delta.checkpointInterval": "1000",  # each maintenance run writes one; this bounds the log without it
    }
    if wanted.items() - table.metadata().configuration.items():
        try:
            table.alter.set_table_properties(wanted)
        except (
            CommitFailedError
        ):  # a worker has added a column, or another maintenance run did the same; the next run sees
            table.update_incremental()


def _vacuum(table: "DeltaTable", retention_days: int) -> int:
    """Delete files that no version of the retention needs, and those that a killed worker left, once as old.

    A file that landing has written but not committed yet is younger than that (delta-rs #3645).
    """
    fence(table)  # no merge that another maintenance run began before now may name what is deleted
    return len(table.vacuum(retention_hours=retention_days * 24, dry_run=False, full=True))


def _log_files(uri: str) -> int:
    log_folder = DeltaLog(uri)
    return len(log_folder.commits()) + len(log_folder.checkpoints())
