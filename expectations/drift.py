"""Measure the drift of each feature, which is the distance between the newest cycle and earlier cycles."""

from typing import TYPE_CHECKING

from expectations.suites.drift import MIN_ROWS
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
    distances = {}
    for position, feature in enumerate(names[1:], start=1):
        column = values[:, position]
        newest, earlier = (column[side & ~np.isnan(column)] for side in (is_newest, ~is_newest))
        if min(len(newest), len(earlier)) >= MIN_ROWS:
            distances[feature] = float(ks_2samp(newest, earlier).statistic)
    return distances
