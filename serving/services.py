"""The application's services. The entry point builds them once, and routes receive them as `ServicesDep`."""

from dataclasses import dataclass
from typing import Annotated

import redis
from fastapi import Depends, Request

from ingestion.spool.disk_priority import TELEMETRY
from lakehouse.settings import Settings
from serving.admin.service import Administration
from serving.auth.accounts import Accounts
from serving.auth.failed_login_limit import FailedLoginLimit
from serving.auth.passwords import Passwords
from serving.auth.recognition import recogniser
from serving.auth.tokens import Tokens
from serving.check_ins.idempotency import RequestStore
from serving.check_ins.lookups import Lookups
from serving.check_ins.service import CheckIns
from serving.data.live_figures import LiveFigures
from serving.data.service import Data
from serving.health import Check, Health, State
from serving.latency import LatencyReporter
from serving.limits.rate_limits import RateLimits, Recognise
from serving.limits.rate_plan import RatePlans
from serving.limits.token_bucket import SharedBuckets, limited_client
from serving.metrics_page import MetricsPage
from serving.outbox import Outbox
from serving.prediction_log import PredictionLog, Shipper
from serving.predictor.active_model import ActiveModel
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.service import Predictor
from serving.publication_holds import PublicationHolds
from serving.publication_reader import Warehouse
from serving.readiness import Readiness
from serving.request_metrics import RequestMetrics
from serving.single_flight import SingleFlight
from serving.web.service import Scorecard

REDIS_LIMIT_S = 0.5  # requests must not wait longer, because Redis only saves computation


@dataclass(frozen=True)
class Services:
    """The services behind the routes. None of them depends on HTTP."""

    settings: Settings
    warehouse: Warehouse
    outbox: Outbox
    telemetry: Outbox
    prediction_log: PredictionLog
    shipper: Shipper | None
    latency_reporter: LatencyReporter
    active_model: ActiveModel
    accounts: Accounts
    tokens: Tokens
    predictor: Predictor
    data: Data
    check_ins: CheckIns
    live: LiveFigures
    administration: Administration
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
        self.warehouse.open()
        self.outbox.start()
        self.telemetry.start()
        self.prediction_log.start()
        if self.shipper is not None:
            self.shipper.start()
        self.latency_reporter.start()
        self.active_model.start()
        self.rate_limits.start()
        self.readiness.start()

    def stop(self) -> None:
        """Send the waiting events and close everything."""
        self.readiness.stop()
        self.rate_limits.stop()
        self.active_model.stop()
        self.latency_reporter.stop()
        self.prediction_log.stop()
        if self.shipper is not None:
            self.shipper.stop()
        self.telemetry.stop()
        self.outbox.stop()
        self.warehouse.close()


def build_services(settings: Settings, *, ships_predictions: bool = True) -> Services:
    """Build every service from the settings, without connecting to anything yet.

    With `ships_predictions=False`, another process of the host sends the recorded predictions (`okr serve`'s
    supervisor).

    Raises:
        PermanentError: a setting is missing.
    """
    warehouse = Warehouse(settings.require("dsn_serving"))
    client = redis.Redis.from_url(
        settings.require("redis_url"), socket_timeout=REDIS_LIMIT_S, socket_connect_timeout=REDIS_LIMIT_S
    )
    outbox = Outbox.from_settings(settings)
    telemetry = Outbox.from_settings(settings, TELEMETRY)
    prediction_log = PredictionLog.from_settings(settings)
    shipper = Shipper.from_settings(settings) if ships_predictions else None
    active_model = ActiveModel(settings)
    predictor = Predictor(warehouse, active_model, ForecastCache(client), prediction_log)
    request_metrics = RequestMetrics()
    latency_reporter = LatencyReporter(request_metrics, telemetry)
    tokens = Tokens(settings.require("jwt_secret"))
    accounts = Accounts(warehouse, Passwords(), FailedLoginLimit(client))
    recognise = recogniser(tokens)
    rate_limits = RateLimits(
        RatePlans(warehouse), SharedBuckets(limited_client(settings.require("redis_url"))), recognise,
        state=settings.state,
    )  # fmt: skip
    threads = (
        outbox.thread, telemetry.thread, prediction_log.thread, latency_reporter.thread, active_model.thread,
        rate_limits.thread,
    )  # fmt: skip
    health = Health(
        warehouse, client, active_model, outbox=outbox, telemetry=telemetry, prediction_log=prediction_log,
        threads=threads,
    )  # fmt: skip
    return Services(
        settings=settings,
        warehouse=warehouse,
        outbox=outbox,
        telemetry=telemetry,
        prediction_log=prediction_log,
        shipper=shipper,
        latency_reporter=latency_reporter,
        active_model=active_model,
        accounts=accounts,
        tokens=tokens,
        predictor=predictor,
        data=Data(warehouse),
        check_ins=CheckIns(outbox, RequestStore(warehouse), Lookups(warehouse)),
        live=LiveFigures(client),
        administration=Administration(warehouse, outbox, telemetry, prediction_log),
        scorecard=Scorecard(warehouse, predictor),
        health=health,
        publication_holds=PublicationHolds(warehouse),
        recognise=recognise,
        rate_limits=rate_limits,
        request_metrics=request_metrics,
        readiness=Readiness(
            lambda: accounts.seed(settings), {"model": lambda: active_model.has_looked}, settings.state
        ),
        health_check=SingleFlight(health.state),
        metrics_page=SingleFlight(MetricsPage(request_metrics, (outbox, telemetry), prediction_log).text),
    )


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
