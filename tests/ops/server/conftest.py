"""Servers that Ansible has provisioned with a release of this working tree, in booted containers."""

import base64
import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.local.ports import choose
from infra.local.stack import Stack
from lakehouse.settings import Settings
from tests.ops.conftest import RequirePrograms
from tests.ops.server.machine import Machine, booted, cache_folder
from tests.ops.server.releases import ROOT, as_version, build_wheel

SECRETS = (
    "dsn_owner", "dsn_loader", "dsn_landing", "dsn_metrics", "dsn_transform", "dsn_serving",
    "dsn_organisation", "pg_superuser_dsn", "redis_url", "redis_state_url", "redis_metrics_url",
    "jwt_secret", "admin_password", "lead_password", "app_password", "metrics_token",
    "mlflow_store_uri", "mlflow_password", "mlflow_flask_secret", "airflow_password", "airflow_serving_password",
    "airflow_landing_password",
    "airflow_dsn", "airflow_fernet_secret", "airflow_api_secret", "airflow_jwt_secret",
)  # fmt: skip
SERVICES = (
    "okr-api@blue", "okr-land@1", "okr-state", "okr-metrics", "okr-guard", "okr-airflow-api-server",
    "okr-airflow-scheduler", "okr-airflow-dag-processor", "okr-airflow-triggerer", "okr-mlflow",
)  # fmt: skip
FIRST, SECOND = "1.0", "1.1"
# Packages come from uv's cache of this host. Compiling them would take minutes.
DOWNLOAD: Mapping[str, object] = {
    "okr_download_environment": {
        "UV_OFFLINE": "1", "UV_CACHE_DIR": "/var/cache/okr-uv", "UV_LINK_MODE": "symlink", "UV_COMPILE_BYTECODE": "0",
    },
    "okr_pip_arguments": "--no-index --find-links /mnt/uv-wheels",
}  # fmt: skip
SITE_PACKAGES = f"/mnt/project/.venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@dataclass
class Server:
    """A provisioned server."""

    machine: Machine
    wheels: Path
    variables: dict[str, object]
    seconds: dict[str, float] = field(default_factory=dict)

    def provision(self, *arguments: str, inventory: str = "inventory", **variables: object) -> dict[str, int]:
        """Run the playbook in the container; return the numbers of its tasks by result."""
        file = self.wheels / "variables.json"
        file.write_text(json.dumps(self.variables | variables), encoding="utf-8")
        done = self.machine.run(
            "/usr/bin/python3.11", "-m", "ansible", "playbook", "-i", f"/mnt/wheels/{inventory}", "-c", "local",
            "-e", "ansible_python_interpreter=/usr/bin/python3.11", "-e", "@/mnt/wheels/variables.json",
            "/mnt/project/infra/server/site.yml", *arguments,
            environment={
                "PYTHONPATH": SITE_PACKAGES, "PYTHONPYCACHEPREFIX": "/var/cache/pyc", "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_NOCOLOR": "1",
            },
            seconds=280,
        )  # fmt: skip
        recap = done.stdout.rpartition("PLAY RECAP")[2]
        return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", recap)}

    def api(self, path: str) -> int:
        """Return the status of an answer of the API, through the socket that nginx uses."""
        socket = "/run/okr/api/current.sock"
        shown = ("--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "20")
        return int(
            self.machine.run("curl", *shown, "--unix-socket", socket, f"http://localhost{path}", check=False).stdout
        )

    def get(self, url: str) -> str:
        """Return an answer of Airflow or MLflow; nothing if it does not respond."""
        return self.machine.run("curl", "--silent", "--max-time", "20", url, check=False).stdout

    def setting(self, name: str) -> str:
        """Return a setting of the server."""
        return str(dict(self.variables["okr_settings"])[name])  # type: ignore[call-overload]

    def secret(self, name: str) -> str:
        """Return a secret of the server."""
        return str(dict(self.variables["okr_secrets"])[name])  # type: ignore[call-overload]

    def write(self, path: str, text: str) -> None:
        """Replace a file of the server."""
        (self.wheels / "file").write_text(f"{text}\n", encoding="utf-8")
        self.machine.run("cp", "/mnt/wheels/file", path)

    def is_active(self, *units: str) -> bool:
        """Return whether all units are active, which for units with Type=notify means ready."""
        states = self.machine.run("systemctl", "is-active", *units, check=False).stdout.split()
        return states == ["active"] * len(units)

    def release_of(self, unit: str) -> str:
        """Return the release that the process of a unit was started from."""
        pid = self.machine.property(unit, "MainPID")
        program = self.machine.run("cat", f"/proc/{pid}/cmdline").stdout.partition("\0")[0]
        return Path(program).parts[4]


@pytest.fixture(scope="session")
def services(postgres: Settings, kafka: Settings, redis_server: Settings) -> None:
    """The databases and the broker, which run outside of the container on loopback."""


@pytest.fixture(scope="session")
def wheels(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two releases and an inventory of one host, which the containers see as /mnt/wheels."""
    require_programs("systemd-nspawn", "mmdebstrap")
    folder = tmp_path_factory.mktemp("wheels")
    built = build_wheel(tmp_path_factory.mktemp("build"))
    for version in (FIRST, SECOND):
        as_version(built, version, folder)
    (folder / "inventory").write_text("[okr]\nlocalhost\n", encoding="ascii")
    return folder


@pytest.fixture(scope="session")
def server(
    wheels: Path, test_stack: Stack, services: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with all services, which use the databases and the broker of the tests."""
    with container(tmp_path_factory.mktemp("server"), wheels, _variables(test_stack)) as server:
        start = time.monotonic()
        server.provision(okr_wheel=wheel(FIRST))
        server.seconds["provision"] = time.monotonic() - start
        yield server


@contextmanager
def container(
    folder: Path, wheels: Path, variables: Mapping[str, object], *, own_network: bool = False
) -> Iterator[Server]:
    """Boot a container that can install the releases without a network."""
    uv = subprocess.run([ROOT / ".venv/bin/uv", "cache", "dir"], capture_output=True, text=True, check=True)
    binds = {ROOT: "/mnt/project", wheels: "/mnt/wheels", _wheels_of_uv(): "/mnt/uv-wheels"}
    overlays = {Path(uv.stdout.strip()): "/var/cache/okr-uv"}
    with booted(folder, binds, overlays, own_network=own_network) as machine:
        yield Server(machine, wheels, {**DOWNLOAD, **variables})


def wheel(version: str) -> str:
    """Return the path of a release's wheel in the containers."""
    return f"/mnt/wheels/okr_lakehouse-{version}-py3-none-any.whl"


def _variables(stack: Stack) -> dict[str, object]:
    ports: set[int] = set()
    for _ in range(2):
        ports.add(choose(ports))
    airflow, mlflow = ports
    settings = {
        "OKR_ENVIRONMENT": "production",
        "OKR_API_WORKERS": 1,
        "OKR_KAFKA_BOOTSTRAP": stack.env["OKR_KAFKA_BOOTSTRAP"],
        "OKR_LAKE_URI": "/var/lib/okr/lake",
        "OKR_MLFLOW_ARTIFACTS": "/var/lib/okr/models",
        "OKR_SITES_DIR": "/var/lib/okr/sites",
        "OKR_METRICS_DIR": "/var/lib/okr/metric-files",
        "OKR_AIRFLOW_URL": f"http://127.0.0.1:{airflow}",
        "OKR_PORT_AIRFLOW": airflow,
        "OKR_MLFLOW_URL": f"http://127.0.0.1:{mlflow}",
        "OKR_PORT_MLFLOW": mlflow,
    }
    return {
        "okr_settings": settings,
        "okr_secrets": {name: stack.env[f"OKR_{name.upper()}"] for name in SECRETS}
        | {"field_encryption_key": base64.b64encode(secrets.token_bytes(32)).decode()},
        "okr_extra_secrets": ["dsn_owner"],
        "okr_units": SERVICES,
    }


def _wheels_of_uv() -> Path:
    """Return a folder with the wheel of uv's lock, downloaded once."""
    lock = ROOT / "requirements/uv.txt"
    folder = cache_folder() / f"uv-{lock.read_text(encoding='utf-8').split()[0].partition('==')[2]}"
    if not folder.is_dir():
        new = folder.with_name(f"{folder.name}.new")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "-r", lock, "-d", new]
        subprocess.run(command, check=True)
        new.rename(folder)
    return folder
