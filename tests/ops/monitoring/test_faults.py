"""Faults of a running platform make alerts fire: real ones where that is quick, planted metrics for the rest.

Prometheus has the real rules, with durations in seconds (`shortened`), and scrapes once a second.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from confluent_kafka import Producer

from infra.certificates.issue import Request, new_authority, new_certificate, read_issuer
from infra.local.kafka import Kafka
from infra.local.monitoring import BlackboxExporter, address
from infra.local.okr_services import Api, LandingWorker
from infra.local.ports import choose
from infra.local.postgres import Postgres, server_process
from infra.local.redis import Redis
from infra.local.service_starts import count_start
from infra.local.unsupervised import running
from infra.prometheus.configuration import Job, Monitoring, Target
from ingestion.contract_validation import EncodedEvent
from ingestion.producer import EventProducer
from ingestion.spool import Spool
from lakehouse.configuration.profiles import Environment
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings, load_settings
from lakehouse.step_failure import StepFailure, record
from tests.figures import report
from tests.infra.prometheus.test_rules import ALERTS
from tests.ops.conftest import RequirePrograms
from tests.ops.monitoring.parts import Parts, collecting, parts
from tests.ops.monitoring.planted_page import planted_page
from tests.ops.monitoring.shortened import Server, prometheus, shortened_rules
from tests.polling import until

PROGRAMS = ("prometheus", "promtool")
TOPIC = "okr_user_events"
# Several series on both sides: the evaluation fails.
FAILING_RULE = 'groups: [{name: broken, rules: [{record: "a:b:c", expr: "up * on () up"}]}]'
PLANTED = {
    "HostHighCpu", "HostHighMemory", "HostDiskFull", "HostDiskFullSoon", "HostClockSkew", "PostgresConnectionsHigh",
    "RedisMemoryHigh", "KafkaUnderReplicated", "KafkaOfflinePartitions", "FeatureDrift", "PredictionDrift",
    "UnitFailed", "SpoolOld",
}  # fmt: skip
ROWS = """
INSERT INTO ops.gate_result (gate, run_id, validated_at, passed, checked_rows, expectations, failed, report)
VALUES ('marts', 'r1', now(), false, 100, 9, 2, '{"suites": []}');
INSERT INTO ops.publication
    (published_at, data_as_of, offsets, dbt_run_id, gate, rows, is_current, rolled_back_at, model_version)
VALUES
    (now() - interval '27 hours', now() - interval '4 days', '{}', 'r0', '{}', '{}', true, NULL, '7'),
    (now() - interval '6 hours', now(), '{}', 'r1', '{}', '{}', false, now() - interval '5 hours', '7');
"""
FORECASTS = """
CREATE TABLE marts.fct_prediction AS
SELECT 'm' AS model_name, '7' AS model_version, 'champion' AS role, 0.9 AS probability, number % 2 = 0 AS is_achieved,
    true AS is_scored, true AS is_in_interval, now() AS outcome_known_at
