"""All metrics of the service for Prometheus, added up over the workers of a host.

`okr serve` prepares a folder (`metrics_folder`) before this module is imported. Each worker keeps its values in files
of that folder, and any worker can answer for all of them. Without a folder, as in tests, values are kept in memory.

Labels have few values: route templates, never paths; no accounts, addresses or ids of key results.
"""

import os
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from serving.observability.metrics_folder import FOLDER_VARIABLE

REGISTRY = CollectorRegistry()

REQUEST_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MODEL_BOUNDS_S = (0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
PROBABILITY_BOUNDS = tuple(number / 10 for number in range(1, 11))


class CountedHistogram(Histogram):
    """A histogram to which observations are added in bulk, already counted by bucket."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add observations: their number in each bucket, and their sum."""
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)


REQUEST_SECONDS = CountedHistogram(
    "okr_http_request_duration_seconds", "Time to answer a request, by method, route template and status.",
    ("method", "route", "status"), buckets=REQUEST_BOUNDS_S, registry=REGISTRY,
)  # fmt: skip
REFUSALS = Counter(
    "okr_http_refusals",
    "Requests and connections that were refused by a limit or before they reached a route.",
    ("reason",),
    registry=REGISTRY,
)
MODEL_SECONDS = CountedHistogram(
    "okr_model_duration_seconds", "Time that a model takes for one batch of rows.",
    ("model",), buckets=MODEL_BOUNDS_S, registry=REGISTRY,
)  # fmt: skip
MODEL_ROWS = Counter("okr_model_rows", "Rows for which a model has predicted.", ("model",), registry=REGISTRY)
# For drift: the distribution of served probabilities. A distribution that moves is the first sign of changed features.
SERVED_PROBABILITY = CountedHistogram(
    "okr_served_probability", "Probabilities of served forecasts.",
    ("model", "role"), buckets=PROBABILITY_BOUNDS, registry=REGISTRY,
)  # fmt: skip
# Set by the worker that computes the forecasts of a publication, for all workers.
FEATURE_DRIFT = Gauge(
    "okr_feature_drift_psi", "Population stability index of a feature: current key results against the training data.",
    ("model", "role", "feature"), multiprocess_mode="mostrecent", registry=REGISTRY,
)  # fmt: skip
PREDICTION_DRIFT = Gauge(
    "okr_prediction_drift_psi", "Population stability index of the probabilities: current against training data.",
    ("model", "role"), multiprocess_mode="mostrecent", registry=REGISTRY,
)  # fmt: skip
FORECAST_CACHE = Counter(
    "okr_forecast_cache_lookups", "Look-ups of all forecasts of a publication and version, by result.",
    ("result",), registry=REGISTRY,
)  # fmt: skip
SHADOW_REQUESTS = Counter(
    "okr_shadow_requests", "Requests for which a shadow arm predicted, by result: scored, failed or dropped.",
    ("result",), registry=REGISTRY,
)  # fmt: skip
# The spools are files that all workers of a host share, so the newest value of any worker is right.
SPOOL_EVENTS = Gauge(
    "okr_spool_events", "Events in a spool of this host, by state: waiting or rejected.",
    ("spool", "state"), multiprocess_mode="mostrecent", registry=REGISTRY,
)  # fmt: skip
SPOOL_FILL = Gauge(
    "okr_spool_fill_ratio", "Share of its limit that a spool occupies (0-1).",
    ("spool",), multiprocess_mode="mostrecent", registry=REGISTRY,
)  # fmt: skip
PREDICTION_LOG_FILL = Gauge(
    "okr_prediction_log_fill_ratio", "Share of its size limit that the prediction log occupies (0-1).",
    multiprocess_mode="mostrecent", registry=REGISTRY,
)  # fmt: skip
PREDICTION_LOG_BEHIND_SECONDS = Gauge(
    "okr_prediction_log_behind_seconds", "For how long recorded predictions have been waiting to be sent.",
    multiprocess_mode="mostrecent", registry=REGISTRY,
)  # fmt: skip
EVENTS_POSTED = Counter("okr_events_posted", "Events written to a spool.", ("spool",), registry=REGISTRY)
EVENTS_NOT_PERSISTED = Counter(
    "okr_events_not_persisted", "Events that could not be written to a spool.", ("spool",), registry=REGISTRY
)


def exposition() -> bytes:
    """Return all metrics of all workers in Prometheus' text format."""
    if FOLDER_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
