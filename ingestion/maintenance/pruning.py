"""Delete the rows of a topic that are older than its retention, from the lake and from `raw`.

In this order, so that a process may be killed between any two steps:

1. **Prove**: the ledger of the topic balances. Only what has landed and was loaded exactly once is pruned.
2. **Plan**: count the rows of each partition's range of old offsets in the lake, and record them in `ops.pruned_range`.
3. **Lake**: one Delta commit removes the files that have only rows of these or earlier ranges, and records the end of
   each range as a transaction version. From here on, the ledger and the next runs treat the range as pruned.
4. **raw**: one transaction deletes the rows of the ranges. Their number and the sum of their offsets must be those of
   the plan.

A plan without a commit (killed before step 3) is replaced by the next run. A commit whose rows are still in `raw`
(killed before step 4) is completed by the next run, before anything else. Old rows in a file with newer ones stay in
the lake until all rows of the file are old; the ledger ignores them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import psycopg
from psycopg import sql

from ingestion.delta.fsync import sync
from ingestion.delta.log import DeltaLog
from ingestion.ledger import verify
from ingestion.ledger.pruned import GROUP, pruned_ends
from ingestion.loading.pending import Offsets, read_watermarks
from ingestion.maintenance.compaction import commit, removal
from lakehouse.errors import InvariantBroken, PermanentError, RetryableError
from lakehouse.lake import PARTITION_COLUMN, application_id, open_table
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import RemoveAction

log = get_logger(__name__)

PACKAGE = "ingestion.maintenance"
SLACK_DAYS = (
    7  # expired rows are collected for this many days, because after a deletion from raw, the next build is a full one
)


@dataclass(frozen=True)
class Range:
    """The offsets of a partition to prune, and the counts of the rows that the lake has at these offsets."""

    partition: int
    start: int
    end: int
    rows: int
    rejected: int
    valid_offset_sum: int


def prune(settings: Settings, topic: str, table: "DeltaTable", uri: str, cutoff: datetime) -> int:
    """Prune the rows logged before a time if some are SLACK_DAYS older than that. Return the number of pruned rows.

    Raises:
        RetryableError: PostgreSQL or the lake failed, or another maintenance run interfered; the next run continues.
        InvariantBroken: `raw` has other rows than the lake; nothing was deleted from it.
        PermanentError: the events in the lake and in `raw` come from different Kafka logs.
    """
    from polars.exceptions import PolarsError

    try:
        return _prune(settings, topic, table, uri, cutoff)
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed while {topic} was pruned; the next run continues: {error}") from error
    except PolarsError as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {error}. Nothing was pruned.") from error


def _prune(settings: Settings, topic: str, table: "DeltaTable", uri: str, cutoff: datetime) -> int:
    dsn, log_id = settings.require("dsn_loader"), str(table.metadata().description)
    watermarks = _watermarks(dsn, topic, log_id, uri)
    pruned = pruned_ends(settings.lake_uri, topic, watermarks)
    complete(dsn, topic, log_id, pruned)
    recorded = _recorded_ends(dsn, topic, log_id)  # ahead of the lake if that was restored to an earlier version
    starts = {each: max(pruned.get(each, 0), recorded.get(each, 0)) for each in watermarks}
    ranges = _due(uri, watermarks, starts, cutoff)
    if not ranges:
        return 0
    ledger = verify(settings, [topic])
    if not ledger.passed:
        log.warning("nothing is pruned, because the ledger does not balance (`okr lake verify`)", topic=topic)
        return 0
    _plan(dsn, topic, log_id, ranges)
    ends = {each.partition: each.end for each in ranges}
    _commit(table, uri, topic, log_id, {partition: end for partition, end in (starts | ends).items() if end})
    complete(dsn, topic, log_id, ends)
    return sum(each.rows for each in ranges)


def complete(dsn: str, topic: str, log_id: str, ends: Mapping[int, int]) -> None:
    """Delete from `raw` what the lake has recorded as pruned, in one transaction.

    Raises:
        InvariantBroken: the rows differ from the plan.
    """
    with connect(dsn, application="okr-prune") as connection:
        connection.execute(read_sql("ingestion.loading", "lock_topic"), {"topic": topic})
        for partition, end in ends.items():
            _delete(connection, {"topic": topic, "log_id": log_id, "partition": partition, "end": end})


def _watermarks(dsn: str, topic: str, log_id: str, uri: str) -> Offsets:
    """Return the watermarks of `raw`. They must be offsets of the lake's Kafka log."""
    with connect(dsn, application="okr-prune") as connection:
        watermarks = read_watermarks(connection, topic)
    if watermarks.log_id not in (None, log_id):
        raise PermanentError(
            f"raw.{topic} is loaded from the Kafka log {watermarks.log_id} (cluster id/topic id), but the lake table "
            f"{uri} has events of the log {log_id}, so the offsets that it records as pruned are not those of "
            f"raw.{topic}. Nothing was pruned. Set OKR_LAKE_URI to the lake from which this warehouse was filled."
        )
    return watermarks.offsets


def _recorded_ends(dsn: str, topic: str, log_id: str) -> dict[int, int]:
    with connect(dsn, application="okr-prune", autocommit=True) as connection:
        rows = connection.execute(read_sql(PACKAGE, "pruned_ends"), {"topic": topic, "log_id": log_id}).fetchall()
    return {int(str(partition)): int(str(end)) for partition, end in rows}


