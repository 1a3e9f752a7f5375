"""The example inventory: its settings and secrets reach each host, and mistakes are refused before anything changes."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.ops.conftest import RequirePrograms
from tests.ops.server.releases import ROOT

# Backups run only on hosts with `okr_backup: true`, which the example has none of.
FILES = [file for file in (ROOT / "infra/server/systemd").rglob("*") if file.is_file()]
UNITS = (file.read_text(encoding="utf-8") for file in FILES if not file.name.startswith("okr-backup"))
LOADED = {name for text in UNITS for name in re.findall(r"^LoadCredential=.*/okr_(\w+)$", text, re.MULTILINE)}
EXAMPLE = (ROOT / "infra/server/inventory.example.yml").read_text(encoding="utf-8")
NOT_USED = {"redis_admin": "of-redis_admin"}
EDGE, APP, DATA, MONITORING = (f"{zone}-1.example.org" for zone in ("edge", "app", "data", "monitoring"))
HOSTS = (EDGE, APP, DATA, MONITORING)
EXTRA = {host: {*yaml.safe_load(EXAMPLE)["okr"]["hosts"][host]["okr_extra_secrets"]} for host in HOSTS}
VAULT = {name: f"of-{name}" for name in LOADED.union(*EXTRA.values())}
Provision = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """The folder that contains /etc/okr of each host."""
    for host in HOSTS:
        (tmp_path / "hosts" / host / "secrets").mkdir(parents=True)
    return tmp_path / "hosts"


@pytest.fixture
def provision(require_programs: RequirePrograms, hosts: Path, tmp_path: Path) -> Provision:
    """Run the role `settings` for all hosts of an inventory on this machine."""
    require_programs()

    def run(vault: dict[str, str], *, inventory: str | None = None) -> "subprocess.CompletedProcess[str]":
        folder = write_inventory(tmp_path / "inventory", vault, inventory)
        ansible = ROOT / ".venv/bin/ansible-playbook"
        variables = {
            "ansible_connection": "local", "ansible_become": False, "units_to_restart": [],
            "okr_config": f"{hosts}/{{{{ inventory_hostname }}}}",
        }  # fmt: skip
        command = [
            ansible,
            "-i",
            folder,
            "--tags",
            "settings",
            "-e",
            json.dumps(variables),
            ROOT / "infra/server/site.yml",
        ]
        environment = {"PATH": f"{ansible.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def write_inventory(folder: Path, vault: dict[str, str], text: str | None = None) -> Path:
    """Write an inventory, by default the example, with the file that `ansible-vault` would encrypt."""
    (folder / "group_vars/okr").mkdir(parents=True)
    (folder / "group_vars/okr/vault.yml").write_text(json.dumps({"vault_okr_secrets": vault}), encoding="ascii")
    (folder / "inventory.yml").write_text(text or EXAMPLE, encoding="utf-8")
    return folder / "inventory.yml"


def test_each_host_gets_the_settings_and_only_its_own_secrets(provision: Provision, hosts: Path) -> None:
    (hosts / EDGE / "secrets/okr_jwt_secret").write_text("from an earlier inventory", encoding="ascii")
    done = provision(VAULT | NOT_USED)
    assert done.returncode == 0, done.stdout
    for host in HOSTS:
        assert "OKR_ENVIRONMENT=production\n" in (hosts / host / "okr.env").read_text(encoding="utf-8")
    secrets = {host: {file.name: file.read_text() for file in (hosts / host / "secrets").iterdir()} for host in HOSTS}
    expected = {EDGE: {"client_key"}, APP: LOADED | EXTRA[APP], DATA: EXTRA[DATA], MONITORING: {"metrics_token"}}
    assert secrets == {host: {f"okr_{name}": f"of-{name}\n" for name in names} for host, names in expected.items()}
    assert not [name for name in VAULT if f"of-{name}" in done.stdout], "secrets are not shown"


def test_a_missing_secret_is_named_before_anything_is_written(provision: Provision, hosts: Path) -> None:
    """A secret with a default value in the units is not missing: client_key."""
    absent = ("jwt_secret", "kafka_password_land", "client_key")
    done = provision({name: value for name, value in VAULT.items() if name not in absent})
    assert done.returncode != 0
    assert "okr_secrets lacks jwt_secret, kafka_password_land, which" in " ".join(done.stdout.split())
    assert not (hosts / APP / "okr.env").exists()


def test_a_lake_in_a_folder_of_two_hosts_is_refused(provision: Provision) -> None:
    """Each would have its own lake, and Airflow would read only one of them."""
    second = "      okr_units: []\n      okr_nginx: true\n"
    assert second in EXAMPLE
    done = provision(VAULT, inventory=EXAMPLE.replace(second, "      okr_units: [okr-land@1]\n"))
    assert done.returncode != 0
    assert f"{EDGE} and {APP} run okr-land@ or okr-airflow-scheduler" in " ".join(done.stdout.split())
