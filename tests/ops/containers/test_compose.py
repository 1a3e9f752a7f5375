"""The compose files: docker compose accepts them, and every service is confined and gets only its secrets."""

import ipaddress
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.containers import new_secrets
from infra.local.airflow import AirflowDagProcessor, AirflowScheduler
from infra.local.executables import ROOT
from infra.local.okr_services import Api, Guard, LandingWorker, Metrics, StateWorker
from lakehouse.settings import read_settings
from tests.ops.certificates import CertificateAuthority
from tests.ops.containers.conftest import Checker

FOLDER = ROOT / "infra" / "containers"
FILES = [f"--file={FOLDER / name}" for name in ("compose.yaml", "compose.stores.yaml", "compose.secrets.yaml")]
IMAGES = ("POSTGRES", "KAFKA", "REDIS", "NGINX", "OKR_API", "OKR_WORKER", "OKR_AIRFLOW", "OKR_MLFLOW")
TLS = {"airflow.crt", "airflow.key", "kafka.pem", "mlflow.crt", "mlflow.key", "nginx.crt", "nginx.key"} | {
    "postgres.crt", "postgres.key", "redis.crt", "redis.key",
}  # fmt: skip
STORES = {"postgres", "redis", "kafka"}
OURS = {"api", "land", "state", "metrics", "guard", "airflow-scheduler", "airflow-dag-processor", "migrate"}

Service = dict[str, Any]


def variables() -> dict[str, str]:
    digest = "sha256:" + "1" * 64
    images = {f"{name}_IMAGE": f"{name.lower()}@{digest}" for name in IMAGES}
    return images | {"OKR_HOST_NAME": "okr.example.org", "OKR_SECRETS": "/etc/okr/secrets", "OKR_TLS": "/etc/okr/tls"}


