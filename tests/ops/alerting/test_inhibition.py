"""Inhibition in a real Alertmanager: what explains another alert silences it, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.alertmanager.inhibitions import INHIBITIONS, Inhibition
from infra.alertmanager.receivers import Receivers
from tests.ops.alerting.alertmanagers import Alertmanager, alertmanager
from tests.polling import until

MATCHER = re.compile(r'(\w+) (=|=~|!=) "(.*)"')


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Alertmanager]:
    (tmp_path / "key").write_text("none")
    with alertmanager(Receivers("http://127.0.0.1:9", tmp_path / "key"), tmp_path) as running:
        yield running


def labels_for(matchers: tuple[str, ...], name: str) -> dict[str, str]:
    """Return labels that match; of several alert names, `name`."""
    labels: dict[str, str] = {}
    for each in matchers:
        found = MATCHER.fullmatch(each)
        assert found is not None, each
        label, operator, value = found.groups()
        labels[label] = name if label == "alertname" else f"not-{value}" if operator == "!=" else value
    return labels


def alert_names(matchers: tuple[str, ...]) -> list[str]:
    [names] = [found[3] for each in matchers if (found := MATCHER.fullmatch(each)) and found[1] == "alertname"]
    return names.split("|")


def inhibited(manager: Alertmanager, case: str) -> dict[str, bool]:
    """Return whether each alert of a case is inhibited, by its role."""
    alerts = [each for each in manager.alerts() if each["labels"].get("case") == case]
    return {each["labels"]["role"]: bool(each["status"]["inhibitedBy"]) for each in alerts}


CASES = [
    pytest.param(rule, source, target, id=f"{source} silences {target}")
    for rule in INHIBITIONS
    for source in alert_names(rule.source)
    for target in alert_names(rule.target)
]


@pytest.mark.parametrize(("rule", "source", "target"), CASES)
def test_an_alert_silences_what_it_explains(manager: Alertmanager, rule: Inhibition, source: str, target: str) -> None:
    case = f"{source} {target} {INHIBITIONS.index(rule)}"
    same = dict.fromkeys(rule.equal, case)
    fixed = labels_for(rule.source, source)
    same |= {name: fixed[name] for name in rule.equal if name in fixed}
    sent = {
        "source": fixed | same,
        "target": same | labels_for(rule.target, target),
        "another": {"alertname": "SpoolFilling", "severity": "critical"} | same,
    }
    if rule.equal:
        sent["elsewhere"] = labels_for(rule.target, target) | dict.fromkeys(rule.equal, f"another {case}")
    manager.send(*({**labels, "case": case, "role": role} for role, labels in sent.items()))
    until(lambda: len(inhibited(manager, case)) == len(sent), "all alerts arrived", 20)
    until(lambda: inhibited(manager, case)["target"], f"{target} is inhibited", 20)
    state = inhibited(manager, case)
    assert not state["source"]
    assert not state["another"]
    # Two missing labels count as equal (https://github.com/prometheus/alertmanager/issues/507), so rules with `equal`
    # name labels that both alerts have.
    assert not state.get("elsewhere", False)


def test_a_dead_node_exporter_does_not_silence_what_its_host_still_reports(manager: Alertmanager) -> None:
    host = {"instance": "db-1", "case": "node", "severity": "critical"}
    manager.send(
        {"alertname": "TargetDown", "job": "node", "role": "exporter", **host},
        {"alertname": "TargetDown", "job": "postgres", "role": "target", **host},
        {"alertname": "HostDiskFull", "mountpoint": "/", "role": "disk", **host},
        {"alertname": "ServiceRestartLoop", "unit": "okr-api", "role": "loop", **host},
    )
    until(lambda: inhibited(manager, "node").get("target", False), "the other target is inhibited", 20)
    assert inhibited(manager, "node") == {"exporter": False, "target": True, "disk": False, "loop": False}
