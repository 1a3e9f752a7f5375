"""Send the performance of each route as events to the metrics topic, once a minute.

The events are derived from the same counts as Prometheus' metrics. They give the API's performance the same history as
all other events.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ingestion.contract_validation import EncodedEvent, encode
from ingestion.sources.metrics.host import host_name
from lakehouse.background import BackgroundThread
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.logs import get_logger
from serving.errors import NotPersisted
from serving.http.request_metrics import Durations, Key, RequestMetrics, since
from serving.spool_sender import SOURCE, SpoolSender

WINDOW_S = 60.0
EXPORT_EVERY_S = 1.0  # another worker of this host may answer Prometheus
MAX_FILL_RATIO = 0.5  # of the spool for latencies; above it, the latencies of a window are dropped
PERCENTILES = {"request_latency_p50": 0.50, "request_latency_p95": 0.95, "request_latency_p99": 0.99}


def samples(counted: Mapping[Key, Durations], window_seconds: float) -> list[AppMetricSampled]:
    """Return p50, p95 and p99 in ms, the number of requests and the number of 5xx responses for each route."""
    instance = f"{host_name()[:100]}/{os.getpid()}"
    by_route: dict[tuple[str, str], Durations] = {}
    errors: dict[tuple[str, str], int] = {}
    for (method, route, status), durations in counted.items():
        name = (method, route)
        by_route[name] = by_route.get(name, Durations()).plus(durations)
        errors[name] = errors.get(name, 0) + (durations.count if status >= 500 else 0)
    found = []
    for (method, route), durations in by_route.items():
        values = {name: (durations.percentile_ms(share), "ms") for name, share in PERCENTILES.items()}
        values |= {
            "requests": (durations.count, "requests"),
            "server_errors": (errors[method, route], "requests"),
        }
        found += [
            AppMetricSampled(
                app=SOURCE, instance=instance, metric=metric, value=float(value), unit=unit,
                labels={"method": method, "route": route[:256]}, window_seconds=window_seconds,
            )
            for metric, (value, unit) in values.items()
        ]  # fmt: skip
    return found


class LatencyReporter:
    """Sends the counts of each window through the sender, and exports them to Prometheus every second."""

    def __init__(self, request_metrics: RequestMetrics, sender: SpoolSender, window_s: float = WINDOW_S) -> None:
        self._metrics = request_metrics
        self._sender = sender
        self._window_s = window_s
        self._reported: Mapping[Key, Durations] = {}
        self._stopping = threading.Event()
        self.thread = BackgroundThread("latencies", self._run, self._stopping, state=sender.state_folder)

    def start(self) -> None:
        """Start reporting."""
        self.thread.start()

    def stop(self) -> None:
        """Report the last window and stop."""
        self._stopping.set()
        self.thread.join(10)

    def _run(self) -> None:
        left_s = self._window_s
        while not self._stopping.wait(min(EXPORT_EVERY_S, left_s)):
            left_s -= min(EXPORT_EVERY_S, left_s)
            self._metrics.export()
            if left_s <= 0:
                self.report()
                left_s = self._window_s
            self.thread.report_success()
        self._metrics.export()
        self.report()

    def report(self) -> None:
        """Send the requests since the previous report as events."""
        try:
            events = self._events()
            if self._sender.state().fill_ratio > MAX_FILL_RATIO:
                get_logger(__name__).warning("a window of latencies is dropped: too many events wait for the broker")
                return
            self._sender.post(events)
        except NotPersisted as error:
            get_logger(__name__).warning("a window of latencies is dropped", error=str(error))

    def _events(self) -> Sequence[EncodedEvent]:
        now, counted = datetime.now(UTC), self._metrics.copy()
        changes, self._reported = since(self._reported, counted), counted
        return [encode(data, at=now, source=SOURCE) for data in samples(changes, self._window_s)]
