"""Count the probabilities that the fast path serves, and add them to Prometheus' histogram in bulk.

`observe` of prometheus_client would take as long as all other work of such a request.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from serving import metrics


class ServedProbability(NamedTuple):
    """A probability, with the name and role of the version that predicted it."""

    model: str
    role: str
    probability: float


class ServedProbabilities:
    """Counts since the last export. It is thread-safe."""

    def __init__(self) -> None:
        self._counts: dict[ServedProbability, int] = {}
        self._counting = threading.Lock()

    def add(self, served: Sequence[ServedProbability]) -> None:
        """Count the probabilities of one request."""
        with self._counting:
            for each in served:
                self._counts[each] = self._counts.get(each, 0) + 1

    def export(self) -> None:
        """Add what was counted since the previous call to the histogram."""
        with self._counting:
            counted, self._counts = self._counts, {}
        for (model, role, probability), number in counted.items():
            counts = [0] * (len(metrics.PROBABILITY_BOUNDS) + 1)
            counts[bisect_left(metrics.PROBABILITY_BOUNDS, probability)] = number
            metrics.SERVED_PROBABILITY.labels(model, role).add(counts, number * probability)
