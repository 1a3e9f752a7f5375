"""`okr lake status`: the state of each landing table according to its Delta log, without reading rows."""

from datetime import UTC, datetime
from typing import Any

from ingestion.delta.log import DeltaLog
from ingestion.maintenance.compaction import SMALL_BYTES
from ingestion.maintenance.report import read_last
from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.lake import table_uri


def lake_status(lake_uri: str) -> list[dict[str, Any]]:
    """Return each topic's URI, version, files, small files, rows, bytes, log files and last maintenance run (or None).

    The version is None for a table that does not exist yet.

    Raises:
        RetryableError: a Delta log cannot be read.
    """
    last = read_last(lake_uri)
    return [_table_status(topic, table_uri(lake_uri, topic)) | {"maintenance": last.get(topic)} for topic in TOPICS]


def _table_status(topic: str, uri: str) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    status: dict[str, Any] = {"topic": topic, "uri": uri, "version": None}
    status |= dict.fromkeys(("files", "small_files", "rows", "bytes", "log_files"), 0)
    try:
        table = DeltaTable(uri)
        files = pa.table(table.get_add_actions(flatten=True))
    except TableNotFoundError:
        return status
    except (DeltaError, OSError) as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error
    log = DeltaLog(uri)
    return status | {
        "version": table.version(),
        "files": files.num_rows,
        "small_files": pc.sum(pc.less(files["size_bytes"], SMALL_BYTES)).as_py() or 0,
        "rows": pc.sum(files["num_records"]).as_py() or 0,
        "bytes": pc.sum(files["size_bytes"]).as_py() or 0,
        "log_files": len(log.commits()) + len(log.checkpoints()),
    }


def as_lines(tables: list[dict[str, Any]]) -> str:
    """Return a table with one line per landing table."""
    lines = [f"{'topic':<20} {'version':>8} {'files':>8} {'rows':>12} {'MB':>10} {'log files':>9}  last maintenance"]
    for each in tables:
        version = "none yet" if each["version"] is None else each["version"]
        lines.append(
            f"{each['topic']:<20} {version:>8} {each['files']:>8,} {each['rows']:>12,} {each['bytes'] / 1e6:>10,.1f} "
            f"{each['log_files']:>9,}  {_last_maintenance(each['maintenance'])}"
        )
    return "\n".join(lines)


def _last_maintenance(last: dict[str, Any] | None) -> str:
    if last is None:
        return "never"
    started = datetime.fromtimestamp(last["started_at_s"], UTC)
    files = f"{last['files_before']:,} -> {last['files_after']:,} files"
    return f"{started:%Y-%m-%d %H:%M} UTC, {files} in {last['seconds']} s"
