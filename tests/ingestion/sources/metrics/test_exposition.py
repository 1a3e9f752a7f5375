"""What Prometheus reads from the metrics collector, also while measurements fail, hang or contradict each other."""

import ssl
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from infra.certificates.issue import Request, new_authority, new_certificate, read_issuer
from infra.local.ports import choose
from ingestion.sources.metrics import collector, exposition
from ingestion.sources.metrics.exposition import Exposition, serve
from ingestion.sources.metrics.families import FAMILIES, Reading
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from tests.polling import until

NAMES = Path("infra/prometheus/metrics.toml")


def text_of(exposed: Exposition) -> str:
    registry = CollectorRegistry()
    registry.register(exposed)
    return generate_latest(registry).decode()


def samples(text: str) -> dict[str, float]:
    """Return the values by name and labels of a page that Prometheus' own parser accepts."""
    found = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            labels = ",".join(sorted(each.labels.values()))
            found[f"{each.name}{{{labels}}}" if labels else each.name] = each.value
    return found


def get(address: str, context: ssl.SSLContext | bool = True) -> str:
    scheme = "http" if context is True else "https"
    return httpx.get(f"{scheme}://{address}/metrics", timeout=5, verify=context, trust_env=False).text


def scraped(address: str) -> dict[str, float]:
    """Return what Prometheus would read, or nothing while the collector does not listen yet."""
    try:
        return samples(get(address))
    except httpx.ConnectError:
        return {}


def test_the_names_for_rules_and_dashboards_are_those_of_the_exporter() -> None:
    listed = tomllib.loads(NAMES.read_text(encoding="utf-8"))["okr"]
    assert {name: tuple(labels) for name, labels in listed.items()} == {
        name: family.labels for name, family in FAMILIES.items()
    }


def test_the_readings_of_a_failed_measurement_disappear_and_come_back() -> None:
    """The others stay: an exception within a collector empties the whole page (prometheus/client_python#84)."""
    exposed = Exposition()
    exposed.expect("spool", 10)
    fill = Reading("okr_spool_fill_ratio", 0.25, {"spool": "okr-api"})
    exposed.report("spool", [fill], 0.5)
    assert samples(text_of(exposed)) == {
        "okr_measurement_up{spool}": 1.0,
        "okr_measurement_duration_seconds{spool}": 0.5,
        "okr_spool_fill_ratio{okr-api}": 0.25,
    }
    exposed.report("spool", [], 0.5, is_up=False)
    assert samples(text_of(exposed)) == {
        "okr_measurement_up{spool}": 0.0,
        "okr_measurement_duration_seconds{spool}": 0.5,
    }
    exposed.report("spool", [fill], 0.5)
    assert samples(text_of(exposed))["okr_spool_fill_ratio{okr-api}"] == 0.25


def test_a_measurement_that_hangs_is_down_and_does_not_show_old_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "GRACE_S", 0.0)
    exposed = Exposition()
    exposed.expect("postgresql", 0.01)
    exposed.report("postgresql", [Reading("okr_component_up", 1.0, {"component": "postgresql"})], 0.1)
    time.sleep(0.05)
    assert samples(text_of(exposed))["okr_measurement_up{postgresql}"] == 0.0
    assert "okr_component_up" not in text_of(exposed)


def test_a_value_that_is_measured_twice_and_strange_labels_leave_the_page_valid() -> None:
    """Prometheus drops duplicate series at each scrape (akpw/mktxp#159); unescaped labels break the page."""
    exposed = Exposition()
    exposed.expect("files", 10)
    strange = 'a "quoted" \\ path\nof two lines \N{SNOWMAN}'
    readings = [
        Reading("okr_certificate_expiry_timestamp_seconds", float(value), {"file": strange}) for value in (1, 2)
    ]
    exposed.report("files", readings, 0.0)
    assert samples(text_of(exposed))[f"okr_certificate_expiry_timestamp_seconds{{{strange}}}"] == 2.0


