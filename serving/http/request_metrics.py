"""Count requests and their durations by method, route and status: the one source of all request metrics.

Prometheus' histogram and the events in okr_system_metrics (`latency`) are both derived from these counts. Routes are
recorded as templates instead of paths, and callers are not recorded, so the metrics contain no personal data.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.observability import metrics
from serving.observability.bulk_histogram import BulkHistogram

# Each bound is at most 5 % above the previous one, so a percentile is at most 5 % too high. They cover 0.1 ms to four
# minutes and include Prometheus' bounds.
SMALLEST_S = 0.0001
GROWTH = 1.05
BOUNDS_S = sorted({SMALLEST_S * GROWTH**step for step in range(301)} | set(metrics.REQUEST_BOUNDS_S))
_COARSE = [bisect_left(metrics.REQUEST_BOUNDS_S, bound) for bound in BOUNDS_S] + [len(metrics.REQUEST_BOUNDS_S)]

Key = tuple[str, str, int]  # method, route, status


@dataclass
class Durations:
    """Durations of requests, as counts by bucket. Bucket `i` ends at BOUNDS_S[i]; the last one has no end."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0

    @property
    def count(self) -> int:
        """The number of requests."""
        return sum(self.counts)

    def add(self, took_s: float) -> None:
        """Count one request."""
        self.counts[bisect_left(BOUNDS_S, took_s)] += 1
        self.total_s += took_s

    def plus(self, other: "Durations") -> "Durations":
        """Return the requests of both."""
        counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        return Durations(counts, self.total_s + other.total_s)

    def minus(self, earlier: "Durations") -> "Durations":
        """Return the requests since an earlier copy."""
        counts = [now - before for now, before in zip(self.counts, earlier.counts, strict=True)]
        return Durations(counts, self.total_s - earlier.total_s)

    def percentile_ms(self, share: float) -> float:
        """Return the upper bound of the bucket that contains the percentile."""
        wanted, seen = share * self.count, 0
        for bound, count in zip(BOUNDS_S, self.counts, strict=False):
            seen += count
            if count and seen >= wanted:
                return bound * 1000
        return BOUNDS_S[-1] * 1000

    def coarse_counts(self) -> list[int]:
        """Return the counts by Prometheus' buckets."""
        counts = [0] * (len(metrics.REQUEST_BOUNDS_S) + 1)
        for bucket, count in zip(_COARSE, self.counts, strict=True):
            counts[bucket] += count
        return counts


class RequestMetrics:
    """Counts requests since the start of this worker. It is thread-safe."""

    def __init__(self) -> None:
        self.probabilities = BulkHistogram(metrics.SERVED_PROBABILITY, metrics.PROBABILITY_BOUNDS)
        self.model_seconds = BulkHistogram(metrics.MODEL_SECONDS, metrics.MODEL_BOUNDS_S)
        """The probabilities and model calls of the fast path."""
        self._by_key: dict[Key, Durations] = {}
        self._exported: Mapping[Key, Durations] = {}
        self._counting = threading.Lock()
        self._exporting = threading.Lock()

    def observe(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one request. `route` is the template that it matched."""
        key = (method, route, status)
        with self._counting:
            durations = self._by_key.get(key)
            if durations is None:
                durations = self._by_key[key] = Durations()
            durations.add(took_s)

    def copy(self) -> dict[Key, Durations]:
        """Return the counts so far."""
        with self._counting:
            return {key: Durations(list(each.counts), each.total_s) for key, each in self._by_key.items()}

    def export(self) -> None:
        """Add what was counted since the previous call to Prometheus' histograms."""
        self.probabilities.export()
        for labels, calls in self.model_seconds.export().items():
            metrics.MODEL_ROWS.labels(*labels).inc(calls)
        with self._exporting:
            now = self.copy()
            for key, durations in since(self._exported, now).items():
                metrics.REQUEST_SECONDS.labels(*map(str, key)).add(durations.coarse_counts(), durations.total_s)
            self._exported = now


def since(earlier: Mapping[Key, Durations], now: Mapping[Key, Durations]) -> dict[Key, Durations]:
    """Return what was counted between two copies, without keys for which nothing was."""
    changes = {key: each.minus(earlier[key]) if key in earlier else each for key, each in now.items()}
    return {key: each for key, each in changes.items() if each.count}
