"""Every alert is complete, has cases in which it fires and is silent, and uses only metrics that something exposes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path("infra/prometheus")
SEVERITIES = {"critical", "warning"}
# Functions, operators and labels in expressions look like names of metrics; these prefixes are those of metrics.
METRIC = re.compile(r"(?<![\w:\"])((?:okr|node|pg|redis|kafka|probe|prometheus|alertmanager)_\w+|up)(?![\w:\"(])")
LABELS = re.compile(r"\{[^}]*\}|\b(?:by|on|without|ignoring)\s*\([^)]*\)|\"[^\"]*\"")


def rules() -> list[dict[str, Any]]:
    documents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted((FOLDER / "rules").glob("*.yml"))]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def cases() -> list[dict[str, Any]]:
    documents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in (FOLDER / "rule_tests").glob("*.yml")]
    return [case for document in documents for test in document["tests"] for case in test["alert_rule_test"]]


def exposed() -> dict[str, str]:
    """Return the job that exposes each metric."""
    tables = tomllib.loads((FOLDER / "metrics.toml").read_text(encoding="utf-8"))
    found = {name: job for job, names in tables.items() for name in names}
    histograms = [name for name in found if name.endswith(("_seconds", "_probability"))]
    return found | {f"{name}_{end}": found[name] for name in histograms for end in ("bucket", "count", "sum")}


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def test_names_are_unique() -> None:
    assert len(ALERTS) == sum("alert" in rule for rule in rules())


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_names_the_thing_and_the_value_and_has_a_runbook(name: str) -> None:
    labels, annotations = ALERTS[name]["labels"], ALERTS[name]["annotations"]
    severities = {"none"} if name == "DeadMansSwitch" else SEVERITIES
    assert labels["severity"] in severities
    assert labels["service"]
    assert "{{ $value" in annotations["summary"] or name == "TargetDown", "its value is always 0"
    assert annotations["summary"].endswith(".")
    assert annotations["runbook"] == f"docs/runbooks/{kebab(name)}.md"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_case_that_fires_and_one_that_is_silent(name: str) -> None:
    expected = [case["exp_alerts"] for case in cases() if case["alertname"] == name]
    assert any(expected), f"{name}: add a case to infra/prometheus/rule_tests in which it fires."
    is_always_firing = name == "DeadMansSwitch"
    assert is_always_firing or [] in expected, f"{name}: add a case in which it is silent."


def test_each_rule_uses_only_metrics_that_a_job_exposes() -> None:
    recorded, known = {rule["record"] for rule in rules() if "record" in rule}, exposed()
    used = {name for rule in rules() for name in METRIC.findall(LABELS.sub(" ", rule["expr"]))}
    assert len(used) > 30, "the pattern of metric names finds them"
    assert used - known.keys() - {"up"} == set(), "Add what an exporter exposes to infra/prometheus/metrics.toml."
    series = {name for rule in rules() for name in re.findall(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+", rule["expr"])}
    assert series <= recorded


def test_what_is_recorded_is_used_or_is_a_figure_for_dashboards() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for name in recorded for rule in rules() if name in rule["expr"]}
    assert recorded - used == {"okr:key_results_achieved:ratio", "okr:key_results_checked_in:ratio"}
