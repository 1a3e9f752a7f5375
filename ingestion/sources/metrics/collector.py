"""The metrics collector: measure at an interval until stopped, even while parts of the platform are down.

Each measurement runs in its own thread, so a measurement that hangs (for example, because PostgreSQL is suspended) does
not delay the others. Each value is measured once. Events are first written to the spool on disk. The main thread sends
them, together with events that other sources on this host have left in their spools. Prometheus reads the newest values
at OKR_METRICS_ADDRESS (`exposition`); those that it alone reads are not sent as events.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from ingestion.contract_validation import EncodedEvent, encode
from ingestion.sources.metrics import (
    certificates,
    host,
    lake_state,
    metric_files,
    pipeline_state,
    queues,
    service_probes,
    tool_health,
)
from ingestion.sources.metrics.exposition import Exposition, build_info, serve
from ingestion.sources.metrics.families import Reading, reading_of
from ingestion.spool import Drainer, Spool, spooled_sources
from lakehouse.background import BackgroundThread
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.errors import OkrError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.readiness import report_alive, report_ready
from lakehouse.retry import Backoff
from lakehouse.settings import Settings

log = get_logger(__name__)

SOURCE = "okr-metrics"
SEND_SECONDS = 5.0  # time limit of one attempt to send; on SIGTERM, the current attempt is completed
LONGEST_PAUSE_SECONDS = 60.0
SLOW_EVERY = 3  # metrics that change slowly or need a connection are sampled once in this many intervals
RARE_EVERY = 30  # metrics that need a larger statement
LEFTOVER_SECONDS = 30.0  # events that another source left in its spool are sent once they are older than this

Measure = Callable[[], Iterator[msgspec.Struct | Reading]]


@dataclass(frozen=True)
class Measurement:
    """A named measurement, which is taken once in `every` intervals. Readings are only for Prometheus."""

    name: str
    measure: Measure
    every: int = 1


def collect(settings: Settings, *, interval_seconds: float, stop: threading.Event) -> int:
    """Measure and send until `stop` is set; return the number of samples that the broker has accepted.

    While the broker is down, samples wait in the spool. The spool has a size limit; when it is full, new samples are
    dropped and a warning is logged.

    Raises:
        PermanentError: a setting is missing, or the metrics cannot be served for Prometheus.
    """
    kafka = KafkaConnection.of(settings)
    spool = Spool.of(settings, SOURCE)
    exposition = Exposition([build_info(settings)])
    for each in measurements(settings):
        seconds = each.every * interval_seconds
        exposition.expect(each.name, seconds)
        measuring = _MeasurementThread(
            each, spool, exposition, interval_seconds=seconds, stop=stop, state=settings.state
        )
        measuring.thread.start()
    if settings.metrics_address:
        serve(exposition, settings)
    report_ready()
    sent = 0
    drainer, backoff = Drainer(spool, kafka), Backoff(interval_seconds, LONGEST_PAUSE_SECONDS)
    while not stop.is_set():
        report_alive()
        try:
            sent += drainer.drain(SEND_SECONDS).sent
            _send_leftover_events(settings, kafka)
        except OkrError as error:
            pause = backoff.pause()
            log.warning("events are waiting in the spool; retrying", seconds=round(pause, 1), error=str(error))
        else:
            backoff.reset()
            pause = interval_seconds
        stop.wait(pause)
    drainer.close()
    return sent


def measurements(settings: Settings) -> list[Measurement]:
    """Return the measurements of all services whose address is configured."""
    name, kafka = host.host_name(), KafkaConnection.of(settings)
    has_database = bool(settings.dsn_metrics.get_secret_value())
    groups = [queues.Group.landing(settings)] if settings.lake_uri else []
    groups += [queues.Group.state(settings)] if has_database else []
    result = [
        Measurement("host", partial(host.sample, name, settings.state)),
        Measurement("spool", partial(queues.spool_depth, settings, name), SLOW_EVERY),
        Measurement("consumer lag", partial(queues.consumer_lag, groups, name), SLOW_EVERY),
        Measurement("kafka", partial(service_probes.kafka_up, kafka, name), SLOW_EVERY),
    ]
    result += _for_prometheus(settings, has_database=has_database) if settings.metrics_address else []
    if has_database and settings.lake_uri:
        landing = queues.Group.landing(settings)
        result.append(
            Measurement("waiting for raw", partial(queues.waiting_for_raw, settings, landing, name), SLOW_EVERY)
        )
    if has_database:
        result.append(Measurement("postgresql", partial(service_probes.postgresql_up, settings, name), SLOW_EVERY))
    if settings.redis_metrics_url.get_secret_value():
        result.append(Measurement("redis", partial(service_probes.redis_up, settings, name), SLOW_EVERY))
    return result


def _for_prometheus(settings: Settings, *, has_database: bool) -> list[Measurement]:
    """Return the measurements whose values are not sent as events."""
    result = [
        Measurement("metric files", partial(metric_files.metrics_in_files, settings.metrics_dir)),
        Measurement("certificates", partial(certificates.certificate_ends, settings), SLOW_EVERY),
    ]
    if settings.lake_uri:
        result.append(Measurement("lake", lake_state.LakeState(settings.lake_uri).measure, SLOW_EVERY))
    if has_database:
        result += [
            Measurement("pipeline", partial(pipeline_state.pipeline_state, settings), SLOW_EVERY),
            Measurement("forecasts", partial(pipeline_state.forecast_quality, settings), RARE_EVERY),
            Measurement("business figures", partial(pipeline_state.business_figures, settings), RARE_EVERY),
        ]
    if settings.airflow_url:
        result.append(Measurement("airflow", partial(tool_health.airflow_up, settings), SLOW_EVERY))
    if settings.mlflow_url:
        result.append(Measurement("mlflow", partial(tool_health.mlflow_up, settings), SLOW_EVERY))
    return result


class _MeasurementThread:
    """The thread of one measurement."""

    def __init__(  # noqa: PLR0913 -- what a measurement needs to report
        self,
        measurement: Measurement,
        spool: Spool,
        exposition: Exposition,
        *,
        interval_seconds: float,
        stop: threading.Event,
        state: Path,
    ) -> None:
        self._measurement, self._spool, self._interval_seconds, self._stop = measurement, spool, interval_seconds, stop
        self._exposition = exposition
        self.thread = BackgroundThread(f"measure {measurement.name}", self._run, stop, state=state)

    def _run(self) -> None:
        is_healthy = True
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                self._measure()
            except Exception as error:  # the next sample may succeed; a missing sample is visible as a gap
                if is_healthy:
                    log.warning("a measurement failed; retrying", measurement=self._measurement.name, error=str(error))
                is_healthy = False
            else:
                is_healthy = True
            self.thread.report_success()
            self._stop.wait(max(0.0, self._interval_seconds - (time.monotonic() - started)))

    def _measure(self) -> None:
        """Measure once. What was measured before an error is exposed and sent, too."""
        started, is_up = time.monotonic(), False
        readings: list[Reading] = []
        events: list[EncodedEvent] = []
        try:
            for sample in self._measurement.measure():
                if isinstance(sample, Reading):
                    readings.append(sample)
                    continue
                events.append(encode(sample, at=datetime.now(UTC), source=SOURCE))
                if isinstance(sample, AppMetricSampled):
                    readings.append(reading_of(sample))
            is_up = True
        finally:
            self._exposition.report(self._measurement.name, readings, time.monotonic() - started, is_up=is_up)
            if events:
                self._spool.append(events)


def _send_leftover_events(settings: Settings, kafka: KafkaConnection) -> None:
    """Send the events of sources that exited before they could send them, such as pipeline steps."""
    for source in spooled_sources(settings.spool_dir):
        spool = Spool.of(settings, source)
        state = spool.state()
        if source != SOURCE and state.waiting and state.oldest_seconds > LEFTOVER_SECONDS:
            drainer = Drainer(spool, kafka)
            try:
                sent = drainer.drain(SEND_SECONDS).sent
            finally:
                drainer.close()
            log.info("sent events that another source had left in its spool", source=source, sent=sent)
        spool.close()
