"""amtool's opinion of the configuration: it is valid, and every alert goes where docs/alerting.md says."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import infra.prometheus
from infra.alertmanager.configuration import configuration, write
from infra.alertmanager.receivers import Mail, Receivers
from lakehouse.errors import PermanentError
from tests.figures import report

ALL = Receivers(
    "https://okr.example.org", Path("/etc/okr/secrets/okr_alert_key"), "/etc/ssl/certs/ca-certificates.crt",
    Mail("o@example.org", "okr@example.org", "smtp.example.org:587", "okr", "/etc/okr/secrets/okr_alert_mail_password"),
    "https://chat.example.org/hook", "https://beat.example.org/x",
)  # fmt: skip
RULES = Path(infra.prometheus.__file__).parent / "rules"


def alert_rules() -> list[dict[str, Any]]:
    groups = [group for file in RULES.glob("*.yml") for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def receivers_of(rule: dict[str, Any]) -> str:
    """Return the receivers that docs/alerting.md promises for an alert."""
    if rule["alert"] == "DeadMansSwitch":
        return "heartbeat"
    return "okr-api,people-critical" if rule["labels"]["severity"] == "critical" else "okr-api,people"


@pytest.mark.parametrize("receivers", [ALL, Receivers("http://127.0.0.1:1", Path("/k"))], ids=["all", "api only"])
def test_amtool_accepts_the_configuration(tmp_path: Path, receivers: Receivers) -> None:
    file = tmp_path / "alertmanager.yml"
    assert write(receivers, file)  # checks it
    shown = subprocess.run(["amtool", "check-config", file], capture_output=True, text=True, check=True).stdout
    assert "4 receivers" in shown


def test_a_configuration_that_amtool_rejects_is_not_written(tmp_path: Path) -> None:
    (file := tmp_path / "alertmanager.yml").write_text("old")
    wrong = Receivers("https://x", Path("/k"), mail=Mail("o@example.org", "okr@example.org", "smtp.example.org"))
    with pytest.raises(
        PermanentError, match=r"amtool rejects the configuration, and nothing was changed: .*missing port"
    ):
        write(wrong, file)
    assert [each.name for each in tmp_path.iterdir()] == ["alertmanager.yml"]
    assert file.read_text() == "old"


def test_every_alert_goes_to_the_receivers_of_its_severity(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(configuration(ALL))
    rules = alert_rules()
    assert len(rules) > 30
    for rule in rules:
        labels = [f"{name}={value}" for name, value in {"alertname": rule["alert"], **rule["labels"]}.items()]
        verify = f"--verify.receivers={receivers_of(rule)}"
        command = ["amtool", "config", "routes", "test", f"--config.file={file}", verify, *labels]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{rule['alert']}: {checked.stdout}{checked.stderr}"
    report("Alerting: routes checked by amtool", ["alerts", "with the right receivers"], [[str(len(rules))] * 2])
