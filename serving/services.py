"""The application's services. The entry point builds them once, and routes receive them as `ServicesDep`."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from ingestion.spool.disk_priority import TELEMETRY
from lakehouse.redis_connection import redis_address
from lakehouse.settings import Settings
from serving.admin.admin_services import Admin, build_admin
from serving.admin.service import Administration
from serving.alerts.firing import Alerts
from serving.alerts.recording import AlertRecorder
from serving.auth.auth_services import Auth, build_auth
from serving.auth.recognition import Recognise, payer, recogniser
from serving.check_ins.idempotency import RequestStore
from serving.check_ins.lookups import Lookups
from serving.check_ins.service import CheckIns
from serving.data.lists.exports import Exports
from serving.data.lists.service import Lists
from serving.data.live_figures import LiveFigures
from serving.data.live_stream import LiveStream
from serving.data.service import Data
from serving.http.request_metrics import RequestMetrics
from serving.limits.rate_limits import RateLimits
from serving.limits.rate_plan import RatePlans
from serving.limits.token_bucket import SharedBuckets, limited_client
from serving.observability.health import Check, Health, State
from serving.observability.latency import LatencyReporter
from serving.observability.metrics_page import MetricsPage
from serving.prediction_log import PredictionLog, Shipper
from serving.predictor.prediction_services import PredictionServices, build_prediction
from serving.processes.readiness import Readiness
from serving.processes.single_flight import SingleFlight
from serving.publication_holds import PublicationHolds
from serving.publication_reader import Warehouse
from serving.redis_client import redis_client
from serving.spool_sender import SpoolSender
from serving.warehouses import Warehouses
from serving.web.service import Scorecard
from serving.writes.event_progress import EventProgress, LandedOffsets
from serving.writes.references import References
from serving.writes.service import Writes


@dataclass(frozen=True)
class Services:
    """The services behind the routes. None of them uses FastAPI."""

    settings: Settings
    warehouses: Warehouses
    warehouse: Warehouse
    write_sender: SpoolSender
    telemetry_sender: SpoolSender
    prediction_log: PredictionLog
    shipper: Shipper | None
    latency_reporter: LatencyReporter
    prediction: PredictionServices
    auth: Auth
    data: Data
    lists: Lists
    exports: Exports
    writes: Writes
    event_progress: EventProgress
    alert_recorder: AlertRecorder
    alerts: Alerts
    check_ins: CheckIns
    live: LiveFigures
    live_stream: LiveStream
    administration: Administration
    admin: Admin
    scorecard: Scorecard
    health: Health
    publication_holds: PublicationHolds
    recognise: Recognise
    rate_limits: RateLimits
    request_metrics: RequestMetrics
    readiness: Readiness
    health_check: SingleFlight[tuple[State, dict[str, Check]]]
    metrics_page: SingleFlight[bytes]

    def start(self) -> None:
        """Open connections, start the threads and create the first accounts, later if the warehouse is unavailable."""
        self.warehouses.open()
        self.write_sender.start()
        self.telemetry_sender.start()
        self.prediction_log.start()
        if self.shipper is not None:
            self.shipper.start()
        self.latency_reporter.start()
        self.prediction.start()
        self.auth.watch.start()
        self.rate_limits.start()
        self.readiness.start()

    def stop(self) -> None:
        """Send the waiting events and close everything."""
        self.readiness.stop()
        self.rate_limits.stop()
        self.auth.watch.stop()
        self.prediction.stop()
        self.latency_reporter.stop()
        self.prediction_log.stop()
        if self.shipper is not None:
            self.shipper.stop()
        self.telemetry_sender.stop()
        self.write_sender.stop()
        self.event_progress.close()
        self.admin.dag_runs.close()
        self.warehouses.close()


def build_services(settings: Settings, *, ships_predictions: bool = True) -> Services:
    """Build every service from the settings, without connecting to anything yet.

    With `ships_predictions=False`, another process of the host sends the recorded predictions (`okr serve`'s
    supervisor).

    Raises:
        PermanentError: a setting is missing.
    """
    warehouses = Warehouses.from_settings(settings)
    warehouse = warehouses.installation
    client = redis_client(redis_address(settings, "redis_url"))
    write_sender = SpoolSender.from_settings(settings)
    telemetry_sender = SpoolSender.from_settings(settings, TELEMETRY)
    prediction_log = PredictionLog.from_settings(settings)
    prediction = build_prediction(settings, warehouse, client, prediction_log)
    request_metrics = RequestMetrics()
    latency_reporter = LatencyReporter(request_metrics, telemetry_sender)
    auth = build_auth(settings, warehouses, client)
    rate_limits = _rate_limits(settings, warehouse, auth)
    reporting = (write_sender, telemetry_sender, prediction_log, latency_reporter, rate_limits, auth.watch)
    awaited = {"model": lambda: prediction.runtime.has_looked}
    health = Health(
        warehouse, client, prediction.runtime,
        write_sender=write_sender, telemetry_sender=telemetry_sender, prediction_log=prediction_log,
        threads=[part.thread for part in (*reporting, *prediction.parts)],
    )  # fmt: skip
    return Services(
        settings=settings,
        warehouses=warehouses,
        warehouse=warehouse,
        write_sender=write_sender,
        telemetry_sender=telemetry_sender,
        prediction_log=prediction_log,
        shipper=Shipper.from_settings(settings) if ships_predictions else None,
        latency_reporter=latency_reporter,
        prediction=prediction,
        auth=auth,
        data=Data(warehouses),
        lists=Lists(warehouses),
        exports=Exports(Lists(warehouses)),
        writes=Writes.from_warehouses(warehouses, write_sender),
        event_progress=EventProgress(warehouses, LandedOffsets(settings)),
        alert_recorder=AlertRecorder(telemetry_sender),
        alerts=Alerts(settings, warehouse),
        check_ins=_check_ins(warehouses, write_sender),
        live=LiveFigures(client),
        live_stream=LiveStream(LiveFigures(client)),
        administration=Administration(warehouse, write_sender, telemetry_sender, prediction_log),
        admin=build_admin(settings, warehouse, prediction_log=prediction_log, prediction=prediction, audit=auth.audit),
        scorecard=Scorecard(warehouses, prediction.predictor),
        health=health,
        publication_holds=PublicationHolds(warehouse),
        recognise=recogniser(auth.authenticator),
        rate_limits=rate_limits,
        request_metrics=request_metrics,
        readiness=Readiness(lambda: auth.prepare(settings), awaited, settings.state),
        health_check=SingleFlight(health.state),
        metrics_page=SingleFlight(MetricsPage(request_metrics, (write_sender, telemetry_sender), prediction_log).text),
    )


def _check_ins(warehouses: Warehouses, sender: SpoolSender) -> CheckIns:
    requests = RequestStore(warehouses.installation, warehouses.personal_fields)
    return CheckIns(sender, requests, Lookups(warehouses), References.from_warehouses(warehouses))


def _rate_limits(settings: Settings, warehouse: Warehouse, auth: Auth) -> RateLimits:
    buckets = SharedBuckets(limited_client(redis_address(settings, "redis_url")))
    payer_of = payer(auth.authenticator, auth.cookies.session)
    return RateLimits(RatePlans(warehouse), buckets, payer_of, state=settings.state)


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
