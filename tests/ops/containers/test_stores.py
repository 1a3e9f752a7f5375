"""The settings of the compose file's nginx, PostgreSQL and Kafka: the programs start with them.

Paths and ports are those of the test; everything else is as in the files.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.containers import new_secrets
from infra.local import kafka_jars
from infra.local.executables import ROOT
from infra.local.kafka import Kafka
from infra.local.ports import choose
from infra.local.postgres import binary
from infra.local.stack import Stack
from infra.local.unprivileged import command_prefix, give_ownership
from lakehouse.settings import Settings
from tests.ops.certificates import CertificateAuthority
from tests.polling import until

FOLDER = ROOT / "infra" / "containers"


def test_postgresql_accepts_its_settings(postgres: Settings, test_stack: Stack) -> None:
    home = test_stack.state / "postgres"
    settings = home / "compose.conf"

    def value(name: str, text: str) -> subprocess.CompletedProcess[str]:
        settings.write_text(text, encoding="utf-8")
        give_ownership(settings)
        command = [
            *command_prefix(),
            binary("postgres"),
            "-D",
            home / "data",
            "-C",
            name,
            "-c",
            f"config_file={settings}",
        ]
        return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=20, check=False)

    text = (ROOT / "infra" / "postgres" / "postgresql.conf").read_text(encoding="utf-8")
    assert value("reserved_connections", text).stdout == "100\n"
    assert value("log_statement", text).stdout == "none\n"
    wrong = value("log_statement", f"{text}no_such_setting = 1\n")
    assert wrong.returncode != 0
    assert "no_such_setting" in wrong.stderr


@pytest.fixture(scope="module")
def broker(test_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    """The broker of kafka.properties: its port for clients, its port without login, and the file of authorities."""
    folder, authority = tmp_path_factory.mktemp("kafka"), CertificateAuthority(tmp_path_factory.mktemp("ca"))
    certificate = authority.issue("kafka", ("localhost",))
    clients, controller, admin = choose(set()), choose(set()), choose(set())
    text = (FOLDER / "kafka.properties").read_text(encoding="utf-8")
    for old, new in {
        "SASL_SSL://:9093": f"SASL_SSL://127.0.0.1:{clients}",
        "SASL_SSL://kafka:9093": f"SASL_SSL://localhost:{clients}",
        "127.0.0.1:9094": f"127.0.0.1:{controller}",
        "127.0.0.1:9095": f"127.0.0.1:{admin}",
        "/var/lib/kafka/data": str(folder / "data"),
        "/run/secrets/kafka.pem": str(certificate.both),
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    settings = folder / "kafka.properties"
    settings.write_text(text, encoding="utf-8")
    with running(test_stack, settings, folder):
        plain = AdminClient({"bootstrap.servers": f"127.0.0.1:{admin}", "log_level": 0})
        until(lambda: bool(topics(plain) is not None), "the broker answers", seconds=60)
        yield clients, admin, authority.file


@contextmanager
def running(stack: Stack, settings: Path, folder: Path) -> Iterator[None]:
    kafka_jars.fetch(print)
    java = Kafka(stack)._java()
    variables = os.environ | {"CLASSPATH": kafka_jars.class_path()}
    cluster = ["--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA"]
    format_command = [*java, "kafka.tools.StorageTool", "format", *cluster, "--config", str(settings)]
    subprocess.run(format_command, env=variables, cwd=folder, check=True, capture_output=True, timeout=60)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*java, "kafka.Kafka", str(settings)], env=variables, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def topics(client: AdminClient) -> set[str] | None:
    try:
        return set(client.list_topics(timeout=2).topics)
    except KafkaException:
        return None


def client_of(port: int, authorities: Path, password: str) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": f"localhost:{port}", "security.protocol": "SASL_SSL", "log_level": 0,
            "ssl.ca.location": str(authorities), "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "okr-state",
            "sasl.password": password,
        }
    )  # fmt: skip


def test_the_job_lets_in_each_service_with_its_password_and_rights(
    broker: tuple[int, int, Path], tmp_path: Path
) -> None:
    clients, admin, authorities = broker
    new_secrets.main([str(tmp_path)])
    script = (FOLDER / "kafka_access.sh").read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    variables = {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.defpath}", "OKR_KAFKA_BOOTSTRAP": f"127.0.0.1:{admin}"}
    for _ in range(2):  # it runs at each start
        job = subprocess.run(
            ["sh", "-c", script], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert job.returncode == 0, job.stdout + job.stderr
    password = (tmp_path / "okr_kafka_password_state").read_text(encoding="ascii").strip()
    assert password not in job.stdout + job.stderr
    # It may read one topic, so it does not see the others.
    assert topics(client_of(clients, authorities, password)) == {"okr_user_events"}
    assert topics(client_of(clients, authorities, "wrong")) is None
    assert topics(AdminClient({"bootstrap.servers": f"localhost:{clients}", "log_level": 0})) is None
