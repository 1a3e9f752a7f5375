"""Serve the newest readings of all measurements to Prometheus.

If a measurement fails or hangs, `okr_measurement_up` is 0, and what it could not measure is missing. An old value would
look like a current one, and an alert that depends on it would stay as it is for ever.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingestion.sources.metrics.families import FAMILIES, Family, Reading
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

MISSED_INTERVALS, GRACE_S = 3, 60.0  # a measurement without a result for this long hangs


@dataclass(frozen=True)
class Outcome:
    """The newest result of one measurement. `at_s` is of the monotonic clock."""

    readings: Sequence[Reading]
    is_up: bool
    took_s: float
    at_s: float


class Exposition(Collector):
    """Collects the newest outcome of each measurement. It is thread-safe."""

    def __init__(self, constants: Sequence[Reading] = ()) -> None:
        """`constants` never change."""
        self._constants = constants
        self._limits_s: dict[str, float] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._lock = threading.Lock()

    def expect(self, measurement: str, interval_s: float) -> None:
        """Announce a measurement, which counts as failed if it never reports."""
        with self._lock:
            self._limits_s[measurement] = MISSED_INTERVALS * interval_s + GRACE_S
            self._outcomes[measurement] = Outcome((), is_up=True, took_s=0.0, at_s=time.monotonic())

    def report(self, measurement: str, readings: Sequence[Reading], took_s: float, *, is_up: bool = True) -> None:
        """Replace a measurement's readings. If it has failed, these are what it measured before that."""
        with self._lock:
            self._outcomes[measurement] = Outcome(readings, is_up, took_s, time.monotonic())

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values."""
        by_name: dict[str, dict[tuple[str, ...], Reading]] = {}
        for reading in self._readings():
            labels = tuple(value for _, value in sorted(reading.labels.items()))
            by_name.setdefault(reading.name, {})[labels] = reading  # a duplicate would make the whole page invalid
        for name, readings in sorted(by_name.items()):
            yield _metric(name, list(readings.values()))

    def _readings(self) -> Iterator[Reading]:
        with self._lock:
            outcomes, now = dict(self._outcomes), time.monotonic()
        yield from self._constants
        for measurement, outcome in outcomes.items():
            hangs = now - outcome.at_s > self._limits_s[measurement]
            labels = {"measurement": measurement}
            yield Reading("okr_measurement_up", float(outcome.is_up and not hangs), labels)
            yield Reading("okr_measurement_duration_seconds", outcome.took_s, labels)
            yield from () if hangs else outcome.readings


def build_info(settings: Settings) -> Reading:
    """Return the version of the code and its environment."""
    labels = {"version": version("okr-lakehouse"), "environment": settings.environment.value}
    return Reading("okr_build_info", 1.0, labels)


def serve(exposition: Exposition, settings: Settings) -> None:
    """Serve the metrics at OKR_METRICS_ADDRESS, with TLS for clients of the authority in OKR_CA_FILE if configured.

    Raises:
        PermanentError: the address is not host:port or cannot be used, or a file of TLS cannot.
    """
    host, separator, port = settings.metrics_address.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise PermanentError(
            f"OKR_METRICS_ADDRESS is {settings.metrics_address!r}. Expected an address and a port: 127.0.0.1:9464."
        )
    registry = CollectorRegistry()
    registry.register(exposition)
    try:
        if settings.metrics_certificate:
            start_http_server(
                int(port), host.strip("[]"), registry, settings.metrics_certificate, settings.metrics_key,
                client_cafile=_authority(settings), client_auth_required=True,
            )  # fmt: skip
        else:
            start_http_server(int(port), host.strip("[]"), registry)
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"The metrics cannot be served at {settings.metrics_address}: {error}. Is the port free, and can this user "
            "read the files in OKR_METRICS_CERTIFICATE, OKR_METRICS_KEY and OKR_CA_FILE?"
        ) from error


def _authority(settings: Settings) -> str:
    if not settings.ca_file or not Path(settings.ca_file).is_file():
        raise PermanentError(
            "OKR_METRICS_CERTIFICATE is set, so OKR_CA_FILE must name the authority of the clients. Without "
            "one, everybody could read the metrics."
        )
    return settings.ca_file


def _metric(name: str, readings: Sequence[Reading]) -> Metric:
    family = FAMILIES.get(name) or Family(readings[0].about, tuple(sorted(readings[0].labels)))
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    metric = kind(name, family.about, labels=family.labels)
    for reading in readings:
        metric.add_metric([reading.labels.get(label, "") for label in family.labels], reading.value)
    return metric
