"""`okr up --monitoring`: all targets are up, and every metric that rules and dashboards use is exposed."""

import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from infra.local.monitoring import MONITORING, address
from infra.local.services import select
from infra.local.stack import Stack
from infra.local.start import up
from infra.local.stop import down
from infra.local.supervisor import Supervisor
from tests.figures import report
from tests.ops.conftest import RequirePrograms
from tests.ops.monitoring.shortened import Server
from tests.polling import until

NAMES = Path("infra/prometheus/metrics.toml")
WITHOUT = {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "mlflow", "guard"}
# What a new stack without events, publication, TLS and faults cannot have yet. tests/ops/monitoring/test_faults.py and
# tests/ingestion/sources/metrics have most of them.
LATER = {
    "okr_active_users", "okr_unpublished_events",
    "okr_backup_last_result", "okr_backup_last_success_timestamp_seconds",
    "okr_backup_last_verified_timestamp_seconds", "okr_backup_size_bytes",
    "okr_certificate_expiry_timestamp_seconds", "okr_events_not_persisted_total", "okr_feature_drift_psi",
    "okr_prediction_drift_psi", "okr_shadow_requests_total", "okr_http_refusals_total", "okr_model_rows_total",
    "okr_model_duration_seconds", "okr_served_probability", "okr_forecast_cache_lookups_total",
    "node_systemd_service_restart_total", "node_systemd_unit_state", "node_timex_offset_seconds",
    "probe_ssl_earliest_cert_expiry", "redis_evicted_keys_total", "kafka_bytes_out_total",
}  # fmt: skip
PREFIXES = ("okr_ledger_", "okr_gate_", "okr_publication_", "okr_step_", "okr_forecast_", "okr_key_results")


@pytest.fixture(scope="module")
def stack(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    require_programs(*(kind.program for kind in MONITORING))
    state = tmp_path_factory.mktemp("monitored") / "state"
    names = tuple(name for name in select(None, monitoring=True) if name not in WITHOUT)
    try:
        yield up(state, names, print, monitoring=True)
    finally:
        down(state, print)


@pytest.fixture
def server(stack: Stack) -> Server:
    return Server(address(stack, "prometheus"))


def test_all_targets_are_up_and_the_rules_are_loaded(stack: Stack, server: Server) -> None:
    def all_up() -> bool:
        targets = server.get("targets")["activeTargets"]
        return bool(targets) and all(each["health"] == "up" for each in targets)

    until(all_up, "all targets are up", seconds=120)
    jobs = {each["labels"]["job"] for each in server.get("targets")["activeTargets"]}
    assert jobs >= {"okr", "api", "prometheus", "alertmanager", "node", "postgres", "redis", "probe"}
    groups = server.get("rules")["groups"]
    until(
        lambda: all(rule["health"] == "ok" for group in server.get("rules")["groups"] for rule in group["rules"]),
        "all rules are evaluated", seconds=60,
    )  # fmt: skip
    assert len(groups) == 10
    receivers = httpx.get(f"http://{address(stack, 'alertmanager')}/api/v2/alerts", trust_env=False).json()
    assert isinstance(receivers, list)


def test_every_metric_that_rules_and_dashboards_use_is_exposed(server: Server) -> None:
    wanted = tomllib.loads(NAMES.read_text(encoding="utf-8"))
    expected = {
        name for names in wanted.values() for name in names if name not in LATER and not name.startswith(PREFIXES)
    }
    histograms = {"okr_http_request_duration_seconds"}

    def missing() -> set[str]:
        found = {*server.get("label/__name__/values")}
        return {name for name in expected if (f"{name}_bucket" if name in histograms else name) not in found}

    until(lambda: not missing(), f"these are exposed: {sorted(missing())}", seconds=180, pause=2)
    listed = sum(map(len, wanted.values()))
    report(
        "Metrics of the local stack with monitoring",
        ("metrics that rules and dashboards may use", "of them exposed by a new stack", "series in Prometheus"),
        [
            (
                str(listed),
                str(len(expected)),
                f"{float(server.get('query', query='prometheus_tsdb_head_series')['result'][0]['value'][1]):,.0f}",
            )
        ],
    )


def test_the_exporters_have_no_errors(server: Server) -> None:
    """PostgreSQL 17 moved columns, which failed every scrape (prometheus-community/postgres_exporter#1060)."""

    def value(query: str) -> list[str]:
        return [each["value"][1] for each in server.get("query", query=query)["result"]]

    assert {*value("pg_exporter_last_scrape_error")} <= {"0"}
    assert {*value("pg_scrape_collector_success == 0")} == set()
    assert value("redis_exporter_last_scrape_error") == ["0"]
    assert value("okr_measurement_up == 0") == []


def test_the_collector_is_cheap(stack: Stack, server: Server) -> None:
    process = psutil.Process(Supervisor(stack).states()["metrics"]["pid"])
    times = process.cpu_times()
    lived_s = time.time() - process.create_time()
    share, memory = (times.user + times.system) / lived_s, process.memory_info().rss
    (scrape,) = server.get("query", query='max_over_time(scrape_duration_seconds{job="okr"}[2m])')["result"]
    report(
        "The metrics collector, which measures every 10 s and answers Prometheus",
        ("share of one CPU since its start", "memory (RSS)", "slowest scrape of 2 minutes"),
        [(f"{share:.0%}", f"{memory / 1e6:.0f} MB", f"{float(scrape['value'][1]) * 1000:.0f} ms")],
    )
    assert share < 0.5
    assert float(scrape["value"][1]) < 5


def test_everything_listens_on_loopback_and_no_command_line_has_a_secret(stack: Stack) -> None:
    states = Supervisor(stack).states()
    secrets = {value for name, value in stack.env.items() if name.endswith(("_PASSWORD", "_TOKEN"))}
    for kind in MONITORING:
        process = psutil.Process(states[kind.name]["pid"])
        listening = {each.laddr.ip for each in process.net_connections() if each.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}, kind.name
        assert not [part for part in process.cmdline() for secret in secrets if secret in part], kind.name
    token = stack.state / "run" / "prometheus" / "api-token"
    assert token.stat().st_mode & 0o077 == 0


def test_a_prometheus_that_is_away_stops_nothing_and_continues_later(stack: Stack, server: Server) -> None:
    supervisor = Supervisor(stack)
    before = {name: info["pid"] for name, info in supervisor.states().items() if name != "prometheus"}
    psutil.Process(supervisor.states()["prometheus"]["pid"]).kill()

    def is_back() -> bool:
        try:
            return bool(server.get("query", query="count(up == 1)")["result"])
        except httpx.HTTPError:
            return False

    until(is_back, "the supervisor starts it again, with what it had stored", seconds=60)
    assert {name: info["pid"] for name, info in supervisor.states().items() if name != "prometheus"} == before


def test_the_written_configuration_is_valid(stack: Stack) -> None:
    file = stack.state / "run" / "prometheus" / "prometheus.yml"
    checked = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