def _delete(connection: "psycopg.Connection[tuple[object, ...]]", values: Mapping[str, Any]) -> None:
    planned = connection.execute(read_sql(PACKAGE, "planned_range"), values).fetchone()
    has_rows = sql.SQL(read_sql(PACKAGE, "has_pruned_rows")).format(sql.Identifier("raw", values["topic"]))
    if planned is None and not (connection.execute(has_rows, values).fetchone() or [False])[0]:
        return  # already completed; even a deletion of no rows would make the next build compute all marts
    query = sql.SQL(read_sql(PACKAGE, "delete_pruned_rows")).format(sql.Identifier("raw", values["topic"]))
    found = connection.execute(query, values).fetchone()
    rows, offset_sum = (int(str(each)) for each in found or (0, 0))
    if planned is None:  # this database was restored to a state before the plan, or created after it
        place = {name: values[name] for name in ("topic", "partition", "end")}
        log.warning(
            "deleting rows from raw without a plan, because the lake records them as pruned", **place, rows=rows
        )
        return
    if [int(str(each)) for each in planned] != [rows, offset_sum]:
        raise InvariantBroken(
            f"Expected {planned} rows and sum of offsets to prune from raw.{values['topic']}, partition "
            f"{values['partition']}, below {values['end']}, but found {found}. Nothing was deleted. Run `okr lake "
            "verify` and read docs/runbooks/lake-verify.md."
        )
    connection.execute(read_sql(PACKAGE, "record_pruned"), values)


def _due(uri: str, watermarks: Mapping[int, int], pruned: Mapping[int, int], cutoff: datetime) -> list[Range]:
    """Return the ranges of rows before the cutoff, if the oldest is older than that by SLACK_DAYS."""
    import polars as pl

    rows = (
        pl.scan_delta(open_table(uri))
        .select(
            pl.col("kafka_partition").alias("partition"),
            pl.col("kafka_offset").alias("offset"),
            pl.col("logged_at"),
            pl.col("rejection_reason").is_not_null().alias("is_rejected"),
        )
        .collect()
    )
    ranges = []
    for (partition,), own in rows.group_by("partition"):
        number = int(str(partition))
        start, end = pruned.get(number, 0), watermarks.get(number, 0)
        kept = own.filter((pl.col("offset") >= start) & ((pl.col("logged_at") >= cutoff) | (pl.col("offset") >= end)))
        first_kept = kept["offset"].min()
        end = end if first_kept is None else min(end, int(str(first_kept)))
        old = own.filter((pl.col("offset") >= start) & (pl.col("offset") < end))
        if old.height == 0 or old["logged_at"].min() >= cutoff - timedelta(days=SLACK_DAYS):  # type: ignore[operator]
            continue
        valid = old.filter(~pl.col("is_rejected"))
        first = start or int(str(old["offset"].min()))
        sum_of_offsets = int(valid["offset"].cast(pl.Int64).sum())
        ranges.append(Range(number, first, end, old.height, old.height - valid.height, sum_of_offsets))
    return sorted(ranges, key=lambda each: each.partition)


def _plan(dsn: str, topic: str, log_id: str, ranges: Sequence[Range]) -> None:
    with connect(dsn, application="okr-prune") as connection:
        for each in ranges:
            values = {
                "topic": topic, "log_id": log_id, "partition": each.partition, "start": each.start, "end": each.end,
                "rows": each.rows, "rejected": each.rejected, "offset_sum": each.valid_offset_sum,
            }  # fmt: skip
            connection.execute(read_sql(PACKAGE, "drop_plan"), values)
            connection.execute(read_sql(PACKAGE, "plan_range"), values)


def _commit(table: "DeltaTable", uri: str, topic: str, log_id: str, ends: Mapping[int, int]) -> None:
    from deltalake import Transaction

    removes, before = _removes(table, uri, ends), table.version()
    ids = {application_id(log_id, GROUP, topic, partition): end for partition, end in ends.items()}
    commit(table, [], removes, [Transaction(name, end) for name, end in ids.items()])
    if (delta_log := DeltaLog(uri)).folder is not None:  # before raw is deleted, in case of a power cut
        commits = map(delta_log.commit, range(before + 1, table.version() + 1))
        sync(path for path in commits if path.is_file())
    log.info("pruned from the lake", topic=topic, files=len(removes), ends=dict(ends))


def _removes(table: "DeltaTable", uri: str, ends: Mapping[int, int]) -> "list[RemoveAction]":
    """Return the removals of the files that have only pruned rows."""
    import polars as pl

    found, last = [], max(ends.values())
    for file in table.get_add_actions(flatten=True).to_struct_array().to_pylist():
        if (file.get("min.kafka_offset") or 0) >= last:
            continue
        path = f"{uri}/{unquote(file['path'])}"
        rows = pl.scan_parquet(path, glob=False, hive_partitioning=False).select("kafka_partition", "kafka_offset")
        newest = rows.group_by("kafka_partition").max().collect()
        if all(offset < ends.get(partition, 0) for partition, offset in newest.iter_rows()):
            found.append(removal(file[f"partition.{PARTITION_COLUMN}"], file))
    return found