@contextmanager
def collecting(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    worker = threading.Thread(target=lambda: collector.collect(settings, interval_seconds=0.1, stop=stop))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join(60)


def test_prometheus_reads_everything_that_is_measured(pipeline: Settings, tmp_path: Path) -> None:
    files = tmp_path / "metrics"
    files.mkdir()
    (files / "backup.prom").write_text('okr_backup_size_bytes{part="lake"} 12\nother_metric 1\n')
    address = f"127.0.0.1:{choose(set())}"
    update = {"state": tmp_path, "metrics_dir": files, "metrics_address": address, "certificates_dir": tmp_path}
    settings = pipeline.model_copy(update=update)
    wanted = {
        "okr_component_up{kafka}": 1.0, "okr_component_up{postgresql}": 1.0, "okr_component_up{redis}": 1.0,
        "okr_consumer_lag_events{okr-state,okr_user_events}": 0.0, "okr_backup_size_bytes{lake}": 12.0,
        "okr_lake_commit_timestamp_seconds{okr_user_events}": 0.0, "okr_measurement_up{forecasts}": 1.0,
        "okr_spool_fill_ratio{okr-metrics}": 0.0,
    }  # fmt: skip
    with collecting(settings):
        until(lambda: wanted.keys() <= scraped(address).keys(), "all is exposed", seconds=60)
        found = samples(get(address))
    assert {name: min(found[name], 1.0) if "fill" not in name else 0.0 for name in wanted} == {
        name: min(value, 1.0) for name, value in wanted.items()
    }
    assert "other_metric" not in found
    assert [name for name, value in found.items() if name.startswith("okr_measurement_up") and value == 0.0] == []


def test_with_all_services_down_prometheus_still_reads_which_are(pipeline: Settings, tmp_path: Path) -> None:
    from pydantic import SecretStr

    address = f"127.0.0.1:{choose(set())}"
    update = {
        "state": tmp_path, "metrics_address": address, "certificates_dir": tmp_path,
        "kafka_bootstrap": "127.0.0.1:1", "dsn_metrics": SecretStr("postgresql://a:b@127.0.0.1:1/c"),
        "redis_metrics_url": SecretStr("redis://127.0.0.1:1/0"), "mlflow_url": "http://127.0.0.1:1",
        "airflow_url": "http://127.0.0.1:1",
    }  # fmt: skip
    down = {f"okr_component_up{{{name}}}" for name in ("kafka", "postgresql", "redis", "mlflow", "airflow-api-server")}
    with collecting(pipeline.model_copy(update=update)):
        until(lambda: down <= scraped(address).keys(), "all are known to be down", seconds=60)
        found = samples(get(address))
    assert {found[name] for name in down} == {0.0}
    assert found["okr_measurement_up{pipeline}"] == 0.0
    assert found["okr_measurement_up{spool}"] == 1.0


def test_with_a_certificate_only_clients_of_the_authority_read_the_metrics(pipeline: Settings, tmp_path: Path) -> None:
    life = timedelta(days=2)
    new_authority(tmp_path / "ca.pem", tmp_path / "ca-key.pem", "Test", life)
    issuer = read_issuer(tmp_path / "ca.pem", tmp_path / "ca-key.pem")
    for name in ("server", "client"):
        request = Request(name, ("127.0.0.1",), is_client=True)
        new_certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}-key.pem", issuer, request, life)
    address = f"127.0.0.1:{choose(set())}"
    certificate = {"metrics_certificate": str(tmp_path / "server.pem"), "metrics_key": str(tmp_path / "server-key.pem")}
    update = {"metrics_address": address, "ca_file": str(tmp_path / "ca.pem"), **certificate}
    serve(Exposition([Reading("okr_publication_id", 7.0)]), pipeline.model_copy(update=update))
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with pytest.raises(httpx.TransportError):
        get(address, context)
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client-key.pem")
    assert samples(get(address, context)) == {"okr_publication_id": 7.0}


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"metrics_address": "9464"}, "Expected an address and a port"),
        ({"metrics_address": "127.0.0.1:99999"}, "Expected an address and a port"),
        ({"metrics_address": "192.0.2.1:9464"}, "cannot be served at 192.0.2.1:9464"),
        ({"metrics_address": "127.0.0.1:9464", "metrics_certificate": "x.pem"}, "OKR_CA_FILE must name the authority"),
    ],
)
def test_an_address_that_cannot_be_used_is_explained(update: dict[str, str], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        serve(Exposition(), Settings(**update))
