"""What Ansible writes for the Prometheus of the example inventory is what `promtool` accepts."""

import json
import subprocess
from pathlib import Path

import yaml

from tests.ops.conftest import RequirePrograms
from tests.ops.server.releases import ROOT
from tests.ops.server.test_inventory import MONITORING, VAULT, write_inventory

SERVER, PROBER = ROOT / "infra" / "server", "prometheus-blackbox-exporter"


def test_prometheus_of_the_example_inventory(require_programs: RequirePrograms, tmp_path: Path) -> None:
    require_programs("promtool", PROBER)
    inventory, file = write_inventory(tmp_path / "inventory", VAULT), tmp_path / "prometheus.yml"
    template = {
        "src": str(ROOT / "infra/prometheus/prometheus.yml.j2"), "dest": str(file), "lstrip_blocks": True,
        "mode": "0644",
    }  # fmt: skip
    probes = {
        "src": str(ROOT / "infra/prometheus/blackbox.yml.j2"), "dest": str(tmp_path / "blackbox.yml"),
        "lstrip_blocks": True, "mode": "0644", "validate": f"{PROBER} --config.check --config.file=%s",
    }  # fmt: skip
    play = {
        "hosts": MONITORING, "connection": "local", "gather_facts": False,
        "tasks": [
            {"ansible.builtin.include_vars": str(SERVER / "roles/monitoring/vars/main.yml")},
            {"ansible.builtin.template": template, "vars": {"monitoring": "{{ monitoring_of_inventory }}"}},
            {"ansible.builtin.template": probes, "vars": {"probe_authorities": "{{ monitoring_probe_authorities }}"}},
        ],
    }  # fmt: skip
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(yaml.safe_dump([play]))
    for name in ("ca.pem", "monitoring.pem"):
        (tmp_path / name).touch()
    ansible = ROOT / ".venv/bin/ansible-playbook"
    environment = {
        "PATH": f"{ansible.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8",
        "ANSIBLE_FILTER_PLUGINS": str(SERVER / "filter_plugins"),
    }  # fmt: skip
    variables = json.dumps({"okr_config": "/etc/okr", "ansible_python_interpreter": str(ansible.parent / "python")})
    done = subprocess.run(
        [ansible, "-i", inventory, "-e", variables, playbook],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    checked = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", file], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    jobs = {job["job_name"]: job for job in yaml.safe_load(file.read_text())["scrape_configs"]}
    assert {*jobs} == {"okr", "api", "node", "postgres", "redis", "prometheus", "alertmanager", "probe"}
    modules = yaml.safe_load((tmp_path / "blackbox.yml").read_text())["modules"]
    assert modules["okr"]["http"]["tls_config"] == {"ca_file": "/etc/prometheus/probe-authorities.pem"}
    assert jobs["api"]["authorization"] == {"credentials_file": "/etc/prometheus/api-token"}
    assert jobs["node"]["tls_config"]["cert_file"] == "/etc/okr/tls/monitoring.pem"
    assert [name for name, value in VAULT.items() if value in file.read_text()] == [], "it has no secret"
