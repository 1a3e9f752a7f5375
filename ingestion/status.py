"""`okr lake status`: what the Delta logs say of each landing table, without reading a row."""

from typing import Any

from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.lake import table_uri


def lake_status(lake_uri: str) -> list[dict[str, Any]]:
    """Return per topic: uri, version, files, rows, bytes; a table that is not there yet has version None.

    Raises:
        RetryableError: a Delta log cannot be read.
    """
    return [_table_status(topic, table_uri(lake_uri, topic)) for topic in TOPICS]


def _table_status(topic: str, uri: str) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        table = DeltaTable(uri)
        files = pa.table(table.get_add_actions(flatten=True))
    except TableNotFoundError:
        return {"topic": topic, "uri": uri, "version": None, "files": 0, "rows": 0, "bytes": 0}
    except (DeltaError, OSError) as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error
    return {
        "topic": topic,
        "uri": uri,
        "version": table.version(),
        "files": files.num_rows,
        "rows": pc.sum(files["num_records"]).as_py() or 0,
        "bytes": pc.sum(files["size_bytes"]).as_py() or 0,
    }


def as_lines(tables: list[dict[str, Any]]) -> str:
    """Return one line per table, for people."""
    lines = [f"{'topic':<20} {'version':>8} {'files':>8} {'rows':>12} {'MB':>10}"]
    for each in tables:
        version = "none yet" if each["version"] is None else each["version"]
        lines.append(
            f"{each['topic']:<20} {version:>8} {each['files']:>8,} {each['rows']:>12,} {each['bytes'] / 1e6:>10,.1f}"
        )
    return "\n".join(lines)
