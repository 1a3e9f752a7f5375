"""The page that Prometheus reads: the metrics of all workers of this host."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.http.request_metrics import RequestMetrics
from serving.observability import metrics
from serving.prediction_log import PredictionLog
from serving.spool_sender import SpoolSender


@dataclass(frozen=True)
class MetricsPage:
    """Renders the metrics of requests and of events that wait, and all that other modules count."""

    request_metrics: RequestMetrics
    senders: Sequence[SpoolSender]
    prediction_log: PredictionLog

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format.

        Raises:
            PermanentError: a spool cannot be read.
        """
        self.request_metrics.export()
        for sender in self.senders:
            state = sender.state()
            metrics.SPOOL_EVENTS.labels(sender.spool.source, "waiting").set(state.waiting)
            metrics.SPOOL_EVENTS.labels(sender.spool.source, "rejected").set(state.rejected)
            metrics.SPOOL_FILL.labels(sender.spool.source).set(state.fill_ratio)
        log = self.prediction_log.state()
        metrics.PREDICTION_LOG_FILL.set(log.fill_ratio)
        metrics.PREDICTION_LOG_BEHIND_SECONDS.set(log.seconds_behind)
        return metrics.exposition()
