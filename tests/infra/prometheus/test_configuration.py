"""The configuration of Prometheus for the local stack and for the hosts of the example inventory."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.firewall.flow_table import flow_table
from infra.local import monitoring
from infra.local.monitoring import MONITORING, check_programs, local_monitoring
from infra.local.stack import prepare_stack
from infra.prometheus import programs
from infra.prometheus.configuration import Monitoring, configuration, probe_modules
from infra.server.filter_plugins.monitoring_jobs import PORTS, monitoring_jobs
from lakehouse.errors import PermanentError
from serving.observability.metrics import REGISTRY

ROLE = Path("infra/server/roles/monitoring")
INVENTORY = Path("infra/server/inventory.example.yml")


def jobs_of(text: str) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}


def test_the_local_prometheus_scrapes_all_that_is_installed_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "find", lambda name: f"/usr/bin/{name}")
    stack = prepare_stack(tmp_path / "state", monitoring=True)
    text = configuration(local_monitoring(stack))
    jobs = jobs_of(text)
    assert {*jobs} - {"kafka"} == {
        "okr", "api", "prometheus", "alertmanager", "node", "postgres", "redis", "probe"
    }  # fmt: skip
    targets = [each for job in jobs.values() for config in job["static_configs"] for each in config["targets"]]
    assert all(each.removeprefix("http://").startswith("127.0.0.1:") for each in targets)
    assert stack.env["OKR_METRICS_TOKEN"] not in text
    assert jobs["okr"]["static_configs"][0]["targets"] == [stack.env["OKR_METRICS_ADDRESS"]]


def test_without_an_exporter_the_stack_says_so_and_does_not_scrape_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "find", lambda name: name if name == "prometheus" else None)
    monkeypatch.setattr(programs, "find", lambda name: name if name == "prometheus" else None)
    said: list[str] = []
    check_programs(said.append)
    missing = " ".join(kind.program for kind in MONITORING if kind.program != "prometheus")
    assert said == [f"Not installed, so without: `sudo apt-get install {missing}` (Debian) adds them."]
    stack = prepare_stack(tmp_path / "state", monitoring=True)
    assert {*jobs_of(configuration(local_monitoring(stack)))} - {"kafka"} == {"okr", "api", "prometheus"}
    monkeypatch.setattr(programs, "find", lambda name: None)
    with pytest.raises(PermanentError, match="sudo apt-get install prometheus"):
        check_programs(said.append)


def test_a_stack_without_monitoring_serves_no_metrics(tmp_path: Path) -> None:
    stack = prepare_stack(tmp_path / "state", monitoring=True)
    assert stack.env["OKR_METRICS_ADDRESS"]
    stack = prepare_stack(tmp_path / "state")
    assert stack.has_monitoring, "as before"
    assert not prepare_stack(tmp_path / "state", monitoring=False).env["OKR_METRICS_ADDRESS"]


def server_configuration() -> str:
    """Return prometheus.yml of the monitoring host in the example inventory."""
    inventory = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["okr"]
    hosts = {host: {**inventory["vars"], **variables} for host, variables in inventory["hosts"].items()}
    url = inventory["vars"]["okr_settings"]["OKR_API_URL"]
    jobs = monitoring_jobs(hosts, hosts, url, "monitoring-1.example.org")
    return configuration(Monitoring("test", jobs, ca_file=Path("/ca.pem")))  # type: ignore[arg-type]


def test_the_jobs_of_the_example_inventory_are_those_of_its_hosts() -> None:
    text = server_configuration()
    found = {
        name: [target for config in job["static_configs"] for target in config["targets"]]
        for name, job in jobs_of(text).items()
    }
    assert found == {
        "okr": ["app-1.example.org:9464"],
        "api": ["app-1.example.org:8443"],
        "node": [f"{zone}-1.example.org:9100" for zone in ("edge", "app", "data", "monitoring")],
        "postgres": ["data-1.example.org:9187"],
        "redis": ["data-1.example.org:9121"],
        "prometheus": ["127.0.0.1:9090"],
        "alertmanager": ["127.0.0.1:9093"],
        "probe": ["https://okr.example.org/livez"],
    }
    assert jobs_of(text)["api"]["tls_config"]["server_name"] == "okr-api"
    own = jobs_of(text)["alertmanager"]["static_configs"][0]["labels"]
    assert own == {"instance": "monitoring-1.example.org"}, "alerts name the host on which to look"


def test_the_prober_trusts_the_authority_that_has_signed_the_public_certificate() -> None:
    """The own one (docs/installation.md) or a public one: without a handshake, no expiry is known either."""
    modules = yaml.safe_load(probe_modules(Path("/etc/prometheus/probe-authorities.pem")))["modules"]
    assert modules["okr"]["http"]["tls_config"] == {"ca_file": "/etc/prometheus/probe-authorities.pem"}
    assert "tls_config" not in yaml.safe_load(probe_modules(None))["modules"]["okr"]["http"]
    tasks = yaml.safe_load((ROLE / "tasks/prometheus.yml").read_text(encoding="utf-8"))
    read = next(task for task in tasks if "ansible.builtin.slurp" in task)
    assert read["loop"] == ["{{ okr_config }}/tls/ca.pem", "/etc/ssl/certs/ca-certificates.crt"]
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    assert variables["monitoring_probe_authorities"] == "/etc/prometheus/probe-authorities.pem"


def test_the_firewall_lets_prometheus_reach_every_exporter() -> None:
    open_ports = {flow.port for flow in flow_table().flows if "monitoring" in flow.sources}
    assert {*PORTS.values(), 9464, 8443, 443} <= open_ports


def test_the_listed_metrics_of_the_api_are_those_that_it_has() -> None:
    listed = tomllib.loads(Path("infra/prometheus/metrics.toml").read_text(encoding="utf-8"))["api"]
    described = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric for metric in REGISTRY.collect()
    }
    assert {*listed} == {*described}
