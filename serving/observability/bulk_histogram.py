"""Count observations by bucket, and add them to Prometheus' histogram in bulk.

`observe` of prometheus_client would take as long as all other work of a request that is answered from memory.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence

from serving.observability.metrics import CountedHistogram

Labels = tuple[str, ...]


class BulkHistogram:
    """The observations since the last export, by labels. It is thread-safe."""

    def __init__(self, histogram: CountedHistogram, bounds: Sequence[float]) -> None:
        """`bounds` are the histogram's own."""
        self._histogram = histogram
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = {}
        self._totals: dict[Labels, float] = {}
        self._counting = threading.Lock()

    def observe(self, labels: Labels, value: float) -> None:
        """Count one observation."""
        with self._counting:
            counts = self._counts.get(labels)
            if counts is None:
                counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
                self._totals[labels] = 0.0
            counts[bisect_left(self._bounds, value)] += 1
            self._totals[labels] += value

    def export(self) -> dict[Labels, int]:
        """Add what was counted since the previous call to the histogram, and return the numbers of observations."""
        with self._counting:
            counted, totals = self._counts, self._totals
            self._counts, self._totals = {}, {}
        for labels, counts in counted.items():
            self._histogram.labels(*labels).add(counts, totals[labels])
        return {labels: sum(counts) for labels, counts in counted.items()}