FROM generate_series(1, 120) AS number
"""


@dataclass
class Watched:
    """A running platform and the Prometheus that watches it; `seen` has the summary of each alert that has fired."""

    parts: Parts
    settings: Settings
    server: Server
    seen: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def expect(self, fault: str, *names: str, within_s: float = 90) -> None:
        """Wait until all these alerts have fired, and record how long the slowest of them took."""
        started = time.monotonic()

        def have_fired() -> bool:
            self.seen = self.server.firing() | self.seen
            return {*names} <= self.seen.keys()

        until(have_fired, f"{fault} makes {', '.join(names)} fire; fired: {sorted(self.seen)}", within_s, 0.5)
        self.seconds |= dict.fromkeys(names, time.monotonic() - started)

    def execute(self, dsn: str, statements: str) -> None:
        with psycopg.connect(self.settings.require(dsn), autocommit=True) as connection:
            connection.execute(statements.encode())


def monitoring_of(platform: Parts, collector: str, page: str, own: str, rules: str) -> Monitoring:
    """Return what Prometheus scrapes. Nothing listens at the address of the Alertmanager."""
    token = platform.stack.state / "token"
    token.write_text(platform.stack.env["OKR_METRICS_TOKEN"])
    api = platform.stack.env["OKR_API_URL"]
    jobs = [
        Job("okr", [Target(collector, "host")]),
        Job("api", [Target(api.removeprefix("http://"), "host")], token_file=token),
        Job("prometheus", [Target(own, "host")]),
        Job("planted", [Target(page, "planted")]),
        Job(
            "probe",
            [Target(f"{api}/readyz", "readyz")],
            path="/probe",
            prober=address(platform.stack, "blackbox-exporter"),
        ),
    ]
    return Monitoring("test", jobs, ["127.0.0.1:1"], rules, interval_s=1)


@pytest.fixture(scope="module")
def watched(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    require_programs(*PROGRAMS, BlackboxExporter.program)
    folder = tmp_path_factory.mktemp("watched")
    collector, own = (f"127.0.0.1:{choose(set())}" for _ in range(2))
    with ExitStack() as context:
        platform = context.enter_context(parts(folder / "state"))
        (folder / "tls").mkdir()
        settings = load_settings(platform.stack.state).model_copy(
            update={
                "metrics_address": collector, "certificates_dir": folder / "tls", "airflow_url": "", "mlflow_url": "",
                "environment": Environment.PRODUCTION, "spool_events": 100,
            }
        )  # fmt: skip
        settings.metrics_dir.mkdir(exist_ok=True)
        context.enter_context(running(BlackboxExporter(platform.stack)))
        page = context.enter_context(planted_page())
        context.enter_context(collecting(settings, 0.5))
        rules = shortened_rules(folder / "rules", FAILING_RULE)
        server = context.enter_context(prometheus(folder, monitoring_of(platform, collector, page, own, rules), own))
        yield Watched(platform, settings, server)


@pytest.mark.timeout(900)
def test_faults_make_alerts_fire(watched: Watched, check_in: Callable[[int], EncodedEvent]) -> None:
    watched.expect("planted pages", *PLANTED)
    watched.expect("an Alertmanager that is away", "AlertsNotDelivered", "DeadMansSwitch")
    watched.expect("a rule that cannot be evaluated", "AlertRulesFailing")
    watched.expect("production without a backup", "BackupMissing")
    assert {"TargetDown", "ServiceDown", "ApiErrorRate", "LedgerGap", "GateRefused"}.isdisjoint(watched.seen)
    _plant_files(watched)
    _plant_rows(watched)
    _stop_landing(watched, check_in)
    _break_the_api(watched)
    _stop_the_stores(watched, check_in)
    missing = ALERTS.keys() - watched.seen.keys()
    real = watched.seen.keys() - PLANTED
    report(
        "Alerts that fire for a fault of a running platform (durations divided by 240)",
        ("alerts", "fired for a real fault", "fired for planted metrics of an exporter", "not fired"),
        [(str(len(ALERTS)), str(len(real)), str(len(PLANTED)), ", ".join(sorted(missing)) or "0")],
        f"Slowest: {max(watched.seconds.values()):.0f} s after the fault.",
    )
    assert missing == set()


def _plant_files(watched: Watched) -> None:
    """Leave old backups, a ledger with a gap, certificates and a damaged file."""
    folder, tls, now = watched.settings.metrics_dir, watched.settings.certificates_dir, time.time()
    names = ("last_success", "last_verified")
    backups = [f'okr_backup_{name}_timestamp_seconds{{part="lake"}} {now - 20 * 86_400}\n' for name in names]
    (folder / "backup.prom").write_text("".join(backups))
    old = now - 31 * 3600
    (folder / "ledger.prom").write_text(f"okr_ledger_passed 0\nokr_ledger_verified_timestamp_seconds {old}\n")
    (folder / "z.prom").write_text("not a metric\n")
    new_authority(tls / "ca.pem", tls / "ca-key.pem", "Test", timedelta(days=900))
    issuer = read_issuer(tls / "ca.pem", tls / "ca-key.pem")
    for name, life in (("soon", timedelta(days=10)), ("expired", timedelta(seconds=1))):
        new_certificate(tls / f"{name}.pem", tls / f"{name}-key.pem", issuer, Request(name, (name,)), life)
    watched.expect("a backup of 20 days ago", "BackupStale", "BackupUnverified")
    watched.expect("a ledger with a gap, of 31 hours ago", "LedgerGap", "LedgerStale")
    watched.expect("a damaged file", "MeasurementFailing")
    watched.expect("certificates", "CertificateExpiring", "CertificateExpired")
    for _ in range(6):
        count_start(watched.parts.stack, "land")
        time.sleep(0.7)
    watched.expect("six starts of a service", "ServiceRestartLoop")


def _plant_rows(watched: Watched) -> None:
    """Record a refused gate, failed steps, an old publication, a rollback, and bad forecasts."""
    watched.execute("dsn_owner", ROWS)
    watched.execute("dsn_transform", FORECASTS)
    dsn, now = watched.settings.require("dsn_transform"), datetime.now(UTC)
    record(dsn, StepFailure("okr_etl_dag", "r2", "dbt", now, "why"))
    record(dsn, StepFailure("model_training_dag", "r2", "train", now, "why"))
    watched.expect("a refused gate", "GateRefused")
    watched.expect("failed steps", "PipelineFailed", "BackgroundDagFailed")
    watched.expect("a publication of yesterday and a rollback", "PublicationStale", "PublicationHeld", "SourceSilent")
    watched.expect("forecasts no better than a coin", "ModelDegraded", "ModelMiscalibrated")


def _stop_landing(watched: Watched, check_in: Callable[[int], EncodedEvent]) -> None:
    """Send messages that break their contract, then stop landing while events arrive."""
    producer = Producer({"bootstrap.servers": watched.settings.kafka_bootstrap})
    with EventProducer(KafkaConnection.of(watched.settings)) as events:
        for number in range(200):
            events.send(check_in(number))
            producer.produce(TOPIC, b"no JSON")
            producer.flush(10)
            time.sleep(0.02)
        watched.expect("messages that are not JSON", "RejectedMessages")
        watched.parts.stop(LandingWorker)
        for number in range(200, 400):
            events.send(check_in(number))
    watched.expect("landing that has stopped", "ConsumerLag", "LandingStalled")


def _break_the_api(watched: Watched) -> None:
    """Freeze PostgreSQL while requests run, then stop it."""
    headers = watched.parts.token()
    for _ in range(5):
        assert _get(watched, headers) == 200
        time.sleep(0.5)
    slow = ("ApiLatencyHigh", "ApiLatencyBudgetBurnFast", "ApiLatencyBudgetBurnSlow")
    _repeat_until_fired(watched, lambda: _freeze_postgres(watched, headers), slow)
    watched.parts.stop(Postgres)
    failing = ("ApiErrorRate", "ApiErrorBudgetBurnFast", "ApiErrorBudgetBurnSlow")
    _repeat_until_fired(watched, lambda: [_get(watched, headers) for _ in range(20)], failing)
    watched.expect("a PostgreSQL that is away", "ServiceDown")


def _freeze_postgres(watched: Watched, headers: dict[str, str]) -> None:
    """Send requests that take 3 s because PostgreSQL does not answer meanwhile."""
    server = server_process(Postgres(watched.parts.stack).data)
    assert server is not None
    processes = [server, *server.children()]
    with ThreadPoolExecutor(20) as pool:
        for process in processes:
            process.suspend()
        waiting = [pool.submit(_get, watched, headers) for _ in range(20)]
        time.sleep(3)
        for process in reversed(processes):
            process.resume()
        assert [each.result() for each in waiting]


def _repeat_until_fired(watched: Watched, fault: Callable[[], object], names: tuple[str, ...]) -> None:
    started = time.monotonic()

    def have_fired() -> bool:
        fault()
        watched.seen = watched.server.firing() | watched.seen
        return {*names} <= watched.seen.keys()

    until(have_fired, f"{', '.join(names)} fire", 120)
    watched.seconds |= dict.fromkeys(names, time.monotonic() - started)


def _stop_the_stores(watched: Watched, check_in: Callable[[int], EncodedEvent]) -> None:
    """Stop Kafka and Redis while events are spooled, then the API."""
    spool = Spool.of(watched.settings, "okr-test")
    positions = spool.append([check_in(1)])
    spool.settle([], {positions[0]: "refused"})
    watched.parts.stop(Kafka)
    spool.append([check_in(number) for number in range(60)])
    watched.expect("a spool that fills", "SpoolFilling", "SpoolRejected")
    watched.parts.stop(Redis)
    watched.parts.stop(Api)
    watched.expect("an API that has stopped", "TargetDown", "EndpointProbeFailed")


def _get(watched: Watched, headers: dict[str, str]) -> int:
    url = f"{watched.parts.stack.env['OKR_API_URL']}/admin/gate-results?limit=1"
    try:
        return httpx.get(url, headers=headers, timeout=30, trust_env=False).status_code
    except httpx.TransportError:
        return 0
