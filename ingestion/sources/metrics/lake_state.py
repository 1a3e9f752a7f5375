"""Measure the landing tables: when landing last committed, and how many rows and files they have."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ingestion.sources.metrics.families import Reading
from lakehouse.contracts import TOPICS
from lakehouse.errors import RetryableError
from lakehouse.lake import table_uri

if TYPE_CHECKING:
    from deltalake import DeltaTable

NEWEST_COMMITS = 50  # among which landing's newest one is searched; maintenance commits a few times an hour
FILES_AT_ONCE = 500


class LakeState:
    """Measures one lake. It remembers the rejected rows of each file, so that each file is read once."""

    def __init__(self, lake_uri: str) -> None:
        self._lake_uri = lake_uri
        self._rejected: dict[str, int] = {}

    def measure(self) -> Iterator[Reading]:
        """Yield the state of each topic's table.

        The number of rejected rows is left out until all files of a large lake have been read once.

        Raises:
            RetryableError: a table cannot be read.
        """
        import polars as pl
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        for topic in TOPICS:
            uri = table_uri(self._lake_uri, topic)
            try:
                yield from self._of_table(DeltaTable(uri), uri, topic)
            except TableNotFoundError:
                yield Reading("okr_lake_commit_timestamp_seconds", 0.0, {"topic": topic})
            except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
                raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error

    def _of_table(self, table: "DeltaTable", uri: str, topic: str) -> Iterator[Reading]:
        import pyarrow as pa
        import pyarrow.compute as pc

        labels = {"topic": topic}
        files = pa.table(table.get_add_actions(flatten=True))
        rows = float(pc.sum(files["num_records"]).as_py() or 0)
        yield Reading("okr_lake_commit_timestamp_seconds", _landed_at(table.history(NEWEST_COMMITS)), labels)
        yield Reading("okr_lake_files", float(files.num_rows), labels)
        yield Reading("okr_lake_bytes", float(pc.sum(files["size_bytes"]).as_py() or 0), labels)
        rejected = self._rejected_rows(uri, files["path"].to_pylist())
        if rejected is not None:
            yield Reading("okr_lake_rows", rows - rejected, labels | {"state": "accepted"})
            yield Reading("okr_lake_rows", float(rejected), labels | {"state": "rejected"})

    def _rejected_rows(self, uri: str, paths: list[str]) -> int | None:
        """Return the number of rejected rows in these files, or None until all of them have been read."""
        current = [f"{uri}/{unquote(path)}" for path in paths]
        new = [path for path in current if path not in self._rejected]
        self._rejected |= _rejected_by_file(new[:FILES_AT_ONCE])
        kept = {*current}
        for path in [path for path in self._rejected if path.startswith(f"{uri}/") and path not in kept]:
            del self._rejected[path]
        return None if len(new) > FILES_AT_ONCE else sum(self._rejected[path] for path in current)


def _rejected_by_file(paths: list[str]) -> dict[str, int]:
    """Return the number of rejected rows of each file, from one column of it."""
    import polars as pl

    if not paths:
        return {}
    options: dict[str, Any] = {"missing_columns": "insert", "hive_partitioning": False, "glob": False}
    rows = pl.scan_parquet(paths, include_file_paths="file", extra_columns="ignore", **options)
    counted = rows.group_by("file").agg(pl.col("rejection_reason").count()).collect()
    return dict.fromkeys(paths, 0) | {str(path): int(count) for path, count in counted.rows()}


def _landed_at(history: list[dict[str, Any]]) -> float:
    """Return when landing last committed, as Unix time: maintenance commits OPTIMIZE or DELETE, landing WRITE.

    If maintenance made all of the newest commits, the oldest of them is the best bound that is known.
    """
    landed = [each for each in history if each.get("operation") == "WRITE" and each.get("files") != 0]
    newest = landed[0] if landed else (history[-1] if len(history) == NEWEST_COMMITS else {})
    return datetime.fromtimestamp(newest.get("timestamp", 0) / 1000, UTC).timestamp()
