"""The systemd units: each has the secrets that its service needs, and no other."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from infra.deploy.host import Host
from infra.kafka.rights import USERS
from infra.local.base_service import Service
from infra.local.okr_services import Api, Guard, LandingWorker, Metrics, StateWorker
from infra.server.tool_services import SERVICES

UNITS = Path("infra/server/systemd").absolute()
AIRFLOW = {"okr_airflow_dsn", "okr_airflow_fernet_secret", "okr_airflow_api_secret", "okr_airflow_jwt_secret"}
# What the environments of these services contain in the local stack, in addition to their `secrets`.
OTHERS: Mapping[str, set[str]] = {
    "mlflow": {"okr_mlflow_store_uri", "okr_mlflow_password", "okr_mlflow_flask_secret"},
    "airflow-api-server": AIRFLOW
    | {"okr_airflow_password", "okr_airflow_serving_password", "okr_airflow_landing_password"},
    **{f"airflow-{name}": AIRFLOW for name in ("scheduler", "dag-processor", "triggerer")},
}
LISTS = {
    "After", "Environment", "EnvironmentFile", "ExecStartPre", "LoadCredential", "ReadWritePaths", "SetCredential",
    "SupplementaryGroups", "Wants",
}  # fmt: skip
OWN: Iterable[type[Service]] = (Api, LandingWorker, StateWorker, Metrics, Guard)
CLIENTS_OF_AIRFLOW = (Api, LandingWorker)  # which may be on another host


def unit_of(name: str) -> Path:
    """Return the unit of a service: a template if the service has instances."""
    return next(path for path in (UNITS / f"okr-{name}.service", UNITS / f"okr-{name}@.service") if path.is_file())


def lines_of(unit: Path) -> list[str]:
    """Return the lines of a unit and of the drop-ins for its prefixes."""
    prefixes = [
        path for path in UNITS.glob("*.service.d") if unit.name.startswith(path.name.removesuffix(".service.d"))
    ]
    files = [unit, *(file for folder in prefixes for file in folder.iterdir())]
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", [*OWN, *SERVICES.values()], ids=lambda kind: kind.name)
def test_a_unit_loads_the_secrets_of_its_service(kind: type[Service]) -> None:
    loaded = [line.removeprefix("LoadCredential=") for line in lines_of(unit_of(kind.name)) if "LoadCredential" in line]
    encryption = getattr(kind, "encryption_secrets", ())
    expected = {name.lower() for name in (*kind.secrets, *encryption)} | OTHERS.get(kind.name, set())
    if kind in CLIENTS_OF_AIRFLOW:
        expected.add("okr_client_key")
    if kind is Metrics:  # the key of its certificate, for Prometheus
        loaded.remove("metrics_key:/etc/okr/tls/metrics-key.pem")
    kafka = f"okr_kafka_password:/etc/okr/secrets/okr_kafka_password_{kind.kafka_user.removeprefix('okr-')}"
    files = [f"{name}:/etc/okr/secrets/{name}" for name in expected]
    assert sorted(loaded) == sorted([*files, kafka] if kind.kafka_user else files)


@pytest.mark.parametrize("kind", [*OWN, *SERVICES.values()], ids=lambda kind: kind.name)
def test_a_unit_has_the_kafka_user_of_its_service_and_starts_without_files_that_only_some_hosts_have(
    kind: type[Service],
) -> None:
    lines = lines_of(unit_of(kind.name))
    users = [user for line in lines for user in re.findall(r"^Environment=.*\bOKR_KAFKA_USER=(\S+)", line)]
    assert users == ([kind.kafka_user] if kind.kafka_user else [])
    assert (r"SetCredential=okr_kafka_password:\n" in lines) == bool(kind.kafka_user)
    assert (r"SetCredential=okr_client_key:\n" in lines) == (kind in CLIENTS_OF_AIRFLOW)
    assert kind.kafka_user in {"", *USERS}


def test_maintenance_has_what_it_needs_of_the_scheduler() -> None:
    """It deletes from the lake and from PostgreSQL what Kafka confirms."""
    own, scheduler = (set(lines_of(unit_of(name))) for name in ("maintenance", "airflow-scheduler"))
    needed = {line for line in scheduler if re.search("okr_dsn_loader|okr_kafka_password", line)}
    assert {line for line in own if "Credential=" in line} == needed
    assert any("OKR_KAFKA_USER=okr-airflow" in line for line in own)


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_checks_its_settings_before_it_starts(unit: Path) -> None:
    lines = lines_of(unit)
    starts = [line for line in lines if line.startswith("ExecStart=")]
    checks = [line for line in lines if line.startswith("ExecStartPre=") and "okr config check" in line]
    if unit.name == "okr-certificates.service":
        return  # it has none
    assert len(starts) == len(checks) == 1
    assert starts[0].removeprefix("ExecStart=").split()[0] == checks[0].removeprefix("ExecStartPre=").split()[0]


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda unit: unit.name)
def test_no_setting_of_a_unit_is_replaced_by_a_drop_in(unit: Path) -> None:
    """systemd reads drop-ins after the unit. A list, such as LoadCredential, is extended."""
    own, all_lines = unit.read_text(encoding="utf-8").splitlines(), lines_of(unit)
    names = [line.partition("=")[0] for line in all_lines if "=" in line and not line.startswith("#")]
    single = {line.partition("=")[0] for line in own if "=" in line and not line.startswith("#")} - LISTS
    assert [name for name in sorted(single) if names.count(name) > 1] == []


def test_the_units_that_a_deployment_changes_exist() -> None:
    host = Host()
    names = {unit.partition("@")[0].removeprefix("okr-") for unit in (host.api, *host.landing, *host.workers)}
    assert {unit_of(name).name.partition("@")[0].removesuffix(".service") for name in names} == {
        f"okr-{name}" for name in names
    }
    others = {
        "okr-migrate@.service", "okr-maintenance.service", "okr-certificates.service", "okr-backup.service",
        "okr-backup-log.service", "okr-backup-verify.service", "okr-spools.service",
    }  # fmt: skip
    assert len(names) == len(list(UNITS.glob("*.service"))) - len(others), "each process is handed over"


def test_only_the_api_and_nginx_may_connect_to_the_socket_of_the_api() -> None:
    """Whoever may connect can name any client address, so a DAG's task, which writes the sites, may not."""
    members = {
        unit.name: [*words(line)]
        for unit in sorted(UNITS.glob("*.service"))
        for line in lines_of(unit)
        if line.startswith("SupplementaryGroups=")
    }
    assert members == {"okr-airflow-scheduler.service": ["okr-sites"], "okr-api@.service": ["okr-web", "okr-sites"]}


def words(line: str) -> list[str]:
    """Return the words of a setting."""
    return line.partition("=")[2].split()
