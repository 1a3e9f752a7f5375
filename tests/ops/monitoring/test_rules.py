"""`promtool` accepts the rules and the configuration, and every case of infra/prometheus/rule_tests holds."""

import subprocess
from pathlib import Path

import pytest
import yaml

from infra.prometheus.configuration import Job, Monitoring, Target, configuration
from tests.figures import report
from tests.ops.conftest import RequirePrograms

FOLDER = Path("infra/prometheus")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


def test_the_rules_have_no_fault(require_programs: RequirePrograms) -> None:
    require_programs("promtool")
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted((FOLDER / "rules").glob("*.yml")))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("file", sorted((FOLDER / "rule_tests").glob("*.yml")), ids=lambda file: file.stem)
def test_alerts_fire_and_are_silent_as_expected(require_programs: RequirePrograms, file: Path) -> None:
    require_programs("promtool")
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    expected = [
        case["exp_alerts"] for test in yaml.safe_load(file.read_text())["tests"] for case in test["alert_rule_test"]
    ]
    report(
        f"Cases of alert rules ({file.stem})",
        ("cases that fire", "cases that are silent"),
        [(str(sum(map(bool, expected))), str(sum(not each for each in expected)))],
    )


def test_a_configuration_with_every_kind_of_job_is_valid(require_programs: RequirePrograms, tmp_path: Path) -> None:
    require_programs("promtool")
    for name in ("ca.pem", "client.pem", "client-key.pem", "token"):
        (tmp_path / name).write_text("x")
    jobs = (
        Job(
            "api", [Target("app-1:8443", "app-1")], scheme="https", token_file=tmp_path / "token", server_name="okr-api"
        ),
        Job("node", [Target("app-1:9100", "app-1"), Target("[2001:db8::1]:9100", 'odd "name"')]),
        Job("probe", [Target("https://okr.example.org/livez", "okr")], path="/probe", prober="127.0.0.1:9115"),
    )
    monitoring = Monitoring(
        "test", jobs, ["127.0.0.1:9093"], ca_file=tmp_path / "ca.pem", certificate=tmp_path / "client.pem",
        key=tmp_path / "client-key.pem", rules=str((FOLDER / "rules").absolute() / "*.yml"),
    )  # fmt: skip
    file = tmp_path / "prometheus.yml"
    file.write_text(configuration(monitoring))
    checked = promtool("check", "config", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "9 rule files found" in checked.stdout
