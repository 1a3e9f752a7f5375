"""Every alert can fire on servers: a job of the server's prometheus.yml exposes its metrics."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.spool.measure import ABOUT
from tests.infra.prometheus.test_configuration import jobs_of, server_configuration
from tests.infra.prometheus.test_rules import ALERTS, LABELS, METRIC, exposed, rules

SYSTEMD = Path("infra/server/systemd")
DEFAULTS = Path("infra/server/roles/okr/defaults/main.yml")
VARIABLES = yaml.safe_load(Path("infra/server/roles/monitoring/vars/main.yml").read_text(encoding="utf-8"))
EXAMPLE = yaml.safe_load(Path("infra/server/inventory.example.yml").read_text(encoding="utf-8"))["okr"]
RECORDED = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
LOCAL_ONLY = {"okr_service_starts_total"}  # its alert has the one of systemd, too


def metrics_of(expression: str) -> set[str]:
    """Return the metrics in an expression and in the recording rules that it uses."""
    plain = LABELS.sub(" ", expression)
    found = {*METRIC.findall(plain)}
    for name in re.findall(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+", plain):
        found |= metrics_of(RECORDED[name])
    return found


def on_servers(name: str) -> set[str]:
    return metrics_of(ALERTS[name]["expr"]) - LOCAL_ONLY


@pytest.mark.parametrize("name", ALERTS)
def test_the_metrics_of_an_alert_come_from_a_job_that_servers_have(name: str) -> None:
    jobs, job_of = jobs_of(server_configuration()), exposed()
    missing = {metric: job_of[metric] for metric in on_servers(name) - {"up"} if job_of[metric] not in jobs}
    assert missing == {}, "No job of the example inventory exposes them: the alert could never fire on servers."
    assert name == "DeadMansSwitch" or on_servers(name), "an alert without metrics"


def test_a_metric_of_a_job_that_servers_lack_is_found() -> None:
    assert metrics_of("rate(kafka_bytes_in_total[5m]) > 0") == {"kafka_bytes_in_total"}
    assert exposed()["kafka_bytes_in_total"] not in jobs_of(server_configuration())
    assert metrics_of("instance_spool:okr_spool_fill:ratio > 0.5") == {"okr_spool_fill_ratio"}


def test_every_job_has_a_target_and_a_port_that_the_host_serves() -> None:
    listening = {**VARIABLES["monitoring_ports"], "okr": 9464, "api": 8443}
    for name, job in jobs_of(server_configuration()).items():
        targets = [each for config in job["static_configs"] for each in config["targets"]]
        assert targets, name
        if name in listening:
            assert {each.rpartition(":")[2] for each in targets} == {str(listening[name])}


def test_units_in_alerts_are_those_that_the_node_exporter_reads() -> None:
    options = VARIABLES["monitoring_options"]["node"]
    read = re.compile(re.search(r"systemd\.unit-include=(\S+)", options)[1])  # type: ignore[index]
    assert "--collector.systemd" in options.split()
    used = {
        name for rule in ALERTS.values() for name in re.findall(r"node_systemd_\w+\{name=~\"([^\"]+)\"", rule["expr"])
    }
    assert len(used) == 3
    for unit in (*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.timer")):
        assert read.fullmatch(unit.name), unit.name
        assert any(re.fullmatch(name, unit.name) for name in used), f"{unit.name}: no alert if it fails"


def test_every_host_with_units_or_timers_has_a_node_exporter() -> None:
    """Every host has okr-certificates.timer, so a host without one could not report an expiring certificate."""
    assert [name for name, host in EXAMPLE["hosts"].items() if "node" not in host.get("okr_exporters", [])] == []


def test_every_timer_is_started_somewhere() -> None:
    wanted = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["okr_timers"]
    assert {timer.stem for timer in SYSTEMD.glob("*.timer")} == {*re.findall(r"'(okr-[\w-]+)'", wanted)} - units()


def units() -> set[str]:
    """Return the names of services that decide about timers."""
    return {"okr-metrics", "okr-land@"}


def test_what_the_unit_of_spools_writes_is_what_alerts_about_spools_read() -> None:
    read = {metric for name in ALERTS for metric in on_servers(name) if metric.startswith("okr_spool_")}
    assert read <= ABOUT.keys()


@pytest.mark.parametrize("unit", ["okr-spools", "okr-metrics"])
def test_writer_and_reader_of_files_use_the_folder_of_the_setting(unit: str) -> None:
    folder = EXAMPLE["vars"]["okr_settings"]["OKR_METRICS_DIR"]
    text = (SYSTEMD / f"{unit}.service").read_text(encoding="utf-8")
    assert ("ReadWritePaths=-" + folder in text) == (unit == "okr-spools")
    assert "OKR_METRICS_DIR=" not in text
    shared: list[dict[str, Any]] = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["okr_shared_folders"]
    assert folder.removeprefix("/var/lib/okr") in [each["path"].removeprefix("{{ okr_state }}") for each in shared]
