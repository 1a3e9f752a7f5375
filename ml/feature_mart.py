"""Read features and outcomes from the published feature mart. Only dbt computes them (dbt_project/models/ml)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from lakehouse.errors import PermanentError
from lakehouse.warehouse import read_sql
from ml.feature_rows import Rows, rows_of

if TYPE_CHECKING:
    from psycopg import Connection

PACE_RATIOS = (
    "log_pace_ratio_7d",
    "log_pace_ratio_14d",
    "log_pace_ratio_28d",
    "log_pace_ratio_cycle",
    "log_pace_ratio_trend",
)
# Columns of ml.key_result_features that a forecast needs. Only confidence may be null.
REQUIRED_FEATURES = (
    *PACE_RATIOS,
    "log_required_pace",
    "remaining_ratio",
    "weeks_between_check_ins",
    "confidence",
    "progress_ratio",
    "elapsed_ratio",
    "check_ins",
    "days_remaining",
    "days_since_check_in",
    "noise_ratio",
    "peer_drift",
    "reversion_ratio",
    "season_ratio",
)


def read_current(connection: "Connection[Any]", key_result_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the latest feature row of each key result and cycle. Without ids, all key results are included.

    `as_of_kind` is `current` for an open key result in a running cycle. Otherwise it is `check_in`, and the row
    describes the last check-in. Unknown ids are omitted.

    Raises:
        PermanentError: nothing has been published yet.
    """
    ids = None if key_result_ids is None else list(key_result_ids)
    names, records = _query(connection, "latest_features", {"key_result_ids": ids})
    return [dict(zip(names, record, strict=True)) for record in records]


def read_history(connection: "Connection[Any]") -> Rows:
    """Return all feature rows with their outcomes, ordered by key result and as_of. See feature_history.sql.

    Raises:
        PermanentError: nothing has been published yet.
    """
    return rows_of(*_query(connection, "feature_history", {}))


def read_publication_id(connection: "Connection[Any]") -> int | None:
    """Return the id of the current publication, or None before the first publication."""
    row = connection.execute("SELECT publication_id FROM ops.publication WHERE is_current").fetchone()
    return int(row[0]) if row else None


def _query(connection: "Connection[Any]", name: str, values: dict[str, object]) -> tuple[list[str], list[Any]]:
    try:
        cursor = connection.execute(read_sql("ml", name).encode(), values)
    except psycopg.errors.UndefinedTable as error:
        raise PermanentError(
            "ml.key_result_features does not exist: no feature mart has been published yet. "
            "Land some events and let okr_etl_dag publish them (`make demo` does both)."
        ) from error
    return [column.name for column in cursor.description or ()], cursor.fetchall()