@pytest.fixture(scope="module")
def model(checker: Checker) -> dict[str, Any]:
    """The files as docker compose understands them."""
    result = checker("docker-compose", *FILES, "config", "--format=json", **variables())
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def services(model: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = model["services"]
    return found


def secrets_of(service: Service) -> set[str]:
    return {each["source"] for each in service.get("secrets") or ()}


def test_every_image_and_folder_must_be_named(checker: Checker) -> None:
    for name in variables():
        incomplete = variables() | {name: ""}
        result = checker("docker-compose", *FILES, "config", "--quiet", **incomplete)
        assert result.returncode != 0, name
        assert name in result.stderr


def test_the_example_of_images_env_needs_only_values(checker: Checker, tmp_path: Path) -> None:
    lines = (FOLDER / "images.env.example").read_text(encoding="utf-8").splitlines()
    assert {line.partition("=")[0] for line in lines if line.endswith("=")} <= variables().keys()
    filled = [f"{line}{variables()[line[:-1]]}" if line.endswith("=") else line for line in lines]
    (tmp_path / "images.env").write_text("\n".join(filled), encoding="utf-8")
    env_file = f"--env-file={tmp_path / 'images.env'}"
    result = checker("docker-compose", env_file, "config", "--services", folder=FOLDER)
    assert result.returncode == 0, result.stderr
    assert {"api", "postgres", "migrate"} <= set(result.stdout.split())


def test_a_misspelt_key_is_refused(checker: Checker, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("services: {api: {readonly: true}}\n", encoding="ascii")
    result = checker("docker-compose", *FILES, f"--file={wrong}", "config", "--quiet", **variables())
    assert result.returncode == 1
    assert "readonly" in result.stderr


def hashes(checker: Checker, **changes: str) -> dict[str, str]:
    """Return the hash of each service by which compose decides whether its container must be recreated."""
    result = checker("docker-compose", *FILES, "config", "--hash=*", **(variables() | changes))
    assert result.returncode == 0, result.stderr
    return dict(line.split() for line in result.stdout.splitlines())


# `docker` in front of compose: `up` prints the digest that compose would get.
DOCKER = """#!/bin/sh
shift
case "$*" in *" up "*) echo "$OKR_FILES $*" ;; *) exec docker-compose "$@" ;; esac
"""


def test_a_file_that_was_replaced_recreates_the_containers(checker: Checker, tmp_path: Path) -> None:
    """See https://github.com/docker/compose/issues/11900 and https://github.com/moby/moby/issues/22627."""
    folder, secrets, tls = tmp_path / "infra" / "containers", tmp_path / "secrets", tmp_path / "tls"
    shutil.copytree(FOLDER.parent, folder.parent)
    for each in (secrets, tls):
        each.mkdir()
    new_secrets.main([str(secrets)])
    for name in TLS | {"ca.crt"}:
        (tls / name).write_text(name, encoding="ascii")
    values = variables() | {"OKR_SECRETS": str(secrets), "OKR_TLS": str(tls)}
    values["COMPOSE_FILE"] = "compose.yaml:compose.stores.yaml:compose.secrets.yaml"
    (folder / "images.env").write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="ascii")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER, encoding="ascii")
    (programs / "docker").chmod(0o755)
    path = f"{programs}:{ROOT / '.venv' / 'checkers' / 'bin'}:{os.environ['PATH']}"

    def digest() -> str:
        result = subprocess.run(
            [folder / "up", "--remove-orphans"], env={"PATH": path}, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        found, *arguments = result.stdout.split()
        assert arguments == ["--env-file", "images.env", "up", "--detach", "--wait", "--remove-orphans"]
        return found

    before = digest()
    assert digest() == before
    for file in (secrets / "okr_pg_loader_password", tls / "nginx.crt", folder / "pg_hba.conf"):
        part = file.with_suffix(".part")
        part.write_text("another", encoding="ascii")
        part.replace(file)
        assert digest() != before, file
        before = digest()
    (one, other) = (hashes(checker, OKR_FILES=value) for value in ("one", "another"))
    assert not [name for name in one if one[name] == other[name]]


def test_nginx_is_recreated_with_the_release_that_writes_its_configuration(checker: Checker) -> None:
    """See https://github.com/docker/compose/issues/13211."""
    before = hashes(checker)
    for changed in ({"OKR_API_IMAGE": f"okr-api@sha256:{'2' * 64}"}, {"OKR_HOST_NAME": "other.example.org"}):
        result = checker("docker-compose", *FILES, "config", "--hash=nginx", **(variables() | changed))
        assert result.stdout.split() != ["nginx", before["nginx"]], changed


def test_no_other_container_can_get_a_fixed_address(services: dict[str, Service], model: Any) -> None:
    """After a reboot, containers start in any order; see https://github.com/docker/compose/issues/11899."""
    (pool,) = model["networks"]["app"]["ipam"]["config"]
    fixed = [service["networks"]["app"].get("ipv4_address") for service in services.values()
             if (service.get("networks") or {}).get("app")]  # fmt: skip
    assert len(set(filter(None, fixed))) == len(list(filter(None, fixed))) == 4
    for address in map(ipaddress.ip_address, filter(None, fixed)):
        assert address in ipaddress.ip_network(pool["subnet"])
        assert address not in ipaddress.ip_network(pool["ip_range"])


def test_every_service_is_confined(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert not service.get("cap_add"), name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() >= {"cpus", "memory", "pids"}, name
        is_ours = service["image"].startswith("okr_")  # has its user in the image
        assert is_ours or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name


def test_every_lasting_service_is_checked_and_restarted(services: dict[str, Service]) -> None:
    for name, service in services.items():
        check = service.get("healthcheck") or {}
        if service["restart"] == "no":
            assert check["disable"] is True, name
        else:
            assert service["restart"] == "unless-stopped", name
            assert check.get("test") or service["image"].startswith("okr_"), name  # else in the image


def test_services_start_only_after_every_job_succeeded(services: dict[str, Service]) -> None:
    # `docker compose up --wait` fails when a job ends, unless another service waits for its success.
    jobs = {name for name, service in services.items() if service["restart"] == "no"}
    awaited = {
        name
        for service in services.values()
        for name, dependency in (service.get("depends_on") or {}).items()
        if dependency["condition"] == "service_completed_successfully"
    }
    assert jobs == awaited == {"proxy", "roles", "kafka-access", "migrate"}


def test_only_nginx_is_reachable_and_only_clients_reach_the_data(services: dict[str, Service], model: Any) -> None:
    assert [name for name, service in services.items() if service.get("ports")] == ["nginx"]
    networks = {name: set(service.get("networks") or ()) for name, service in services.items()}
    assert networks["nginx"] == {"edge", "app"}
    assert {name for name, found in networks.items() if "edge" in found} == {"nginx"}
    assert {name for name, found in networks.items() if found == {"data"}} >= STORES
    assert {name for name, network in model["networks"].items() if network.get("internal")} == {"app", "data"}


def test_every_secret_is_generated_and_used_only_where_it_is_listed(
    services: dict[str, Service], tmp_path: Path
) -> None:
    new_secrets.main([str(tmp_path)])
    generated = {file.name for file in tmp_path.iterdir()}
    used = set().union(*map(secrets_of, services.values()))
    assert used - generated == TLS
    # Parts of addresses, and the administrator of Redis, whom no service needs.
    assert generated - used <= {f"okr_redis_{user}password" for user in ("", "serving_", "state_", "metrics_")}
    for name, service in services.items():
        named = {Path(value).name for key, value in (service.get("environment") or {}).items() if key.endswith("_FILE")}
        assert named - {"ca.crt"} <= secrets_of(service), name


def test_each_service_gets_the_secrets_that_it_has_in_the_local_stack(services: dict[str, Service]) -> None:
    for kind in (Api, LandingWorker, StateWorker, Metrics, Guard, AirflowScheduler, AirflowDagProcessor):
        variables = services[kind.name]["environment"]
        files = {name.removesuffix("_FILE") for name in variables if name.endswith("_FILE")}
        expected = {*kind.secrets, *getattr(kind, "encryption_secrets", ())}
        assert files - {"OKR_CA", "OKR_KAFKA_PASSWORD"} == expected, kind.name


def test_no_secret_is_a_variable_or_an_argument(services: dict[str, Service]) -> None:
    for name, service in services.items():
        words = [*(service.get("environment") or {}).items(), *enumerate(service.get("command") or ())]
        for key, value in words:
            text = re.sub(r"/run/secrets/[\w.]+", "", str(value))
            is_named = re.search(r"password|secret|token|dsn", str(key), re.IGNORECASE) and text
            assert not is_named, f"{name}: {key}"
            assert not re.search(r"password|secret|token|dsn|://[^/]*@", text, re.IGNORECASE), f"{name}: {value}"


@pytest.mark.parametrize("name", sorted(OURS))
def test_production_accepts_the_settings_of_each_service(
    services: dict[str, Service], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, authorities = tmp_path / "secrets", CertificateAuthority(tmp_path / "ca").file
    folder.mkdir()
    new_secrets.main([str(folder), f"--ca={authorities}"])
    for key, value in services[name]["environment"].items():
        if key.startswith("OKR_"):
            path = value.replace("/run/secrets", str(folder)).replace("/etc/okr/tls/ca.crt", str(authorities))
            monkeypatch.setenv(key, path)
    settings, errors = read_settings(tmp_path)
    assert errors == []
    assert settings.environment == "production"


def test_hadolint_finds_nothing_in_the_dockerfile(checker: Checker) -> None:
    result = checker("hadolint", "--failure-threshold=info", FOLDER / "Dockerfile")
    assert result.returncode == 0, result.stdout
