"""Measure the drift of each feature, which is the distance between the newest cycle and earlier cycles."""

from typing import TYPE_CHECKING

from expectations.suites.drift import FEWEST_ROWS
from lakehouse.warehouse import read_sql

if TYPE_CHECKING:
    from psycopg import Connection


def feature_distances(connection: "Connection[tuple[object, ...]]") -> dict[str, float]:
    """Return the Kolmogorov-Smirnov distance (0-1) of each feature that has enough rows."""
    import numpy as np
    from scipy.stats import ks_2samp

    cursor = connection.execute(read_sql("expectations", "drift_features"))
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    values = np.array(rows, dtype=float).reshape(len(rows), len(names))
    is_newest = values[:, 0] == 1
    found = {}
    for position, feature in enumerate(names[1:], start=1):
        column = values[:, position]
        newest, before = (column[side & ~np.isnan(column)] for side in (is_newest, ~is_newest))
        if min(len(newest), len(before)) >= FEWEST_ROWS:
            found[feature] = float(ks_2samp(newest, before).statistic)
    return found
