"""Measure request latencies by route and send them as events to the metrics topic.

Routes are recorded as templates instead of paths, and callers are not recorded. The metrics therefore contain no
personal data.
"""

import math
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ingestion.contract_validation import EncodedEvent, encode
from ingestion.sources.metrics.host import host_name
from lakehouse.background import BackgroundThread
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.logs import get_logger
from serving.errors import NotPersisted
from serving.outbox import SOURCE, Outbox

WINDOW_S = 30.0
LEFT_TO_OTHERS_FROM = 0.5  # above this fill ratio of the spool, latencies are dropped to leave space for forecasts
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Each bucket is 5 % wider than the previous one, so a percentile is at most 5 % too high. 300 buckets cover 0.1 ms to
# four minutes.
SMALLEST_MS = 0.1
GROWTH = 1.05
BUCKETS = 300
PERCENTILES = {"request_latency_p50": 0.50, "request_latency_p95": 0.95, "request_latency_p99": 0.99}


@dataclass
class Histogram:
    """Latencies of one route in one window. They are stored as counts per bucket to bound memory use."""

    buckets: Counter[int] = field(default_factory=Counter)
    server_errors: int = 0

    @property
    def count(self) -> int:
        """The number of requests."""
        return self.buckets.total()

    def add(self, took_ms: float, status: int) -> None:
        """Count one request."""
        steps = math.ceil(math.log(max(took_ms, SMALLEST_MS) / SMALLEST_MS, GROWTH))
        self.buckets[min(steps, BUCKETS)] += 1
        self.server_errors += status >= 500

    def percentile_ms(self, share: float) -> float:
        """Return the upper bound of the bucket that contains the percentile."""
        wanted, seen = share * self.count, 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return float(SMALLEST_MS * GROWTH**bucket)
        return 0.0


class Latencies:
    """Counts requests by route and is thread-safe. The counts of a window can be taken only once."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Histogram] = {}
        self._counting = threading.Lock()

    def observe(self, method: str, route: str, status: int, took_ms: float) -> None:
        """Count one request. `route` is the template that it matched."""
        key = (method if method in METHODS else "other", route)
        with self._counting:
            self._routes.setdefault(key, Histogram()).add(took_ms, status)

    def take(self) -> dict[tuple[str, str], Histogram]:
        """Return the counts since the previous call, by (method, route), and reset them."""
        with self._counting:
            taken, self._routes = self._routes, {}
        return taken


def samples(taken: dict[tuple[str, str], Histogram], window_seconds: float) -> list[AppMetricSampled]:
    """Return p50, p95 and p99 in ms, the number of requests and the number of 5xx responses for each route."""
    instance = f"{host_name()[:100]}/{os.getpid()}"
    found = []
    for (method, route), histogram in taken.items():
        values = {name: (histogram.percentile_ms(share), "ms") for name, share in PERCENTILES.items()}
        values |= {"requests": (histogram.count, "requests"), "server_errors": (histogram.server_errors, "requests")}
        found += [
            AppMetricSampled(
                app=SOURCE, instance=instance, metric=metric, value=float(value), unit=unit,
                labels={"method": method, "route": route[:256]}, window_seconds=window_seconds,
            )
            for metric, (value, unit) in values.items()
        ]  # fmt: skip
    return found


class LatencyReporter:
    """Sends the counts through the outbox after each window and at shutdown. Call `start` before use."""

    def __init__(self, outbox: Outbox, window_s: float = WINDOW_S) -> None:
        self.latencies = Latencies()
        self._outbox = outbox
        self._window_s = window_s
        self._stopping = threading.Event()
        self.thread = BackgroundThread("latencies", self._run, self._stopping, state=outbox.state_folder)

    def start(self) -> None:
        """Start reporting."""
        self.thread.start()

    def stop(self) -> None:
        """Report the last window and stop."""
        self._stopping.set()
        self.thread.join(10)

    def _run(self) -> None:
        while not self._stopping.wait(self._window_s):
            self._report()
            self.thread.report_success()
        self._report()

    def _report(self) -> None:
        try:
            events = self._events()
            if self._outbox.state().fill_ratio > LEFT_TO_OTHERS_FROM:
                get_logger(__name__).warning("a window of latencies is dropped: too many events wait for the broker")
                return
            self._outbox.post(events)
        except NotPersisted as error:
            get_logger(__name__).warning("a window of latencies is dropped", error=str(error))

    def _events(self) -> Sequence[EncodedEvent]:
        now = datetime.now(UTC)
        return [encode(data, at=now, source=SOURCE) for data in samples(self.latencies.take(), self._window_s)]
